# -*- test-case-name: tests.smtp.test_transaction -*-
"""Tests of one mail transaction: what is said up to DATA, and what replies mean.

What becomes of the message itself is in L{tests.smtp.test_transaction_body}.
"""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome, Verdict
from slimtwist.smtp.transaction import Transaction
from slimtwist.testing import Body, Close, Ended, Octets, ScriptedPeer, Send, Silence, Stall, Wait
from slimtwist.testing.smarthost import FakeSmarthost
from slimtwist.testing.steps import Step
from tests.smtp.talks import TEXT, USUAL, Talk, envelope, group, hello, many

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


def told(outcome: Outcome) -> str:
    """Return reply and command of an outcome, with a mark if it is ambiguous."""
    return f"{outcome.reply} ({outcome.command}){'?' * outcome.ambiguous}"


class Played:
    """A transaction that a scripted peer took part in.

    @ivar transaction: it.
    @ivar peer: the peer; its script was played to the end.
    @ivar outcomes: C{"250 2.0.0 ok (end of data)"}, by position; what is postponed is missing.
    """

    def __init__(
        self,
        script: Iterable[Any],
        message: Envelope,
        *keywords: str,
        whole: bool = True,
        **options: Any,
    ) -> None:
        """Run it, until the connection is as it will stay.

        @param whole: whether the script must have been played to its end.
        """
        verb = "LHLO" if options.get("lmtp") else "EHLO"
        self.peer = ScriptedPeer([*hello(*keywords, verb=verb), *script])
        self.talk = Talk(self.peer, **options)
        self.transaction = Transaction(self.talk.session, message, range(len(message.recipients)))
        self.talk.reactor.wait(Deferred.fromCoroutine(self.transaction.run()))
        self.talk.reactor.flush()
        if whole:
            self.peer.verify()

    @property
    def outcomes(self) -> list[str]:
        """Reply and command for each position that was decided."""
        return [told(outcome) for _, outcome in sorted(self.transaction.outcomes.items())]

    @property
    def broken(self) -> bool:
        """Whether the connection is of no more use."""
        return self.talk.session.channel.trouble is not None


