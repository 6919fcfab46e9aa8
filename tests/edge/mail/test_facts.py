# -*- test-case-name: tests.edge.mail.test_facts -*-
"""What is known of a client of twisted.mail's server."""

from __future__ import annotations

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.internet.testing import StringTransport
from twisted.mail.smtp import ESMTP, SMTP, User
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.mail.facts import client_of, helo_of, identity_of, service_identity

STRANGER = IPv4Address("TCP", "203.0.113.7", 1)


class FactsTests(SynchronousTestCase):
    """Of one client."""

    def user(
        self,
        peer: IAddress = STRANGER,
        server: SMTP | None = None,
        helo: bytes = b"client.example",
    ) -> User:
        """Return a recipient that a client of a server has named."""
        server = server or ESMTP()
        server.transport = StringTransport(peerAddress=peer)
        return User(b"<b@x.example>", (helo, b"whatever"), server, b"a@b")

    def test_place(self) -> None:
        """The address is the connection's own; a UNIX socket has none."""
        for peer, wanted in (
            (STRANGER, "203.0.113.7"),
            (IPv6Address("TCP", "::ffff:203.0.113.7", 1), "203.0.113.7"),
            (UNIXAddress(b"/run/x"), None),
        ):
            client = client_of(self.user(peer), None)
            assert client is not None
            self.assertEqual(client.ip, wanted)

    def test_nowhere(self) -> None:
        """Of whom nobody knows where he is, nothing is made but by a name that he has proved."""
        peer = HostnameAddress(b"localhost", 25)
        self.assertIsNone(client_of(self.user(peer), None))
        self.assertIsNone(client_of(User(b"<b@x>", None, None, None), None))
        self.assertIsNone(client_of(User(b"<b@x>", None, SMTP(), None), "alice"))
        self.assertIsNotNone(client_of(self.user(peer), "alice"))

    def test_protocol(self) -> None:
        """The protocol is the server's, with what the client has proved."""
        server = ESMTP()
        known = client_of(self.user(server=server), "alice")
        server.authenticated = True
        nameless = client_of(self.user(server=server), None)
        old = client_of(self.user(server=SMTP()), None)
        assert known is not None
        assert nameless is not None
        assert old is not None
        self.assertEqual((known.protocol, known.auth), ("ESMTPA", "alice"))
        self.assertEqual((nameless.protocol, nameless.auth), ("ESMTPA", "authenticated"))
        self.assertEqual((old.protocol, old.auth, old.tls), ("SMTP", None, None))

    def test_helo(self) -> None:
        """A name that cannot be shown is none (L5)."""
        for name, wanted in (
            (b"client.example", "client.example"),
            (b"a b", None),
            (b"a\nb", None),
            (b"\xff", None),
            (b"", None),
            (b"x" * 256, None),
        ):
            self.assertEqual(helo_of(self.user(helo=name)), wanted)

    def test_identity(self) -> None:
        """A name is text that can be shown; an anonymous client has none."""
        for avatar_id, wanted in (
            (b"alice", "alice"),
            ("alice", "alice"),
            (b"a\n\xff", "a?\ufffd"),
            ((), None),
            (None, None),
        ):
            self.assertEqual(identity_of(avatar_id), wanted)

    def test_service_identity(self) -> None:
        """The name in a mail service counts for who has authenticated only."""
        server = ESMTP()
        server.delivery = type("Delivery", (), {"user": b"alice"})()
        self.assertIsNone(service_identity(self.user(server=server)))
        server.authenticated = True
        self.assertEqual(service_identity(self.user(server=server)), "alice")
        self.assertIsNone(service_identity(User(b"<b@x>", None, None, None)))
