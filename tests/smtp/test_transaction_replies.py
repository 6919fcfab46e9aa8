# -*- test-case-name: tests.smtp.test_transaction_replies -*-
"""Tests of one mail transaction: what each reply means to each recipient."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Verdict
from slimtwist.smtp.transaction import Transaction
from slimtwist.testing import (
    Body,
    Close,
    Ended,
    Octets,
    Send,
    Stall,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.plays import Played
from tests.smtp.talks import USUAL, Talk, envelope, group, many

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


#: What each code means to a recipient where it answers MAIL, RCPT, DATA and the end of data.
REFUSALS = {
    DEFERRED: (400, 432, 450, 451, 452, 454, 459, 499),
    FAILED: (500, 501, 502, 503, 504, 521, 530, 535, 550, 551, 552, 553, 554, 555, 556, 559, 571),
}


#: Codes that say yes to MAIL, RCPT and the end of data; and those that can stand there nowhere.
ACCEPTED = (200, 250, 251, 252, 299)


NONSENSE = (211, 214, 220, 221, 235, 300, 334, 352, 354, 355)


STAGES = ("MAIL", "RCPT", "DATA", "end of data")


class CodeTests(SynchronousTestCase):
    """Every code at every stage, with PIPELINING and without, SMTP and LMTP."""

    def run_with(self, stage: str, code: str, **options: Any) -> tuple[Transaction, FakeSmarthost]:
        """Return a transaction with two recipients in which one reply was given."""
        answer: Any = f"{code} text"
        command = "." if stage == "end of data" else stage
        rule = {"r1@example.net": answer} if stage == "RCPT" else answer
        pipelining = options.pop("pipelining")
        host = FakeSmarthost({command: rule}, USUAL[1 - pipelining :], lhlo=options["lmtp"])
        talk = Talk(host, **options)
        transaction = Transaction(talk.session, many(2), range(2))
        talk.reactor.wait(Deferred.fromCoroutine(transaction.run()))
        talk.reactor.flush()
        return transaction, host

    def each(self) -> list[dict[str, Any]]:
        """Return the ways to speak."""
        return [{"lmtp": lmtp, "pipelining": p} for lmtp in (False, True) for p in (False, True)]

    def test_refusals(self) -> None:
        """4yz and 5yz are what they say: for all, or for one (PEER-07, 08, 11, 24, 45, OUT-01)."""
        for verdict, codes in REFUSALS.items():
            for code in codes:
                for stage in STAGES:
                    for options in self.each():
                        self.check_refusal(stage, code, verdict, options)

    def check_refusal(
        self, stage: str, code: int, verdict: Verdict, options: dict[str, Any]
    ) -> None:
        """Check one of them."""
        transaction, host = self.run_with(stage, str(code), **options)
        if transaction.postponed:
            self.assertEqual((code, stage, transaction.postponed), (452, "RCPT", [1]))
            return
        refused = [1] if stage == "RCPT" else [0, 1]
        for position, outcome in transaction.outcomes.items():
            expected = verdict if position in refused else DELIVERED
            told_of = (outcome.verdict, outcome.ambiguous)
            self.assertEqual(told_of, (expected, False), (stage, code, options))
            if position in refused:
                self.assertEqual((outcome.reply.code, outcome.command), (code, stage))
        self.assertEqual(sorted(transaction.outcomes), [0, 1])
        self.assertEqual([len(each.recipients) for each in host.messages], [1] * (refused == [1]))

    def test_acceptance(self) -> None:
        """Any 2yz that is not another command's says yes, 251 and 252 too (PEER-11)."""
        for code in ACCEPTED:
            for stage in ("MAIL", "RCPT", "end of data"):
                for options in self.each():
                    transaction, _ = self.run_with(stage, str(code), **options)
                    verdicts = [each.verdict for each in transaction.outcomes.values()]
                    self.assertEqual(verdicts, [DELIVERED] * 2, (stage, code, options))

    def test_nonsense(self) -> None:
        """A reply that cannot stand there is none; after the message, ambiguous (PEER-32, 33)."""
        for code in NONSENSE:
            for stage in ("MAIL", "RCPT", "end of data"):
                for options in self.each():
                    self.check_nonsense(stage, code, options)

    def test_data(self) -> None:
        """Only 354 to DATA lets a message follow (PEER-25, PEER-26)."""
        for code in (*ACCEPTED, *NONSENSE):
            if code != 354:
                for options in self.each():
                    self.check_nonsense("DATA", code, options)

    def check_nonsense(self, stage: str, code: int, options: dict[str, Any]) -> None:
        """Check one of them."""
        transaction, host = self.run_with(stage, str(code), **options)
        ambiguous = stage == "end of data"
        for position in (0, 1):
            outcome = transaction.outcomes[position]
            told_of = (outcome.verdict, outcome.reply.enhanced, outcome.ambiguous)
            self.assertEqual(told_of, (DEFERRED, "4.5.0", ambiguous), (stage, code, options))
            self.assertIn(f"'{code} text' in reply to {stage}", outcome.reply.text)
        self.assertTrue(host.sessions[0].ended)
        if not ambiguous:
            self.assertEqual(host.messages, [])
            self.assertEqual([line for line in host.transcript if "message" in line], [])

    def test_without_text(self) -> None:
        """A code alone is a reply, and so is one of several lines (PEER-09)."""
        for final in (b"250\r\n", b"250-\r\n250\r\n", b"250-taken\r\n250 thanks\r\n"):
            script = [*group(), "S: 250", "S: 250", "S: 354", Body(), Send(final)]
            played = Played(script, envelope(), *USUAL)
            self.assertEqual(played.transaction.outcomes[0].verdict, DELIVERED)

    def test_differing_codes(self) -> None:
        """Lines with two codes are no reply: a deferral, ambiguous at the end (PEER-12)."""
        octets = b"550-no\r\n250 ok\r\n"
        played = Played([*group(), Send(octets), Ended()], envelope(), *USUAL)
        self.assertRegex(played.outcomes[0], r"\A451 4\.5\.0 .*codes \(MAIL\)\Z")
        script = [*group(), "S: 250", "S: 250", "S: 354", Body(), Send(octets), Ended()]
        played = Played(script, envelope(), *USUAL)
        self.assertRegex(played.outcomes[0], r"\A451 4\.5\.0 .* \(end of data\)\?\Z")

    def test_goodbye(self) -> None:
        """421 defers whom it finds undecided, and ends the connection (PEER-06)."""
        goodbye = "421 4.3.2 closing"
        for count, command in ((0, "MAIL"), (1, "RCPT"), (2, "RCPT"), (3, "DATA")):
            answers = ["S: 250 ok", "S: 550 5.1.1 no", "S: 250 ok"][:count]
            names = ("r0@example.net", "r1@example.net")
            played = Played([*group(*names), *answers, f"S: {goodbye}", Ended()], many(2), *USUAL)
            first = "550 5.1.1 no (RCPT)" if count > 1 else f"{goodbye} ({command})"
            self.assertEqual(played.outcomes, [first, f"{goodbye} ({command})"], count)
            self.assertTrue(played.broken)
            self.assertTrue(played.transaction.lost)

    def test_enhanced_codes(self) -> None:
        """The class is the code's; where there is none, one is supplied (OUT-02, OUT-03)."""
        for said, kept in (
            ("450 5.1.1 mismatch", "450 4.1.1 mismatch"),
            ("550 plain", "550 5.0.0 plain"),
            ("550 5.7.1 policy", "550 5.7.1 policy"),
        ):
            played = Played([*group(), f"S: {said}", "S: 503 no", "S: 503 no"], envelope(), *USUAL)
            self.assertEqual(played.outcomes, [f"{kept} (MAIL)"])

    def test_reset_by_the_host(self) -> None:
        """A host that accepts a recipient and then knows of no transaction is wrong (PEER-46)."""
        lost = "503 5.5.1 need MAIL"
        for answers in (["250 ok", lost, lost], ["250 ok", lost, lost, lost]):
            names = [f"r{number}@example.net" for number in range(len(answers) - 1)]
            script = [*group(*names), "S: 250 ok", *(f"S: {each}" for each in answers), Ended()]
            played = Played(script, envelope(*names), *USUAL)
            for outcome in played.outcomes:
                self.assertIn("451 4.5.0 protocol error", outcome)
            self.assertEqual(len(played.outcomes), len(names))
        names = ["b@example.net", "c@example.net"]
        script = [*group(*names), "S: 250 ok", f"S: {lost}", "S: 250 ok", "S: 354 go", Body()]
        played = Played([*script, "S: 250 taken"], envelope(*names), *USUAL)
        self.assertEqual(played.outcomes, [f"{lost} (RCPT)", "250 2.0.0 taken (end of data)"])


