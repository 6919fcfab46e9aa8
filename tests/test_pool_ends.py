# -*- test-case-name: tests.test_pool_ends -*-
"""Tests of pools with thousands of messages, of their end, and of anything in any order."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionFailed,
    RelayError,
    TransientRelayError,
)
from slimtwist.outcome import Report
from slimtwist.pool import Pool
from slimtwist.smtp.connection import Stale
from slimtwist.testing import MemoryReactor
from tests.pools import DIED, DONE, Line, PoolCase, message


class ManyTests(PoolCase):
    """Thousands at once."""

    def test_many_that_fail_at_once(self) -> None:
        """Ten thousand wait for a host that refuses without a moment's wait (POOL-06)."""

        async def open_one() -> Line:
            raise ConnectionFailed.at("refused")

        blocked = Line()
        opened: list[Line] = [blocked]

        async def open_first() -> Line:
            return opened.pop() if opened else await open_one()

        pool = Pool(open_first, 1)
        first = pool.deliver(message())
        done = [pool.deliver(message()) for _ in range(10_000)]
        blocked.end(ConnectionFailed.at("lost"), dies=True)
        for each in (first, *done):
            self.failureResultOf(each, ConnectionFailed)
        self.assertTrue(pool.unused)

    def test_many_that_end_at_once(self) -> None:
        """Ten thousand are carried over one connection without a moment's wait."""

        class Hasty(Line):
            def deliver(self, envelope: Envelope) -> Deferred[Report]:
                self.uses += 1
                self.on_change()
                return succeed(DONE)

        async def open_one() -> Line:
            return await begun

        begun: Deferred[Line] = Deferred()
        pool = Pool(open_one, 1)
        done = [pool.deliver(message()) for _ in range(10_000)]
        begun.callback(Hasty())
        self.assertEqual({self.successResultOf(each) for each in done}, {DONE})

    def test_callbacks_that_ask_again(self) -> None:
        """Who is told may ask for the next message at once."""
        pool = self.pool()
        left = [3000]

        def again(_: object) -> None:
            if left[0]:
                left[0] -= 1
                pool.deliver(message()).addBoth(again)

        pool.deliver(message()).addBoth(again)
        while self.opening:
            self.opening.pop(0).errback(ConnectionFailed.at("refused"))
        self.assertEqual(left, [0])
        self.assertTrue(pool.unused)


class StopTests(PoolCase):
    """The end of a pool."""

    def test_stop(self) -> None:
        """New messages are refused, the others end, then the connections do."""
        pool = self.pool(2)
        done = self.deliver(pool, 1, 2, 3)
        self.opened(), self.opened()
        stopped = [pool.stop(), pool.stop()]
        refused = self.failureResultOf(pool.deliver(message()), TransientRelayError).value
        self.assertEqual(str(refused.outcome.reply), "451 4.0.0 deferred: shutting down")
        for line in self.lines:
            line.end()
        self.assertFalse(any(line.leaving for line in self.lines))  # one still carries the third
        self.lines[0].end()
        self.assertTrue(all(line.leaving for line in self.lines))
        self.assertEqual([self.successResultOf(each) for each in done], [DONE] * 3)
        self.assertNoResult(stopped[0])
        self.lines[0].close()
        self.assertNoResult(stopped[0])
        self.lines[1].close()
        for each in (*stopped, pool.stop()):
            self.successResultOf(each)

    def test_stop_while_opening(self) -> None:
        """A connection that nobody waits for any more is given up."""
        pool = self.pool()
        [done] = self.deliver(pool, 1)
        done.cancel()
        self.failureResultOf(done, AttemptCancelled)
        self.successResultOf(pool.stop())

    def test_stop_when_cancelled(self) -> None:
        """The last to wait may leave by being cancelled."""
        pool = self.pool()
        [done] = self.deliver(pool, 1)
        stopped = pool.stop()
        self.assertNoResult(stopped)
        done.cancel()
        self.failureResultOf(done, AttemptCancelled)
        self.successResultOf(stopped)

    def test_stop_with_a_dead_host(self) -> None:
        """Those who wait are served to the end, whatever that is."""
        pool = self.pool()
        first, second = self.deliver(pool, 1, 2)
        stopped = pool.stop()
        for done in (first, second):
            self.opening.pop(0).errback(ConnectionFailed.at("refused"))
            self.failureResultOf(done, ConnectionFailed)
        self.successResultOf(stopped)

    def test_stop_many(self) -> None:
        """A thousand idle connections are closed without a recursion for each."""
        pool = self.pool(1000)
        self.deliver(pool, *range(1000))
        for _ in range(1000):
            self.opened()
        for line in self.lines:
            line.end()
        stopped = pool.stop()
        for line in self.lines:
            line.close()
        self.successResultOf(stopped)


