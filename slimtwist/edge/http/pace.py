# -*- test-case-name: tests.edge.http.test_channel -*-
"""How long a client may take: for a header, for a body, for its next request.

Dripping octets move no limit: a header has its time, and a body must come at a rate.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from slimtwist.deadline import Deadline
from slimtwist.limits import Limits, Timeouts

#: Seconds over which the pace of a message is measured.
_WINDOW: Final = 60.0


class Pace:
    """The clock of one connection."""

    def __init__(
        self,
        clock: IReactorTime,
        limits: Limits,
        timeouts: Timeouts,
        too_slow: Callable[[], None],
    ) -> None:
        """Wait for nothing yet.

        @param too_slow: is called when the client is.
        """
        self._limits = limits
        self._timeouts = timeouts
        self._too_slow = too_slow
        self._wait = Deadline(clock, self._passed)
        self._whole = Deadline(clock, too_slow)
        self._measured = False
        self._octets = self._required = 0

    def idle(self) -> None:
        """Wait for a request."""
        self.none()
        self._wait.set(self._timeouts.command)

    def header(self) -> None:
        """Wait for the end of a header."""
        self._wait.set(self._timeouts.header)

    def body(self) -> None:
        """Wait for the end of a body."""
        self._measured = True
        self._octets = self._required = 0
        self._wait.set(self._timeouts.body_grace)
        self._whole.set(self._timeouts.transaction)

    def came(self, count: int) -> None:
        """Take note of octets of a body."""
        self._octets += count

    def farewell(self) -> None:
        """Wait for a client that is to leave."""
        self.none()
        self._wait.set(self._timeouts.quit)

    def none(self) -> None:
        """Wait for nothing of the client's."""
        self._measured = False
        self._wait.clear()
        self._whole.clear()

    def close(self) -> None:
        """Leave no timer behind."""
        self._wait.close()
        self._whole.close()

    def _passed(self) -> None:
        if not self._measured or self._octets < self._required:
            self._too_slow()
            return
        self._octets = 0
        self._required = int(self._limits.body_rate * _WINDOW)
        self._wait.set(_WINDOW)
