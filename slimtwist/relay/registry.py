# -*- test-case-name: tests.relay.test_registry -*-
"""A bounded number of relays, one for each host, made when they are needed.

Who uses one holds a place; when all are taken, the next waits in line.  Unused relays are kept for
the next message, the longest unused is stopped first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, DeferredSemaphore

from slimtwist.interfaces import IRelay

_T = TypeVar("_T")
#: A host and a port.
Key = tuple[str, int]


@dataclass(slots=True)
class _Entry:
    relay: IRelay
    users: int = 0


class Relays:
    """The relays that are there, by host and port."""

    def __init__(self, make: Callable[[str, int], IRelay], most: int) -> None:
        """Hold none.

        @param make: makes the relay to a host.
        @param most: how many there may be.
        @raise ValueError: C{most} is below 1.
        """
        if most < 1:
            raise ValueError(f"{most} relays carry nothing")
        self._make = make
        self._most = most
        self._places = DeferredSemaphore(most)
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._stopping: list[Deferred[Any]] = []

    async def use(self, key: Key, what: Callable[[IRelay], Awaitable[_T]]) -> _T:
        """Do something with the relay to a host, and return its result."""
        await self._places.acquire()
        try:
            entry = self._entry(key)
            entry.users += 1
            try:
                return await what(entry.relay)
            finally:
                entry.users -= 1
        finally:
            self._places.release()

    def stop(self) -> Deferred[Any]:
        """Stop all relays; fires when they have ended."""
        while self._entries:
            self._drop(next(iter(self._entries)))
        return DeferredList(self._stopping, consumeErrors=True)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    def _entry(self, key: Key) -> _Entry:
        if key not in self._entries:
            self._entries[key] = _Entry(self._make(*key))
            self._make_room()
        self._entries.move_to_end(key)
        return self._entries[key]

    def _make_room(self) -> None:
        unused = [key for key, entry in self._entries.items() if not entry.users]
        for key in unused[: len(self._entries) - self._most]:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        stopping = self._entries.pop(key).relay.stop()
        self._stopping.append(stopping)
        stopping.addBoth(lambda _: self._stopping.remove(stopping))
