# -*- test-case-name: tests.edge.test_dialogue -*-
"""Tests of the commands and of their order."""

from __future__ import annotations

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.ssl import CertificateOptions

from slimtwist.edge.auth import portal
from slimtwist.edge.options import EdgeOptions
from tests.edge.world import EdgeTestCase, Visitor

HELLO, MAIL, RCPT = b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n"
END = b"x\r\n.\r\n"


class Commands(EdgeTestCase):
    """Commands without TLS and AUTH."""

    def check(self, *dialogue: tuple[bytes, str]) -> Visitor:
        """Check the codes of the replies to commands, given one after the other."""
        visitor = self.visit()
        for command, wanted in dialogue:
            got = " ".join(reply[:3] for reply in self.codes(visitor, command))
            self.assertEqual(got, wanted, command)
        return visitor

    def test_order(self) -> None:
        """Commands out of order are 503, and spoil nothing (ING-05)."""
        self.edge()
        self.check(
            (MAIL, "503"),
            (RCPT, "503"),
            (b"DATA\r\n", "503"),
            (b"STARTTLS\r\n", "502"),
            (HELLO, "250"),
            (RCPT, "503"),
            (b"DATA\r\n", "503"),
            (MAIL, "250"),
            (b"DATA\r\n", "503"),
            (MAIL, "503"),
            (RCPT, "250"),
            (b"DATA\r\n" + END, "354 250"),
            (RCPT, "503"),
        )
        self.assertEqual(len(self.hop.messages), 1)

    def test_hello_resets(self) -> None:
        """EHLO, HELO and RSET in the middle of a message drop it (ING-05)."""
        self.edge()
        for command in (HELLO, b"HELO x\r\n", b"RSET\r\n"):
            self.check((HELLO, "250"), (MAIL + RCPT, "250 250"), (command, "250"), (RCPT, "503"))

    def test_helo(self) -> None:
        """HELO and EHLO may follow each other; HELO offers nothing (ING-05)."""
        self.edge()
        self.check(
            (HELLO, "250"),
            (b"HELO y\r\n", "250"),
            (MAIL + RCPT + b"DATA\r\n" + END, "250 250 354 250"),
        )
        self.assertIn(
            b"Received: from y ([127.0.0.1])\r\n\tby relay.example with SMTP id",
            self.hop.messages[0],
        )
        self.assertEqual(self.say(self.visit(), b"HELO y\r\n"), ["250 relay.example"])

    def test_second_name(self) -> None:
        """The trace field has the name that was said last (RFC 5321 4.1.4)."""
        self.edge()
        visitor = self.visit()
        for name in (b"x.example", b"y.example"):
            self.say(visitor, b"EHLO " + name + b"\r\n" + MAIL + RCPT + b"DATA\r\n" + END)
            self.assertTrue(self.hop.messages[-1].startswith(b"Received: from " + name))

    def test_arguments(self) -> None:
        """Missing or needless arguments are 501 or 503; the session lives (ING-04)."""
        self.edge()
        for command in (b"EHLO", b"HELO", b"VRFY", b"QUIT now", b"RSET x", b"STARTTLS x"):
            self.check((command + b"\r\n", "501"), (b"NOOP\r\n", "250"))
        for command in (b"MAIL", b"RCPT", b"DATA x", b"BDAT"):
            visitor = self.visit()
            self.say(visitor, HELLO)
            (code,) = self.codes(visitor, command + b"\r\n")
            self.assertIn(code[:3], {"501", "503"}, command)
            self.assertEqual(self.codes(visitor, b"NOOP x\r\n"), ["250 2.0.0"])
        self.check((b"AUTH\r\n", "503"), (b"NOOP\r\n", "250"))

    def test_data_argument(self) -> None:
        """DATA with an argument is 501, and the message goes on without (ING-04)."""
        self.edge()
        self.check(
            (HELLO + MAIL + RCPT + b"DATA x\r\n", "250 250 250 501"), (b"DATA\r\n" + END, "354 250")
        )

    def test_others(self) -> None:
        """Commands that do nothing say so."""
        self.edge()
        self.check(
            (b"HELP\r\n", "214"),
            (b"VRFY joe\r\n", "252"),
            (b"EXPN list\r\n", "502"),
            (b"LHLO x\r\n", "500"),
        )

    def test_lmtp(self) -> None:
        """In LMTP it is LHLO, and neither EHLO nor HELO (RFC 2033 4.1)."""
        self.edge(EdgeOptions(lmtp=True))
        self.check(
            (HELLO, "500"),
            (b"HELO x\r\n", "500"),
            (MAIL, "503"),
            (b"LHLO x\r\n", "250"),
            (MAIL, "250"),
        )

    def test_offer_smtp(self) -> None:
        """Before a direct queue SMTP declares one recipient, and no notifications (ING-24)."""
        self.edge()
        (reply,) = self.say(self.visit(), HELLO)
        self.assertEqual(
            reply.split("\n"),
            [
                "250-relay.example",
                "250-PIPELINING",
                "250-SIZE 52428800",
                "250-8BITMIME",
                "250-SMTPUTF8",
                "250-ENHANCEDSTATUSCODES",
                "250-CHUNKING",
                "250 LIMITS RCPTMAX=1",
            ],
        )

    def test_offer_lmtp(self) -> None:
        """LMTP takes all recipients, so it does not (RFC 2033 4.2)."""
        self.edge(EdgeOptions(lmtp=True))
        (reply,) = self.say(self.visit(), b"LHLO x\r\n")
        self.assertNotIn("LIMITS", reply)
        self.assertNotIn("DSN", reply)

    def test_chunk_too_long(self) -> None:
        """Octets behind a chunk that are no command end the session (SMI-19)."""
        self.edge()
        visitor = self.visit()
        said = HELLO + MAIL + RCPT + b"BDAT 5\r\nhelloXXRSET\r\nNOOP\r\n"
        self.assertEqual(self.codes(visitor, said)[3:], ["250 2.0.0", "500 5.5.2"])
        self.assertIsNotNone(visitor.lost)

    def test_unknown_later(self) -> None:
        """An unknown command that is not right behind a chunk ends nothing."""
        self.edge()
        self.check(
            (
                HELLO + MAIL + RCPT + b"BDAT 2\r\nabNOOP\r\nFOO\r\nNOOP\r\n",
                "250 250 250 250 250 500 250",
            )
        )


