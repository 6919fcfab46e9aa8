# -*- test-case-name: tests.test_settle -*-
"""The tests of L{slimtwist.settle}."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionLost,
    PermanentRelayError,
    TransientRelayError,
)
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.reply import Reply
from slimtwist.settle import settle
from slimtwist.testing import MemoryReactor

DEADLINE = 100.0
ENVELOPE = Envelope.parse("a@example.com", ["b@example.net", "c@example.net"], b"x\r\n")
DELIVERED = Outcome.of(Reply.parse("250 2.0.0 ok"))
FAILED = Outcome.of(Reply.parse("550 5.1.1 no"), host="mx", command="RCPT")
REPORT = Report((DELIVERED, FAILED))


class Odd(Exception):
    """What no relay should fail with."""


@implementer(IRelay)
class Relay:
    """A relay that does what a test says."""

    def __init__(self, attempt: Callable[[], object]) -> None:
        self._attempt = attempt
        self.asked: list[tuple[Envelope, int]] = []

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Do it."""
        self.asked.append((envelope, attempts))
        return self._attempt()  # type: ignore[return-value]

    def stop(self) -> Deferred[None]:
        """Do nothing."""
        return succeed(None)


def giving(attempt: object) -> Callable[[], object]:
    """A function that returns this."""
    return lambda: attempt


def stubborn(then: Deferred[object]) -> Deferred[object]:
    """An attempt that, when it is cancelled, waits for something else."""
    attempt: Deferred[object] = Deferred()
    attempt.addErrback(lambda _: then)
    return attempt


def ending(error: Exception) -> Callable[[Deferred[object]], None]:
    """A canceller that says how far the attempt came."""
    return lambda attempt: attempt.errback(error)


def raising(error: BaseException) -> Callable[..., None]:
    """A function that raises."""

    def call(*_: object) -> None:
        raise error

    return call


class SettleCase(SynchronousTestCase):
    """A clock and a way to settle."""

    def setUp(self) -> None:
        """Begin at no time."""
        self.clock = MemoryReactor()
        self.reports: list[Report] = []

    def tearDown(self) -> None:
        """A Failure that nobody has looked at is logged when it is collected."""
        gc.collect()
        self.assertEqual([], self.flushLoggedErrors())

    def settle(self, attempt: Callable[[], object], deadline: float = DEADLINE) -> Deferred[Report]:
        """Settle an attempt; what comes of it is in C{reports}."""
        settled = settle(self.clock, Relay(attempt), ENVELOPE, 3, deadline)
        settled.addCallback(self.reports.append)
        return settled

    def check(self, report: Report, *logged: type[Exception]) -> None:
        """This is the only report, it came of its own, and nothing is left behind (L3)."""
        self.assertEqual([report], self.reports)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual(list(logged), [each.type for each in self.flushLoggedErrors()])

    def both(self, code: str, text: str, *, ambiguous: bool) -> Report:
        """The report in which both recipients are deferred."""
        if ambiguous:
            text += "; the message may be delivered more than once"
        reply = Reply.parse(f"451 {code} {text}")
        return Report.uniform(Outcome(Verdict.DEFERRED, reply, ambiguous=ambiguous), 2)


