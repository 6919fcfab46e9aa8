# -*- test-case-name: tests.relay.test_line -*-
"""A waiting line lets in no more than it may, in order, and forgets who leaves it."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.line import Line, Rate


class RateTests(SynchronousTestCase):
    """How a rate is written."""

    def test_parse(self) -> None:
        """A number in a time."""
        for text, rate in (
            ("1/s", Rate(1, 1)),
            ("100/min", Rate(100, 60)),
            ("5/h", Rate(5, 3600)),
            ("1000000/d", Rate(1_000_000, 86400)),
        ):
            self.assertEqual(Rate.parse(text), rate)

    def test_wrong(self) -> None:
        """Anything else is an error that shows how it is written (L6)."""
        for text in ("", "5", "5/", "/s", "5/week", "0/s", "-1/s", "1.5/s", "1000001/s", "5/ s"):
            error = self.assertRaises(ValueError, Rate.parse, text)
            self.assertIn("rate=", str(error))
        for count, seconds in ((0, 1.0), (1, 0.0), (2_000_000, 1.0)):
            self.assertRaises(ValueError, Rate, count, seconds)


class LineTests(SynchronousTestCase):
    """Who may go in."""

    def setUp(self) -> None:
        """Begin with a clock."""
        self.clock = Clock()

    def line(self, most: int | None = None, rate: Rate | None = None) -> Line:
        """Return a line with these limits."""
        return Line(self.clock, most, rate)

    def inside(self, *waiting: Deferred[None]) -> list[bool]:
        """Tell who is inside."""
        return [bool(each.called) for each in waiting]

    def test_number(self) -> None:
        """So many at once; who leaves makes room for who came first."""
        line = self.line(2)
        turns = [line.enter() for _ in range(4)]
        self.assertEqual(self.inside(*turns), [True, True, False, False])
        line.leave()
        self.assertEqual(self.inside(*turns), [True, True, True, False])
        self.assertEqual(repr(line), "<Line 2 inside, 1 waiting>")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_rate(self) -> None:
        """So many in each such time, whenever it begins; leaving makes no room."""
        line = self.line(rate=Rate(2, 10))
        turns = [line.enter()]
        self.clock.advance(4)
        turns += [line.enter(), line.enter(), line.enter()]
        line.leave()
        self.assertEqual(self.inside(*turns), [True, True, False, False])
        self.clock.advance(5.9)
        self.assertEqual(self.inside(*turns), [True, True, False, False])
        self.clock.advance(0.1)
        self.assertEqual(self.inside(*turns), [True, True, True, False])
        self.clock.advance(3.9)
        self.assertEqual(self.inside(*turns), [True, True, True, False])
        self.clock.advance(0.1)
        self.assertEqual(self.inside(*turns), [True] * 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_both(self) -> None:
        """With both limits, both hold; no timer runs for who waits for room."""
        line = self.line(1, Rate(1, 10))
        turns = [line.enter() for _ in range(2)]
        self.clock.advance(20)
        self.assertEqual(self.inside(*turns), [True, False])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        line.leave()
        self.assertEqual(self.inside(*turns), [True, True])

    def test_cancelled(self) -> None:
        """Who leaves the line takes nobody's turn, and leaves no timer."""
        line = self.line(1, Rate(1, 10))
        turns = [line.enter() for _ in range(3)]
        turns[1].cancel()
        self.failureResultOf(turns[1], CancelledError)
        line.leave()
        self.clock.advance(10)
        self.assertEqual(self.inside(turns[2]), [True])
        line.leave()
        last = line.enter()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        last.cancel()
        self.failureResultOf(last, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        again = line.enter()
        self.clock.advance(10)
        self.assertEqual(self.inside(again), [True])

    def test_deep(self) -> None:
        """A thousand who leave at once need no deep stack."""
        line = self.line(1)
        turns = [line.enter() for _ in range(1000)]
        for each in turns[1:]:
            each.addCallback(lambda _: line.leave())
        line.leave()
        self.assertEqual(self.inside(*turns), [True] * 1000)

    def test_random(self) -> None:
        """Whatever happens, there are never more inside, nor more in any time, and all get in in
        their order (L6, L7).
        """
        random = Random(1)
        line, most, rate = self.line(3, Rate(5, 7)), 3, Rate(5, 7)
        went: list[float] = []
        inside: list[tuple[int, Deferred[None]]] = []
        waiting: list[tuple[int, Deferred[None]]] = []
        count = 0
        for _ in range(4000):
            action = random.random()
            if action < 0.3:
                count += 1
                waiting.append((count, line.enter()))
            elif action < 0.4 and waiting:
                waiting.pop(random.randrange(len(waiting)))[1].cancel()
            elif action < 0.7 and inside:
                inside.pop()
                line.leave()
            else:
                self.clock.advance(random.random())
            for _, turn in waiting:
                turn.addErrback(_forget)
            gone = [(name, turn) for name, turn in waiting if turn.called]
            self.assertEqual(gone, waiting[: len(gone)])
            del waiting[: len(gone)]
            inside += gone
            went += [self.clock.seconds() for _ in gone]
            self.assertLessEqual(len(inside), most)
            recent = [each for each in went if each > self.clock.seconds() - rate.seconds + 1e-6]
            self.assertLessEqual(len(recent), rate.count)
        self.assertGreater(len(went), 500)


def _forget(failure: Failure) -> None:
    failure.trap(CancelledError)
