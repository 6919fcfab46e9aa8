# -*- test-case-name: tests.smtp.test_connection -*-
"""Tests of a connection that carries one message after another.

When a message needs another connection is in L{tests.smtp.test_connection_stale}, what becomes of
messages that take long, or are cancelled, in L{tests.smtp.test_connection_turns}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.limits import Limits, Timeouts
from slimtwist.testing import (
    Body,
    Close,
    Ended,
    Reset,
    Send,
    Silence,
    Stall,
    Wait,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.plays import READY, REFUSED, TAKEN, Kept
from tests.smtp.talks import USUAL, envelope, group


class ReuseTests(SynchronousTestCase):
    """One message after another."""

    def test_one(self) -> None:
        """While it carries a message there is no room; then there is again."""
        kept = Kept([*group(), *READY, Body(), Wait(1), "S: 250 taken"])
        self.assertEqual(kept.connection.room(), 1)
        running = kept.connection.deliver(envelope())
        self.assertEqual((kept.connection.room(), kept.connection.uses), (0, 1))
        kept.reactor.advance(2)
        self.assertEqual(len(self.successResultOf(running)), 1)
        self.assertEqual((kept.connection.room(), kept.rooms), (1, [1]))
        self.assertIn("idle uses=1", repr(kept.connection))
        self.assertFalse(kept.connection.leaving)

    def test_many(self) -> None:
        """After a message that was taken, the next follows without RSET."""
        kept = Kept([*TAKEN, *TAKEN])
        self.assertEqual(kept.deliver(), ["250 2.0.0 taken (end of data)"])
        self.assertEqual(kept.deliver(), ["250 2.0.0 taken (end of data)"])
        kept.peer.verify()

    def test_reset(self) -> None:
        """After one that was refused, RSET; nobody waits for its reply.

        Also at its end: a Postfix does not forget whom its end-of-data restrictions have refused.
        """
        for refused in (
            REFUSED,
            [*group(), *READY[:2], "S: 451 4.3.0 no"],
            [*group(), *READY, Body(), "S: 550 5.6.0 no"],
        ):
            kept = Kept([*refused, "C: RSET", Wait(19), "S: 250 ok", *TAKEN])
            self.assertEqual(len(kept.deliver()), 1)
            self.assertEqual((kept.reactor.seconds(), kept.connection.room()), (0, 0))
            self.assertEqual(kept.rooms, [])
            kept.reactor.advance(19)
            self.assertEqual((kept.connection.room(), kept.rooms), (1, [1]))
            self.assertEqual(kept.deliver(), ["250 2.0.0 taken (end of data)"])
            kept.peer.verify()

    def test_nothing_to_reset(self) -> None:
        """A message that was not even offered leaves nothing to reset (PEER-38)."""
        kept = Kept([Silence()], "SIZE 10")
        self.assertIn("552 5.3.4", kept.deliver()[0])
        self.assertEqual(kept.connection.room(), 1)
        self.assertNotIn("C: RSET", kept.peer.transcript)

    def test_reset_refused(self) -> None:
        """Who does not take RSET is not used again; what was delivered stays so (PEER-34)."""
        for answer, seconds in (
            ("S: 451 no", 0),
            ("S: 550 no", 0),
            ("S: 354 what", 0),
            ("S: garbage", 0),
            (Close(), 0),
            (Reset(), 0),
            (Stall(), 20),
        ):
            kept = Kept([*REFUSED, "C: RSET", answer])
            self.assertEqual(kept.deliver(), ["550 5.1.1 no (RCPT)"])
            kept.reactor.advance(seconds)
            self.assertEqual(kept.connection.room(), 0)
            self.assertTrue(kept.connection.closed, answer)
            self.assertEqual(kept.left, ())

    def test_goodbye_after_a_message(self) -> None:
        """421, an end, or anything else after the reply ends it, not the outcome (POOL-05)."""
        for after in (
            Send(b"421 4.3.2 bye\r\n"),
            Send(b"250 more\r\n"),
            Send(b"x"),
            Close(),
            Reset(),
        ):
            for pause in (Wait(0), Wait(7)):
                kept = Kept([*TAKEN, pause, after])
                self.assertEqual(kept.deliver(), ["250 2.0.0 taken (end of data)"])
                kept.reactor.advance(8)
                self.assertEqual(kept.connection.room(), 0)
                kept.reactor.flush()
                self.assertEqual(kept.left, ())
                self.assertTrue(kept.connection.closed)
                self.assertEqual(kept.rooms[-1], 0)


class EndTests(SynchronousTestCase):
    """How a connection ends."""

    def test_idle(self) -> None:
        """Unused for 60 seconds it says QUIT, and nobody is given to it any more (POOL-11)."""
        for used in (False, True):
            kept = Kept([*(TAKEN if used else ()), "C: QUIT", "S: 221 bye", Close()])
            if used:
                kept.deliver()
            kept.reactor.advance(59.5)
            self.assertEqual(kept.connection.room(), 1)
            kept.reactor.advance(0.5)
            self.assertEqual(kept.connection.room(), 0)
            self.assertTrue(kept.connection.closed)
            kept.peer.verify()
            self.assertEqual(kept.left, ())

    def test_idle_is_not_slow(self) -> None:
        """One that carries a message for longer than that is not idle."""
        kept = Kept([*group(), *READY, Body(), Wait(100), "S: 250 taken"])
        kept.reactor.advance(29)
        kept.deliver()
        self.assertEqual(kept.connection.room(), 1)
        kept.reactor.advance(59)
        self.assertEqual(kept.connection.room(), 1)

    def test_unanswered_quit(self) -> None:
        """Five seconds after an unanswered QUIT it is cut; it was of no use before (PEER-35)."""
        for after in (Stall(), Reset(), Close(), Send(b"500 what\r\n")):
            kept = Kept(["C: QUIT", after])
            kept.reactor.advance(60)
            self.assertTrue(kept.connection.leaving)
            self.assertEqual(kept.connection.closed, not isinstance(after, Stall))
            kept.reactor.advance(5)
            self.assertTrue(kept.connection.closed)
            self.assertEqual(kept.left, ())

    def test_leaving_is_told(self) -> None:
        """It tells when it is of no more use, and when it is gone."""
        kept = Kept(["C: QUIT", Wait(1), Close()])
        seen: list[tuple[bool, bool]] = []
        connection = kept.connection
        connection.on_change = lambda: seen.append((connection.leaving, connection.closed))
        kept.reactor.advance(60)
        self.assertEqual(seen, [(True, False)])
        kept.reactor.advance(1)
        self.assertEqual(seen, [(True, False), (True, True)])

    def test_uses(self) -> None:
        """After so many messages it ends, at once (POOL-08)."""
        kept = Kept(FakeSmarthost(), limits=Limits(uses=3))
        for number in range(3):
            self.assertEqual((kept.connection.room(), kept.connection.uses), (1, number))
            kept.deliver()
        self.assertEqual((kept.connection.room(), kept.rooms[:3]), (0, [1, 1, 0]))
        kept.reactor.flush()
        self.assertTrue(kept.connection.closed)
        self.assertEqual(kept.peer.sessions[0].commands[-1], "QUIT")

    def test_mailmax(self) -> None:
        """The host's own limit counts, if it is lower (PEER-40, POOL-08)."""
        for limit, most in (("MAILMAX=2", 2), ("MAILMAX=9", 3), ("MAILMAX=x", 3), ("MAILMAX=0", 3)):
            host = FakeSmarthost(extensions=(*USUAL, f"LIMITS {limit}"))
            kept = Kept(host, limits=Limits(uses=3))
            for _ in range(most):
                self.assertEqual(kept.connection.room(), 1)
                kept.deliver()
            self.assertTrue(kept.connection.leaving)

    def test_age(self) -> None:
        """Nobody waits for one that is too old: it ends at that moment, idle or not (POOL-08)."""
        kept = Kept(FakeSmarthost(), timeouts=Timeouts(age=70))
        kept.reactor.advance(30)
        kept.deliver()
        kept.reactor.advance(39)
        self.assertEqual(kept.connection.room(), 1)
        kept.reactor.advance(1)
        self.assertTrue(kept.connection.closed)
        host = FakeSmarthost({".": (Wait(80), "250 taken")})
        kept = Kept(host, timeouts=Timeouts(age=70))
        self.assertEqual(kept.deliver(), ["250 2.0.0 taken (end of data)"])
        self.assertTrue(kept.connection.leaving)
        kept = Kept(FakeSmarthost(), timeouts=Timeouts(age=20))
        kept.reactor.advance(20)
        self.assertTrue(kept.connection.closed)

    def test_retired_while_busy(self) -> None:
        """It ends when its message has; a busy one is never told QUIT."""
        kept = Kept(
            [*group(), *READY, Body(), Wait(5), Silence(), "S: 250 taken", "C: QUIT", Close()]
        )
        running = kept.connection.deliver(envelope())
        kept.reactor.flush()
        kept.connection.retire()
        self.assertFalse(kept.connection.leaving)
        kept.reactor.advance(5)
        self.successResultOf(running)
        self.assertTrue(kept.connection.closed)
        kept.peer.verify()
        kept = Kept([*REFUSED, "C: RSET", Wait(5), Silence(), "S: 250 ok", "C: QUIT", Close()])
        kept.deliver()
        kept.connection.retire()
        kept.reactor.advance(5)
        kept.peer.verify()
        self.assertTrue(kept.connection.closed)

    def test_error(self) -> None:
        """A fault of ours ends the connection, and is told (POOL-14)."""
        kept = Kept([Ended()])

        class Odd(Envelope):
            @property
            def needs_smtputf8(self) -> bool:
                raise ZeroDivisionError

        message = envelope()
        odd = Odd(message.sender, message.recipients, message.content)
        self.assertRaises(ZeroDivisionError, kept.deliver, odd)
        kept.reactor.flush()
        self.assertTrue(kept.connection.closed)
        self.assertEqual(kept.left, ())
