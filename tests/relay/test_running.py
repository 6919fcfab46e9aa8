# -*- test-case-name: tests.relay.test_running -*-
"""Attempts end before the relays that they use."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import TransientRelayError
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.running import Running
from slimtwist.reply import Reply
from slimtwist.testing import MemoryRelay
from slimtwist.together import Cancellable

REPORT = Report((Outcome.of(Reply.parse("250 2.0.0 ok")),))


class Counting(MemoryRelay):
    """Counts how often it is stopped, and stops when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.stops: list[Deferred[None]] = []

    def stop(self) -> Deferred[None]:
        """Count."""
        self.stops.append(Deferred())
        return self.stops[-1]


class Raising(MemoryRelay):
    """Cannot be stopped."""

    def stop(self) -> Deferred[None]:
        """Raise."""
        raise ZeroDivisionError


class RunningTests(SynchronousTestCase):
    """Begin, and end."""

    def setUp(self) -> None:
        """Begin with two relays, of which one is there twice."""
        self.one, self.two = Counting(), Counting()
        self.running = Running([self.one, self.two, self.one])
        self.ends: list[Deferred[Report]] = []

    async def attempt(self, _: Cancellable) -> Report:
        """Wait until the test says so."""
        self.ends.append(Deferred())
        return await self.ends[-1]

    def test_order(self) -> None:
        """The relays are stopped when the last attempt has ended, each once; it has stopped when
        all have (L2).
        """
        attempts = [self.running.begin(self.attempt) for _ in range(2)]
        stopping = [self.running.stop(), self.running.stop()]
        for end in self.ends:
            self.assertEqual(self.one.stops, [])
            end.callback(REPORT)
        for attempt in attempts:
            self.assertEqual(self.successResultOf(attempt), REPORT)
        self.assertEqual((len(self.one.stops), len(self.two.stops)), (1, 1))
        self.one.stops[0].callback(None)
        self.assertNoResult(stopping[0])
        self.two.stops[0].callback(None)
        for each in (*stopping, self.running.stop()):
            self.successResultOf(each)
        self.assertEqual(len(self.one.stops), 1)

    def test_idle(self) -> None:
        """Without an attempt they are stopped at once."""
        self.running.stop()
        self.assertEqual(len(self.one.stops), 1)

    def test_refused(self) -> None:
        """Nothing begins after that, and nothing is lost (L2)."""
        self.running.stop()
        self.failureResultOf(self.running.begin(self.attempt), TransientRelayError)
        self.assertEqual(self.ends, [])

    def test_failed(self) -> None:
        """An attempt that fails has ended as well."""
        attempt = self.running.begin(self.attempt)
        self.running.stop()
        self.ends[0].errback(ZeroDivisionError())
        self.failureResultOf(attempt, ZeroDivisionError)
        self.assertEqual(len(self.one.stops), 1)

    def test_trouble(self) -> None:
        """A relay that cannot be stopped is logged, and holds up nobody (L10)."""
        running = Running([Raising(), self.one])
        stopping = running.stop()
        self.one.stops[0].errback(ZeroDivisionError())
        self.successResultOf(stopping)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
