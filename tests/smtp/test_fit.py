# -*- test-case-name: tests.smtp.test_fit -*-
"""Tests of whether a host can take a message, and how it is told of it."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.limits import Limits, Timeouts
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.extensions import Extensions
from slimtwist.smtp.fit import fitting, mail_command, misfit, rcpt_command, unreachable
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.session import Session

PLAIN = Content.of(b"Subject: x\r\n\r\ntext\r\n")
EIGHT = Content.of("Subject: x\r\n\r\nGrüße\r\n".encode())
EIGHT_HEADER = Content.of("Subject: Grüße\r\n\r\ntext\r\n".encode())
UTF8 = "jürgen@example.org"


def session(
    extensions: Extensions | None = None, *, verified: bool = False, **options: Any
) -> Session:
    """Return a session with a host that offers these extensions."""
    made = Session(Channel(Clock(), Limits(), Timeouts()), "mx.example", ClientOptions(**options))
    made.extensions = extensions or Extensions()
    made.verified = verified
    return made


def envelope(content: Content = PLAIN, sender: str = "a@example.org", **parts: Any) -> Envelope:
    """Return an envelope with some parts of its own."""
    return Envelope(Address.parse(sender), (Recipient.parse("b@example.net"),), content, **parts)


class FittingTests(SynchronousTestCase):
    """8-bit content for a host that takes 7-bit only."""

    def test_as_is(self) -> None:
        """Without an encoder the octets stay what they are (L8)."""
        for offered in (Extensions(), Extensions(eight_bit=True)):
            for content in (PLAIN, EIGHT):
                self.assertIs(fitting(session(offered), content), content)

    def test_encoder(self) -> None:
        """An encoder is asked only for 8-bit content and a host without 8BITMIME."""
        asked: list[Content] = []

        def encode(content: Content) -> Content:
            asked.append(content)
            return PLAIN

        host = session(binary_encoder=encode)
        self.assertIs(fitting(host, PLAIN), PLAIN)
        self.assertEqual(asked, [])
        self.assertIs(fitting(host, EIGHT), PLAIN)
        self.assertEqual(asked, [EIGHT])
        host.extensions = Extensions(eight_bit=True)
        self.assertIs(fitting(host, EIGHT), EIGHT)
        self.assertEqual(asked, [EIGHT])

    def test_encoder_without_sense(self) -> None:
        """What an encoder returns has to be content."""
        for nonsense in (None, b"octets"):
            host = session(binary_encoder=lambda _, nonsense=nonsense: nonsense)
            self.assertRaises(TypeError, fitting, host, EIGHT)


class MisfitTests(SynchronousTestCase):
    """Refusals of a whole message before anything is sent."""

    def refusal(self, host: Session, message: Envelope) -> str | None:
        """Return the refusal as text."""
        reply = misfit(host, message, message.content)
        return None if reply is None else str(reply)

    def test_size(self) -> None:
        """One octet more than the host takes is refused with 5.3.4 (PEER-38); no limit is none."""
        size = PLAIN.size
        for limit, fits in ((None, True), (size + 1, True), (size, True), (size - 1, False)):
            host = session(Extensions(size=limit, declares_size=True))
            self.assertEqual(self.refusal(host, envelope()) is None, fits, limit)
        self.assertEqual(
            self.refusal(host, envelope()),
            f"552 5.3.4 message of {size} octets, the host takes {size - 1}",
        )

    def test_size_with_line_end(self) -> None:
        """The last line end counts, also where it is added only on the way (RFC 1870 5)."""
        offered = Extensions(size=7, declares_size=True)
        for octets, size, fits in (
            (b"12345\r\n", 7, True),
            (b"12345", 7, True),
            (b"123456", 8, False),
        ):
            message = envelope(Content.of(octets))
            self.assertEqual(self.refusal(session(offered), message) is None, fits)
            command = mail_command(message, message.content, offered, smtputf8=False)
            self.assertTrue(command.endswith(b" SIZE=%d\r\n" % size))
        command = mail_command(envelope(), Content.of(b""), offered, smtputf8=False)
        self.assertTrue(command.endswith(b" SIZE=0\r\n"))

    def test_size_of_what_is_sent(self) -> None:
        """The size that counts is that of the octets to send, not of those before conversion."""
        host = session(Extensions(size=PLAIN.size))
        self.assertIsNone(misfit(host, envelope(EIGHT), PLAIN))
        self.assertIsNotNone(misfit(host, envelope(PLAIN), EIGHT))

    def test_eight_bit(self) -> None:
        """8-bit content is refused with 5.6.3 only by option, and only without 8BITMIME."""
        for option, offered, content, refused in (
            ("as-is", False, EIGHT, False),
            ("reject", False, EIGHT, True),
            ("reject", True, EIGHT, False),
            ("reject", False, PLAIN, False),
        ):
            host = session(Extensions(eight_bit=offered), eight_bit=option)
            text = self.refusal(host, envelope(content))
            self.assertEqual(text is not None and "554 5.6.3 " in text, refused, (option, offered))

    def test_requiretls(self) -> None:
        """REQUIRETLS needs a host that offers it and has proved who it is: else 5.7.30 (L9)."""
        wants = envelope(requiretls=True)
        for offered, verified in ((False, False), (True, False), (False, True), (True, True)):
            host = session(Extensions(requiretls=offered), verified=verified)
            text = self.refusal(host, wants)
            self.assertEqual(text is None, offered and verified)
            self.assertTrue(text is None or text.startswith("550 5.7.30 "))
            self.assertIsNone(self.refusal(host, envelope()))

    def test_smtputf8(self) -> None:
        """A sender or a header in UTF-8 goes only to a host with SMTPUTF8: else 5.6.7 (INJ-17)."""
        for message, needs in (
            (envelope(sender=UTF8), True),
            (envelope(EIGHT_HEADER, smtputf8=True), True),
            (envelope(EIGHT_HEADER), False),  # octets that nobody has declared
            (envelope(EIGHT, smtputf8=True), False),  # only the body is 8-bit
            (envelope(smtputf8=True), False),
        ):
            text = self.refusal(session(), message)
            self.assertEqual(text is not None and text.startswith("550 5.6.7 "), needs)
            self.assertIsNone(self.refusal(session(Extensions(smtputf8=True)), message))

    def test_recipient(self) -> None:
        """A recipient in UTF-8 is refused alone (INJ-17)."""
        for text, needs in ((UTF8, True), ("b@example.net", False), ("b@bücher.example", True)):
            recipient = Recipient.parse(text)
            reply = unreachable(Extensions(), recipient)
            self.assertEqual(reply is not None and reply.enhanced == "5.6.7", needs)
            self.assertIsNone(unreachable(Extensions(smtputf8=True), recipient))


ALL = Extensions(
    declares_size=True, eight_bit=True, smtputf8=True, dsn=True, requiretls=True, pipelining=True
)


class CommandTests(SynchronousTestCase):
    """The octets of MAIL and RCPT."""

    def mail(self, message: Envelope, offered: Extensions, *, smtputf8: bool = False) -> bytes:
        """Return the MAIL command."""
        return mail_command(message, message.content, offered, smtputf8=smtputf8)

    def test_plain(self) -> None:
        """To a host that offers nothing, nothing but the addresses is said."""
        message = envelope(
            EIGHT, requiretls=False, ret="HDRS", envid="x", body="8BITMIME", smtputf8=True
        )
        self.assertEqual(self.mail(message, Extensions()), b"MAIL FROM:<a@example.org>\r\n")
        recipient = Recipient(Address.parse("b@example.net"), ("NEVER",), "rfc822;b@example.net")
        self.assertEqual(rcpt_command(recipient, Extensions()), b"RCPT TO:<b@example.net>\r\n")

    def test_everything(self) -> None:
        """To a host that offers all, all is said that is asked for (RFC 1870, 6152, 6531, 3461)."""
        message = envelope(EIGHT, sender=UTF8, requiretls=True, ret="HDRS", envid="QQ+2B1")
        self.assertEqual(
            self.mail(message, ALL, smtputf8=True),
            f"MAIL FROM:<{UTF8}> SIZE={EIGHT.size} BODY=8BITMIME SMTPUTF8 REQUIRETLS"
            " RET=HDRS ENVID=QQ+2B1\r\n".encode(),
        )
        recipient = Recipient(Address.parse("b@example.net"), ("FAILURE", "DELAY"), "rfc822;b+2Bc")
        self.assertEqual(
            rcpt_command(recipient, ALL),
            b"RCPT TO:<b@example.net> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b+2Bc\r\n",
        )

    def test_only_what_is_needed(self) -> None:
        """What nobody asked for is not said, though it is offered; the size always is (PEER-38)."""
        self.assertEqual(
            self.mail(envelope(), ALL), b"MAIL FROM:<a@example.org> SIZE=%d\r\n" % PLAIN.size
        )
        self.assertEqual(
            rcpt_command(Recipient.parse("b@example.net"), ALL), b"RCPT TO:<b@example.net>\r\n"
        )

    def test_each_extension_by_itself(self) -> None:
        """A parameter depends on its own extension and no other."""
        message = envelope(EIGHT, ret="FULL", envid="x", requiretls=True)
        for offered, words in (
            (Extensions(declares_size=True), b" SIZE=%d REQUIRETLS" % EIGHT.size),
            (Extensions(size=10**6), b" REQUIRETLS"),
            (Extensions(eight_bit=True), b" BODY=8BITMIME REQUIRETLS"),
            (Extensions(dsn=True), b" REQUIRETLS RET=FULL ENVID=x"),
        ):
            self.assertEqual(
                self.mail(message, offered), b"MAIL FROM:<a@example.org>" + words + b"\r\n"
            )

    def test_null_sender(self) -> None:
        """The null sender is written as such (OUT-06)."""
        self.assertEqual(self.mail(envelope(sender=""), Extensions()), b"MAIL FROM:<>\r\n")

    def test_addresses_unchanged(self) -> None:
        """An address goes out octet for octet, or was refused when built (INJ-05, OUT-06)."""
        for text in (
            "prvs=123@example.org",
            "SRS0=abc=XY=example.com=a@example.org",
            "a+b=c@example.org",
            '"a b"@c',
            '"a@b"@c',
            r'"a\"b"@c',
            "=?utf-8?q?a=40b?=@c",
            "UPPER.lower@EXAMPLE.org",
            "a@[192.0.2.1]",
            "a@[IPv6:2001:db8::1]",
            UTF8,
            "Postmaster",
        ):
            recipient = Recipient.parse(text)
            self.assertEqual(rcpt_command(recipient, ALL), b"RCPT TO:<%s>\r\n" % text.encode())
            self.assertEqual(
                self.mail(envelope(sender=text), replace(ALL, declares_size=False)),
                b"MAIL FROM:<%s>\r\n" % text.encode(),
            )
        for text in ("a@b@c", "foo (c) bar@x", "bob <x@y>", "@r1,@r2:a@b", "a b@c", "a@b\r\nDATA"):
            self.assertRaises(ValueError, Recipient.parse, text)
            self.assertRaises(ValueError, envelope, sender=text)
