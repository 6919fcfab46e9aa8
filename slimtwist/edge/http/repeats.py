# -*- test-case-name: tests.edge.http.test_repeats -*-
"""Requests that come again: each message is submitted once, whoever did not hear the answer.

A request under way is joined.  Only a success is kept, and given again; whatever else came is
forgotten at once, so that a retry is a retry.

Source: draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.envelope import Envelope
from slimtwist.reply import Reply

#: Seconds for which a success is kept.
KEPT: Final = 86400.0
#: How many are kept at most, and how many octets of replies.
MOST, ROOM = 10_000, 16 << 20
#: Octets that one is counted as, without its texts.
_EACH: Final = 512

Replies = Sequence[Reply]


class AnotherMessage(Exception):
    """The key was used for another message."""


class _Entry:
    """A message under a key."""

    def __init__(self, digest: bytes) -> None:
        self.digest = digest
        self.waiting: list[Deferred[Replies]] = []
        self.running: Deferred[Replies] | None = None
        self.replies: Replies | None = None
        self.expires = 0.0

    @property
    def size(self) -> int:
        texts = {id(reply): sum(map(len, reply.lines)) for reply in self.replies or ()}
        return _EACH + 64 * len(self.replies or ()) + 4 * sum(texts.values())


class Repeats:
    """What is known of the keys of clients."""

    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        submit: Callable[[Envelope], Deferred[Replies]],
        *,
        most: int = MOST,
        room: int = ROOM,
    ) -> None:
        """Know none.

        @param submit: gives a message to the queue.
        """
        self._clock = clock
        self._submit = submit
        self._most = most
        self._room = room
        self._running: dict[Hashable, _Entry] = {}
        self._kept: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._used = 0

    def submit(self, key: Hashable, digest: bytes, envelope: Envelope) -> Deferred[Replies]:
        """Submit a message, unless this was done.

        @param key: the client, and what it calls the request.
        @param digest: is the same for the same message.
        @return: fires with the replies; cancelling it does not end what others may ask for.
        @raise AnotherMessage: the key stands for another one.
        """
        self._expire()
        entry = self._running.get(key) or self._kept.get(key)
        if entry is None:
            entry = self._running[key] = _Entry(digest)
            waiting = self._wait(entry)
            entry.running = self._submit(envelope)
            entry.running.addBoth(self._ended, key, entry)
            return waiting
        envelope.content.close()
        if entry.digest != digest:
            raise AnotherMessage
        return self._wait(entry) if entry.replies is None else succeed(entry.replies)

    def stop(self) -> None:
        """Give up what nobody waits for."""
        for entry in list(self._running.values()):
            if not entry.waiting and entry.running is not None:
                entry.running.cancel()

    def __len__(self) -> int:
        """Return how many keys are known."""
        return len(self._running) + len(self._kept)

    def _wait(self, entry: _Entry) -> Deferred[Replies]:
        waiting: Deferred[Replies] = Deferred(entry.waiting.remove)
        entry.waiting.append(waiting)
        return waiting

    def _ended(self, result: Replies | Failure, key: Hashable, entry: _Entry) -> None:
        del self._running[key]
        if not isinstance(result, Failure) and all(reply.positive for reply in result):
            self._keep(key, entry, result)
        waiting, entry.waiting = entry.waiting, []
        for each in waiting:
            each.callback(result)

    def _keep(self, key: Hashable, entry: _Entry, replies: Replies) -> None:
        entry.replies = replies
        entry.expires = self._clock.seconds() + KEPT
        self._kept[key] = entry
        self._used += entry.size
        while len(self._kept) > self._most or self._used > self._room:
            self._drop()

    def _expire(self) -> None:
        now = self._clock.seconds()
        while self._kept and next(iter(self._kept.values())).expires <= now:
            self._drop()

    def _drop(self) -> None:
        _, entry = self._kept.popitem(last=False)
        self._used -= entry.size
