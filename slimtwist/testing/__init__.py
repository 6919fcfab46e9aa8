# -*- test-case-name: tests.testing -*-
"""What tests of mail delivery need: network, programs and time in memory, scripted peers."""

from __future__ import annotations

from slimtwist.testing.clock import VirtualClock
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver, ReactorDriver
from slimtwist.testing.execution import Execution
from slimtwist.testing.flow import Cut
from slimtwist.testing.memory import MemoryAttempt, MemoryRelay
from slimtwist.testing.names import MemoryNames
from slimtwist.testing.network import Attempt, Fate, Wire
from slimtwist.testing.programs import (
    Die,
    Exit,
    FakeProgram,
    Fork,
    Hang,
    Print,
    Read,
    Shut,
    Trap,
)
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
    Step,
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
    "Die",
    "Driver",
    "Ended",
    "Execution",
    "Exit",
    "Expect",
    "FakeProgram",
    "FakeSmarthost",
    "Fate",
    "Fork",
    "HalfClose",
    "Handshake",
    "Hang",
    "MemoryAttempt",
    "MemoryDriver",
    "MemoryNames",
    "MemoryReactor",
    "MemoryRelay",
    "Message",
    "Octets",
    "Print",
    "ReactorDriver",
    "Read",
    "RelayContract",
    "Reset",
    "ScriptedPeer",
    "Send",
    "Shut",
    "Silence",
    "Stall",
    "StartTls",
    "Step",
    "Trap",
    "VirtualClock",
    "Wait",
    "Wire",
    "drip",
]
