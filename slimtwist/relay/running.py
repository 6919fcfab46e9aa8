# -*- test-case-name: tests.relay.test_running -*-
"""The attempts of a relay made of others, which are stopped when the last attempt has ended."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.errors import TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Report
from slimtwist.together import Cancellable

_T = TypeVar("_T")


class Running:
    """Begins attempts until it is stopped, and knows how many have not ended."""

    _log = Logger()

    def __init__(self, relays: Iterable[IRelay]) -> None:
        """Begin without an attempt.

        @param relays: what the attempts use; one that is there twice is stopped once.
        """
        self._relays = list({id(relay): relay for relay in relays}.values())
        self._count = 0
        self._stopping = False
        self._stopped = Latch()

    def begin(self, run: Callable[[Cancellable], Coroutine[Any, Any, Report]]) -> Deferred[Report]:
        """Begin an attempt, unless that is too late.

        @param run: makes it, as L{Cancellable} wants it.
        """
        if self._stopping:
            return fail(TransientRelayError.at("shutting down"))
        self._count += 1
        return Cancellable(run).done.addBoth(self._ended)

    def stop(self) -> Deferred[None]:
        """Begin no more; fires when all attempts have ended, and then the relays.

        One that cannot be stopped is logged, and not waited for.
        """
        if not self._stopping:
            self._stopping = True
            self._stop_relays_if_idle()
        return self._stopped.wait()

    def _ended(self, result: _T) -> _T:
        self._count -= 1
        if self._stopping:
            self._stop_relays_if_idle()
        return result

    def _stop_relays_if_idle(self) -> None:
        if self._count:
            return
        stopping = [
            maybeDeferred(relay.stop).addErrback(self._trouble, relay) for relay in self._relays
        ]
        DeferredList(stopping).addCallback(lambda _: self._stopped.release())

    def _trouble(self, failure: Failure, relay: IRelay) -> None:
        self._log.failure("relay {relay} did not stop", failure, relay=relay)
