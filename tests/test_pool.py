# -*- test-case-name: tests.test_pool -*-
"""Tests of pools: whose turn it is, how many connections there are, and that none gets lost."""

from __future__ import annotations

from collections.abc import Callable
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
    fault_outcome,
)
from slimtwist.outcome import Outcome, Report
from slimtwist.pool import Pool
from slimtwist.reply import Reply
from slimtwist.smtp.connection import Stale
from slimtwist.testing import MemoryReactor

DONE = Report((Outcome.of(Reply.parse("250 2.0.0 done")),))
DIED = Report((fault_outcome("lost", "it died"),))


def message(number: int = 0) -> Envelope:
    """Return a message that tells its number by its recipient."""
    return Envelope.parse("a@example.org", [f"r{number}@example.net"], b"")


class Line:
    """A connection that a test moves by hand.

    @ivar carried: the messages it was given.
    @ivar running: the message that it carries now.
    """

    def __init__(self, most: int = 1_000_000) -> None:
        """Be ready."""
        self.uses = 0
        self.on_change: Callable[[], None] = lambda: None
        self.leaving = self.closed = self.retired = False
        self.most = most
        self.carried: list[str] = []
        self.running: Deferred[Report] | None = None

    def room(self) -> int:
        """Take one at a time."""
        return int(not (self.running or self.leaving or self.uses >= self.most))

    def deliver(self, envelope: Envelope) -> Deferred[Report]:
        """Begin to carry."""
        assert self.room(), "a message for a connection without room"
        self.uses += 1
        self.carried.append(str(envelope.recipients[0].address))
        self.running = Deferred(lambda _: self.end(AttemptCancelled.at("")))
        return self.running

    def end(self, result: Report | Exception = DONE, *, dies: bool = False) -> None:
        """End what it carries: as a connection does, it tells of its room first."""
        running, self.running = self.running, None
        assert running is not None
        self.uses += 1_000_000 * dies
        if self.retired or self.uses >= self.most:
            self.leaving = True
        self.on_change()
        running.callback(result) if isinstance(result, Report) else running.errback(result)
        if dies:
            self.close()

    def retire(self) -> None:
        """Take no more."""
        self.retired = True
        if not self.running and not self.leaving:
            self.leaving = True
            self.on_change()

    def close(self) -> None:
        """Be gone."""
        self.leaving = self.closed = True
        self.on_change()


