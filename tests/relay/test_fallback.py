# -*- test-case-name: tests.relay.test_fallback -*-
"""Who cannot take a message now is followed by the next, and never where that delivers twice."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionFailed,
    ConnectionLost,
    PermanentRelayError,
    TransientRelayError,
)
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.fallback import FallbackRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.settle import settle
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay, RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver

TAKEN = "250 2.0.0 taken"
LATER = "451 4.7.1 later"
NEVER = "550 5.1.1 never"


def message(*recipients: str) -> Envelope:
    """Return an envelope for some recipients."""
    return Envelope.parse("sender@example.org", recipients, b"Subject: x\r\n\r\nx\r\n")


def asked(relay: MemoryRelay) -> list[list[str]]:
    """Return the recipients of each attempt that a relay was asked to make."""
    return [[str(each.address) for each in made.envelope.recipients] for made in relay.made]


class FallbackTestCase(SynchronousTestCase):
    """Has a clock."""

    def setUp(self) -> None:
        """Begin at its beginning."""
        self.reactor = MemoryReactor()
        self.runtime = Runtime(self.reactor)

    def relay(self, *relays: IRelay, timeout: float | None = None) -> FallbackRelay:
        """Return the relay that asks these."""
        return FallbackRelay(relays, timeout=timeout, runtime=self.runtime)

    def replies(self, attempt: Deferred[Report]) -> list[str]:
        """Return what became of each recipient."""
        return [str(outcome.reply) for outcome in self.successResultOf(attempt)]


class ChoiceTests(FallbackTestCase):
    """Who is asked for whom."""

    def test_taken(self) -> None:
        """When the first takes it, nobody else hears of it."""
        first, second = MemoryRelay(otherwise=TAKEN), MemoryRelay()
        attempt = self.relay(first, second).attempt(message("a@x", "b@x"), 3)
        self.assertEqual(self.replies(attempt), [TAKEN] * 2)
        self.assertEqual((first.made[0].attempts, second.made), (3, []))

    def test_by_recipient(self) -> None:
        """Each next relay is asked for those only who were deferred, and each outcome gets back to
        its position, also where an address occurs twice (L11).
        """
        first = MemoryRelay({"b@x": LATER, "c@x": NEVER, "d@x": LATER}, otherwise=TAKEN)
        second = MemoryRelay({"d@x": LATER}, otherwise="250 2.0.0 second")
        third = MemoryRelay(otherwise="450 4.2.2 third")
        relay = self.relay(first, second, third)
        attempt = relay.attempt(message("d@x", "b@x", "a@x", "b@x", "c@x"), 0)
        wanted = ["450 4.2.2 third", "250 2.0.0 second", TAKEN, "250 2.0.0 second", NEVER]
        self.assertEqual(self.replies(attempt), wanted)
        self.assertEqual(asked(second), [["d@x", "b@x", "b@x"]])
        self.assertEqual(asked(third), [["d@x"]])

    def test_permanent(self) -> None:
        """A refusal for good is final, as a report or as an error for all."""
        first, second = MemoryRelay(hold=True), MemoryRelay()
        relay = self.relay(first, second)
        attempts = [relay.attempt(message("a@x"), 0) for _ in range(2)]
        first.made[0].answer(NEVER)
        first.made[1].fail(PermanentRelayError(Outcome.of(Reply.parse(NEVER))))
        for attempt in attempts:
            self.assertEqual(self.replies(attempt), [NEVER])
        self.assertEqual(second.made, [])

    def test_errors(self) -> None:
        """An error that holds for all leads to the next relay, which gets the same message."""
        first, second = MemoryRelay(hold=True), MemoryRelay(otherwise=TAKEN)
        given = message("a@x", "b@x")
        attempt = self.relay(first, second).attempt(given, 0)
        first.made[0].fail(ConnectionFailed.at("refused"))
        self.assertEqual(self.replies(attempt), [TAKEN] * 2)
        self.assertEqual(second.made[0].envelope, given)

    def test_ambiguous(self) -> None:
        """Nobody else is asked for whom the first may have delivered to: neither after its own
        word, nor after an unknown exception (L4).
        """
        errors = [ConnectionLost.at("", ambiguous=True), ZeroDivisionError()]
        for error in errors:
            first, second = MemoryRelay(hold=True), MemoryRelay()
            attempt = self.relay(first, second).attempt(message("a@x"), 0)
            first.made[0].fail(error)
            [outcome] = self.successResultOf(attempt)
            self.assertTrue(outcome.ambiguous)
            self.assertEqual(second.made, [])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_last_word(self) -> None:
        """When all defer it, the last one's reply is told."""
        relay = self.relay(MemoryRelay(otherwise=LATER), MemoryRelay(otherwise="450 4.2.2 full"))
        self.assertEqual(self.replies(relay.attempt(message("a@x"), 0)), ["450 4.2.2 full"])

    def test_none(self) -> None:
        """Somebody has to be asked."""
        error = self.assertRaises(ValueError, self.relay)
        self.assertEqual(str(error), "there is no relay to ask")


