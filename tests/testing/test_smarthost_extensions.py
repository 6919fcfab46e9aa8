# -*- test-case-name: tests.testing.test_smarthost_extensions -*-
"""The fake smart host's extensions, and the cuts that a test asks it for."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost

from slimtwist.testing import Cut, CutAfter, FakeSmarthost, StartTls, Wait
from tests.testing.test_smarthost import SmarthostCase
from tests.testing.worlds import HalfCloseable

_PLAIN = b64encode(b"\0me\0secret").decode()


class ExtensionTests(SmarthostCase):
    """Each extension, as strict as the rest."""

    def test_size(self) -> None:
        """What is too large is refused when it is declared, and when it comes (PEER-38)."""
        host = FakeSmarthost(extensions=("SIZE 10",))
        client = self.hello(host)
        self.assertEqual(self.say(client, "MAIL FROM:<a@x> SIZE=11"), ["552 5.3.4 too large"])
        self.assertEqual(self.deliver(client, "b@x")[-1], "552 5.3.4 too large")
        self.assertEqual(host.messages, [])

    def test_lmtp(self) -> None:
        """LMTP has a reply for each recipient that was accepted (LMTP-01, LMTP-05)."""
        replies: dict[str, Any] = {
            "RCPT": {"c@x": "550 5.1.1 no"},
            ".": {"d@x": "452 4.2.2 full"},
        }
        host = FakeSmarthost(replies, lhlo=True)
        client = self.hello(host, "LHLO")
        answered = self.deliver(client, "b@x", "c@x", "d@x", "b@x")
        self.assertEqual(answered[-3:], ["250 2.0.0 taken", "452 4.2.2 full", "250 2.0.0 taken"])
        self.assertEqual(host.messages[0].recipients, ("b@x", "b@x"))
        self.assertEqual(self.say(client, "EHLO me"), ["500 5.5.1 unknown command"])

    def test_chunking(self) -> None:
        """A message comes in chunks, each answered (SMO-09)."""
        host = FakeSmarthost(extensions=("PIPELINING", "CHUNKING"))
        client = self.hello(host)
        self.say(client, "MAIL FROM:<a@x>", "RCPT TO:<b@x>")
        self.assertEqual(self.say(client, "BDAT 5\r\n.\r\n"), ["250 2.0.0 ok"])
        self.assertEqual(self.say(client, "BDAT 2 LAST\r\n"), ["250 2.0.0 taken"])
        self.assertEqual(host.messages[0].octets, b".\r\n" + b"\r\n" * 2)
        self.assertEqual(self.say(client, "BDAT x"), ["500 5.5.1 unknown command"])

    def test_chunk_refused(self) -> None:
        """A chunk without a transaction is taken and refused, and never obeyed (SMI-22)."""
        client = self.hello(FakeSmarthost(extensions=("CHUNKING",)))
        self.assertEqual(self.say(client, "BDAT 6 LAST\r\nRSET"), ["503 5.5.1 MAIL first"])

    def test_auth(self) -> None:
        """Mail is taken only after AUTH PLAIN, with or without initial response."""
        for lines in ([f"AUTH PLAIN {_PLAIN}"], ["AUTH PLAIN", _PLAIN]):
            host = FakeSmarthost(users={"me": "secret"})
            client = self.hello(host)
            self.assertEqual(self.say(client, "MAIL FROM:<>"), ["530 5.7.0 authenticate first"])
            self.assertEqual(self.say(client, *lines)[-1], "235 2.7.0 welcome")
            self.assertEqual(host.sessions[0].user, "me")
            self.assertEqual(self.say(client, "MAIL FROM:<>"), ["250 2.1.0 ok"])

    def test_auth_refused(self) -> None:
        """A wrong password is refused, and so is what is no base64."""
        host = FakeSmarthost(users={"me": "other"})
        client = self.hello(host)
        self.assertEqual(
            self.say(client, f"AUTH PLAIN {_PLAIN}", "AUTH PLAIN *", "AUTH PLAIN", "*"),
            [
                "535 5.7.8 wrong name or password",
                "501 5.5.2 cannot decode that",
                "334 ",
                "501 5.5.2 cannot decode that",
            ],
        )

    def test_starttls(self) -> None:
        """After STARTTLS all is forgotten, and it is not offered again (TLS-06)."""
        host = FakeSmarthost(extensions=("STARTTLS",), users={"me": "secret"})
        client = self.hello(host)
        self.assertEqual(self.say(client, "STARTTLS x"), ["501 5.5.4 no parameters"])
        self.assertEqual(self.say(client, "STARTTLS"), ["220 2.0.0 go ahead"])
        client.transport.startTLS(None)
        self.reactor.flush()
        self.assertTrue(host.sessions[0].is_secure)
        self.assertEqual(self.say(client, "MAIL FROM:<>"), ["503 5.5.1 say hello first"])
        self.assertEqual(self.say(client, "EHLO me"), ["250-mx.example", "250 AUTH PLAIN"])
        self.assertEqual(self.say(client, "STARTTLS"), ["503 5.5.1 not now"])
        host.verify()

    def test_plaintext_after_starttls(self) -> None:
        """What comes with STARTTLS in the same segment is told (TLS-04)."""
        host = FakeSmarthost(extensions=("STARTTLS",))
        client = self.hello(host)
        self.say(client, "STARTTLS\r\nEHLO me")
        self.assertIn("plaintext before TLS", host.sessions[0].wrongs[-1])

    def test_tls_step_as_an_answer(self) -> None:
        """Even TLS may be begun where nobody expects it."""
        host = FakeSmarthost(replies={"NOOP": StartTls()})
        client = self.connect(host)
        client.transport.write(b"NOOP\r\n")
        self.reactor.flush()
        client.transport.startTLS(None)
        self.reactor.flush()
        self.assertTrue(host.sessions[0].is_secure)


class CutTests(SmarthostCase):
    """Connections that end where the test says."""

    def test_cut_in_a_reply(self) -> None:
        """A reply may be cut after any octet, by an end or a reset (PEER-31)."""
        for how, error in [(Cut.FIN, ConnectionDone), (Cut.RST, ConnectionLost)]:
            for octets in range(10):
                host = FakeSmarthost(cut_after=CutAfter(".", octets, how))
                client = self.hello(host)
                self.deliver(client, "b@x")
                self.assertEqual(client.octets, b"250 2.0.0 taken\r\n"[:octets])
                self.assertIsInstance(client.reason, error)
                self.assertEqual(len(host.messages), 1)

    def test_cut_in_a_reply_of_two_parts(self) -> None:
        """Octets are counted over all parts of an answer, which may wait between them."""
        parts: tuple[Any, ...] = ("250-a", Wait(5), "250 b")
        host = FakeSmarthost(replies={"NOOP": parts}, cut_after=("NOOP", 3))
        client = self.connect(host)
        self.assertEqual(self.say(client, "NOOP"), ["250"])
        self.reactor.advance(9)
        self.assertEqual(client.octets, b"250")
        self.assertIsInstance(client.reason, ConnectionLost)

    def test_half_close_in_a_reply(self) -> None:
        """A half close leaves the client able to write, to nobody's profit (PEER-05)."""
        host = FakeSmarthost(cut_after=CutAfter("NOOP", 3, Cut.HALF))
        client = self.connect(host, HalfCloseable())
        self.assertEqual(self.say(client, "NOOP"), ["250"])
        self.assertEqual(client.events, ["read lost"])

    def test_cut_in_the_message(self) -> None:
        """A connection may be cut in the message; it is not kept."""
        host = FakeSmarthost(cut_after=("BODY", 5))
        client = self.hello(host)
        self.say(client, "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA", "12")
        self.assertIsNone(client.reason)
        self.say(client, "3\r\n.")
        self.assertIsInstance(client.reason, ConnectionLost)
        self.assertEqual(host.messages, [])

    def test_cut_of_the_second(self) -> None:
        """A cut may wait for the second of its commands, counted over all connections."""
        host = FakeSmarthost(cut_after=CutAfter("NOOP", occurrence=2))
        client = self.connect(host)
        self.assertEqual(self.say(client, "NOOP"), ["250 2.0.0 ok"])
        second = self.again()
        self.assertEqual(self.say(second, "NOOP"), [])
        self.assertIsInstance(second.reason, ConnectionLost)
        third = self.again()
        self.assertEqual(self.say(third, "NOOP"), ["250 2.0.0 ok"])
        self.assertEqual(len(host.sessions), 3)
