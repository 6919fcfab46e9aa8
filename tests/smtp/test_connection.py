# -*- test-case-name: tests.smtp.test_connection -*-
"""Tests of a connection that carries one message after another."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Report, Verdict
from slimtwist.smtp.connection import Connection, Stale
from slimtwist.testing import (
    Body,
    Call,
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
from slimtwist.testing.smarthost import FakeSmarthost
from slimtwist.testing.steps import Step
from tests.smtp.talks import USUAL, Talk, envelope, group, hello, many
from tests.smtp.test_transaction import told

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED
READY = ["S: 250 ok", "S: 250 ok", "S: 354 go"]
#: A whole message, taken.
TAKEN: list[Any] = [*group(), *READY, Body(), "S: 250 taken"]
REFUSED = [*group(), "S: 250 ok", "S: 550 5.1.1 no", "S: 554 no recipients"]


class Kept:
    """A connection, and who talks over it.

    @ivar connection: it.
    @ivar talk: the session below it.
    @ivar rooms: the room it had whenever it told of a change.
    """

    def __init__(
        self, peer: IProtocolFactory | Iterable[Any], *keywords: str, **options: Any
    ) -> None:
        """Connect.

        @param peer: a peer, or what follows greeting and EHLO in the script of one.
        """
        if not isinstance(peer, ScriptedPeer | FakeSmarthost):
            peer = ScriptedPeer([*hello(*(keywords or USUAL)), *peer])  # type: ignore[misc]
        self.peer: Any = peer
        self.talk = Talk(self.peer, **options)
        self.reactor = self.talk.reactor
        self.channel = self.talk.session.channel
        self.connection = Connection(self.reactor, self.talk.session, self.talk.connector)
        self.rooms: list[int] = []
        self.connection.on_change = lambda: self.rooms.append(self.connection.room())

    def deliver(self, message: Envelope | None = None, within: float = 3600) -> list[str]:
        """Carry a message, and return what became of its recipients."""
        report = self.reactor.wait(self.connection.deliver(message or envelope()), within)
        return [told(outcome) for outcome in report]

    def stale(self, message: Envelope | None = None) -> list[str]:
        """Carry a message for which the connection is of no use; return what that comes to."""
        try:
            self.deliver(message)
        except Stale as error:
            return [told(outcome) for outcome in error.report]
        raise AssertionError("the connection was of use")

    @property
    def left(self) -> tuple[str, ...]:
        """What is left of it: timers, connections, producers."""
        left = self.reactor.leftovers()
        return left.timers + left.connections + left.producers


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


class ManyTransactionsTests(SynchronousTestCase):
    """Messages that take more than one transaction."""

    def test_excess(self) -> None:
        """Who was too many goes at once in the next, and the order is kept (PEER-39); between them
        there is RSET only after one that was refused.
        """

        def rcpt(_: str) -> str | None:
            taken = len(host.sessions[0].recipients)
            return "452 4.5.3 too many" if taken == 2 else None

        host = FakeSmarthost({"RCPT": rcpt, ".": [None, "550 5.7.1 no", None, None]})
        kept = Kept(host)
        outcomes = kept.deliver(many(7))
        taken, refused = "250 2.0.0 taken (end of data)", "550 5.7.1 no (end of data)"
        self.assertEqual(outcomes, [taken] * 2 + [refused] * 2 + [taken] * 3)
        names = [[name[:2] for name in message.recipients] for message in host.messages]
        self.assertEqual(names, [["r0", "r1"], ["r4", "r5"], ["r6"]])
        commands = [line[:4] for line in host.sessions[0].commands if line[:4] != "RCPT"]
        transaction = ["MAIL", "DATA"]
        self.assertEqual(commands, ["EHLO", *transaction * 2, "RSET", *transaction * 2])
        host.verify()

    def test_excess_after_data_was_refused(self) -> None:
        """Between transactions of which one is still open there is RSET."""
        script = [
            *group("r0@example.net", "r1@example.net"),
            *["S: 250 ok", "S: 250 ok", "S: 452 4.5.3 too many", "S: 451 4.3.0 not now"],
            *["C: RSET", "S: 250 ok"],
            *[*group("r1@example.net"), *READY, Body(), "S: 250 taken"],
        ]
        kept = Kept(script)
        self.assertEqual(
            kept.deliver(many(2)), ["451 4.3.0 not now (DATA)", "250 2.0.0 taken (end of data)"]
        )
        kept.peer.verify()

    def test_excess_of_one(self) -> None:
        """A host that takes nobody any more is not asked for ever."""
        host = FakeSmarthost({"RCPT": [None, *["452 4.5.3 too many"] * 9]})
        kept = Kept(host)
        excess = "452 4.5.3 too many (RCPT)"
        self.assertEqual(kept.deliver(many(3)), ["250 2.0.0 taken (end of data)", excess, excess])

    def test_lost_between(self) -> None:
        """What was delivered stays so; who was postponed is deferred by his own reply (L4)."""
        first = [*group("r0@example.net", "r1@example.net"), "S: 250 ok", "S: 250 ok"]
        first += ["S: 452 4.5.3 too many", "S: 354 go"]
        taken, excess = "250 2.0.0 taken (end of data)", "452 4.5.3 too many (RCPT)"
        kept = Kept([*TAKEN, *first, Body(), "S: 250 taken", *group("r1@example.net"), Close()])
        kept.deliver()
        outcomes = kept.deliver(many(2))
        self.assertEqual(outcomes[0], taken)
        self.assertRegex(outcomes[1], r"\A451 4\.4\.2 .*\(MAIL\)\Z")
        kept = Kept([*first, Body(), Send(b"250 taken\r\n250 more\r\n"), Ended()])
        self.assertEqual(kept.deliver(many(2)), [taken, excess])
        kept = Kept([*first, Octets(9), "S: 550 5.7.1 spam", Stall()])
        long = many(2, b"x\r\n" * 100_000)
        self.assertEqual(kept.deliver(long), ["550 5.7.1 spam (DATA)", excess])

    def test_rcptmax(self) -> None:
        """No transaction has more recipients than the host takes (PEER-40)."""
        for limit, sizes in (("2", [2, 2, 1]), ("1", [1] * 5), ("9", [5]), ("x", [5]), ("0", [5])):
            host = FakeSmarthost(extensions=(*USUAL, f"LIMITS RCPTMAX={limit}"))
            kept = Kept(host)
            self.assertEqual(kept.deliver(many(5)), ["250 2.0.0 taken (end of data)"] * 5)
            self.assertEqual([len(message.recipients) for message in host.messages], sizes)
            self.assertEqual(kept.connection.room(), 1)

    def test_rcptmax_and_mailmax(self) -> None:
        """No connection has more transactions than the host takes; the rest waits (PEER-40)."""
        host = FakeSmarthost(extensions=(*USUAL, "LIMITS RCPTMAX=2 MAILMAX=2"))
        kept = Kept(host)
        *first, last = kept.deliver(many(5))
        self.assertEqual(first, ["250 2.0.0 taken (end of data)"] * 4)
        self.assertRegex(last, r"\A451 4\.0\.0 deferred: .*no more transactions.*\(MAIL\)\Z")
        self.assertTrue(kept.connection.leaving)

    def test_rcptmax_and_trouble(self) -> None:
        """Of whom the host was never told, he is deferred, whatever it said of others (L2)."""
        long = many(3, b"x\r\n" * 100_000)
        keywords = (*USUAL, "LIMITS RCPTMAX=1")
        for steps, first, rest in (
            ([*READY, Octets(9), "S: 550 5.7.1 spam"], "550 5.7.1 spam", "451 4.5.0"),
            ([*READY, Octets(9), "S: 421 bye"], "421 4.0.0 bye", "451 4.4.2"),
            (["S: nonsense"], "451 4.5.0", "451 4.5.0"),
            (["S: 421 bye"], "421 4.0.0 bye", "451 4.4.2"),
        ):
            kept = Kept([*group("r0@example.net"), *steps, Stall()], *keywords)
            outcomes = kept.deliver(long)
            self.assertTrue(outcomes[0].startswith(first), outcomes)
            for outcome in outcomes[1:]:
                self.assertRegex(outcome, rf"\A{rest} .*\(MAIL\)\Z")


class CancelTests(SynchronousTestCase):
    """Cancelled at every step of a dialogue."""

    def cancelled_at(
        self, moment: int, *keywords: str, lmtp: bool = False
    ) -> tuple[Kept, Deferred[Report], FakeSmarthost]:
        """Return a delivery that is cancelled when the host is about to say its nth reply."""
        said: list[int] = []

        def reply(default: str) -> Any:
            return lambda _: (Call(lambda: said.append(1)), Wait(1), default)

        commands = {"MAIL": "250 ok", "RCPT": "250 ok", "DATA": "354 go", ".": "250 taken"}
        host = FakeSmarthost(
            {command: reply(default) for command, default in commands.items()}, keywords, lhlo=lmtp
        )
        kept = Kept(host, lmtp=lmtp)
        running = kept.connection.deliver(many(2))
        kept.reactor.flush()
        while len(said) < moment and not running.called:
            kept.reactor.advance(0.5)
        return kept, running, host

    def test_each_step(self) -> None:
        """Before the end of data nothing is ambiguous, after it all is (L4, POOL-07)."""
        for keywords in (USUAL, ()):
            for moment in range(1, 6):
                kept, running, host = self.cancelled_at(moment, *keywords)
                running.cancel()
                error = self.failureResultOf(running, AttemptCancelled).value
                self.assertEqual(error.ambiguous, moment == 5, (keywords, moment))
                self.assertEqual(error.outcome.reply.enhanced, "4.3.2")
                self.assertEqual(kept.connection.room(), 0)
                kept.reactor.advance(10)
                self.assertEqual(kept.left, ())
                self.assertTrue(kept.connection.closed)
                self.assertEqual(len(host.messages), moment == 5)

    def test_lmtp(self) -> None:
        """Who was told of his delivery stays delivered, though the attempt is cancelled (L1)."""
        kept, running, _ = self.cancelled_at(6, *USUAL, lmtp=True)
        running.cancel()
        first, second = self.successResultOf(running)
        self.assertEqual(told(first), "250 2.0.0 taken (end of data)")
        self.assertRegex(told(second), r"\A451 4\.3\.2 .* \(end of data\)\?\Z")
        kept.reactor.advance(10)
        self.assertEqual(kept.left, ())

    def test_refused_before(self) -> None:
        """Who was refused keeps his reply; the others are deferred."""
        kept = Kept(
            [*group("r0@example.net", "r1@example.net"), *READY[:1], "S: 550 5.1.1 no", Stall()]
        )
        running = kept.connection.deliver(many(2))
        kept.reactor.flush()
        running.cancel()
        first, second = self.successResultOf(running)
        self.assertEqual(told(first), "550 5.1.1 no (RCPT)")
        self.assertRegex(told(second), r"\A451 4\.3\.2 .* \(RCPT\)\Z")

    def test_between_transactions(self) -> None:
        """What the first transaction delivered stays so."""
        host = FakeSmarthost({"MAIL": [None, (Wait(100), "250 ok")]}, (*USUAL, "LIMITS RCPTMAX=1"))
        kept = Kept(host)
        running = kept.connection.deliver(many(3))
        kept.reactor.advance(1)
        running.cancel()
        first, *rest = self.successResultOf(running)
        self.assertEqual(first.verdict, DELIVERED)
        for outcome in rest:
            self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.3.2", False))

    def test_in_the_first_of_many(self) -> None:
        """While nobody has decided for anybody, it is just cancelled."""
        host = FakeSmarthost({"MAIL": (Wait(100), "250 ok")}, (*USUAL, "LIMITS RCPTMAX=1"))
        running = (kept := Kept(host)).connection.deliver(many(3))
        kept.reactor.advance(1)
        running.cancel()
        self.failureResultOf(running, AttemptCancelled)

    def test_in_the_message(self) -> None:
        """A message on its way is cut off, and is not ambiguous."""
        kept = Kept([*group(), *READY, Octets(9), Stall()])
        kept.talk.reactor.network.wires[0].up.window = 5000
        running = kept.connection.deliver(envelope(octets=b"x\r\n" * 100_000))
        kept.talk.reactor.network.wires[0].up.stall(4000)
        kept.reactor.advance(3)
        running.cancel()
        self.assertFalse(self.failureResultOf(running, AttemptCancelled).value.ambiguous)
        kept.talk.reactor.network.wires[0].up.resume()
        kept.reactor.flush()
        self.assertEqual(kept.left, ())

    def test_after_the_end(self) -> None:
        """Cancelling what has ended does nothing, also while RSET is waited for."""
        kept = Kept([*REFUSED, "C: RSET", Wait(5), "S: 250 ok"])
        running = kept.connection.deliver(envelope())
        kept.reactor.flush()
        results: list[Report | Failure] = []
        running.addBoth(results.append)
        running.cancel()
        kept.reactor.advance(5)
        self.assertEqual((len(results), kept.connection.room()), (1, 1))
