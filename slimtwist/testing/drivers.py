# -*- test-case-name: tests.testing.test_drivers -*-
"""What lets time pass for a relay under test, and looks for what it leaves behind.

L{RelayContract<slimtwist.testing.contract.RelayContract>} asks for one with each relay: a
L{MemoryDriver} where the relay lives on the in-memory reactor, a L{ReactorDriver} where it needs
the real one, because it starts programs, say.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from slimtwist.testing.loop import NeverAtRestError
from slimtwist.testing.reactor import MemoryReactor

#: Where the system shows the descriptors of this process.
_FOLDER: Final = "/dev/fd"


class Driver(Protocol):
    """The world around a relay under test."""

    def step(self) -> Deferred[None] | None:
        """Let things go on as little as possible.

        @return: C{None}, or for a real reactor what fires when it is done.
        """

    def residue(self) -> Sequence[str] | Deferred[Sequence[str]]:
        """Return what is there of timers, connections and the like, and belongs to the relay."""


class MemoryDriver:
    """Drives an in-memory reactor, one turn at a time."""

    def __init__(self, reactor: MemoryReactor) -> None:
        """Drive a reactor.

        @param reactor: the one that the relay was built with.
        """
        self._reactor = reactor

    def step(self) -> None:
        """Make one turn, or else go on to the next moment at which something is due."""
        if not self._turn() and (moment := self._reactor.clock.next_moment()) is not None:
            self._reactor.clock.move_to(moment)

    def _turn(self) -> bool:
        """Make one turn, by having no patience for more; tell whether there was one."""
        patience, self._reactor.patience = self._reactor.patience, 1
        try:
            self._reactor.flush()
        except NeverAtRestError:
            return True
        finally:
            self._reactor.patience = patience
        return False

    def residue(self) -> list[str]:
        """Return what is left but for ports; what arrives without delay may do so first."""
        self._reactor.flush()
        left = self._reactor.leftovers()
        return [*left.timers, *left.connections, *left.producers, *left.programs]


class ReactorDriver:
    """Drives a real reactor, and looks at what was not there when it was made.

    To be used with C{twisted.trial.unittest.TestCase}.
    """

    def __init__(self, reactor: Any, *, interval: float = 0.005, patience: float = 2.0) -> None:  # noqa: ANN401 - as in Runtime
        """Note what is there: to be made when peers listen, and before the relay does anything.

        @param reactor: the one that the relay was built with.
        @param interval: seconds that a step takes.
        @param patience: seconds in which what is left may go away.
        """
        self._reactor = reactor
        self._interval = interval
        self._patience = patience
        self._known = self._all()

    def step(self) -> Deferred[None]:
        """Let the interval pass."""
        return deferLater(self._reactor, self._interval)

    def residue(self) -> Deferred[Sequence[str]]:
        """Return timers, readers, writers and descriptors that stay."""
        return Deferred.fromCoroutine(self._residue())

    async def _residue(self) -> Sequence[str]:
        for _ in range(int(self._patience / self._interval)):
            if not self._new():
                break
            await self.step()
        return self._new()

    def _new(self) -> list[str]:
        return [text for thing, text in self._all().items() if thing not in self._known]

    def _all(self) -> dict[object, str]:
        """Return what is there, itself or by its number, with what it is called."""
        reactor = self._reactor
        things = [*reactor.getDelayedCalls(), *reactor.getReaders(), *reactor.getWriters()]
        numbers = {number: f"descriptor {number}" for number in _descriptors()}
        return {**{each: str(each) for each in things}, **numbers}


def _descriptors() -> set[int]:
    """Return the open descriptors; the one with which the folder was read is so no more."""
    numbers = [int(path.name) for path in Path(_FOLDER).iterdir()]
    return {number for number in numbers if _is_open(number)}


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
