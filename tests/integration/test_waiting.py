# -*- test-case-name: tests.integration.test_waiting -*-
"""Waiting ends when the thing is there, and in bounded time when it is not."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.waiting import NotInTimeError, until


class UntilTests(SynchronousTestCase):
    """L{until} on a virtual clock."""

    def test_there(self) -> None:
        """What is there already is not waited for."""
        self.assertEqual(self.successResultOf(until(lambda: "it", "it", clock=Clock())), "it")

    def test_comes(self) -> None:
        """What comes later is returned, and no timer is left."""
        clock, come = Clock(), list[str]()
        waiting = until(lambda: come, "it", clock=clock)
        clock.pump([0.1] * 5)
        self.assertNoResult(waiting)
        come.append("it")
        clock.advance(0.1)
        self.assertEqual(self.successResultOf(waiting), ["it"])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_never(self) -> None:
        """What does not come is a failed assertion that says what it was."""
        clock = Clock()
        waiting = until(lambda: 0, "five messages", within=2.0, clock=clock)
        clock.pump([0.1] * 25)
        failure = self.failureResultOf(waiting, NotInTimeError)
        self.assertEqual(failure.getErrorMessage(), "five messages: not within 2 seconds")
        self.assertIsInstance(failure.value, self.failureException)

    def test_error(self) -> None:
        """An error while looking ends the wait."""
        self.failureResultOf(until(lambda: 1 // 0, "it", clock=Clock()), ZeroDivisionError)
