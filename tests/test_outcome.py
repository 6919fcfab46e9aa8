# -*- test-case-name: tests.test_outcome -*-
"""The tests of L{slimtwist.outcome}."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.reply import Reply

DELIVERED = Outcome.of(Reply.parse("250 ok"))
DEFERRED = Outcome.of(Reply.parse("450 later"))
FAILED = Outcome.of(Reply.parse("550 never"))


class VerdictTests(SynchronousTestCase):
    """A final reply means one of three things."""

    def test_of(self) -> None:
        """The first digit decides (PEER-11)."""
        for code in range(200, 300):
            self.assertIs(Verdict.DELIVERED, Verdict.of(Reply(code)))
        for code in range(400, 500):
            self.assertIs(Verdict.DEFERRED, Verdict.of(Reply(code)))
        for code in range(500, 600):
            self.assertIs(Verdict.FAILED, Verdict.of(Reply(code)))

    def test_go_ahead(self) -> None:
        """3yz ends nothing: it is no verdict (PEER-32, L1)."""
        for code in range(300, 400):
            self.assertRaises(ValueError, Verdict.of, Reply(code))


class OutcomeTests(SynchronousTestCase):
    """An outcome cannot say two things."""

    def test_of(self) -> None:
        """The verdict is that of the reply, and where it came from is kept (L11)."""
        reply = Reply.parse("550 5.1.1 x")
        outcome = Outcome.of(reply, host="mx [192.0.2.1]:25", command="RCPT", tls="TLSv1.3")
        self.assertEqual(
            Outcome(
                Verdict.FAILED, reply, "mx [192.0.2.1]:25", "RCPT", ambiguous=False, tls="TLSv1.3"
            ),
            outcome,
        )
        self.assertRaises(ValueError, Outcome.of, Reply(354))

    def test_verdict_is_the_replys(self) -> None:
        """No outcome is delivered, or failed, with a reply that says otherwise (L1, L2)."""
        for verdict in Verdict:
            for code in (250, 450, 550):
                if Verdict.of(Reply(code)) is verdict:
                    self.assertIs(verdict, Outcome(verdict, Reply(code)).verdict)
                else:
                    self.assertRaises(ValueError, Outcome, verdict, Reply(code))
            self.assertRaises(ValueError, Outcome, verdict, Reply(354))

    def test_ambiguous(self) -> None:
        """Only what is tried again can be delivered twice: the rest is not ambiguous (L4)."""
        self.assertTrue(Outcome(Verdict.DEFERRED, Reply(450), ambiguous=True).ambiguous)
        for verdict, code in ((Verdict.DELIVERED, 250), (Verdict.FAILED, 550)):
            with self.assertRaises(ValueError):
                Outcome(verdict, Reply(code), ambiguous=True)

    def test_value(self) -> None:
        """Outcomes compare, hash, pickle and do not change (OUT-10)."""
        for outcome in (DELIVERED, DEFERRED, FAILED):
            again = pickle.loads(pickle.dumps(outcome))
            self.assertEqual(outcome, again)
            self.assertEqual(hash(outcome), hash(again))
            self.assertIs(outcome.verdict, again.verdict)
        with self.assertRaises(FrozenInstanceError):
            DELIVERED.ambiguous = True  # type: ignore[misc]


class ReportTests(SynchronousTestCase):
    """A report has an outcome for each recipient, by position."""

    def test_sequence(self) -> None:
        """Its outcomes can be counted, looked up and iterated over in order."""
        report = Report((DELIVERED, FAILED, DELIVERED))
        self.assertEqual(3, len(report))
        self.assertIs(FAILED, report[1])
        self.assertEqual([DELIVERED, FAILED, DELIVERED], list(report))
        self.assertRaises(IndexError, report.__getitem__, 3)

    def test_uniform(self) -> None:
        """One outcome can hold for all."""
        self.assertEqual(Report((FAILED, FAILED)), Report.uniform(FAILED, 2))

    def test_value(self) -> None:
        """Reports compare, hash and pickle (OUT-10)."""
        report = Report((DELIVERED, FAILED))
        self.assertEqual(report, pickle.loads(pickle.dumps(report)))
        self.assertEqual(hash(report), hash(pickle.loads(pickle.dumps(report))))
        self.assertNotEqual(report, Report((FAILED, DELIVERED)))


class MergeTests(SynchronousTestCase):
    """The reports of a split envelope become one."""

    def test_merge(self) -> None:
        """Each outcome gets back to its position."""
        merged = Report.merge([((2, 0), Report((FAILED, DELIVERED))), ((1,), Report((DEFERRED,)))])
        self.assertEqual(Report((DELIVERED, DEFERRED, FAILED)), merged)

    def test_missing(self) -> None:
        """A recipient without an outcome is an error, not a shorter report (L2)."""
        for positions in ((1,), (0, 2), (-1,), (-1, 0)):
            report = Report.uniform(DELIVERED, len(positions))
            self.assertRaises(ValueError, Report.merge, [(positions, report)])

    def test_lengths_differ(self) -> None:
        """A part that reports on fewer or more than it was given is an error (L2)."""
        for positions in ((0, 1, 2), (0,)):
            parts = [(positions, Report((DELIVERED, FAILED)))]
            self.assertRaises(ValueError, Report.merge, parts)

    def test_twice(self) -> None:
        """Two outcomes for one recipient are an error, be they one and the same."""
        for second in (FAILED, Outcome.of(Reply.parse("250 ok")), DELIVERED):
            parts = [((0,), Report((DELIVERED,))), ((0,), Report((second,)))]
            self.assertRaises(ValueError, Report.merge, parts)
        self.assertRaises(ValueError, Report.merge, [((0, 0), Report((DELIVERED, FAILED)))])

    @settings(derandomize=True, database=None, deadline=None)
    @given(
        st.lists(st.sampled_from([DELIVERED, DEFERRED, FAILED]), min_size=1, max_size=12),
        st.randoms(use_true_random=False),
    )
    def test_property_split_and_merge(self, outcomes: list[Outcome], random: Random) -> None:
        """However an envelope is split, its report comes back complete and in order (OUT-10)."""
        positions = list(range(len(outcomes)))
        random.shuffle(positions)
        parts = []
        while positions:
            size = random.randint(1, len(positions))
            part, positions = positions[:size], positions[size:]
            parts.append((part, Report(tuple(outcomes[each] for each in part))))
        self.assertEqual(Report(tuple(outcomes)), Report.merge(parts))
