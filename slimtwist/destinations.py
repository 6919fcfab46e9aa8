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
    "address": 600.0,  # the one that answered last time
    "messages": 600.0,  # after how many a connection was refused another
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
        self._lessons: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    def learn(self, host: str, lesson: str, value: str = "yes") -> None:
        """Remember a lesson of L{LESSONS} about a host."""
        self._lessons[host, lesson] = value, self._clock.seconds() + LESSONS[lesson]
        self._lessons.move_to_end((host, lesson))
        if len(self._lessons) > self._size:
            self._lessons.popitem(last=False)

    def recall(self, host: str, lesson: str) -> str | None:
        """Return what was learned of a host, if it was and still holds."""
        value, until = self._lessons.get((host, lesson), (None, 0))
        if value is not None and until <= self._clock.seconds():
            del self._lessons[host, lesson]
            return None
        return value

    def __iter__(self) -> Iterator[tuple[str, str, str, float]]:
        """Iterate over host, lesson, what was learned, and the seconds for which it holds."""
        now = self._clock.seconds()
        known = [(*key, value, until - now) for key, (value, until) in self._lessons.items()]
        return iter([each for each in known if each[-1] > 0])
