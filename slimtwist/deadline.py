# -*- test-case-name: tests.test_deadline -*-
"""A wait that is set anew many times and seldom passes.

Setting it costs no timer of the reactor as long as it only moves away.  Before it passes, the
reactor is given one turn to read what has already arrived: a busy program must not blame its peers.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """Calls back when a time has passed without being moved or cleared."""

    def __init__(self, clock: IReactorTime, passed: Callable[[], None]) -> None:
        """Wait for nothing yet.

        @param passed: called once each time that the deadline passes.
        """
        self._clock = clock
        self._passed = passed
        self._due: float | None = None
        self._call: IDelayedCall | None = None

    def set(self, wait: float) -> None:
        """Pass in C{wait} seconds from now, whatever was set before."""
        self._due = due = self._clock.seconds() + wait
        call = self._call
        if call is None:
            self._call = self._clock.callLater(wait, self._look)
        elif call.getTime() > due:
            call.reset(wait)

    def clear(self) -> None:
        """Wait for nothing; a later L{set} begins anew."""
        self._due = None

    def close(self) -> None:
        """Leave no timer behind."""
        self._due = None
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _look(self) -> None:
        self._call = None
        if self._due is None:
            return
        left = self._due - self._clock.seconds()
        self._call = self._clock.callLater(max(left, 0), self._look if left > 0 else self._pass)

    def _pass(self) -> None:
        self._call = None
        if self._due is not None and self._due > self._clock.seconds():
            self._look()
        elif self._due is not None:
            self._due = None
            self._passed()