class PipelinedTests(SynchronousTestCase):
    """Hosts that offer PIPELINING."""

    def test_group(self) -> None:
        """MAIL, each RCPT and DATA come in one write; the peer says nothing in between."""
        names = ("b@example.net", "c@example.net")
        played = Played(
            [
                *group(*names),
                Silence(),
                *["S: 250 ok"] * 3,
                "S: 354 go",
                Body(),
                "S: 250 2.0.0 taken",
            ],
            envelope(*names),
            *USUAL,
        )
        self.assertEqual(played.outcomes, ["250 2.0.0 taken (end of data)"] * 2)
        self.assertEqual(played.peer.bodies, [TEXT])
        self.assertFalse(played.transaction.open)
        self.assertFalse(played.broken)
        outcome = played.transaction.outcomes[0]
        self.assertEqual((outcome.host, outcome.tls), ("mx.example [192.0.2.1]:25", None))

    def test_in_one_write(self) -> None:
        """The group leaves in one piece, whatever the number of recipients."""
        host = FakeSmarthost()
        talk = Talk(host)
        pieces: list[object] = []
        talk.reactor.network.wires[0].up.observer = lambda _, octets: pieces.append(octets)
        run = Transaction(talk.session, many(300), range(300)).run()
        talk.reactor.wait(Deferred.fromCoroutine(run))
        first = b"".join(b"RCPT TO:<r%d@example.net>\r\n" % n for n in range(300))
        self.assertEqual(pieces[0], b"MAIL FROM:<a@example.org>\r\n%sDATA\r\n" % first)
        self.assertEqual(pieces[1:], [TEXT[:-2], b"\r\n.\r\n"])  # PEER-47

    def test_all_refused(self) -> None:
        """Who was refused keeps the reply, and DATA's means nothing (PEER-08, LMTP-07)."""
        for data in ("503 5.5.1 RCPT first", "554 5.5.1 no valid recipients", "451 4.0.0 later"):
            for lmtp in (False, True):
                played = Played(
                    [*group(), "S: 250 ok", "S: 550 5.1.1 unknown", f"S: {data}"],
                    envelope(),
                    *USUAL,
                    lmtp=lmtp,
                )
                self.assertEqual(played.outcomes, ["550 5.1.1 unknown (RCPT)"])
                self.assertTrue(played.transaction.open)
                self.assertFalse(played.broken)

    def test_all_refused_but_data_accepted(self) -> None:
        """Nothing but the end of data is sent, its reply ignored, and it is closed (PEER-22)."""
        for lmtp in (False, True):
            played = Played(
                [
                    *(*group(), "S: 250 ok", "S: 550 5.1.1 no", "S: 354 go"),
                    *("C: .", "C: QUIT", "S: 250 taken", Ended()),
                ],
                envelope(),
                *USUAL,
                lmtp=lmtp,
            )
            self.assertEqual(played.outcomes, ["550 5.1.1 no (RCPT)"])
            self.assertTrue(played.broken)

    def test_sender_refused_but_data_accepted(self) -> None:
        """Where a sender is refused and a recipient taken, not even an end of data is sent: the
        host would deliver an empty message, perhaps from another sender (L8).
        """
        for reply, told_of in [
            ("450 4.7.1 no", "450 4.7.1 no (MAIL)"),
            ("550 5.7.1 no", "550 5.7.1 no (MAIL)"),
            (
                "503 5.5.1 nested MAIL command",
                "451 4.5.0 protocol error: '503 5.5.1 nested MAIL command' in reply to MAIL (MAIL)",
            ),
        ]:
            played = Played(
                [*group(), f"S: {reply}", "S: 250 ok", "S: 354 go", Ended()], envelope(), *USUAL
            )
            self.assertEqual(played.outcomes, [told_of])
            self.assertTrue(played.broken)
            self.assertNotIn("C: .", played.peer.transcript)

    def test_missing_reply(self) -> None:
        """Two commands and one answer are a wait, then a deferral, never a shift (PEER-18)."""
        for missing, command in ((0, "DATA"), (1, "DATA"), (2, "DATA")):
            answers = ["S: 250 one", "S: 250 two", "S: 354 go"]
            del answers[missing]
            played = Played([*group(), *answers, Stall()], envelope(), *USUAL)
            [outcome] = played.outcomes
            if missing == 2:
                self.assertEqual(outcome, f"451 4.4.2 timed out: no answer in time ({command})")
            else:
                self.assertIn("451 4.5.0 protocol error", outcome)
            self.assertTrue(played.broken)

    def test_extra_reply(self) -> None:
        """One reply too many decides nothing for anybody, wherever it stands (PEER-16, PEER-17)."""
        answers = ["S: 250 mail", "S: 550 5.1.1 no", "S: 250 yes", "S: 354 go"]
        for place in range(len(answers) + 1):
            for extra in ("250 extra", "550 5.0.0 extra", "354 extra"):
                lines = [*answers[:place], f"S: {extra}", *answers[place:]]
                octets = "".join(f"{line[3:]}\r\n" for line in lines).encode()
                played = Played(
                    [*group("b@example.net", "c@example.net"), Send(octets), Ended()],
                    envelope("b@example.net", "c@example.net"),
                    *USUAL,
                )
                for outcome in played.outcomes:
                    self.assertIn("451 4.5.0 protocol error", outcome)
                    self.assertFalse(outcome.endswith("?"))
                self.assertEqual(len(played.outcomes), 2)
                self.assertTrue(played.broken)

    def test_early_replies(self) -> None:
        """Replies that were there before their commands are none (PEER-16)."""
        early = Send(b"250 ok\r\n250 ok\r\n354 go\r\n")
        script: list[str | Step] = [*hello(*USUAL), Wait(1), early, Ended()]
        peer = ScriptedPeer(script)
        talk = Talk(peer)
        talk.reactor.advance(1)
        transaction = Transaction(talk.session, envelope(), [0])
        talk.reactor.wait(Deferred.fromCoroutine(transaction.run()))
        self.assertIn("451 4.5.0 protocol error", told(transaction.outcomes[0]))
        talk.reactor.flush()
        self.assertNotIn("C: MAIL FROM:<a@example.org>", peer.transcript)


