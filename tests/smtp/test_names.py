# -*- test-case-name: tests.smtp.test_names -*-
"""Tests of what a peer must prove, and what a certificate proves."""

from __future__ import annotations

import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.names import CertificateNames, Reference
from tests.smtp.certificates import issue


def proves(host: str, *names: str) -> bool:
    """Tell whether a certificate with these DNS names proves a host."""
    return Reference.parse(host).proved_by(CertificateNames(names, ()))


class ReferenceTests(SynchronousTestCase):
    """What is configured becomes the name to verify."""

    def test_spelling(self) -> None:
        """TLS-13: case, a final dot and U-labels are ways to write the same name."""
        for text in ("mail.example.com", "MAIL.Example.COM", "mail.example.com."):
            self.assertEqual(Reference.parse(text).text, "mail.example.com")
        self.assertEqual(Reference.parse("Bücher.example").text, "xn--bcher-kva.example")

    def test_addresses(self) -> None:
        """TLS-14: an address is known as one, and is never a server name (RFC 6066 3)."""
        for text in ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"):
            self.assertIsNotNone(Reference.parse(text).address)
            self.assertIsNone(Reference.parse(text).server_name)
        self.assertEqual(Reference.parse("fe80::1%eth0").text, "fe80::1")

    def test_server_name(self) -> None:
        """TLS-14: the server name is the reference name, without a final dot."""
        self.assertEqual(Reference.parse("Mail.example.com.").server_name, b"mail.example.com")

    def test_no_names(self) -> None:
        """What cannot be verified is refused, in a text that quotes it in ASCII."""
        for text in (
            "",
            ".",
            "a..b",
            "a b",
            "/run/lmtp",
            "1234",
            "a" * 64,
            "a." * 130,
            "\0",
            "é\n",
        ):
            error = self.assertRaises(ValueError, Reference.parse, text)
            self.assertTrue(str(error).isascii() and str(error).isprintable(), text)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text is a name or a ValueError."""
        try:
            reference = Reference.parse(text)
        except ValueError:
            return
        self.assertTrue(reference.text.isascii())
        self.assertEqual(Reference.parse(reference.text), reference)


class ProofTests(SynchronousTestCase):
    """RFC 9525: which presented names prove a reference name."""

    def test_equal(self) -> None:
        """TLS-12: the same name proves it, in any case; another does not."""
        self.assertTrue(proves("mail.example.com", "www.example.com", "MAIL.example.com"))
        for name in ("example.com", "mail.example.com.evil.org", "xmail.example.com", "mail"):
            self.assertFalse(proves("mail.example.com", name))

    def test_wildcard(self) -> None:
        """TLS-12: a wildcard is one whole label, the left-most of at least three."""
        self.assertTrue(proves("mail.example.com", "*.example.com"))
        for host, name in (
            ("a.mail.example.com", "*.example.com"),
            ("example.com", "*.example.com"),
            ("example.com", "*.com"),
            ("com", "*"),
            ("mail.example.com", "*"),
            ("foo.example.com", "f*o.example.com"),
            ("mail.example.com", "m*.example.com"),
            ("mail.example.com", "mail.*.com"),
            ("mail.example.com", "*.*.com"),
            ("mail.example.com", "*.mail.example.com"),
        ):
            self.assertFalse(proves(host, name), (host, name))

    def test_malformed(self) -> None:
        """TLS-12: a NUL, a space or a final dot in a presented name makes it prove nothing."""
        for name in ("mail.example.com\0.evil.org", " mail.example.com", "mail.example.com.", ""):
            self.assertFalse(proves("mail.example.com", name), name)

    def test_malformed_beside_good(self) -> None:
        """RFC 9525 6.3: each presented name is judged by itself."""
        names = ("*.com", "192.0.2.1", "a\0b", "", "mail.example.com")
        self.assertTrue(proves("mail.example.com", *names))

    def test_address(self) -> None:
        """TLS-12: an address is proved by the same address, never by a DNS name that looks so."""
        names = CertificateNames(("192.0.2.1",), (ipaddress.ip_address("192.0.2.2"),))
        self.assertFalse(Reference.parse("192.0.2.1").proved_by(names))
        self.assertTrue(Reference.parse("192.0.2.2").proved_by(names))

    def test_address_is_no_name(self) -> None:
        """TLS-12: a host name is not proved by an address."""
        names = CertificateNames((), (ipaddress.ip_address("192.0.2.2"),))
        self.assertFalse(Reference.parse("mail.example.com").proved_by(names))

    @given(st.lists(st.text()), st.sampled_from(["mail.example.com", "a.b", "localhost"]))
    def test_any_names(self, names: list[str], host: str) -> None:
        """No presented name whatsoever raises, and only those that end like the host prove it."""
        if proves(host, *names):
            self.assertTrue(any(name.lower().endswith(host.partition(".")[2]) for name in names))


class CertificateNamesTests(SynchronousTestCase):
    """Reading the names of a certificate."""

    def test_read(self) -> None:
        """DNS names and addresses are read; URLs are not names of a mail server."""
        made = issue("a.example", addresses=["2001:db8::1"], urls=["https://a:443:x/"])
        found = CertificateNames.of(made.certificate)
        self.assertEqual(found.hosts, ("a.example",))
        self.assertEqual(found.addresses, (ipaddress.ip_address("2001:db8::1"),))

    def test_common_name(self) -> None:
        """TLS-12: the common name is no name (RFC 9525 2)."""
        found = CertificateNames.of(issue(common_name="mail.example.com").certificate)
        self.assertEqual((found.hosts, found.addresses), ((), ()))
        self.assertEqual(str(found), "no subject alternative name")

    def test_unreadable(self) -> None:
        """Extensions that make no sense are a ValueError."""
        good = issue("a.example").certificate
        octets = good.public_bytes(Encoding.DER)
        broken = octets.replace(b"a.example", b"a.ex\xff\xffple")
        unheard = issue(raw=b"\x30\x02\xa3\x00").certificate  # an X.400 address
        for made in (x509.load_der_x509_certificate(broken), unheard):
            error = self.assertRaises(ValueError, CertificateNames.of, made)
            self.assertTrue(str(error).startswith("certificate cannot be read: "))

    def test_text(self) -> None:
        """A few names are quoted, and the others counted; none at length."""
        names = CertificateNames(("a", "b", "c" * 1000, "d", "e", "f"), ())
        self.assertEqual(str(names), f"a, b, {'c' * 80}, d and 2 more")
