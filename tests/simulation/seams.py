# -*- test-case-name: tests.simulation.test_simulation -*-
"""Where the program is watched: a relay around the relay, a queue around the queue.

Both are ordinary providers of the interfaces, which programs may put there as well; what is behind
them does not know.  The relay can also be the plugin that raises, and the queue the application
that loses interest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError
from slimtwist.interfaces import IMessageSink, IQueue, IRelay
from slimtwist.outcome import Report
from slimtwist.reply import Reply
from tests.simulation.ledger import Attempt, Ledger


class PluginError(Exception):
    """What a plugin raises that has a defect."""


@implementer(IRelay)
class WatchedRelay:
    """Writes down what each attempt came to.

    @ivar raising: the numbers of the attempts in which it raises.
    @ivar cancelled: the numbers of those that are cancelled, with the seconds until then.
    """

    def __init__(self, clock: IReactorTime, ledger: Ledger, relay: IRelay) -> None:
        self._clock = clock
        self._ledger = ledger
        self._relay = relay
        self.raising: set[int] = set()
        self.cancelled: dict[int, float] = {}
        self.attempts = 0

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Make an attempt."""
        number, self.attempts = self.attempts, self.attempts + 1
        names = tuple(str(each.address) for each in envelope.recipients)
        noted = Attempt(envelope.id, str(envelope.sender), names, self._clock.seconds())
        self._ledger.attempts.append(noted)
        if number in self.raising:
            self._ledger.injected["raise"] += 1
            noted.outcomes, noted.ended = (), self._clock.seconds()
            raise PluginError
        running = self._relay.attempt(envelope, attempts)
        if number in self.cancelled:
            timer = self._clock.callLater(self.cancelled[number], self._cancel, running, noted)
            running.addBoth(_stopped, timer)
        return running.addBoth(self._ended, noted)

    def stop(self) -> Deferred[None]:
        """Stop the relay."""
        return self._relay.stop()

    def _cancel(self, running: Deferred[Report], noted: Attempt) -> None:
        self._ledger.injected["cancel"] += 1
        noted.cancelled = True
        running.cancel()

    def _ended(self, result: Report | Failure, noted: Attempt) -> Report | Failure:
        if noted.outcomes is not None:
            self._ledger.wrong("L3", f"attempt {noted.key} has ended twice")
        noted.ended = self._clock.seconds()
        if isinstance(result, Report):
            noted.outcomes = result.outcomes
        elif isinstance(result.value, RelayError):
            noted.outcomes = (result.value.outcome,) * len(noted.recipients)
        else:
            self._ledger.wrong("L3", f"attempt {noted.key} failed with {result.value!r}")
            noted.outcomes = ()
        if len(noted.outcomes) != len(noted.recipients):
            self._ledger.wrong("L2", f"{len(noted.outcomes)} outcomes in attempt {noted.key}")
        return result


def _stopped(result: Any, timer: Any) -> Any:  # noqa: ANN401 - passed through
    if timer.active():
        timer.cancel()
    return result


@implementer(IQueue)
class WatchedQueue:
    """Writes down what a queue promised."""

    def __init__(self, ledger: Ledger, queue: IQueue) -> None:
        self._ledger = ledger
        self._queue = queue
        self.single = queue.single
        self.running = 0

    def sink(self) -> IMessageSink:
        """Return a sink."""
        return self._queue.sink()

    def submit(self, envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Submit a message."""
        first = len(self._ledger.attempts)
        self.running += 1
        promise = self._queue.submit(envelope)
        noted = next((a for a in self._ledger.attempts[first:] if a.key == envelope.id), None)
        return promise.addBoth(self._promised, noted)

    def stop(self) -> Deferred[None]:
        """Stop the queue."""
        return self._queue.stop()

    def _promised(self, result: Any, noted: Attempt | None) -> Any:  # noqa: ANN401 - passed on
        self.running -= 1
        if noted is not None and not isinstance(result, Failure):
            noted.promised = result
        return result
