# -*- test-case-name: tests.relay.test_route -*-
"""Each recipient's mail goes the way of his domain, and no way's trouble is another's."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.route import RouteRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor
from slimtwist.testing.answers import Rule
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver

TAKEN = "250 2.0.0 taken"


@implementer(IRelay)
class Way:
    """A relay that answers as it is told, at once or when it is told to.

    @ivar asked: the recipients of each attempt, and how many were made before.
    @ivar waiting: the attempts under way, if it waits.
    """

    def __init__(self, *, waits: bool = False) -> None:
        self.answer: str | Exception | Callable[[], Deferred[Report]] = TAKEN
        self.waits = waits
        self.asked: list[tuple[list[str], int]] = []
        self.waiting: list[Deferred[Report]] = []
        self.stopping: Deferred[None] | None = None

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Answer: a reply for all recipients, an error, or whatever else."""
        self.asked.append(([str(each.address) for each in envelope.recipients], attempts))
        if self.waits:
            self.waiting.append(Deferred(self._cancel))
            return self.waiting[-1]
        if isinstance(self.answer, str):
            return succeed(report(self.answer, len(envelope.recipients)))
        if isinstance(self.answer, Exception):
            return fail(self.answer)
        return self.answer()

    def stop(self) -> Deferred[None]:
        """Stop when the test says so."""
        self.stopping = Deferred()
        return self.stopping

    def _cancel(self, waiting: Deferred[Report]) -> None:
        assert isinstance(self.answer, Exception)
        waiting.errback(self.answer)


def report(answer: str, count: int) -> Report:
    """Return the report in which one reply holds for all."""
    return Report.uniform(Outcome.of(Reply.parse(answer)), count)


def message(*recipients: str) -> Envelope:
    """Return an envelope for some recipients."""
    return Envelope.parse("sender@example.org", recipients, b"Subject: x\r\n\r\nx\r\n")


def cancelled(*, ambiguous: bool = False) -> AttemptCancelled:
    """Return what a cancelled attempt fails with."""
    return AttemptCancelled.at("no longer wanted", command="DATA", ambiguous=ambiguous)


class RouteTestCase(SynchronousTestCase):
    """Has three ways."""

    def setUp(self) -> None:
        """Two domains have ways of their own."""
        self.reactor = MemoryReactor()
        self.a, self.b, self.other = Way(), Way(), Way()

    def relay(self) -> RouteRelay:
        """Return the relay with these ways."""
        routes = {"a.example": self.a, "*.b.example": self.b}
        return RouteRelay(routes, self.other, runtime=Runtime(self.reactor))

    def attempt(self, *recipients: str) -> list[str]:
        """Return what became of each recipient."""
        settled = self.successResultOf(self.relay().attempt(message(*recipients), 2))
        return [str(outcome.reply) for outcome in settled]


class ChoiceTests(RouteTestCase):
    """Which way a recipient's mail goes."""

    def test_interface(self) -> None:
        """It is a relay like any other."""
        self.assertTrue(verifyObject(IRelay, self.relay()))

    def test_domains(self) -> None:
        """The named domain, all below the pattern, and everybody else go their ways."""
        self.attempt("x@a.example", "x@mail.b.example", "x@b.example", "x@sub.a.example")
        self.assertEqual(self.a.asked, [(["x@a.example"], 2)])
        self.assertEqual(self.b.asked, [(["x@mail.b.example"], 2)])
        self.assertEqual(self.other.asked, [(["x@b.example", "x@sub.a.example"], 2)])

    def test_case_and_script(self) -> None:
        """A domain is the same in any case, and as U-label or A-label (RFC 5890)."""
        relay = RouteRelay({"bücher.example": self.a}, self.other, runtime=Runtime(self.reactor))
        given = message("x@Bücher.EXAMPLE", "x@xn--bcher-kva.example")
        self.successResultOf(relay.attempt(given, 0))
        self.assertEqual(len(self.a.asked[0][0]), 2)
        self.assertEqual(self.other.asked, [])

    def test_postmaster(self) -> None:
        """Who has no domain goes the default way."""
        self.attempt("postmaster", "x@a.example")
        self.assertEqual(self.other.asked, [(["postmaster"], 2)])

    def test_senders(self) -> None:
        """Where the recipient's domain has no way of its own, the sender's may have one."""
        relay = RouteRelay(
            {"a.example": self.a},
            self.other,
            senders={"*.org": self.b},
            runtime=Runtime(self.reactor),
        )
        given = message("x@a.example", "y@c.example")
        self.successResultOf(relay.attempt(given, 0))
        self.assertEqual(
            (self.a.asked, self.b.asked), ([(["x@a.example"], 0)], [(["y@c.example"], 0)])
        )
        self.assertEqual(self.other.asked, [])
        relay.stop()
        self.assertIsNotNone(self.b.stopping)

    def test_bad_domain(self) -> None:
        """A route for what is no domain is refused, by name."""
        error = self.assertRaises(ValueError, RouteRelay, {"a b": self.a}, self.other)
        self.assertIn("'a b'", str(error))

    def test_whole(self) -> None:
        """A message that goes one way is not split, and its failure comes back as it is."""
        self.a.answer = TransientRelayError(fault_outcome("connect", "refused"))
        attempt = self.relay().attempt(message("x@a.example", "y@a.example"), 0)
        failure = self.failureResultOf(attempt, TransientRelayError)
        self.assertIs(failure.value, self.a.answer)


