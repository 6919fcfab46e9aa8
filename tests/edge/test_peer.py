# -*- test-case-name: tests.edge.test_peer -*-
"""Tests of what is known of a client."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.peer import client_ip, is_local, plain_ip, tls_facts


class Addresses(SynchronousTestCase):
    """Addresses of clients."""

    def test_plain(self) -> None:
        """IPv4 is IPv4 also within IPv6, and a zone says nothing to others."""
        for host, ip in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
            (None, None),
        ]:
            self.assertEqual(plain_ip(host), ip)

    def test_of_transport(self) -> None:
        """A UNIX socket's client has none."""
        for address, ip in [
            (IPv4Address("TCP", "192.0.2.1", 1), "192.0.2.1"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.1"),
            (UNIXAddress(None), None),
        ]:
            transport = StringTransport(peerAddress=address)
            self.assertEqual(client_ip(transport), ip)  # type: ignore[arg-type]

    def test_local(self) -> None:
        """Loopback and UNIX sockets are this host, private networks are not."""
        for ip in (None, "127.0.0.1", "127.8.8.8", "::1"):
            self.assertTrue(is_local(ip), ip)
        for ip in ("10.0.0.1", "192.168.0.1", "fe80::1", "0.0.0.0"):
            self.assertFalse(is_local(ip), ip)

    def test_no_tls(self) -> None:
        """A plain transport has nothing to tell of TLS."""
        self.assertIsNone(tls_facts(StringTransport()))  # type: ignore[arg-type]