class PoolTests(SynchronousTestCase):
    """A pool whose connections are opened and used by hand."""

    def setUp(self) -> None:
        """Have no connection."""
        self.opening: list[Deferred[Line]] = []
        self.lines: list[Line] = []

    def pool(self, size: int = 1) -> Pool:
        """Return a pool whose connections come when L{opened} is called."""

        async def open_one() -> Line:
            opening: Deferred[Line] = Deferred()
            self.opening.append(opening)
            return await opening

        return Pool(open_one, size)

    def opened(self, line: Line | None = None) -> Line:
        """Let the connection that was begun first be there."""
        line = line or Line()
        self.lines.append(line)
        self.opening.pop(0).callback(line)
        return line

    def deliver(self, pool: Pool, *numbers: int) -> list[Deferred[Report]]:
        """Give messages with these numbers to a pool."""
        return [pool.deliver(message(number)) for number in numbers]

    # How many connections

    def test_size(self) -> None:
        """There are never more connections than wanted, those being opened included."""
        pool = self.pool(3)
        self.deliver(pool, 1, 2)
        self.assertEqual(len(self.opening), 2)
        self.deliver(pool, 3, 4, 5)
        self.assertEqual(len(self.opening), 3)
        self.assertEqual(repr(pool), "<Pool 0 open, 3 opening, 0 running, 5 waiting>")
        self.opened()
        self.assertEqual(repr(pool), "<Pool 1 open, 2 opening, 1 running, 4 waiting>")
        self.opened()
        self.opened()
        self.assertEqual(self.opening, [])
        self.assertEqual(repr(pool), "<Pool 3 open, 0 opening, 3 running, 2 waiting>")
        for size in (0, -1):
            self.assertRaises(ValueError, self.pool, size)

    def test_reuse(self) -> None:
        """An idle connection is used again, and no other is opened beside it."""
        pool = self.pool(9)
        for number in range(5):
            done = pool.deliver(message(number))
            (self.opened() if not number else self.lines[0]).end()
            self.assertEqual(self.successResultOf(done), DONE)
        self.assertEqual((len(self.lines), self.opening), (1, []))

    def test_closed_ones_make_room(self) -> None:
        """A connection that ended is replaced when somebody waits, and only then (POOL-01 a)."""
        pool = self.pool()
        self.deliver(pool, 1)
        line = self.opened()
        line.end()
        line.close()
        self.assertEqual(self.opening, [])
        self.assertEqual(repr(pool), "<Pool 0 open, 0 opening, 0 running, 0 waiting>")
        self.deliver(pool, 2)
        self.assertEqual(len(self.opening), 1)

    def test_leaving_ones_make_room(self) -> None:
        """Nobody waits for a connection that says goodbye; but there is an end to such ones."""
        pool = self.pool(2)
        done = self.deliver(pool, *range(9))
        self.opened(Line(most=1))
        self.opened(Line(most=1))
        self.lines[0].end()
        self.lines[1].end()
        self.assertEqual(len(self.opening), 2)
        self.opened(Line(most=1)).end()
        self.opened(Line(most=1)).end()
        self.assertEqual([len(self.opening), len(self.lines)], [0, 4])
        self.lines[2].close()
        self.assertEqual(len(self.opening), 1)
        self.assertEqual([self.successResultOf(each) for each in done[:4]], [DONE] * 4)

    def test_no_room_at_once(self) -> None:
        """A new connection without room is one message's failure, not asked for again and again."""
        pool = self.pool()
        first, second = self.deliver(pool, 1, 2)
        for done in (first, second):
            line = self.opened(Line(most=0))
            self.assertTrue(line.retired)
            error = self.failureResultOf(done, TransientRelayError).value
            self.assertEqual(str(error.outcome.reply), "451 4.0.0 deferred: " + error_text(error))
            line.close()
        self.assertEqual(self.opening, [])

    # Whose turn

    def test_first_come(self) -> None:
        """First come, first served, whichever connection has room (POOL-06)."""
        pool = self.pool(3)
        self.deliver(pool, *range(30))
        lines = [self.opened() for _ in range(3)]
        random = Random(3)
        served = [0, 1, 2]
        while len(served) < 30:
            line = random.choice(lines)
            line.end()
            served.append(int(line.carried[-1][1:].partition("@")[0]))
        self.assertEqual(served, list(range(30)))

    def test_cancelled_while_waiting(self) -> None:
        """Who is cancelled leaves the line, nothing was sent for him; the others move up."""
        pool = self.pool()
        first, second, third = self.deliver(pool, 1, 2, 3)
        second.cancel()
        error = self.failureResultOf(second, AttemptCancelled).value
        self.assertEqual((error.ambiguous, error.outcome.command), (False, "connect"))
        line = self.opened()
        line.end()
        line.end()
        self.assertEqual(line.carried, ["r1@example.net", "r3@example.net"])
        self.assertEqual([self.successResultOf(each) for each in (first, third)], [DONE, DONE])

    def test_cancelled_while_running(self) -> None:
        """The connection is told, and says how it ended (POOL-07)."""
        pool = self.pool()
        [done] = self.deliver(pool, 1)
        line = self.opened()
        done.cancel()
        self.failureResultOf(done, AttemptCancelled)
        self.assertIsNone(line.running)
        self.assertIn("0 running", repr(pool))

    def test_cancelled_while_opening(self) -> None:
        """The connection that was begun for him serves the next."""
        pool = self.pool()
        [first] = self.deliver(pool, 1)
        first.cancel()
        self.failureResultOf(first, AttemptCancelled)
        [second] = self.deliver(pool, 2)
        self.assertEqual(len(self.opening), 1)
        self.opened().end()
        self.successResultOf(second)

    # Failures

    def test_failure_to_open(self) -> None:
        """It is the outcome of one message; the next tries for itself."""
        pool = self.pool()
        first, second = self.deliver(pool, 1, 2)
        error = ConnectionFailed.at("refused")
        self.opening.pop(0).errback(error)
        self.assertIs(self.failureResultOf(first, ConnectionFailed).value, error)
        self.assertNoResult(second)
        self.opened().end()
        self.successResultOf(second)

    def test_error_while_opening(self) -> None:
        """What is no error of ours becomes one; nothing was sent, so it is not ambiguous."""
        pool = self.pool()
        [done] = self.deliver(pool, 1)
        self.opening.pop(0).errback(ZeroDivisionError())
        error = self.failureResultOf(done, TransientRelayError).value
        self.assertEqual(
            (str(error.outcome.reply), error.ambiguous),
            ("451 4.3.0 internal error: ZeroDivisionError", False),
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_error_of_one_message(self) -> None:
        """A message's error is its own (L10, POOL-14)."""
        pool = self.pool()
        first, second = self.deliver(pool, 1, 2)
        self.opened().end(ZeroDivisionError(), dies=True)
        self.failureResultOf(first, ZeroDivisionError)
        self.opened().end()
        self.successResultOf(second)
        self.assertIn("0 running, 0 waiting", repr(pool))

    def test_stale(self) -> None:
        """Who met a dead connection is first in the line for a new one (POOL-01)."""
        pool = self.pool(2)
        done = self.deliver(pool, 1, 2, 3)
        self.opened(), self.opened()
        self.lines[0].end(Stale(DIED), dies=True)
        # The other becomes free: a used one is for those who have not met a dead one.
        self.lines[1].end()
        self.assertEqual(self.lines[1].carried[1:], ["r3@example.net"])
        self.assertEqual(self.opened().carried, ["r1@example.net"])
        self.lines[2].end()
        self.lines[1].end()
        self.assertEqual([self.successResultOf(each) for each in done], [DONE] * 3)

    def test_stale_again(self) -> None:
        """There is no third try: the second says how it ends (POOL-03)."""
        pool = self.pool()
        first, second = self.deliver(pool, 1, 2)
        self.opened().end(Stale(DIED), dies=True)
        self.assertNoResult(first)
        self.opened().end(Stale(DIED), dies=True)
        self.assertEqual(self.successResultOf(first), DIED)
        self.opened().end(Stale(DIED), dies=True)
        self.assertNoResult(second)
        self.assertEqual(len(self.opening), 1)

    def test_stale_and_cancelled(self) -> None:
        """Who waits for his second connection can be cancelled."""
        pool = self.pool()
        [done] = self.deliver(pool, 1)
        self.opened().end(Stale(DIED), dies=True)
        done.cancel()
        self.failureResultOf(done, AttemptCancelled)
        self.assertIn("0 running, 0 waiting", repr(pool))
        self.opened()
        [other] = self.deliver(pool, 2)
        self.lines[1].end()
        self.successResultOf(other)

    def test_at_once(self) -> None:
        """Connections may end a message while it is given to them, also badly."""
        results: list[Report | Exception] = [DONE, Stale(DIED), DONE, ZeroDivisionError(), DONE]
        made: list[Line] = []

        class Hasty(Line):
            def deliver(self, envelope: Envelope) -> Deferred[Report]:
                running = super().deliver(envelope)
                result = results.pop(0)
                self.end(result, dies=not isinstance(result, Report))
                return running

        async def open_one() -> Line:
            made.append(Hasty())
            return made[-1]

        pool = Pool(open_one, 1)
        done = self.deliver(pool, 1, 2, 3, 4)
        self.assertEqual([self.successResultOf(each) for each in done[:2]], [DONE, DONE])
        self.failureResultOf(done[2], ZeroDivisionError)
        self.successResultOf(done[3])
        self.assertEqual([line.uses % 1_000_000 for line in made], [2, 2, 1])

    def test_at_once_and_cancelled(self) -> None:
        """Who met a dead connection at once, and waits for another, can be cancelled."""

        class Dead(Line):
            def deliver(self, envelope: Envelope) -> Deferred[Report]:
                running = super().deliver(envelope)
                self.end(Stale(DIED), dies=True)
                return running

        pool = self.pool()
        [done] = self.deliver(pool, 1)
        self.opened(Dead())
        done.cancel()
        self.failureResultOf(done, AttemptCancelled)
        self.assertIn("1 opening, 0 running, 0 waiting", repr(pool))

    # Many

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

    # Stopping

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


def error_text(error: TransientRelayError) -> str:
    """Return what follows the text of the fault."""
    return error.outcome.reply.text.partition(": ")[2]


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
