# -*- test-case-name: tests.smtp.test_connection_stale -*-
"""Tests of when a message needs another connection, and when it must not have one."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Report
from slimtwist.smtp.connection import Connection, Stale
from slimtwist.testing import (
    Body,
    Close,
    Ended,
    Octets,
    Reset,
    ScriptedPeer,
    Send,
    Silence,
    Stall,
    Wait,
)
from slimtwist.testing.steps import Step
from tests.smtp.plays import READY, TAKEN, Kept, told
from tests.smtp.talks import USUAL, envelope, group, hello, many


class StaleTests(SynchronousTestCase):
    """A connection that was of no use to a message."""

    def test_dead(self) -> None:
        """One that dies before it asks for the message, after it was used, is stale (POOL-01)."""
        for answers in range(3):
            for end in ([Close()], [Reset()], ["S: 421 4.3.2 bye", Close()]):
                kept = Kept([*TAKEN, *group(), *READY[:answers], *end])
                kept.deliver()
                self.assertRegex(kept.stale()[0], r"\A4(51 4\.4\.2|21 4\.3\.2) ")
                self.assertEqual(kept.left, ())
                self.assertTrue(kept.connection.closed)

    def test_dead_in_the_same_turn(self) -> None:
        """Also when its end was there before the message was given to it (POOL-01 b)."""
        for end in ([Close()], [Reset()], ["S: 421 4.3.2 bye", Close()]):
            kept = Kept([*TAKEN, Wait(3), *end])
            kept.deliver()
            kept.reactor.callLater(3, lambda: None)
            running: list[Deferred[Report]] = []
            kept.reactor.callLater(
                3,
                lambda kept=kept, running=running: running.append(
                    kept.connection.deliver(envelope())
                ),
            )
            kept.reactor.advance(3)
            self.failureResultOf(running[0], Stale)

    def test_new_one(self) -> None:
        """A new connection that dies is what became of the message (POOL-03)."""
        for answers in (0, 2):
            for end in ([Close()], [Reset()], ["S: 421 4.3.2 bye", Close()]):
                kept = Kept([*group(), *READY[:answers], *end])
                self.assertRegex(kept.deliver()[0], r"\A4(51 4\.4\.2|21 4\.3\.2) ")

    def test_unused_but_old(self) -> None:
        """One that was kept without being used may be stale as well."""
        kept = Kept([Wait(20), Close()])
        kept.reactor.advance(19)
        running = kept.connection.deliver(envelope())
        kept.reactor.advance(1)
        self.failureResultOf(running, Stale)

    def test_message_begun(self) -> None:
        """Once the host has asked for the message, there is no second try (L4)."""
        long = envelope(octets=b"x\r\n" * 100_000)
        for message, steps, ambiguous in (
            (long, [Octets(9), Close()], False),
            (long, [Octets(9), "S: 421 4.3.2 bye", Close()], False),
            (envelope(), [Body(), Close()], True),
            (envelope(), [Body(), "S: 421 4.3.2 bye", Close()], False),
        ):
            kept = Kept([*TAKEN, *group(), *READY, *steps])
            kept.deliver()
            [outcome] = kept.deliver(message)
            self.assertRegex(outcome, r"\A4(51 4\.4\.2|21 4\.3\.2) ")
            self.assertEqual(outcome.endswith("?"), ambiguous)

    def test_said_together(self) -> None:
        """What comes together with 354: 421 ends a connection, a refusal a message (PEER-28)."""
        script = [*TAKEN, *group(), *READY[:-1]]
        for reply in ("550 5.7.1 no", "450 4.7.1 later"):
            kept = Kept([*script, Send(f"354 go\r\n{reply}\r\n".encode()), Ended()])
            kept.deliver()
            self.assertEqual(kept.deliver(), [f"{reply} (DATA)"])
            self.assertEqual(kept.left, ())
            self.assertTrue(kept.connection.closed)
        kept = Kept([*script, Send(b"354 go\r\n421 4.3.2 bye\r\n"), Ended()])
        kept.deliver()
        self.assertEqual(kept.stale(), ["421 4.3.2 bye (DATA)"])

    def test_lmtp_goodbye(self) -> None:
        """After one recipient of an LMTP message was delivered, there is no second try (L4)."""
        script: list[str | Step] = [*group("r0@example.net", "r1@example.net")]
        script += [*["S: 250 ok"] * 3, "S: 354 go", Body()]
        hi: list[str | Step] = [*hello(*USUAL, verb="LHLO"), *TAKEN]
        peer = ScriptedPeer([*hi, *script, "S: 250 taken", "S: 421 4.3.2 bye", Close()])
        kept = Kept(peer, lmtp=True)
        kept.deliver()
        self.assertEqual(
            kept.deliver(many(2)),
            ["250 2.0.0 taken (end of data)", "421 4.3.2 bye (end of data)"],
        )

    def test_refused_and_lost(self) -> None:
        """A host that breaks the protocol, or is silent, is no dead connection."""
        for steps in (["S: nonsense", Ended()], [Stall()]):
            kept = Kept([*TAKEN, *group(), *steps])
            kept.deliver()
            self.assertRegex(kept.deliver()[0], r"\A451 4\.(5\.0|4\.2) .*\(MAIL\)\Z")

    def test_probe(self) -> None:
        """After 30 idle seconds it is asked by RSET whether it is there (POOL-04)."""
        for idle, asked in ((30, False), (31, True)):
            probe = ["C: RSET", "S: 250 ok"] if asked else []
            kept = Kept([*TAKEN, *probe, *TAKEN])
            kept.deliver()
            kept.reactor.advance(idle)
            self.assertEqual(kept.deliver(), ["250 2.0.0 taken (end of data)"])
            kept.peer.verify()

    def test_probe_without_answer(self) -> None:
        """Without a good answer within five seconds, it is stale (POOL-04)."""
        for answer, seconds in (
            (Stall(), 5),
            (Wait(10), 5),
            ("S: 451 no", 0),
            ("S: 500 no", 0),
            ("S: nonsense", 0),
            (Close(), 0),
            (Reset(), 0),
            ("S: 421 bye", 0),
            (Send(b"250 ok\r\n250 ok\r\n"), 0),
        ):
            for used in (True, False):
                kept = Kept([*(TAKEN if used else ()), "C: RSET", answer])
                if used:
                    kept.deliver()
                kept.reactor.advance(40)
                outcome = kept.stale(many(2))
                self.assertEqual(len(outcome), 2)
                self.assertRegex(outcome[0], r"\A4.*\(MAIL\)\Z")
                self.assertEqual(kept.reactor.seconds(), 40 + seconds)
                kept.reactor.flush()
                self.assertNotIn("C: MAIL FROM:<a@example.org>", kept.peer.transcript[9 * used :])
                self.assertTrue(kept.connection.closed)
                kept.reactor.advance(10)
                self.assertEqual(kept.left, ())

    def test_probe_cancelled(self) -> None:
        """Cancelled while it is asked, the attempt was not begun."""
        kept = Kept(["C: RSET", Stall()])
        kept.reactor.advance(40)
        running = kept.connection.deliver(envelope())
        kept.reactor.flush()
        running.cancel()
        error = self.failureResultOf(running, AttemptCancelled).value
        self.assertFalse(error.ambiguous)


class PipeliningLieTests(SynchronousTestCase):
    """Hosts that offer PIPELINING, and cannot do it."""

    def test_first_command_only(self) -> None:
        """Who drops what follows the first command is asked anew without (PEER-19)."""
        for end in (Stall(), Close(), Reset()):
            kept = Kept([*group(), "S: 250 ok", end])
            self.assertRegex(kept.stale()[0], r"\A451 4\.4\.2 .*\((RCPT|MAIL)\)\Z")
            self.assertTrue(kept.talk.connector.knows("pipelining broken"))
            self.assertEqual(kept.left, ())
            kept.reactor.advance(86_400)
            self.assertFalse(kept.talk.connector.knows("pipelining broken"))

    def test_done_before(self) -> None:
        """Who has taken a message in a group can do it, however a later one ends."""
        for end in (Close(), Reset()):
            kept = Kept([*TAKEN, *group(), "S: 250 ok", end])
            kept.deliver()
            kept.stale()
            self.assertFalse(kept.talk.connector.knows("pipelining broken"))
        kept = Kept([*TAKEN, *group(), "S: 250 ok", Stall()])
        kept.deliver()
        self.assertRegex(kept.deliver()[0], r"\A451 4\.4\.2 timed out.*\(RCPT\)\Z")
        self.assertFalse(kept.talk.connector.knows("pipelining broken"))

    def test_remembered(self) -> None:
        """A new connection to such a host is used in lock-step."""
        mail, rcpt, _ = group()
        kept = Kept([mail, Silence(), "S: 250 ok", rcpt, Silence(), "S: 550 5.1.1 no", "C: RSET"])
        kept.talk.connector.learn("pipelining broken")
        connection = Connection(kept.reactor, kept.talk.session, kept.talk.connector)
        report = kept.reactor.wait(connection.deliver(envelope()))
        self.assertEqual(told(report[0]), "550 5.1.1 no (RCPT)")
        kept.peer.verify()

    def test_not_a_lie(self) -> None:
        """One reply missing of many, or none at all, proves nothing (PEER-18)."""
        for answers in (0, 2):
            for end in (Stall(), Close()):
                kept = Kept([*group(), *READY[:answers], end])
                self.assertRegex(kept.deliver()[0], r"\A451 4\.4\.2 ")
                self.assertFalse(kept.talk.connector.knows("pipelining broken"))
        kept = Kept([*group(), "S: 421 bye", Close()])
        kept.deliver()
        self.assertFalse(kept.talk.connector.knows("pipelining broken"))
        kept = Kept([group()[0], "S: 250 ok", group()[1], Stall()], "SIZE")
        kept.talk.session.extensions = replace(kept.talk.session.extensions, declares_size=False)
        self.assertRegex(kept.deliver()[0], r"\A451 4\.4\.2 .*\(RCPT\)\Z")


class LessonTests(SynchronousTestCase):
    """A host that takes only so many messages over one connection (POOL-08)."""

    def kept(self, *pause: Step) -> Kept:
        """Return a connection over which two messages went, and the third met 421."""
        kept = Kept([*TAKEN, *TAKEN, *pause, group()[0], "S: 421 4.7.0 too many", Close()])
        kept.deliver()
        kept.deliver()
        return kept

    def test_learned(self) -> None:
        """The next connections end before that, so that no message meets it again."""
        kept = self.kept()
        self.assertEqual(kept.stale()[0][:9], "421 4.7.0")
        connector = kept.talk.connector
        self.assertEqual(connector.recall("messages"), "2")
        later = Kept([*TAKEN, *TAKEN, "C: QUIT"])
        later.talk.connector.learn("messages", "2")
        later.deliver()
        self.assertFalse(later.connection.leaving)
        later.deliver()
        self.assertTrue(later.connection.leaving)
        later.peer.verify()

    def test_after_a_rest(self) -> None:
        """Who was kept waiting may say 421 for that reason: it teaches nothing."""
        kept = self.kept(Wait(2))
        kept.reactor.advance(2)
        kept.stale()
        self.assertIsNone(kept.talk.connector.recall("messages"))

    def test_lost(self) -> None:
        """Neither does a connection that is lost without a word."""
        kept = Kept([*TAKEN, *TAKEN, group()[0], Close()])
        kept.deliver()
        kept.deliver()
        kept.stale()
        self.assertIsNone(kept.talk.connector.recall("messages"))
