# -*- test-case-name: tests.relay.test_places -*-
"""A bounded number of places, and one line of those who wait for one.

Twisted's C{DeferredSemaphore} gives a place away inside of the call that gives it back; a thousand
who need it for a moment only would each stand on the shoulders of the one before.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred, succeed


class Places:
    """Who comes first is served first."""

    def __init__(self, count: int) -> None:
        """Have all places free.

        @raise ValueError: there is none.
        """
        if count < 1:
            raise ValueError(f"concurrency={count} runs nothing")
        self._free = count
        self._line: deque[Deferred[None]] = deque()
        self._serving = False

    def take(self) -> Deferred[None]:
        """Return what fires when there is a place; who cancels it waits no more."""
        if self._free and not self._line:
            self._free -= 1
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._line.remove)
        self._line.append(waiting)
        return waiting

    def give_back(self) -> None:
        """Let the next one in."""
        self._free += 1
        if self._serving:
            return
        self._serving = True
        try:
            while self._free and self._line:
                self._free -= 1
                self._line.popleft().callback(None)
        finally:
            self._serving = False
