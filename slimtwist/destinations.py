# -*- test-case-name: tests.test_destinations -*-
"""What was learned of hosts: bounded, expiring, shown to the operator.

Nothing in here decides over a message; it only spares the next one what the last one went through.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

from twisted.internet.interfaces import IReactorTime

#: What can be learned, and for how many seconds it is believed.
LESSONS: Final = {
    "tls broken": 3600.0,
    "pipelining broken": 86400.0,
}


class Destinations:
    """A memory of hosts; when it is full, what was learned first is forgotten first."""

    def __init__(self, clock: IReactorTime, size: int = 10000) -> None:
        """Know nothing.

        @param clock: by which lessons expire.
        @param size: how many lessons are kept.
        """
        self._clock = clock
        self._size = size
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()

    def learn(self, host: str, lesson: str) -> None:
        """Remember a lesson of L{LESSONS} about a host."""
        self._until[host, lesson] = self._clock.seconds() + LESSONS[lesson]
        self._until.move_to_end((host, lesson))
        if len(self._until) > self._size:
            self._until.popitem(last=False)

    def knows(self, host: str, lesson: str) -> bool:
        """Tell whether a lesson was learned of a host, and still holds."""
        until = self._until.get((host, lesson))
        if until is None:
            return False
        if until <= self._clock.seconds():
            del self._until[host, lesson]
            return False
        return True

    def __iter__(self) -> Iterator[tuple[str, str, float]]:
        """Iterate over host, lesson and the seconds for which it still holds."""
        now = self._clock.seconds()
        return iter([(*key, until - now) for key, until in self._until.items() if until > now])
