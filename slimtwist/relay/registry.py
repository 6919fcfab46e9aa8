# -*- test-case-name: tests.relay.test_registry -*-
"""A bounded number of relays, one for each next hop, made when they are needed.

Any number may use one relay; only who needs one more than there may be waits in line.  Unused ones
are kept for the next message, and the longest unused makes room for a new one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.interfaces import IRelay

_T = TypeVar("_T")
_Key = TypeVar("_Key", bound=Hashable)


class Relays(Generic[_Key]):
    """The relays that are there, by next hop."""

    _log = Logger()

    def __init__(self, make: Callable[[_Key], IRelay], most: int) -> None:
        """Hold none.

        @param make: makes the relay to a next hop.
        @param most: how many there may be.
        @raise ValueError: C{most} is below 1.
        """
        if most < 1:
            raise ValueError(f"{most} relays carry nothing")
        self._make = make
        self._most = most
        self._used: dict[_Key, tuple[IRelay, int]] = {}
        self._unused: OrderedDict[_Key, IRelay] = OrderedDict()
        self._waiting: dict[Deferred[None], _Key] = {}
        self._waking = False
        self._stopping: list[Deferred[Any]] = []

    async def use(self, key: _Key, what: Callable[[IRelay], Awaitable[_T]]) -> _T:
        """Do something with the relay to a next hop, and return its result.

        Raises what the making of the relay raises.
        """
        if not self._has_room_for(key):
            waiting: Deferred[None] = Deferred(self._forget)
            self._waiting[waiting] = key
            await waiting
        relay = self._begin(key)
        try:
            return await what(relay)
        finally:
            self._end(key)

    def stop(self) -> Deferred[Any]:
        """Stop all relays that are not in use; fires when they have ended."""
        while self._unused:
            self._drop()
        return DeferredList(self._stopping[:], consumeErrors=True)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._used) + len(self._unused)

    def _has_room_for(self, key: _Key) -> bool:
        return key in self._used or len(self._used) < self._most

    def _begin(self, key: _Key) -> IRelay:
        relay, users = self._used.get(key, (None, 0))
        if relay is None:
            relay = self._unused.pop(key, None)
        if relay is None:
            relay = self._make(key)
            if len(self) >= self._most:
                self._drop()
        self._used[key] = relay, users + 1
        return relay

    def _end(self, key: _Key) -> None:
        relay, users = self._used.pop(key)
        if users > 1:
            self._used[key] = relay, users - 1
        else:
            self._unused[key] = relay
        self._wake()

    def _wake(self) -> None:
        """Let those go on for whom there is room, who came first first.

        Who goes on may end at once, and call for it again: that is done in the same loop.
        """
        if self._waking:
            return
        self._waking = True
        try:
            while (first := next(filter(self._may_go_on, self._waiting), None)) is not None:
                del self._waiting[first]
                first.callback(None)
        finally:
            self._waking = False

    def _forget(self, waiting: Deferred[None]) -> None:
        del self._waiting[waiting]

    def _may_go_on(self, waiting: Deferred[None]) -> bool:
        return self._has_room_for(self._waiting[waiting])

    def _drop(self) -> None:
        """Stop the relay that was not used for longest."""
        _, relay = self._unused.popitem(last=False)
        stopping = maybeDeferred(relay.stop).addErrback(self._trouble, relay)
        self._stopping.append(stopping)
        stopping.addBoth(lambda _: self._stopping.remove(stopping))

    def _trouble(self, failure: Failure, relay: IRelay) -> None:
        self._log.failure("relay {relay} did not stop", failure, relay=relay)
