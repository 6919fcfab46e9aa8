# -*- test-case-name: tests.smtp.test_transaction -*-
"""Tests of one mail transaction: what is said up to DATA.

What replies mean is in L{tests.smtp.test_transaction_replies}, what becomes of the message in
L{tests.smtp.test_transaction_body}.
"""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.outcome import Verdict
from slimtwist.smtp.transaction import Transaction
from slimtwist.testing import (
    Body,
    Ended,
    ScriptedPeer,
    Send,
    Silence,
    Stall,
    Wait,
)
from slimtwist.testing.smarthost import FakeSmarthost
from slimtwist.testing.steps import Step
from tests.smtp.plays import Played, told
from tests.smtp.talks import TEXT, USUAL, Talk, envelope, group, hello, many

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


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
        """One reply too many decides nothing for anybody, wherever it stands (PEER-16, PEER-17).

        Only a refusal behind 354 is about something: the message.
        """
        answers = ["S: 250 mail", "S: 550 5.1.1 no", "S: 250 yes", "S: 354 go"]
        for place in range(len(answers) + 1):
            for extra in ("250 extra", "550 5.0.0 extra", "354 extra"):
                if place == len(answers) and extra.startswith("5"):
                    continue
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
