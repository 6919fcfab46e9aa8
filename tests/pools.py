# -*- test-case-name: tests.test_pool -*-
"""What tests of pools share: connections that a test moves by hand."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    fault_outcome,
)
from slimtwist.outcome import Outcome, Report
from slimtwist.pool import Pool
from slimtwist.reply import Reply

DONE = Report((Outcome.of(Reply.parse("250 2.0.0 done")),))


DIED = Report((fault_outcome("lost", "it died"),))


def message(number: int = 0) -> Envelope:
    """Return a message that tells its number by its recipient."""
    return Envelope.parse("a@example.org", [f"r{number}@example.net"], b"")


class Line:
    """A connection that a test moves by hand.

    @ivar carried: the messages it was given.
    @ivar running: the message that it carries now.
    """

    def __init__(self, most: int = 1_000_000) -> None:
        """Be ready."""
        self.uses = 0
        self.on_change: Callable[[], None] = lambda: None
        self.leaving = self.closed = self.retired = False
        self.most = most
        self.carried: list[str] = []
        self.running: Deferred[Report] | None = None

    def room(self) -> int:
        """Take one at a time."""
        return int(not (self.running or self.leaving or self.uses >= self.most))

    def deliver(self, envelope: Envelope) -> Deferred[Report]:
        """Begin to carry."""
        assert self.room(), "a message for a connection without room"
        self.uses += 1
        self.carried.append(str(envelope.recipients[0].address))
        self.running = Deferred(lambda _: self.end(AttemptCancelled.at("")))
        return self.running

    def end(self, result: Report | Exception = DONE, *, dies: bool = False) -> None:
        """End what it carries: as a connection does, it tells of its room first."""
        running, self.running = self.running, None
        assert running is not None
        self.uses += 1_000_000 * dies
        if self.retired or self.uses >= self.most:
            self.leaving = True
        self.on_change()
        running.callback(result) if isinstance(result, Report) else running.errback(result)
        if dies:
            self.close()

    def retire(self) -> None:
        """Take no more."""
        self.retired = True
        if not self.running and not self.leaving:
            self.leaving = True
            self.on_change()

    def close(self) -> None:
        """Be gone."""
        self.leaving = self.closed = True
        self.on_change()


class PoolCase(SynchronousTestCase):
    """A pool whose connections are opened and used by hand."""

    def setUp(self) -> None:
        """Have no connection."""
        self.opening: list[Deferred[Line]] = []
        self.lines: list[Line] = []

    def pool(self, size: int = 1) -> Pool:
        """Return a pool whose connections come when L{opened} is called."""

        async def open_one() -> Line:
            opening: Deferred[Line] = Deferred()
            self.opening.append(opening)
            return await opening

        return Pool(open_one, size)

    def opened(self, line: Line | None = None) -> Line:
        """Let the connection that was begun first be there."""
        line = line or Line()
        self.lines.append(line)
        self.opening.pop(0).callback(line)
        return line

    def deliver(self, pool: Pool, *numbers: int) -> list[Deferred[Report]]:
        """Give messages with these numbers to a pool."""
        return [pool.deliver(message(number)) for number in numbers]