class LockStepTests(SynchronousTestCase):
    """Hosts without PIPELINING."""

    def test_one_by_one(self) -> None:
        """Each command waits for the reply to the one before."""
        mail, first, second, data = group("b@example.net", "c@example.net")
        played = Played(
            [
                *(mail, Silence(), "S: 250 ok"),
                *(first, Silence(), "S: 550 5.1.1 no"),
                *(second, Silence(), "S: 250 ok"),
                *(data, Silence(), "S: 354 go"),
                *(Body(), "S: 250 taken"),
            ],
            envelope("b@example.net", "c@example.net"),
        )
        self.assertEqual(played.outcomes, ["550 5.1.1 no (RCPT)", "250 2.0.0 taken (end of data)"])
        self.assertEqual(played.peer.bodies, [TEXT])

    def test_refused_sender(self) -> None:
        """After a refused MAIL nothing more is said."""
        played = Played([group()[0], "S: 550 5.7.1 not you"], many(3))
        self.assertEqual(played.outcomes, ["550 5.7.1 not you (MAIL)"] * 3)
        self.assertFalse(played.broken)

    def test_all_refused(self) -> None:
        """Without a recipient there is no DATA."""
        mail, rcpt, _ = group()
        played = Played([mail, "S: 250 ok", rcpt, "S: 450 4.2.1 busy"], envelope())
        self.assertEqual(played.outcomes, ["450 4.2.1 busy (RCPT)"])
        self.assertTrue(played.transaction.open)

    def test_reply_of_another_command(self) -> None:
        """After a reply that cannot stand there, nothing more is said (PEER-33)."""
        mail, rcpt, _ = group("r0@example.net")
        for answer in ("354 go", "220 mx", "334 more"):
            played = Played([mail, f"S: {answer}", Ended()], many(2))
            self.assertEqual(len(played.outcomes), 2)
            self.assertIn(f"'{answer}' in reply to MAIL", played.outcomes[0])
            played = Played([mail, "S: 250 ok", rcpt, f"S: {answer}", Ended()], many(2))
            self.assertEqual(len(played.outcomes), 2)
            self.assertIn(f"'{answer}' in reply to RCPT", played.outcomes[0])


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
        """4yz and 5yz are what they say: for all, or at RCPT for one (PEER-07, 08, 11, 24, 45)."""
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


