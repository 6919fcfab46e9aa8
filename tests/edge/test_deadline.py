# -*- test-case-name: tests.edge.test_deadline -*-
"""Tests of deadlines that are moved often."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.deadline import Deadline
from slimtwist.testing import MemoryReactor


class Deadlines(SynchronousTestCase):
    """When a deadline passes."""

    def setUp(self) -> None:
        """Begin with none."""
        self.clock = Clock()
        self.passed: list[float] = []
        self.deadline = Deadline(self.clock, lambda: self.passed.append(self.clock.seconds()))

    def wait(self, seconds: int) -> list[float]:
        """Let time pass second by second."""
        for _ in range(seconds):
            self.clock.advance(1)
            self.clock.advance(0)
        return self.passed

    def test_passes(self) -> None:
        """It passes once, when its time has come."""
        self.deadline.set(10)
        self.assertEqual(self.wait(9), [])
        self.assertEqual(self.wait(100), [10])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_moved(self) -> None:
        """Moved on, it passes later; moved back, earlier (ING-13)."""
        self.deadline.set(10)
        self.wait(9)
        self.deadline.set(10)
        self.assertEqual(self.wait(9), [])
        self.assertEqual(self.wait(1), [19])
        self.deadline.set(100)
        self.deadline.set(5)
        self.assertEqual(self.wait(5), [19, 24])

    def test_cheap(self) -> None:
        """However often it is moved, there is one timer."""
        for _ in range(1000):
            self.deadline.set(10)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_cleared(self) -> None:
        """Cleared, it does not pass; it can be set again."""
        self.deadline.set(10)
        self.deadline.clear()
        self.assertEqual(self.wait(20), [])
        self.deadline.set(10)
        self.assertEqual(self.wait(10), [30])

    def test_cancelled(self) -> None:
        """Cancelled, it leaves no timer; also when there was none."""
        self.deadline.cancel()
        self.deadline.set(10)
        self.deadline.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.wait(20), [])

    def test_after_a_stall(self) -> None:
        """After a stall the reactor has one more round, in which sockets are read (OS-13)."""
        reactor = MemoryReactor()
        deadline = Deadline(reactor, lambda: self.passed.append(reactor.seconds()))
        deadline.set(10)
        reactor.clock.move_to(30)
        call = reactor.clock.pop()
        assert call is not None
        call.func()
        self.assertEqual(self.passed, [])
        deadline.set(10)  # what was read brought the client forward
        reactor.advance(9)
        self.assertEqual(self.passed, [])
        reactor.advance(1)
        self.assertEqual(self.passed, [40])

    def test_after_two_stalls(self) -> None:
        """Each stall is made up for (OS-13)."""
        reactor = MemoryReactor()
        deadline = Deadline(reactor, lambda: self.passed.append(reactor.seconds()))
        for _ in range(2):
            deadline.set(10)
            reactor.clock.move_to(reactor.seconds() + 30)
            call = reactor.clock.pop()
            assert call is not None
            call.func()
            self.assertEqual(self.passed, [])