class ReportTests(RouteTestCase):
    """What becomes of the recipients of a split message."""

    def test_order(self) -> None:
        """Outcomes are in the envelope's order, also where an address occurs twice."""
        self.a.answer, self.b.answer = "550 5.1.1 a", "451 4.7.1 b"
        got = self.attempt("x@c.example", "x@a.example", "x@x.b.example", "x@a.example", "y@d.ex")
        wanted = [TAKEN, "550 5.1.1 a", "451 4.7.1 b", "550 5.1.1 a", TAKEN]
        self.assertEqual(got, wanted)

    def test_side_by_side(self) -> None:
        """A slow way delays no other's attempt (L7)."""
        self.a.waits = True
        attempt = self.relay().attempt(message("x@a.example", "x@c.example"), 0)
        self.assertEqual(len(self.other.asked), 1)
        self.assertNoResult(attempt)
        self.a.waiting[0].callback(report("250 2.0.0 late", 1))
        texts = [outcome.reply.text for outcome in self.successResultOf(attempt)]
        self.assertEqual(texts, ["late", "taken"])

    def test_errors_stay_apart(self) -> None:
        """The failure of one way is its recipients' only (L10)."""
        self.a.answer = TransientRelayError(fault_outcome("connect", "refused"))
        got = self.attempt("x@a.example", "x@c.example", "y@a.example")
        refused = "451 4.4.1 cannot connect: refused"
        self.assertEqual(got, [refused, TAKEN, refused])

    def test_broken_relay(self) -> None:
        """A way that raises, or reports too little, loses its own recipients' outcomes only; and
        since nobody knows what was sent, they are ambiguous (L2, L4).
        """
        self.a.answer = ZeroDivisionError()
        self.b.answer = lambda: succeed(report(TAKEN, 7))
        settled = self.successResultOf(
            self.relay().attempt(message("x@a.example", "x@x.b.example", "x@c.example"), 0)
        )
        codes = [(each.reply.enhanced, each.ambiguous) for each in settled]
        self.assertEqual(codes, [("4.3.0", True), ("4.3.0", True), ("2.0.0", False)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_nothing_left(self) -> None:
        """No timer outlives an attempt."""
        self.attempt("x@a.example", "x@c.example")
        self.assertEqual(self.reactor.leftovers().timers, ())


class CancelTests(RouteTestCase):
    """An attempt that nobody wants any more."""

    def begin(self) -> Deferred[Report]:
        """Begin an attempt over two ways that wait."""
        self.a.waits = self.other.waits = True
        return self.relay().attempt(message("x@a.example", "x@c.example"), 0)

    def test_all(self) -> None:
        """Every part is cancelled, and the whole says whether any of them may have been taken
        (L3, L4).
        """
        for ambiguous in (False, True):
            self.a.answer, self.other.answer = cancelled(), cancelled(ambiguous=ambiguous)
            attempt = self.begin()
            attempt.cancel()
            failure = self.failureResultOf(attempt, AttemptCancelled)
            self.assertEqual(failure.value.ambiguous, ambiguous)
            self.assertEqual(self.reactor.leftovers().timers, ())

    def test_delivered(self) -> None:
        """What one way delivered before stays delivered (L2, L4)."""
        self.a.answer = cancelled()
        attempt = self.begin()
        self.other.waiting[0].callback(report(TAKEN, 1))
        attempt.cancel()
        codes = [outcome.reply.enhanced for outcome in self.successResultOf(attempt)]
        self.assertEqual(codes, ["4.3.2", "2.0.0"])


class RouteContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must, with recipients on three ways."""

    recipients = ("one@a.example", "two@sub.b.example", "three@c.example")
    refused = "nobody@c.example"

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay with three smart hosts behind it."""
        reactor = MemoryReactor()
        runtime = Runtime(reactor)
        for host in ("a", "b", "c"):
            answers: dict[str, Rule] = {"RCPT": {"nobody@c.example": "550 5.1.1 unknown"}}
            reactor.add_host(f"mx.{host}.example", FakeSmarthost(answers))
        a, b, c = (StaticSmtpRelay(f"mx.{host}.example", runtime=runtime) for host in "abc")
        relay = RouteRelay({"a.example": a, "*.b.example": b}, c, runtime=runtime)
        return relay, MemoryDriver(reactor)


class StopTests(RouteTestCase):
    """The end of all ways."""

    def test_refused(self) -> None:
        """Once it is stopped it takes nothing, and loses nothing (L2)."""
        relay = self.relay()
        relay.stop()
        attempt = relay.attempt(message("x@a.example", "x@c.example"), 0)
        self.failureResultOf(attempt, TransientRelayError)
        self.assertEqual((self.a.asked, self.other.asked), ([], []))

    def test_stop(self) -> None:
        """It has stopped when all its relays have; one that serves twice is stopped once."""
        relay = RouteRelay(
            {"a.example": self.a, "b.example": self.a}, self.other, runtime=Runtime(self.reactor)
        )
        stopped = relay.stop()
        assert self.a.stopping is not None
        assert self.other.stopping is not None
        self.other.stopping.callback(None)
        self.assertNoResult(stopped)
        self.a.stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopped))

    def test_trouble(self) -> None:
        """A relay that cannot stop is told of, and holds up nobody."""
        stopped = self.relay().stop()
        for way in (self.a, self.b, self.other):
            assert way.stopping is not None
            way.stopping.errback(ZeroDivisionError())
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_raises(self) -> None:
        """A relay whose C{stop} raises keeps no other one from stopping (L10)."""

        def stop() -> Deferred[None]:
            raise ZeroDivisionError

        self.a.stop = stop  # type: ignore[method-assign]
        stopped = self.relay().stop()
        for way in (self.b, self.other):
            assert way.stopping is not None
            way.stopping.callback(None)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