class ChaosTests(SynchronousTestCase):
    """Anything at any time, the same way every time."""

    def test_any_order(self) -> None:
        """After many random deeds nothing is in use, nobody waits, each has one end (POOL-07)."""
        for seed in range(20):
            Chaos(self, seed).run(4000)


class Chaos:
    """A pool, and somebody who does anything to it; all numbers come from one source."""

    def __init__(self, case: SynchronousTestCase, seed: int) -> None:
        self.case = case
        self.random = Random(seed)
        self.reactor = MemoryReactor()
        self.size = self.random.randint(1, 8)
        self.pool = Pool(self.open_one, self.size)
        self.lines: list[Line] = []
        self.waiting: list[Deferred[Report]] = []
        self.ends: list[int] = []
        self.running_at_once: dict[str, int] = {}

    async def open_one(self) -> Line:
        """Open, or fail, at once or later."""
        if self.random.random() < 0.5:
            await deferLater(self.reactor, self.random.random() * 3)
        if self.random.random() < 0.2:
            raise ConnectionFailed.at("refused")
        line = Line(most=self.random.choice([0, 1, 3, 100, 1000]))
        self.lines.append(line)
        return line

    def run(self, deeds: int) -> None:
        """Do so many things, then let all come to an end."""
        for _ in range(deeds):
            self.deed()
            self.check()
        stopped = self.pool.stop()
        for _ in range(100_000):
            if self.pool.unused:
                break
            self.move()
            self.reactor.advance(0.1)
        self.case.successResultOf(stopped)
        self.case.assertEqual(self.ends, [1] * len(self.ends))
        self.case.assertFalse(self.reactor.leftovers())
        self.case.assertEqual(repr(self.pool), "<Pool 0 open, 0 opening, 0 running, 0 waiting>")

    def deed(self) -> None:
        """Ask, cancel, or let something happen."""
        chance = self.random.random()
        if chance < 0.4:
            self.ask()
        elif chance < 0.55 and self.waiting:
            self.waiting.pop(self.random.randrange(len(self.waiting))).cancel()
        elif chance < 0.6:
            self.reactor.advance(self.random.random())
        else:
            self.move()

    def ask(self) -> None:
        """Give a message to the pool."""
        number = len(self.ends)
        self.ends.append(0)
        done = self.pool.deliver(message(number))
        self.waiting.append(done)
        done.addBoth(self.ended, number)

    def ended(self, result: Report | Failure, number: int) -> None:
        """Count an end."""
        self.ends[number] += 1
        if isinstance(result, Failure):
            self.case.assertIsInstance(result.value, RelayError | ZeroDivisionError)

    def move(self) -> None:
        """Let one connection do something."""
        lines = [line for line in self.lines if not line.closed]
        if not lines:
            return
        line = self.random.choice(lines)
        if line.running is None:
            line.close() if line.leaving or self.random.random() < 0.2 else line.on_change()
            return
        results: list[Report | Exception] = [DONE, DONE, DONE, Stale(DIED), ZeroDivisionError()]
        result = self.random.choice(results)
        line.end(result, dies=not isinstance(result, Report))

    def check(self) -> None:
        """Check what must hold at any time."""
        there = [line for line in self.lines if not line.closed]
        self.case.assertLessEqual(sum(not line.leaving for line in there), self.size)
        self.case.assertLessEqual(len(there), 2 * self.size)
        self.lines = there