class RelayEndsTests(SettleCase):
    """The relay ends by itself: the report says how, once and at once."""

    def ends(self, result: object, report: Report, *logged: type[Exception]) -> None:
        """An attempt that ends so, at once, later or in the last moment, has this report."""
        for seconds in (0.0, 1.0, DEADLINE - 0.001):
            self.setUp()
            attempt: Deferred[object] = Deferred()
            self.settle(giving(attempt))
            self.clock.advance(seconds)
            self.assertEqual([], self.reports)
            attempt.callback(result)
            self.check(report, *logged)
        self.setUp()
        self.settle(lambda: succeed(result))
        self.check(report, *logged)

    def test_arguments(self) -> None:
        """The relay gets the envelope, and how many attempts were made."""
        relay = Relay(lambda: succeed(REPORT))
        settle(self.clock, relay, ENVELOPE, 3, DEADLINE)
        self.assertEqual([(ENVELOPE, 3)], relay.asked)

    def test_report(self) -> None:
        """A complete report is passed on as it is."""
        self.ends(REPORT, REPORT)

    def test_our_errors(self) -> None:
        """An error of ours is its outcome for each recipient (L11)."""
        lost = ConnectionLost.at("reset", host="mx", command="end of data", ambiguous=True)
        for error in (
            PermanentRelayError(FAILED),
            TransientRelayError.at("later"),
            lost,
            AttemptCancelled.at("by itself"),
        ):
            self.ends(Failure(error), Report.uniform(error.outcome, 2))
        self.assertTrue(lost.outcome.ambiguous)

    def test_unknown_error(self) -> None:
        """Any other exception is transient and ambiguous, and logged (OS-15)."""
        for error in (Odd("secret"), OSError(28, "No space"), AssertionError()):
            kind = type(error)
            self.ends(
                Failure(error),
                self.both("4.3.0", f"internal error: {kind.__name__}", ambiguous=True),
                kind,
            )

    def test_cancelled_error(self) -> None:
        """A relay that cancels its own attempt has not said what became of it."""
        report = self.both("4.3.2", "attempt cancelled", ambiguous=True)
        self.ends(Failure(CancelledError()), report)

    def test_no_report(self) -> None:
        """What is no report is nobody's success: transient, ambiguous, and logged (L1, L2)."""
        incomplete = self.both("4.3.0", "internal error: incomplete report", ambiguous=True)
        for result in (
            None,
            True,
            DELIVERED,
            (DELIVERED, DELIVERED),
            Reply(250),
            Report(()),
            Report((DELIVERED,)),
            Report((DELIVERED,) * 3),
            Report(None),  # type: ignore[arg-type]
            Report((DELIVERED, None)),  # type: ignore[arg-type]
            Report((DELIVERED, DELIVERED, None)),  # type: ignore[arg-type]
            Report((Reply(250), Reply(250))),  # type: ignore[arg-type]
        ):
            self.ends(result, incomplete)

    def test_raises(self) -> None:
        """An exception out of C{attempt} is like one that comes later."""
        self.settle(raising(Odd()))
        self.check(self.both("4.3.0", "internal error: Odd", ambiguous=True), Odd)

    def test_raises_ours(self) -> None:
        """An error of ours may be raised, too."""
        self.settle(raising(PermanentRelayError(FAILED)))
        self.check(Report.uniform(FAILED, 2))

    def test_no_deferred(self) -> None:
        """A value in the place of a Deferred is judged like one that came later."""
        self.settle(lambda: REPORT)
        self.check(REPORT)
        self.setUp()
        self.settle(lambda: None)
        self.check(self.both("4.3.0", "internal error: incomplete report", ambiguous=True))

    def test_failure_returned(self) -> None:
        """A Failure in the place of a Deferred, too."""
        self.settle(lambda: Failure(PermanentRelayError(FAILED)))
        self.check(Report.uniform(FAILED, 2))

    def test_deferred_within(self) -> None:
        """An attempt that waits for another Deferred ends when that one does."""
        inner: Deferred[Report] = Deferred()
        self.settle(lambda: succeed(None).addCallback(lambda _: inner))
        self.assertEqual([], self.reports)
        inner.callback(REPORT)
        self.check(REPORT)

    def test_names_are_not_formats(self) -> None:
        """What a relay calls itself, or raises, is a field of the log, and no format (INJ-14)."""

        class Named(Relay):
            """A relay with a hostile name."""

            def __str__(self) -> str:
                return "{0.__class__}{log_level}%s%n"

        for attempt, said in (
            (raising(Odd("{result!r}")), "failed"),
            (lambda: None, "returned None"),
        ):
            with capturedLogs() as logged:
                settle(self.clock, Named(attempt), ENVELOPE, 0, DEADLINE)
            (event,) = logged
            self.assertEqual(f"relay {{0.__class__}}{{log_level}}%s%n {said}", formatEvent(event))
        self.assertEqual(1, len(self.flushLoggedErrors(Odd)))