class Tls(EdgeTestCase):
    """STARTTLS, on a network whose TLS has no secrets."""

    def setUp(self) -> None:
        """Have an edge with a certificate, and one user."""
        super().setUp()
        users = InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")
        self.edge(
            EdgeOptions(
                certificate=CertificateOptions(), portal=portal([users]), auth_in_clear=True
            )
        )

    def secure(self, visitor: Visitor) -> None:
        """Go on in TLS."""
        self.assertEqual(self.codes(visitor, b"STARTTLS\r\n"), ["220 2.0.0"])
        visitor.transport.startTLS(CertificateOptions())
        self.reactor.flush()

    def test_offer(self) -> None:
        """It is offered until it is there."""
        visitor = self.visit()
        self.assertIn("\n250-STARTTLS\n", self.say(visitor, HELLO)[0])
        self.secure(visitor)
        self.assertNotIn("STARTTLS", self.say(visitor, HELLO)[0])

    def test_forgotten(self) -> None:
        """Name, message and identity from before TLS are forgotten (TLS-06)."""
        visitor = self.visit()
        said = HELLO + b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n" + MAIL + RCPT
        self.assertEqual([c[:3] for c in self.codes(visitor, said)], ["250", "235", "250", "250"])
        self.secure(visitor)
        codes = self.codes(visitor, RCPT + MAIL + HELLO + RCPT + MAIL + b"RSET\r\n")
        self.assertEqual([c[:3] for c in codes], ["503", "503", "250", "503", "250", "250"])
        self.assertEqual(self.codes(visitor, b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"), ["235 2.7.0"])

    def test_injection(self) -> None:
        """Anything behind STARTTLS ends the session, also a fragment (TLS-04, TLS-05)."""
        for rest in (MAIL, b"MAI", b"\r\n", b"EHLO x\r\n", b"\x16\x03\x01"):
            visitor = self.visit()
            codes = self.codes(visitor, HELLO + b"STARTTLS\r\n" + rest)
            self.assertEqual(codes, ["250", "503 5.5.1"], rest)
            self.assertIsNotNone(visitor.lost)

    def test_misplaced(self) -> None:
        """With an argument it is 501; before EHLO, and within TLS, 503 (TLS-24)."""
        visitor = self.visit()
        self.assertEqual(self.codes(visitor, b"STARTTLS x\r\n"), ["501 5.5.4"])
        self.assertEqual(self.codes(visitor, b"STARTTLS\r\n"), ["503 5.5.1"])
        self.say(visitor, HELLO)
        self.secure(visitor)
        for before in (b"", HELLO):
            self.say(visitor, before)
            self.assertEqual(self.codes(visitor, b"STARTTLS\r\n"), ["503 5.5.1"])

    def test_within_a_message(self) -> None:
        """During a transaction it is allowed, and ends that (TLS-24)."""
        visitor = self.visit()
        self.say(visitor, HELLO + MAIL + RCPT)
        self.secure(visitor)
        self.assertEqual(self.codes(visitor, HELLO + b"DATA\r\n"), ["250", "503 5.5.1"])

    def test_message(self) -> None:
        """A message in TLS is traced so, and the version is known (RFC 3848)."""
        visitor = self.visit()
        self.say(visitor, HELLO)
        self.secure(visitor)
        codes = self.codes(visitor, HELLO + MAIL + RCPT + b"DATA\r\n" + END)
        self.assertEqual(codes[-1], "250 2.0.0")
        self.assertIn(b" with ESMTPS id ", self.hop.messages[0])
        self.assertTrue(self.hop.envelopes[0].client.tls)

    def test_quit(self) -> None:
        """QUIT in TLS ends the connection at once."""
        visitor = self.visit()
        self.say(visitor, HELLO)
        self.secure(visitor)
        self.assertEqual(self.codes(visitor, b"QUIT\r\n"), ["221 2.0.0"])
        self.assertIsNotNone(visitor.lost)
        self.assert_nothing_left()

    def test_no_handshake(self) -> None:
        """Who speaks no TLS after STARTTLS is cut off, and nothing of it done (TLS-20)."""
        visitor = self.visit()
        self.say(visitor, HELLO)
        self.codes(visitor, b"STARTTLS\r\n")
        self.assertEqual(self.codes(visitor, HELLO + MAIL), [])
        self.assertIsNotNone(visitor.lost)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assert_nothing_left()

    def test_slow_handshake(self) -> None:
        """A handshake that does not come is not waited for (ING-13)."""
        visitor = self.visit()
        self.say(visitor, HELLO)
        self.codes(visitor, b"STARTTLS\r\n")
        self.reactor.advance(310)
        self.assertIsNotNone(visitor.lost)
        self.assert_nothing_left()
