# -*- test-case-name: tests.test_latch -*-
"""Something that happens once, and that any number may wait for."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed


class Latch:
    """Opens once, and stays open.

    @ivar open: whether it is.
    """

    def __init__(self) -> None:
        """Begin closed."""
        self.open = False
        self._waiting: list[Deferred[None]] = []

    def wait(self) -> Deferred[None]:
        """Return a Deferred that fires when it opens; who cancels it no longer waits."""
        if self.open:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def release(self) -> None:
        """Open it, if it is not."""
        self.open = True
        while self._waiting:  # whoever is told may cancel another who waits
            self._waiting.pop(0).callback(None)