class TimeTests(FallbackTestCase):
    """How long a relay is waited for."""

    def test_timeout(self) -> None:
        """After its time the first one is given up, and the next one asked; the last has no time of
        its own (L7).
        """
        first, second = MemoryRelay(hold=True), MemoryRelay(hold=True)
        attempt = self.relay(first, second, timeout=10).attempt(message("a@x"), 0)
        self.reactor.advance(9.9)
        self.assertEqual(second.made, [])
        self.reactor.advance(0.2)
        self.assertTrue(first.made[0].cancelled)
        self.reactor.advance(1000)
        second.made[0].answer(TAKEN)
        self.assertEqual(self.replies(attempt), [TAKEN])
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_timeout_ambiguous(self) -> None:
        """Who may have taken it when his time was over is not followed by another (L4)."""
        first, second = MemoryRelay(hold=True), MemoryRelay()
        attempt = self.relay(first, second, timeout=10).attempt(message("a@x"), 0)
        first.made[0].ambiguous = True
        self.reactor.advance(10)
        [outcome] = self.successResultOf(attempt)
        self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.4.7", True))
        self.assertEqual(second.made, [])

    def test_deadline(self) -> None:
        """All of them share the one deadline of the attempt, and it ends with all timers (L3)."""
        first, second = MemoryRelay(hold=True), MemoryRelay(hold=True)
        relay = self.relay(first, second, timeout=10)
        attempt = settle(self.reactor, relay, message("a@x"), 0, 15)
        self.reactor.advance(14.9)
        self.assertNoResult(attempt)
        self.reactor.advance(0.1)
        self.assertEqual([each[:9] for each in self.replies(attempt)], ["451 4.4.7"])
        self.assertTrue(second.made[0].cancelled)
        self.assertEqual(self.reactor.leftovers().timers, ())


class CancelTests(FallbackTestCase):
    """An attempt that nobody wants any more."""

    def test_cancelled(self) -> None:
        """It ends at once, and no other relay is asked (L3)."""
        for ambiguous in (False, True):
            first, second = MemoryRelay(hold=True), MemoryRelay()
            attempt = self.relay(first, second).attempt(message("a@x"), 0)
            first.made[0].ambiguous = ambiguous
            attempt.cancel()
            failure = self.failureResultOf(attempt, AttemptCancelled)
            self.assertEqual(failure.value.ambiguous, ambiguous)
            self.assertEqual(second.made, [])
            self.assertEqual(self.reactor.leftovers().timers, ())

    def test_delivered(self) -> None:
        """What the first has delivered is not forgotten when the second is cancelled (L2, L4)."""
        first, second = MemoryRelay({"b@x": LATER}, otherwise=TAKEN), MemoryRelay(hold=True)
        attempt = self.relay(first, second).attempt(message("a@x", "b@x"), 0)
        attempt.cancel()
        self.assertEqual([each[:9] for each in self.replies(attempt)], ["250 2.0.0", "451 4.3.2"])


