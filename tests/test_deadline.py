# -*- test-case-name: tests.test_deadline -*-
"""A deadline that is moved often: it passes once, in time, and leaves no timer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.abstract import FileDescriptor
from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.deadline import Deadline
from slimtwist.testing import MemoryReactor


class Counting(MemoryReactor):
    """A reactor that counts the timers that were asked of it."""

    asked = 0

    def callLater(  # noqa: D102 - as in MemoryReactor
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - named so in IReactorTime
        *args: object,
        **kw: object,
    ) -> DelayedCall:
        self.asked += 1
        return super().callLater(delay, callable, *args, **kw)


class DeadlineTests(SynchronousTestCase):
    """When a deadline passes."""

    def setUp(self) -> None:
        """Begin with a deadline that is not set."""
        self.reactor = Counting()
        self.passed: list[float] = []
        self.deadline = Deadline(self.reactor, lambda: self.passed.append(self.reactor.seconds()))

    def test_passes(self) -> None:
        """It passes once, when its time has come, and leaves no timer."""
        self.deadline.set(5)
        self.reactor.advance(4.99)
        self.assertEqual(self.passed, [])
        self.reactor.advance(0.01)
        self.assertEqual(self.passed, [5])
        self.assertFalse(self.reactor.leftovers())
        self.reactor.advance(100)
        self.assertEqual(self.passed, [5])

    def test_never_set(self) -> None:
        """Without being set it has no timer."""
        self.assertFalse(self.reactor.leftovers())
        self.deadline.clear()
        self.deadline.close()
        self.assertFalse(self.reactor.leftovers())

    def test_moved_away(self) -> None:
        """L7: who sets it anew moves it, and only that; many moves cost few timers."""
        for _ in range(1000):
            self.deadline.set(5)
            self.reactor.advance(1)
        self.assertEqual(self.passed, [])
        self.reactor.advance(5)
        self.assertEqual(self.passed, [999 + 5])
        self.assertLess(self.reactor.asked, 500)

    def test_moved_nearer(self) -> None:
        """A shorter wait holds, although the timer was set for a longer one."""
        self.deadline.set(100)
        self.reactor.advance(1)
        self.deadline.set(2)
        self.reactor.advance(10)
        self.assertEqual(self.passed, [3])
        self.assertFalse(self.reactor.leftovers())

    def test_cleared(self) -> None:
        """Cleared it does not pass; set anew it does."""
        self.deadline.set(5)
        self.reactor.advance(4)
        self.deadline.clear()
        self.reactor.advance(10)
        self.assertEqual(self.passed, [])
        self.assertFalse(self.reactor.leftovers())
        self.deadline.set(5)
        self.reactor.advance(10)
        self.assertEqual(self.passed, [19])

    def test_cleared_and_set(self) -> None:
        """Set anew before its timer has run, it waits for the new time."""
        for wait, passed in ((3, 5), (7, 9)):
            self.passed.clear()
            begun = self.reactor.seconds()
            self.deadline.set(5)
            self.reactor.advance(2)
            self.deadline.clear()
            self.deadline.set(wait)
            self.reactor.advance(20)
            self.assertEqual(self.passed, [begun + passed])

    def test_closed(self) -> None:
        """OS-14: closed it leaves no timer, at whatever moment."""
        for moment in (0, 2, 5, 7):
            self.deadline.set(5)
            self.reactor.advance(moment)
            self.deadline.close()
            self.assertFalse(self.reactor.leftovers())
            self.deadline.close()
        self.assertEqual(len(self.passed), 2)

    def test_at_once(self) -> None:
        """No time at all is a turn of the reactor, not a call from within."""
        self.deadline.set(0)
        self.assertEqual(self.passed, [])
        self.reactor.flush()
        self.assertEqual(self.passed, [0])

    def test_set_when_it_passes(self) -> None:
        """Whoever is called may set it again, or close it."""
        again = [3.0, 4.0]

        def passed() -> None:
            self.passed.append(self.reactor.seconds())
            if again:
                deadline.set(again.pop(0))
            else:
                deadline.close()

        deadline = Deadline(self.reactor, passed)
        deadline.set(5)
        self.reactor.advance(100)
        self.assertEqual(self.passed, [5, 8, 12])
        self.assertFalse(self.reactor.leftovers())

    def test_whatever_is_done(self) -> None:
        """A hundred random uses: it passes when it was last set for, and at no other time."""
        random = Random(5)
        for _ in range(100):
            due: float | None = None
            self.passed.clear()
            for _ in range(random.randrange(1, 12)):
                if random.random() < 0.2:
                    self.deadline.clear()
                    due = None
                else:
                    wait = random.choice([0.5, 1.0, 2.0, 3.0])
                    self.deadline.set(wait)
                    due = self.reactor.seconds() + wait
                step = random.choice([0.0, 0.25, 0.75])
                if due is not None and self.reactor.seconds() + step >= due:
                    break
                self.reactor.advance(step)
                self.assertEqual(self.passed, [])
            self.reactor.advance(10)
            self.assertEqual(self.passed, [] if due is None else [due])
            self.assertFalse(self.reactor.leftovers())


class StallTests(SynchronousTestCase):
    """OS-13: the program was busy beyond a deadline."""

    def setUp(self) -> None:
        """Begin with a deadline in 5 s, and a stall of a minute from 4 s on."""
        self.reactor = MemoryReactor()
        self.passed: list[float] = []
        self.deadline = Deadline(self.reactor, lambda: self.passed.append(self.reactor.seconds()))
        self.deadline.set(5)
        self.reactor.callLater(4, self.reactor.clock.move_to, 64)

    def test_nothing_came(self) -> None:
        """It passes when the program is back."""
        self.reactor.advance(100)
        self.assertEqual(self.passed, [64])

    def test_answered_in_the_turn(self) -> None:
        """It is moved or cleared by what is read in the turn that it gives; then it waits anew."""
        self.reactor.callLater(4.5, lambda: self.reactor.callLater(0, self.deadline.set, 5))
        self.reactor.advance(100)
        self.assertEqual(self.passed, [69])
        self.assertFalse(self.reactor.leftovers())

    def test_cleared_in_the_turn(self) -> None:
        """Cleared in that turn, it does not pass."""
        self.reactor.callLater(4.5, lambda: self.reactor.callLater(0, self.deadline.clear))
        self.reactor.advance(100)
        self.assertEqual(self.passed, [])

    def test_closed_in_the_turn(self) -> None:
        """Closed in that turn, it leaves nothing."""
        self.reactor.callLater(4.5, lambda: self.reactor.callLater(0, self.deadline.close))
        self.reactor.advance(100)
        self.assertEqual(self.passed, [])
        self.assertFalse(self.reactor.leftovers())


class RealReactorTests(TestCase):
    """OS-13 with Twisted's own reactor, whose order of events counts."""

    def test_sockets_first(self) -> Deferred[None]:
        """What has come on a socket while the program was busy is read before it passes."""
        clock: Any = reactor
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        events: list[str] = []
        done: Deferred[list[str]] = Deferred()

        class Reader(FileDescriptor):
            def fileno(self) -> int:
                return ours.fileno()

            def doRead(self) -> None:
                events.append(ours.recv(100).decode())
                self.stopReading()

        def passed() -> None:
            events.append("passed")
            done.callback(events)

        def stall() -> None:
            theirs.send(b"in time")
            time.sleep(0.2)

        reader = Reader()
        reader.startReading()
        deadline = Deadline(clock, passed)
        deadline.set(0.1)
        clock.callLater(0.05, stall)

        def check(events: list[str]) -> None:
            ours.close()
            theirs.close()
            self.assertEqual(events, ["in time", "passed"])

        checked: Deferred[None] = done.addCallback(check)
        return checked
