# -*- test-case-name: tests.testing.test_clock -*-
"""The virtual clock: each call at its moment, in the order in which they were scheduled."""

from __future__ import annotations

import random

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IReactorTime
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.testing.clock import VirtualClock


class ClockTests(SynchronousTestCase):
    """A clock that the test moves by hand."""

    def setUp(self) -> None:
        """Begin at a moment of its own."""
        self.clock = VirtualClock(1000.0)
        self.calls: list[tuple[float, object]] = []

    def note(self, what: object) -> None:
        """Be called."""
        self.calls.append((self.clock.seconds() - 1000, what))

    def run_to(self, seconds: float) -> None:
        """Run everything until then."""
        self.clock.advance(1000 + seconds - self.clock.seconds())

    def test_provides(self) -> None:
        """It is a clock as Twisted has them."""
        verifyObject(IReactorTime, self.clock)

    def test_order(self) -> None:
        """Calls run in the order of their moments, those of one moment as they were scheduled."""
        for number in range(100):
            self.clock.callLater(number % 3, self.note, number)
        self.run_to(5)
        self.assertEqual(self.calls, [(n % 3, n) for n in sorted(range(100), key=lambda n: n % 3)])
        self.assertEqual(self.clock.seconds(), 1005)

    def test_call_from_a_call(self) -> None:
        """A call that schedules another does so from its own moment, not from where time stops."""
        self.clock.callLater(1, lambda: self.clock.callLater(2, self.note, "x"))
        self.run_to(10)
        self.assertEqual(self.calls, [(3, "x")])

    def test_cancel(self) -> None:
        """A cancelled call is not made, and not twice cancelled."""
        call = self.clock.callLater(1, self.note, "x")
        call.cancel()
        self.assertIsNone(self.clock.next_moment())
        self.assertRaises(AlreadyCancelled, call.cancel)
        self.assertFalse(call.active())
        self.run_to(2)
        self.assertEqual(self.calls, [])

    def test_called(self) -> None:
        """A call that was made cannot be cancelled."""
        call = self.clock.callLater(1, self.note, "x")
        self.run_to(1)
        self.assertRaises(AlreadyCalled, call.cancel)

    def test_reset_and_delay(self) -> None:
        """A call can be put off and brought forward, again and again."""
        later, sooner, back = (self.clock.callLater(5, self.note, n) for n in ("l", "s", "b"))
        later.reset(7)
        later.delay(1)
        sooner.reset(2)
        back.reset(1)
        back.reset(6)
        self.run_to(10)
        self.assertEqual(self.calls, [(2, "s"), (6, "b"), (8, "l")])

    def test_negative(self) -> None:
        """Nothing can be scheduled in the past."""
        self.assertRaises(ValueError, self.clock.callLater, -1, self.note)

    def test_hidden(self) -> None:
        """What the network schedules runs in its turn, and is no timer of anybody's."""
        self.clock.at(1002, self.note, "network")
        self.clock.at(900, self.note, "past")
        call = self.clock.callLater(1, self.note, "timer")
        self.assertEqual(self.clock.getDelayedCalls(), [call])
        self.run_to(5)
        self.assertEqual(self.calls, [(0, "past"), (1, "timer"), (2, "network")])

    def test_listing(self) -> None:
        """Pending calls are listed once each, the soonest first."""
        calls = [self.clock.callLater(delay, self.note, delay) for delay in (9, 5, 7, 1)]
        calls[0].reset(3)
        calls[1].delay(30)
        calls[3].cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [calls[0], calls[2], calls[1]])

    def test_many_cancelled(self) -> None:
        """Cancelled calls do not pile up: a deadline set anew for each reply costs nothing."""
        kept = self.clock.callLater(600, self.note, "kept")
        for _ in range(10_000):
            self.clock.callLater(300, self.note, "never").cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [kept])
        self.assertLess(self.clock.size(), 500)
        self.run_to(600)
        self.assertEqual(self.calls, [(600, "kept")])

    def test_against_a_list(self) -> None:
        """Any sequence of schedule, reset, delay and cancel gives what a sorted list gives."""
        for seed in range(200):
            self.assert_like_a_list(random.Random(seed))

    def assert_like_a_list(self, source: random.Random) -> None:
        """Compare one random sequence with the moments that the calls themselves tell."""
        self.clock, self.calls = VirtualClock(1000.0), []
        calls = []
        for number in range(source.randrange(1, 30)):
            call = self.clock.callLater(source.randrange(9), self.note, number)
            calls.append(call)
            chosen = source.choice(calls)
            if chosen.active():
                deed = source.choice([chosen.reset, chosen.delay, None])
                chosen.cancel() if deed is None else deed(source.randrange(9))
        expected = sorted((c.getTime() - 1000, n) for n, c in enumerate(calls) if c.active())
        self.run_to(400)
        self.assertEqual(sorted(self.calls, key=str), sorted(expected, key=str))
        self.assertEqual([m for m, _ in self.calls], sorted(m for m, _ in expected))