class StopTests(FallbackTestCase):
    """The end."""

    def test_running(self) -> None:
        """A running attempt may still go on to the next relay; then all are stopped (L2)."""
        first, second = MemoryRelay(hold=True), MemoryRelay(hold=True)
        relay = self.relay(first, second)
        attempt = relay.attempt(message("a@x"), 0)
        stopped = relay.stop()
        self.failureResultOf(relay.attempt(message("b@x"), 0), TransientRelayError)
        first.made[0].answer(LATER)
        self.assertNoResult(stopped)
        second.made[0].answer(TAKEN)
        self.assertEqual(self.replies(attempt), [TAKEN])
        self.successResultOf(stopped)
        for each in (first, second):
            self.failureResultOf(each.attempt(message("a@x"), 0), TransientRelayError)


class DescriptionTests(FallbackTestCase):
    """C{fallback:}."""

    def test_parts(self) -> None:
        """Relays are described in brackets, or named; outcomes say which one decided (L11)."""
        self.reactor.add_host("b.example", FakeSmarthost())
        relay = self.runtime.relay("fallback:[smtp:a.example:port=25]:[smtp:b.example]:timeout=60")
        [outcome] = self.reactor.wait(relay.attempt(message("a@x"), 0))
        self.assertEqual((str(outcome.reply), outcome.relay), (TAKEN, "smtp:b.example"))
        self.reactor.wait(relay.stop())

    def test_wrong(self) -> None:
        """Every error names the part."""
        for description, text in {
            "fallback:": "fallback: the relays are missing: write fallback:FIRST:SECOND",
            "fallback:a": "fallback: no relay 'a'; installed are",
            "fallback:[smtp:]": "fallback: smtp: the host is missing",
            "fallback:[blackhole:]:timeout=x": "timeout='x' is not a number of seconds",
            "fallback:[blackhole:]": "fallback: the second relay is missing: write fallback:FIRST",
            "fallback:smtp:a:smtp:b": "fallback: smtp: the host is missing",
            "fallback:mx::blackhole:": "the relay is missing: write its name, or a description in",
            "fallback:[blackhole:]:[x": "'[x' does not begin with the name of a relay",
        }.items():
            error = self.assertRaises(ValueError, self.runtime.relay, description)
            self.assertIn(text, str(error))

    def test_torn(self) -> None:
        """Where brackets are forgotten, the error speaks of them, and once."""
        for description, count in {
            "fallback:smtp:a:smtp:b": 1,
            "fallback:http://a.example/:[mx:]": 1,
            "fallback:lmtp:a:b": 1,
            "fallback:mx::blackhole:": 1,
            "fallback:[smtp:2001:db8::1]:mx": 1,
            "fallback:[smtp:a]:x": 0,
        }.items():
            error = self.assertRaises(ValueError, self.runtime.relay, description)
            found = str(error).count("a colon within one needs brackets")
            self.assertEqual(found, count, description)


class FallbackContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must; each recipient is taken by another one of its relays."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay with three smart hosts behind it, of which one is not there."""
        reactor = MemoryReactor()
        unknown = {self.refused: "550 5.1.1 unknown"}
        later = {"one@example.org": "450 4.7.1 later", "two@example.org": "450 4.7.1 later"}
        reactor.add_host("a.example", FakeSmarthost({"RCPT": {**later, **unknown}}))
        reactor.add_host("c.example", FakeSmarthost({"RCPT": unknown}))
        reactor.hosts["b.example"] = ["192.0.2.99"]
        runtime = Runtime(reactor)
        relays = [StaticSmtpRelay(f"{host}.example", runtime=runtime) for host in "abc"]
        return FallbackRelay(relays, runtime=runtime), MemoryDriver(reactor)
