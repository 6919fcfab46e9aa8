# -*- test-case-name: tests.edge.test_deadline -*-
"""A deadline that is moved often and passes seldom.

Moving it costs an addition: the timer behind it stays where it is, and when it runs, looks whether
its time has come.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadline:
    """Calls when time is over."""

    def __init__(self, clock: IReactorTime, passed: Callable[[], object]) -> None:
        """Begin without a deadline.

        @param passed: is called when the deadline passes; there is none then.
        """
        self._clock = clock
        self._passed = passed
        self._due: float | None = None
        self._late = False
        self._timer: IDelayedCall | None = None

    def set(self, seconds: float) -> None:
        """Let the deadline pass so many seconds from now."""
        self._due = due = self._clock.seconds() + seconds
        self._late = False
        if self._timer is None:
            self._timer = self._clock.callLater(seconds, self._look)
        elif due < self._timer.getTime():
            self._timer.reset(seconds)

    def clear(self) -> None:
        """Let there be no deadline for now."""
        self._due = None

    def cancel(self) -> None:
        """Let there be no deadline any more, and no timer."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._due is None:
            return
        left = self._due - self._clock.seconds()
        if left > 0:
            self._timer = self._clock.callLater(left, self._look)
        elif self._late:
            self._due = None
            self._passed()
        else:
            # After a stall of this process, what the peer has sent in time is read first.
            self._late = True
            self._timer = self._clock.callLater(0, self._look)