class FitTests(SynchronousTestCase):
    """What a host says that it cannot take is not sent to it."""

    def refused(self, message: Envelope, *keywords: str, **options: Any) -> Played:
        """Return a transaction in which nothing may be said."""
        return Played([], message, *keywords, **options)

    def test_size(self) -> None:
        """A message larger than SIZE is refused without a word (PEER-38)."""
        played = self.refused(many(2), "PIPELINING", f"SIZE {len(TEXT) - 1}")
        text = f"message of {len(TEXT)} octets, the host takes {len(TEXT) - 1}"
        self.assertEqual(played.outcomes, [f"552 5.3.4 {text} (MAIL)"] * 2)
        self.assertFalse(played.transaction.open)
        for limit in ("SIZE", "SIZE 0", "SIZE x"):
            script = [f"C: MAIL FROM:<a@example.org> SIZE={len(TEXT)}", "S: 550 no"]
            self.assertEqual(Played(script, envelope(), limit).outcomes, ["550 5.0.0 no (MAIL)"])

    def test_utf8(self) -> None:
        """One recipient in UTF-8 is refused alone, the others go without SMTPUTF8 (INJ-17)."""
        names = ("b@example.net", "jürgen@example.net", "d@example.net")
        script = [*group(names[0], names[2]), "S: 250 ok", "S: 250 ok", "S: 250 ok", "S: 354 go"]
        played = Played([*script, Body(), "S: 250 taken"], envelope(*names), *USUAL)
        taken = "250 2.0.0 taken (end of data)"
        refused = "550 5.6.7 the host does not offer SMTPUTF8 (RCPT)"
        self.assertEqual(played.outcomes, [taken, refused, taken])
        only = self.refused(envelope(names[1]), *USUAL)
        self.assertEqual(only.outcomes, [refused])

    def test_utf8_offered(self) -> None:
        """For one recipient in UTF-8 the transaction is one with SMTPUTF8 (RFC 6531 3.4)."""
        mail, *rest = group("b@example.net", "jürgen@example.net")
        script = [f"{mail} SMTPUTF8", *rest, *["S: 550 no"] * 4]
        message = envelope("b@example.net", "jürgen@example.net")
        played = Played(script, message, "PIPELINING", "SMTPUTF8")
        self.assertEqual(played.outcomes, ["550 5.0.0 no (MAIL)"] * 2)

    def test_dsn(self) -> None:
        """Each recipient is told of with what is his (RFC 3461)."""
        recipients = (
            Recipient(Address.parse("b@example.net"), ("NEVER",)),
            Recipient(Address.parse("c@example.net"), (), "rfc822;c@example.com"),
        )
        message = replace(envelope(), recipients=recipients, ret="HDRS", envid="id")
        script = [
            "C: MAIL FROM:<a@example.org> RET=HDRS ENVID=id",
            "C: RCPT TO:<b@example.net> NOTIFY=NEVER",
            "C: RCPT TO:<c@example.net> ORCPT=rfc822;c@example.com",
            "C: DATA",
            *["S: 550 no"] * 4,
        ]
        Played(script, message, "PIPELINING", "DSN")

    def test_eight_bit(self) -> None:
        """8-bit octets: as they are, refused, or converted (issue 2, section 3)."""
        octets = "Subject: x\r\n\r\nGrüße\r\n".encode()
        seven = Content.of(b"Subject: x\r\n\r\nGr=FC=DFe\r\n")
        script = [*group(), "S: 250 ok", "S: 250 ok", "S: 354 go", Body(), "S: 250 taken"]
        played = Played(script, envelope(octets=octets), "PIPELINING")
        self.assertEqual(played.peer.bodies, [octets])
        played = self.refused(envelope(octets=octets), "PIPELINING", eight_bit="reject")
        self.assertIn("554 5.6.3 ", played.outcomes[0])
        encoder: dict[str, Any] = {"binary_encoder": lambda _: seven, "eight_bit": "reject"}
        played = Played(script, envelope(octets=octets), "PIPELINING", **encoder)
        self.assertEqual(played.peer.bodies, [bytes(seven)])
        script[0] = "C: MAIL FROM:<a@example.org> BODY=8BITMIME"
        played = Played(script, envelope(octets=octets), *USUAL, **encoder)
        self.assertEqual(played.peer.bodies, [octets])

    def test_encoder_that_raises(self) -> None:
        """An encoder's error defers the message, and no word of it is said (POOL-14)."""

        def encode(_: Content) -> Content:
            raise ZeroDivisionError("a bug of the application")

        message = envelope(octets=b"\xff\r\n")
        for encoder in (encode, lambda _: None):
            played = self.refused(message, "PIPELINING", binary_encoder=encoder)
            self.assertRegex(played.outcomes[0], r"\A451 4\.3\.0 internal error: \w+Error \(MAIL\)")
            self.assertFalse(played.broken)
            self.assertEqual(len(self.flushLoggedErrors()), 1)


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