class DeadlineTests(SettleCase):
    """The deadline passes first: the attempt is cancelled, and a report comes all the same."""

    #: What is left to say when the relay does not say it.
    silent = Report(())

    def setUp(self) -> None:
        """Know the report on a relay that says nothing."""
        super().setUp()
        self.silent = self.both("4.4.7", "attempt took too long", ambiguous=True)

    def test_never_fires(self) -> None:
        """An attempt that ignores all is reported at its deadline, and not before (L3, L7)."""
        self.settle(lambda: Deferred(lambda _: None))
        self.clock.advance(DEADLINE - 0.001)
        self.assertEqual([], self.reports)
        self.clock.advance(0.001)
        self.check(self.silent)

    def test_plain_deferred(self) -> None:
        """An attempt without a canceller ends with Twisted's CancelledError: nothing is known."""
        self.settle(Deferred)
        self.clock.advance(DEADLINE)
        self.check(self.silent)

    def test_ignores_cancel(self) -> None:
        """An attempt that waits for something which ignores cancelling is not waited for."""
        self.settle(lambda: stubborn(Deferred(lambda _: None)))
        self.clock.advance(DEADLINE)
        self.check(self.silent)

    def test_report_when_cancelled(self) -> None:
        """A relay that is cancelled and knows how it ended may say so."""
        self.settle(lambda: Deferred(lambda attempt: attempt.callback(REPORT)))
        self.clock.advance(DEADLINE)
        self.check(REPORT)

    def test_late_report(self) -> None:
        """What comes after the deadline changes nothing, success or failure, and raises nothing."""
        for result in (REPORT, None, Failure(ConnectionLost.at("late"))):
            self.setUp()
            late: Deferred[object] = Deferred(lambda _: None)
            self.settle(giving(stubborn(late)))
            self.clock.advance(DEADLINE)
            self.assertEqual(1, len(self.reports))
            late.callback(result)
            self.check(self.silent)

    def test_late_unknown_error(self) -> None:
        """An exception after the deadline is logged, for it is a defect of the relay."""
        late: Deferred[object] = Deferred(lambda _: None)
        self.settle(giving(stubborn(late)))
        self.clock.advance(DEADLINE)
        late.errback(Odd())
        self.check(self.silent, Odd)

    def test_just_in_time(self) -> None:
        """A report in the very moment of the deadline, but before it, counts."""
        attempt: Deferred[Report] = Deferred()
        self.clock.callLater(DEADLINE, attempt.callback, REPORT)
        self.settle(lambda: attempt)
        self.clock.advance(DEADLINE)
        self.check(REPORT)

    def test_canceller_raises(self) -> None:
        """A relay whose canceller raises is reported at its deadline all the same (L3)."""
        self.settle(lambda: Deferred(raising(Odd())))
        self.clock.advance(DEADLINE)
        self.check(self.silent, Odd)

    def test_attempt_cancelled(self) -> None:
        """A relay that was cancelled says how far it came; the reply says why it ended (ING-19)."""
        for ambiguous in (False, True):
            self.setUp()
            told = AttemptCancelled.at("", host="mx", command="end of data", ambiguous=ambiguous)
            self.settle(giving(Deferred(ending(told))))
            self.clock.advance(DEADLINE)
            reply = self.both("4.4.7", "attempt took too long", ambiguous=ambiguous)[0].reply
            self.check(Report.uniform(replace(told.outcome, reply=reply), 2))

    def test_no_time_left(self) -> None:
        """A deadline that has passed before is one that passes at once."""
        for deadline in (0.0, -1.0):
            self.setUp()
            self.settle(Deferred, deadline)
            self.clock.advance(0)
            self.check(self.silent)


class CancelTests(SettleCase):
    """Whoever settles can cancel."""

    def test_cancel(self) -> None:
        """The attempt is cancelled, at any time before its end, and what it says is reported."""
        told = AttemptCancelled.at("half sent", host="mx", command="DATA", ambiguous=True)
        for seconds in (0.0, 50.0):
            self.setUp()
            settled = self.settle(lambda: Deferred(lambda attempt: attempt.errback(told)))
            self.clock.advance(seconds)
            settled.cancel()
            self.check(Report.uniform(told.outcome, 2))

    def test_cancel_unanswered(self) -> None:
        """An attempt that does not end when it is cancelled is ambiguous, and not waited for."""
        for attempt in (Deferred[object](), stubborn(Deferred()), stubborn(stubborn(Deferred()))):
            self.setUp()
            self.settle(giving(attempt)).cancel()
            self.check(self.both("4.3.2", "attempt cancelled", ambiguous=True))

    def test_cancel_when_settled(self) -> None:
        """Cancelling what is settled does nothing."""
        settled = self.settle(lambda: succeed(REPORT))
        settled.cancel()
        self.check(REPORT)

    def test_cancel_after_deadline(self) -> None:
        """Cancelling after the deadline does nothing."""
        settled = self.settle(Deferred)
        self.clock.advance(DEADLINE)
        settled.cancel()
        self.check(self.both("4.4.7", "attempt took too long", ambiguous=True))

    def test_cancel_twice(self) -> None:
        """Cancelling again does nothing."""
        settled = self.settle(Deferred)
        settled.cancel()
        settled.cancel()
        self.check(self.both("4.3.2", "attempt cancelled", ambiguous=True))

    def test_others_are_not_cancelled(self) -> None:
        """One attempt's end leaves another's alone (L10)."""
        attempts: list[Deferred[Report]] = [Deferred(), Deferred()]
        settled = [self.settle(giving(each)) for each in attempts]
        settled[0].cancel()
        attempts[1].callback(REPORT)
        self.assertEqual(2, len(self.reports))
        self.assertEqual(REPORT, self.reports[1])
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_cancel_within_cancel(self) -> None:
        """Cancelling from within the relay's canceller does nothing."""
        cancelled: list[None] = []

        def again(_: object) -> None:
            settled.cancel()
            cancelled.append(None)

        settled = self.settle(lambda: Deferred(again))
        settled.cancel()
        self.assertEqual([None], cancelled)
        self.check(self.both("4.3.2", "attempt cancelled", ambiguous=True))

    def test_canceller_raises(self) -> None:
        """A relay that cannot even be cancelled is a defect that is logged, and nothing more."""
        self.settle(lambda: Deferred(raising(Odd()))).cancel()
        self.check(self.both("4.3.2", "attempt cancelled", ambiguous=True), Odd)
