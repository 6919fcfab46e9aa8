# -*- test-case-name: tests.test_together -*-
"""Parts of one attempt, side by side, and an attempt that can be given up."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import AttemptCancelled, fault_outcome
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply
from slimtwist.together import Cancellable, side_by_side

TAKEN = Outcome.of(Reply.parse("250 2.0.0 taken"))
LATER = Outcome.of(Reply.parse("450 4.0.0 later"))
AMBIGUOUS = fault_outcome("lost", "", ambiguous=True)


class SideBySideTests(SynchronousTestCase):
    """Coroutines at once."""

    def setUp(self) -> None:
        """Begin with three things to wait for."""
        self.parts: list[Deferred[int]] = [Deferred() for _ in "123"]

    async def part(self, number: int) -> int:
        """Wait for one of them."""
        return await self.parts[number]

    def test_order(self) -> None:
        """Results and failures stand in the order of the coroutines."""
        done = side_by_side(map(self.part, range(3)))
        self.parts[2].callback(3)
        self.parts[1].errback(ZeroDivisionError())
        self.assertNoResult(done)
        self.parts[0].callback(1)
        first, second, third = self.successResultOf(done)
        self.assertEqual((first, third), (1, 3))
        self.assertIsInstance(second, Failure)
        self.assertIs(second.type, ZeroDivisionError)

    def test_cancel(self) -> None:
        """Cancelling cancels those that have not ended."""
        done = side_by_side(map(self.part, range(3)))
        self.parts[0].callback(1)
        done.cancel()
        first, *others = self.successResultOf(done)
        self.assertEqual(first, 1)
        for each in others:
            self.assertIs(each.type, CancelledError)

    def test_none(self) -> None:
        """Nothing to do is done at once."""
        self.assertEqual(self.successResultOf(side_by_side([])), [])


class CancellableTests(SynchronousTestCase):
    """An attempt that is told when nobody wants it any more."""

    def begin(self, *outcomes: Outcome) -> tuple[Cancellable, Deferred[None]]:
        """Return an attempt with what it waits for; it reports in any case."""
        waiting: Deferred[None] = Deferred()

        async def run(attempt: Cancellable) -> Report:
            try:
                await waiting
            except CancelledError:
                self.assertTrue(attempt.cancelled)
            return Report(outcomes)

        return Cancellable(run), waiting

    def test_report(self) -> None:
        """Without being cancelled, it fires with the report, whatever is in it."""
        attempt, waiting = self.begin(LATER, AMBIGUOUS)
        waiting.callback(None)
        self.assertEqual(self.successResultOf(attempt.done).outcomes, (LATER, AMBIGUOUS))

    def test_cancelled(self) -> None:
        """Cancelled, it fails at once, and says whether the end is ambiguous."""
        for outcomes, ambiguous in (((LATER, LATER), False), ((AMBIGUOUS, AMBIGUOUS), True)):
            attempt, _ = self.begin(*outcomes)
            attempt.done.cancel()
            error = self.failureResultOf(attempt.done, AttemptCancelled).value
            self.assertEqual(error.ambiguous, ambiguous)

    def test_several_things(self) -> None:
        """What a host said of one recipient is not told of another, who was put off, too (L11)."""
        attempt, _ = self.begin(LATER, AMBIGUOUS)
        attempt.done.cancel()
        self.assertEqual(self.successResultOf(attempt.done).outcomes, (LATER, AMBIGUOUS))

    def test_delivered(self) -> None:
        """What was delivered before is told all the same, or it would be sent again (L4)."""
        attempt, _ = self.begin(LATER, TAKEN)
        attempt.done.cancel()
        self.assertEqual(self.successResultOf(attempt.done).outcomes, (LATER, TAKEN))

    def test_error(self) -> None:
        """What its making raises is its end."""

        async def run(_: Cancellable) -> Report:
            raise ZeroDivisionError

        self.failureResultOf(Cancellable(run).done, ZeroDivisionError)
