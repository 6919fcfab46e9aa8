# -*- test-case-name: tests.test_endpoints -*-
"""What is read in the description of a server endpoint."""

from __future__ import annotations

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.endpoints import is_local, may_have_tls, server_endpoint, tcp_port
from slimtwist.testing import MemoryReactor


class EndpointTests(SynchronousTestCase):
    """From text to endpoint, and to what is known of it."""

    def test_endpoint(self) -> None:
        """Twisted's own kinds are known."""
        for text in ("tcp:25", "tcp6:25", "unix:/run/x", "haproxy:tcp:25"):
            endpoint = server_endpoint(MemoryReactor(), text)
            self.assertTrue(IStreamServerEndpoint.providedBy(endpoint), text)

    def test_wrong(self) -> None:
        """Whatever the parser raises becomes a text that shows an endpoint."""
        for text in ("", "25", "tcp", "tcp:x", "tcp:25:color=red", "ssl:465:privateKey=/nowhere"):
            with self.assertRaises(ValueError) as caught:
                server_endpoint(MemoryReactor(), text)
            self.assertIn("; write an endpoint such as tcp:2525", str(caught.exception))

    def test_no_socket(self) -> None:
        """That systemd has handed over nothing is said so."""
        for text in ("systemd:domain=INET:index=7", "systemd:domain=INET:name=nowhere"):
            with self.assertRaises(ValueError) as caught:
                server_endpoint(MemoryReactor(), text)
            self.assertEqual(str(caught.exception), "systemd has handed over no such socket")

    def test_local(self) -> None:
        """Only what is bound to this host is for this host alone."""
        for text in (
            "unix:/run/x",
            "tcp:25:interface=127.0.0.1",
            "tcp:interface=127.9.9.9:port=25",
            "tcp6:25:interface=\\:\\:1",
            "ssl:465:interface=localhost",
        ):
            self.assertTrue(is_local(text), text)
        for text in (
            "tcp:25",
            "tcp:25:interface=0.0.0.0",
            "tcp:25:interface=192.0.2.1",
            "tcp:25:interface=127.0.0.1.example",
            "tcp6:25:interface=\\:\\:",
            "haproxy:tcp:25:interface=127.0.0.1",
            "systemd:domain=INET:index=0",
            "nonsense",
            "a=b:a=c",
        ):
            self.assertFalse(is_local(text), text)

    def test_port(self) -> None:
        """The port is told where it is plain, with or without its name, also behind a proxy."""
        for text in (
            "tcp:25",
            "tcp:port=25",
            "tcp:interface=127.0.0.1:port=25",
            "tcp6:25:interface=\\:\\:1",
            "ssl:025:privateKey=/x",
            "haproxy:tcp:25",
            "haproxy:tcp6:port=25",
        ):
            self.assertEqual(tcp_port(text), 25, text)
        self.assertEqual(tcp_port("tcp:2525:backlog=25"), 2525)
        for text in ("unix:25", "tcp:", "tcp:x", "haproxy:", "haproxy:unix:25", "fd:25", "x=y:25"):
            self.assertIsNone(tcp_port(text), text)

    def test_tls(self) -> None:
        """What is known to carry octets as they are has no TLS."""
        for text, wanted in {"tcp:25": False, "unix:/x": False, "ssl:465": True}.items():
            self.assertEqual(may_have_tls(text), wanted, text)
