# -*- test-case-name: tests.test_pool -*-
"""Tests of pools: whose turn it is, how many connections there are, and that none gets lost.

Thousands at once, and the end, are in L{tests.test_pool_ends}.
"""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionFailed,
    TransientRelayError,
)
from slimtwist.outcome import Report
from slimtwist.pool import Pool
from slimtwist.smtp.connection import Stale
from tests.pools import DIED, DONE, Line, PoolCase, message


class PoolTests(PoolCase):
    """How many connections there are, whose turn it is, and what failures lead to."""

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


def error_text(error: TransientRelayError) -> str:
    """Return what follows the text of the fault."""
    return error.outcome.reply.text.partition(": ")[2]
