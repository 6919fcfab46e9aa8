# -*- test-case-name: tests.relay.test_limit -*-
"""A relay gets no more attempts than it may, and who waits is neither lost nor late."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, PermanentRelayError, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.limit import LimitRelay
from slimtwist.relay.line import Rate
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.settle import settle
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay, RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver

MESSAGE = Envelope.parse("a@b", ["c@d", "e@f"], b"Subject: x\r\n\r\nx\r\n")


class LimitTestCase(SynchronousTestCase):
    """Has a relay that waits, of which one attempt may run at once."""

    def setUp(self) -> None:
        """Begin with a clock."""
        self.reactor = MemoryReactor()
        self.runtime = Runtime(self.reactor)
        self.behind = MemoryRelay(hold=True)
        self.relay = LimitRelay(self.behind, concurrency=1, runtime=self.runtime)

    def begin(self) -> Deferred[Report]:
        """Begin an attempt."""
        return self.relay.attempt(MESSAGE, 3)


class LineTests(LimitTestCase):
    """Who waits for whom."""

    def test_interface(self) -> None:
        """It is a relay like any other."""
        self.assertTrue(verifyObject(IRelay, self.relay))

    def test_concurrency(self) -> None:
        """The next begins when one has ended, however it ended (L10)."""
        attempts = [self.begin() for _ in range(4)]
        for end in (
            lambda made: made.answer("250 2.0.0 ok"),
            lambda made: made.fail(PermanentRelayError(Outcome.of(Reply.parse("550 5.7.1 no")))),
            lambda made: made.fail(ZeroDivisionError()),
            lambda made: made.answer("450 4.2.1 later", "250 2.0.0 ok"),
        ):
            [running] = self.behind.running
            self.assertEqual((running.envelope, running.attempts), (MESSAGE, 3))
            end(running)
        codes = [[each.reply.code for each in self.successResultOf(done)] for done in attempts]
        self.assertEqual(codes, [[250, 250], [550, 550], [451, 451], [450, 250]])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_rate(self) -> None:
        """So many begin in a time."""
        behind = MemoryRelay()
        self.relay = LimitRelay(behind, rate=Rate(2, 60), runtime=self.runtime)
        attempts = [self.begin() for _ in range(5)]
        for count, _ in enumerate(range(3)):
            self.assertEqual(len(behind.made), min(2 * count + 2, 5))
            self.reactor.advance(60)
        for each in attempts:
            self.successResultOf(each)
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_wrong(self) -> None:
        """Somebody may begin."""
        self.assertRaises(ValueError, LimitRelay, self.behind, concurrency=0, runtime=self.runtime)

    def test_repr(self) -> None:
        """Operators see how many wait."""
        attempts = [self.begin() for _ in range(3)]
        self.assertIn("<Line 1 inside, 2 waiting>", repr(self.relay))
        for each in attempts:
            each.addErrback(lambda _: None).cancel()


class EndTests(LimitTestCase):
    """Attempts that are given up, and the end of the relay."""

    def test_cancelled_in_line(self) -> None:
        """Who is cancelled in the line was not sent, and takes nobody's turn (L3, L4)."""
        first, second, third = [self.begin() for _ in range(3)]
        second.cancel()
        failure = self.failureResultOf(second, AttemptCancelled)
        self.assertFalse(failure.value.ambiguous)
        self.behind.made[0].answer("250 2.0.0 ok")
        self.behind.made[1].answer("250 2.0.0 ok")
        for each in (first, third):
            self.successResultOf(each)

    def test_cancelled(self) -> None:
        """Who is cancelled when he runs makes room for the next, and says how far he came (L4)."""
        first, second = self.begin(), self.begin()
        self.behind.made[0].ambiguous = True
        first.cancel()
        failure = self.failureResultOf(first, AttemptCancelled)
        self.assertTrue(failure.value.ambiguous)
        self.behind.made[1].answer("250 2.0.0 ok")
        self.successResultOf(second)

    def test_deadline(self) -> None:
        """Waiting takes of the attempt's own time, and ends with it (L3)."""
        first = self.begin()
        second = settle(self.reactor, self.relay, MESSAGE, 0, 10)
        self.reactor.advance(10)
        report = self.successResultOf(second)
        self.assertEqual(
            [(each.reply.enhanced, each.ambiguous) for each in report], [("4.4.7", False)] * 2
        )
        self.assertEqual(len(self.behind.made), 1)
        self.behind.made[0].answer("250 2.0.0 ok")
        self.successResultOf(first)
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_stop(self) -> None:
        """Stopped, it takes nothing new; who is in the line has his turn, then all is over (L2)."""
        first, second = self.begin(), self.begin()
        stopped = self.relay.stop()
        self.failureResultOf(self.begin(), TransientRelayError)
        for number in range(2):
            self.assertNoResult(stopped)
            self.behind.made[number].answer("250 2.0.0 ok")
        self.successResultOf(stopped)
        self.assertTrue(self.successResultOf(first) and self.successResultOf(second))
        self.failureResultOf(self.behind.attempt(MESSAGE, 0), TransientRelayError)


class DescriptionTests(LimitTestCase):
    """C{limit:}."""

    def test_parts(self) -> None:
        """The relay is described in brackets, or named."""
        self.reactor.add_host("a.example", FakeSmarthost())
        for limits in ("concurrency=1", "rate=1/s", "concurrency=5:rate=100/min"):
            relay = self.runtime.relay(f"limit:[smtp:a.example]:{limits}")
            report = self.reactor.wait(relay.attempt(MESSAGE, 0))
            self.assertEqual([each.relay for each in report], ["smtp:a.example"] * 2)
            self.reactor.wait(relay.stop())

    def test_wrong(self) -> None:
        """Every error names the part."""
        for description, text in {
            "limit:": "limit: missing a required argument: 'relay'",
            "limit:[blackhole:]": "limit: the limit is missing: write concurrency=NUMBER or rate=",
            "limit:[blackhole:]:concurrency=0": "limit: concurrency='0' is not a whole number",
            "limit::rate=1/s": "limit: the relay is missing: write its name, or a description in",
            "limit:[]:rate=1/s": "limit: the relay is missing",
            "limit:[blackhole:]:rate=5": "limit: rate='5' is none of NUMBER/s, NUMBER/min,",
            "limit:x:rate=5/s": "limit: no relay 'x'; installed are",
            "limit:[blackhole:]:x:rate=5/s": "limit: too many positional arguments",
        }.items():
            error = self.assertRaises(ValueError, self.runtime.relay, description)
            self.assertIn(text, str(error))


class LimitContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must, one attempt after the other."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Return the limit before a smart host."""
        reactor = MemoryReactor()
        reactor.add_host("a.example", FakeSmarthost({"RCPT": {self.refused: "550 5.1.1 unknown"}}))
        runtime = Runtime(reactor)
        relay = StaticSmtpRelay("a.example", runtime=runtime)
        return LimitRelay(relay, concurrency=1, runtime=runtime), MemoryDriver(reactor)


class RateContractTests(LimitContractTests):
    """So it does with a rate."""

    def build(self) -> tuple[IRelay, Driver]:
        """Return the limit before a relay in memory."""
        reactor = MemoryReactor()
        relay = MemoryRelay({self.refused: "550 5.1.1 unknown"})
        limit = LimitRelay(relay, rate=Rate(2, 10), runtime=Runtime(reactor))
        return limit, MemoryDriver(reactor)
