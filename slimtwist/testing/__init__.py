# -*- test-case-name: tests.testing -*-
"""What tests of mail delivery need: an in-memory network, virtual time, scripted peers."""

from __future__ import annotations

from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver, ReactorDriver
from slimtwist.testing.flow import Cut
from slimtwist.testing.memory import MemoryAttempt, MemoryRelay
from slimtwist.testing.names import MemoryNames
from slimtwist.testing.network import Attempt, Fate, Wire
from slimtwist.testing.reactor import MemoryReactor
from slimtwist.testing.script import ScriptedPeer
from slimtwist.testing.smarthost import CutAfter, FakeSmarthost, Message
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
from slimtwist.testing.tls import Handshake

__all__ = [
    "Attempt",
    "Body",
    "Call",
    "Close",
    "Cut",
    "CutAfter",
    "Deafen",
    "Driver",
    "Ended",
    "Expect",
    "FakeSmarthost",
    "Fate",
    "HalfClose",
    "Handshake",
    "MemoryAttempt",
    "MemoryDriver",
    "MemoryNames",
    "MemoryReactor",
    "MemoryRelay",
    "Message",
    "Octets",
    "ReactorDriver",
    "RelayContract",
    "Reset",
    "ScriptedPeer",
    "Send",
    "Silence",
    "Stall",
    "StartTls",
    "Wait",
    "Wire",
    "drip",
]
