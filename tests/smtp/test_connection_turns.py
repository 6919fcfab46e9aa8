# -*- test-case-name: tests.smtp.test_connection_turns -*-
"""Tests of messages that take many transactions, and of those that are cancelled in one."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Report, Verdict
from slimtwist.testing import (
    Body,
    Call,
    Close,
    Ended,
    Octets,
    Send,
    Stall,
    Wait,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.plays import READY, REFUSED, TAKEN, Kept, told
from tests.smtp.talks import USUAL, envelope, group, many

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


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
