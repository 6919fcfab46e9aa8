# -*- test-case-name: tests.relay.test_places -*-
"""Places are given in turn, and none is lost."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.places import Places


class PlacesTests(SynchronousTestCase):
    """A line for some places."""

    def setUp(self) -> None:
        """Two places, taken, and some who wait."""
        self.places = Places(2)
        for _ in range(2):
            self.successResultOf(self.places.take())
        self.served: list[int] = []
        self.waiting = [self.wait(number) for number in range(4)]

    def wait(self, number: int) -> Deferred[None]:
        """Wait for a place, and note it when it comes."""
        waiting = self.places.take()
        waiting.addCallback(lambda _: self.served.append(number))
        return waiting

    def test_in_turn(self) -> None:
        """Who came first is served first, one for each place that is given back."""
        self.assertEqual([], self.served)
        for count in range(1, 5):
            self.places.give_back()
            self.assertEqual([*range(count)], self.served)
        self.places.give_back()
        self.wait(4)
        self.assertEqual([0, 1, 2, 3, 4], self.served)
        self.assertNoResult(self.wait(5))

    def test_cancel(self) -> None:
        """Who leaves the line takes no place."""
        self.waiting[1].cancel()
        self.failureResultOf(self.waiting[1], CancelledError)
        self.places.give_back()
        self.places.give_back()
        self.assertEqual([0, 2], self.served)

    def test_at_once(self) -> None:
        """Any number may have their place for a moment only, one after another."""
        count = 10_000
        for _ in range(count):
            self.places.take().addCallback(lambda _: self.places.give_back())
        last = self.wait(10)
        self.places.give_back()
        self.places.give_back()
        for _ in range(4):
            self.places.give_back()
        self.successResultOf(last)
        self.assertEqual([0, 1, 2, 3, 10], self.served)

    def test_wrong(self) -> None:
        """No places are refused."""
        self.assertIn("concurrency=0", str(self.assertRaises(ValueError, Places, 0)))
