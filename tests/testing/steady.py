# -*- test-case-name: tests.testing.test_contract -*-
"""A relay that keeps to the contract: as small as one can be that needs time and has few places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply

NOBODY = "nobody@example.org"
DELIVERED = Outcome.of(Reply.parse("250 2.0.0 ok"))
FAILED = Outcome.of(Reply.parse("550 5.1.1 no such user"))


class Job:
    """A message in a L{Steady} relay."""

    def __init__(self, envelope: Envelope, cancel: Callable[[Job], None]) -> None:
        self.envelope = envelope
        self.done: Deferred[Report] = Deferred(lambda _: cancel(self))
        self.timer: Any = None


@implementer(IRelay)
class Steady:
    """Delivers two messages at once, each in three times C{pace} seconds, and reads it first."""

    places = 2

    def __init__(self, clock: IReactorTime, pace: float = 1.0) -> None:
        self.clock = clock
        self.pace = pace
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.stopping = False
        self.stopped: list[Deferred[None]] = []

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Take a message."""
        if self.stopping:
            return self.refuse()
        job = Job(envelope, self.cancel)
        self.waiting.append(job)
        self.assign()
        return job.done

    def stop(self) -> Deferred[None]:
        """Stop."""
        self.stopping = True
        stopped: Deferred[None] = Deferred()
        self.stopped.append(stopped)
        self.wind_up()
        return stopped

    def refuse(self) -> Deferred[Report]:
        """Take no message."""
        return fail(TransientRelayError.at("stopped"))

    def assign(self) -> None:
        """Give the places that are free to those who wait."""
        while self.waiting and len(self.running) < self.places:
            job = self.waiting.pop(0)
            self.running.append(job)
            job.timer = self.clock.callLater(self.pace, self.read, job)

    def read(self, job: Job) -> None:
        """Read the message."""
        try:
            bytes(job.envelope.content)
        except OSError as error:
            self.unreadable(job, error)
        else:
            job.timer = self.clock.callLater(self.pace, self.send, job)

    def unreadable(self, job: Job, error: OSError) -> None:
        """Give a message back that cannot be read."""
        self.end(job, Failure(TransientRelayError.at(str(error))))

    def send(self, job: Job) -> None:
        """Let it take some more time."""
        job.timer = self.clock.callLater(self.pace, self.deliver, job)

    def deliver(self, job: Job) -> None:
        """Report."""
        addresses = [str(each.address) for each in job.envelope.recipients]
        outcomes = [FAILED if each == NOBODY else DELIVERED for each in addresses]
        self.end(job, self.report(addresses, outcomes))

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Make a report."""
        return Report(tuple(outcomes))

    def cancel(self, job: Job) -> None:
        """Give up a message."""
        self.give_up(job)
        self.end(job, Failure(AttemptCancelled.at("")))

    def give_up(self, job: Job) -> None:
        """Do nothing more for it."""
        if job.timer is not None and job.timer.active():
            job.timer.cancel()

    def end(self, job: Job, result: Report | Failure) -> None:
        """Free its place, and tell how it ended."""
        self.leave(job)
        job.done.callback(result)
        self.assign()
        self.wind_up()

    def leave(self, job: Job) -> None:
        """Free its place."""
        (self.running if job in self.running else self.waiting).remove(job)

    def wind_up(self) -> None:
        """Tell that it has stopped, if it has."""
        if self.stopping and not self.running and not self.waiting:
            self.tell_stopped()

    def tell_stopped(self) -> None:
        """Tell that it has stopped."""
        stopped, self.stopped = self.stopped, []
        for each in stopped:
            each.callback(None)
