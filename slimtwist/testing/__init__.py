# -*- test-case-name: tests.testing -*-
"""What tests of mail delivery need: an in-memory network, virtual time, scripted peers."""

from __future__ import annotations

from slimtwist.testing.reactor import MemoryReactor
from slimtwist.testing.script import ScriptedPeer
from slimtwist.testing.steps import (
    Body,
    Call,
    Close,
    Deafen,
    Ended,
    Expect,
    HalfClose,
    Octets,
    Reset,
    Send,
    Silence,
    Stall,
    StartTls,
    Wait,
    drip,
)

__all__ = [
    "Body",
    "Call",
    "Close",
    "Deafen",
    "Ended",
    "Expect",
    "HalfClose",
    "MemoryReactor",
    "Octets",
    "Reset",
    "ScriptedPeer",
    "Send",
    "Silence",
    "Stall",
    "StartTls",
    "Wait",
    "drip",
]
