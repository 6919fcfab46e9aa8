# -*- test-case-name: tests.test_latch -*-
"""Tests of what happens once."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.latch import Latch


class Latches(SynchronousTestCase):
    """Who waits for it."""

    def test_waiting(self) -> None:
        """All who wait are told when it opens, and all who come later at once."""
        latch = Latch()
        first, second = latch.wait(), latch.wait()
        self.assertNoResult(first)
        self.assertFalse(latch.open)
        latch.release()
        self.assertTrue(latch.open)
        for each in (first, second, latch.wait()):
            self.assertIsNone(self.successResultOf(each))

    def test_again(self) -> None:
        """Opened again, it tells nobody twice."""
        latch = Latch()
        waiting = latch.wait()
        latch.release()
        latch.release()
        self.assertIsNone(self.successResultOf(waiting))

    def test_cancelled(self) -> None:
        """Who waits no more is not told, and disturbs nobody."""
        latch = Latch()
        first, second = latch.wait(), latch.wait()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        latch.release()
        self.assertIsNone(self.successResultOf(second))

    def test_cancelled_by_another(self) -> None:
        """Who is told may cancel another who waits, and the rest are told all the same."""
        latch = Latch()
        first, second, third = latch.wait(), latch.wait(), latch.wait()
        first.addCallback(lambda _: second.cancel())
        latch.release()
        self.failureResultOf(second, CancelledError)
        self.assertIsNone(self.successResultOf(third))
