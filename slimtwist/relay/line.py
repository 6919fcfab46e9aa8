# -*- test-case-name: tests.relay.test_line -*-
"""A waiting line: so many at once, so many in a time; who came first goes first."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from slimtwist.description import number

#: The words for times, in seconds.
UNITS: Final = MappingProxyType({"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0})
_RATE: Final = re.compile(r"([^/]*)/([a-z]+)\Z")
#: Beginnings are remembered one by one.
_MOST: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How many may begin in a time.

    @ivar count: so many, in each such time, whenever it is taken to begin.
    @ivar seconds: the time.
    @raise ValueError: nobody may begin, or more than can be counted.
    """

    count: int
    seconds: float

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (1 <= self.count <= _MOST and self.seconds > 0):
            raise ValueError(f"{self.count} in {self.seconds} seconds is no rate")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rate that is written as C{"100/min"}. Raises ValueError otherwise."""
        parts = _RATE.match(text)
        if parts is None or parts[2] not in UNITS:
            units = ", ".join(f"NUMBER/{unit}" for unit in UNITS)
            raise ValueError(f"rate={text!r} is none of {units}")
        return cls(number("rate", parts[1], least=1, most=_MOST), UNITS[parts[2]])


class Line:
    """Lets those in who wait, as there is room."""

    def __init__(self, clock: IReactorTime, most: int | None, rate: Rate | None) -> None:
        """Begin empty.

        @param most: who may be inside at once; C{None} for any number.
        @param rate: how many may go in in a time; C{None} for any number.
        """
        self._clock = clock
        self._most = most
        self._rate = rate
        self._inside = 0
        self._begun: deque[float] = deque(maxlen=rate.count if rate else 0)
        self._waiting: dict[Deferred[None], None] = {}
        self._admitting = False
        self._timer: IDelayedCall | None = None

    def enter(self) -> Deferred[None]:
        """Wait for one's turn.

        @return: fires when it has come; whoever went in has to L{leave}.  Who cancels it has left
            the line.
        """
        waiting: Deferred[None] = Deferred(self._forget)
        self._waiting[waiting] = None
        self._admit()
        return waiting

    def leave(self) -> None:
        """Make room for the next."""
        self._inside -= 1
        self._admit()

    def __repr__(self) -> str:
        """Tell how much is going on, for operators and tests."""
        return f"<Line {self._inside} inside, {len(self._waiting)} waiting>"

    def _admit(self) -> None:
        """Let in whoever may go in.

        Who goes in may leave at once, and call for it again: that is done in the same loop.
        """
        if self._admitting:
            return
        self._admitting = True
        try:
            while self._waiting and self._has_room() and not self._pause():
                first = next(iter(self._waiting))
                del self._waiting[first]
                self._inside += 1
                self._begun.append(self._clock.seconds())
                first.callback(None)
        finally:
            self._admitting = False
        self._set_timer()

    def _has_room(self) -> bool:
        return self._most is None or self._inside < self._most

    def _pause(self) -> float:
        """Return for how many seconds nobody may go in because of the rate."""
        if self._rate is None or len(self._begun) < self._rate.count:
            return 0
        return max(0, self._begun[0] + self._rate.seconds - self._clock.seconds())

    def _set_timer(self) -> None:
        """Look again when the rate allows it, if only that is waited for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._has_room():
            self._timer = self._clock.callLater(self._pause(), self._look)

    def _look(self) -> None:
        self._timer = None
        self._admit()

    def _forget(self, waiting: Deferred[None]) -> None:
        del self._waiting[waiting]
        self._set_timer()