class ExcessTests(SynchronousTestCase):
    """Hosts that want to hear of fewer recipients at a time (RFC 5321 4.5.3.1.10)."""

    def run_with(self, *answers: str) -> Transaction:
        """Return a transaction whose recipients got these answers."""
        names = [f"r{number}@example.net" for number in range(len(answers))]
        script = [*group(*names), "S: 250 ok", *(f"S: {answer}" for answer in answers)]
        if any(answer.startswith("2") for answer in answers):
            taken = [*script, "S: 354 go", Body(), "S: 250 taken"]
            return Played(taken, many(len(answers)), *USUAL).transaction
        return Played([*script, "S: 503 no"], many(len(answers)), *USUAL).transaction

    def test_postponed(self) -> None:
        """Too many recipients, some accepted: the others are for the next transaction (PEER-39)."""
        for text in ("452 4.5.3 too many", "452 too many"):
            transaction = self.run_with("250 ok", text, "550 5.1.1 no", text)
            self.assertEqual(transaction.postponed, [1, 3])
            self.assertEqual(transaction.outcomes[0].verdict, DELIVERED)
            self.assertEqual(transaction.outcomes[2].verdict, FAILED)

    def test_refused(self) -> None:
        """452 is a refusal where nobody was accepted, or where it speaks of a mailbox."""
        transaction = self.run_with("452 4.5.3 too many", "452 4.5.3 too many")
        self.assertEqual(transaction.postponed, [])
        self.assertEqual([o.verdict for o in transaction.outcomes.values()], [DEFERRED] * 2)
        transaction = self.run_with("250 ok", "452 4.2.2 mailbox full")
        self.assertEqual(transaction.postponed, [])
        self.assertEqual(transaction.outcomes[1].reply.enhanced, "4.2.2")
        transaction = self.run_with("250 ok", "552 5.2.2 mailbox full")
        self.assertEqual(transaction.outcomes[1].verdict, FAILED)

    def test_what_it_comes_to(self) -> None:
        """Who is postponed is deferred by his own reply, if there is no next transaction."""
        script = [*group("r0@example.net", "r1@example.net"), "S: 250 ok", "S: 250 ok"]
        script += ["S: 452 4.5.3 too many", "S: 354 go"]
        long = many(2, b"x\r\n" * 100_000)
        played = Played([*script, Octets(9), "S: 550 5.6.0 no", Stall()], long, *USUAL)
        self.assertEqual(played.outcomes, ["550 5.6.0 no (DATA)", "452 4.5.3 too many (RCPT)"])
        played = Played([*script, Close()], long, *USUAL, whole=False)
        self.assertIn("451 4.4.2 connection lost", played.outcomes[0])
        self.assertEqual(played.outcomes[1], "452 4.5.3 too many (RCPT)")
