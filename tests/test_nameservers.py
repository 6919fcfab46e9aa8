# -*- test-case-name: tests.test_nameservers -*-
"""Which name servers are asked."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.nameservers import ResolvConf, parse_server


class ParseTests(SynchronousTestCase):
    """A name server as an operator writes it."""

    def test_right(self) -> None:
        """An address, with a port or without, IPv6 in brackets or not."""
        cases = {
            "192.0.2.53:5353": ("192.0.2.53", 5353),
            "192.0.2.53": ("192.0.2.53", 53),
            "[2001:db8::53]:5353": ("2001:db8::53", 5353),
            "[2001:db8::53]": ("2001:db8::53", 53),
            "2001:db8::53": ("2001:db8::53", 53),
        }
        for text, server in cases.items():
            self.assertEqual(parse_server(text), server)

    def test_wrong(self) -> None:
        """A name, or a port that is none, is named."""
        for text in ("", ":", "dns.example", "dns.example:53", "192.0.2.1:", "192.0.2.1:0",
                     "192.0.2.1:65536", "192.0.2.1:x", "[192.0.2.1", "192.0.2.1:1:2"):  # fmt: skip
            with self.assertRaises(ValueError) as caught:
                parse_server(text)
            self.assertIn(repr(text), str(caught.exception))


class ResolvConfTests(SynchronousTestCase):
    """The file resolv.conf (DNS-29)."""

    def setUp(self) -> None:
        """No file yet."""
        self.path = Path(self.mktemp())
        self.conf = ResolvConf(str(self.path))

    def test_lines(self) -> None:
        """Only name servers count, in their order; a search list does not."""
        self.path.write_text(
            "# nameserver 192.0.2.9\nsearch example.org\nnameserver\t2001:db8::1\n"
            "nameserver nonsense\nnameserver\n nameserver 192.0.2.1 # here\noptions ndots:5\n"
        )
        self.assertEqual(self.conf.servers(), (("2001:db8::1", 53), ("192.0.2.1", 53)))

    def test_nobody(self) -> None:
        """Without a file, or a line, it is the name server of this host."""
        self.assertEqual(self.conf.servers(), (("127.0.0.1", 53),))
        self.path.write_text("search example.org\n")
        self.assertEqual(self.conf.servers(), (("127.0.0.1", 53),))

    def test_changed(self) -> None:
        """It is read again when it has changed, and only then; also when it was replaced."""
        self.path.write_text("nameserver 192.0.2.1\n")
        first = self.conf.servers()
        self.assertIs(self.conf.servers(), first)
        self.path.write_text("nameserver 192.0.2.22\n")
        self.assertEqual(self.conf.servers(), (("192.0.2.22", 53),))
        status = self.path.stat()
        other = Path(self.mktemp())
        other.write_text("nameserver 192.0.2.33\n")
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        other.replace(self.path)
        self.assertEqual(self.conf.servers(), (("192.0.2.33", 53),))

    def test_gone(self) -> None:
        """While there is none, those that were known are asked."""
        self.path.write_text("nameserver 192.0.2.1\n")
        self.conf.servers()
        self.path.unlink()
        self.assertEqual(self.conf.servers(), (("192.0.2.1", 53),))
        self.path.write_text("nameserver 192.0.2.2\n")
        self.assertEqual(self.conf.servers(), (("192.0.2.2", 53),))
