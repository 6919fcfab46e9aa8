# -*- test-case-name: tests.relay.test_shared -*-
"""A relay with a name, which several others use: what C{--define} makes.

It has one pool of connections, whoever uses it, and is stopped when its last user has stopped it.
Each outcome says its name, so that the log tells which of many relays has decided.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.description import unbracketed
from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Outcome, Report
from slimtwist.runtime import Runtime

_T = TypeVar("_T")


class SharedRelay:
    """Counts its users; after the last one it stays stopped."""

    def __init__(self, relay: IRelay, name: str) -> None:
        """Begin without a user.

        @param relay: is stopped with the last user.
        @param name: of the relay, in outcomes that do not name a part of it.
        """
        self.relay = relay
        self.name = name
        self._users = 0

    def use(self) -> IRelay:
        """Return a relay for one more user, to be stopped when that one has no more use for it."""
        self._users += 1
        return Use(self)

    def stop_unless_used(self) -> None:
        """Stop the relay if it has no user; it has made no attempt then."""
        if not self._users:
            self.relay.stop()

    def release(self) -> bool:
        """Count one user less; tell whether it was the last."""
        self._users -= 1
        return not self._users


@implementer(IRelay)
class Use:
    """What one user has of a shared relay."""

    def __init__(self, shared: SharedRelay) -> None:
        """Begin without an attempt; L{SharedRelay.use} does this."""
        self._shared = shared
        self._running = 0
        self._stopping = False
        self._last = False
        self._ended = Latch()

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Let the relay make an attempt. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError.at("shutting down"))
        attempt = self._shared.relay.attempt(envelope, attempts)
        self._running += 1
        return attempt.addCallbacks(self._named, self._named_error).addBoth(self._one_less)

    def stop(self) -> Deferred[None]:
        """Let running attempts end; the last user stops the relay. See L{IRelay.stop}."""
        if not self._stopping:
            self._stopping = True
            self._last = self._shared.release()
            if not self._running:
                self._ended.release()
        return self._shared.relay.stop() if self._last else self._ended.wait()

    def __repr__(self) -> str:
        """Return its name."""
        return self._shared.name

    def _named(self, report: Report) -> Report:
        return Report(tuple(map(self._named_outcome, report.outcomes)))

    def _named_error(self, failure: Failure) -> Failure:
        if isinstance(failure.value, RelayError):
            failure.value.outcome = self._named_outcome(failure.value.outcome)
        return failure

    def _named_outcome(self, outcome: Outcome) -> Outcome:
        return outcome if outcome.relay else replace(outcome, relay=self._shared.name)

    def _one_less(self, result: _T) -> _T:
        self._running -= 1
        if self._stopping and not self._running:
            self._ended.release()
        return result


def part_of(runtime: Runtime, text: str) -> IRelay:
    """Build a relay that is a part of another one.

    @param text: the name of a defined relay, or a description, with or without brackets around it.
    @return: a relay whose outcomes say its name, or its description if it has none.
    @raise ValueError: there is no such relay, or an argument is wrong.
    """
    if not unbracketed(text):
        raise ValueError("the relay is missing: write its name, or a description in brackets")
    relay = runtime.relay(text)
    return relay if isinstance(relay, Use) else SharedRelay(relay, unbracketed(text)).use()
