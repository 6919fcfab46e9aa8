# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of delivery by programs."""

# ruff: noqa: ANN401, ARG001 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from slimtwist.relay import pipe, process, sysexits
from slimtwist.relay.process import Ending, Run
from slimtwist.relay.program import Program
from slimtwist.relay.unread import Unread
from tests.simulation.defects import Aim, defect, put, towards
from tests.simulation.plan import Fault


def _behaving(name: str, recipient: int = 0, **aimed: Any) -> Aim:
    """Return an aim: the program behaves like this for one recipient of message 0."""
    fault = Fault("reply", f"program m0r{recipient}", value=name)
    return towards(fault, final=10.0, direct=570.0, **aimed)


@defect("exit status 75 is for good", "table", "pipe", _behaving("exit 75", offers=()))
def _hard_75() -> Iterator[None]:
    def make(there: Any) -> Any:
        return MappingProxyType({**there, 75: "5.3.0"})

    with put(sysexits, "EXIT_STATUSES", make):
        yield


@defect("a program that is killed has delivered", "L1", "pipe", _behaving("die 9", offers=()))
def _killed() -> Iterator[None]:
    def make(there: Any) -> Any:
        def meaning(self: Program, ending: Ending) -> Any:
            return there(self, replace(ending, status=ending.status or 0))

        return meaning

    with put(Program, "meaning", make):
        yield


@defect(
    "a program is ended, and not those that it has started",
    "L2",
    "pipe",
    _behaving("parent", offers=()),
)
def _orphans() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda pid, number, alive, system: system.kill(pid, number) if alive else None

    with put(process, "send_signal", make):
        yield


@defect(
    "two recipients get each other's results",
    "L12",
    "pipe",
    _behaving("exit 67", 1, recipients=2, offers=()),
)
def _swapped() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda coroutines: there(coroutines).addCallback(lambda results: results[::-1])

    with put(pipe, "side_by_side", make):
        yield


@defect(
    "an input that was closed early was read",
    "L1",
    "pipe",
    _behaving("early 0", size=1000, offers=("full read",)),
)
def _unread() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self: there(self) or True

    with put(Unread, "close", make):
        yield


@defect(
    "the input of a program is closed before it is ended",
    "L8",
    "pipe",
    _behaving("pausing", size=262144, offers=()),
)
def _cut_off() -> Iterator[None]:
    def make(there: Any) -> Any:
        def stop(self: Run, why: str) -> None:
            self.transport.unregisterProducer()
            self.transport.closeStdin()
            there(self, why)

        return stop

    with put(Run, "_stop", make):
        yield
