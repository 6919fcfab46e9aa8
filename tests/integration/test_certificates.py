# -*- test-case-name: tests.integration.test_certificates -*-
"""Each certificate is good or bad in the way that its name says, in the eyes of OpenSSL."""

from __future__ import annotations

import ssl
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.certificates import Authority, Certificate, self_signed


class CertificateTests(SynchronousTestCase):
    """A handshake in memory with each certificate."""

    def setUp(self) -> None:
        """Make an authority that the client trusts."""
        self.authority = Authority()

    def handshake(self, certificate: Certificate, name: str) -> str:
        """Return OpenSSL's words on a certificate, for a client that wants a name; "" if good."""
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(certificate.save(Path(self.mktemp())))
        client = ssl.create_default_context(cadata=self.authority.pem.decode())
        # Else OpenSSL looks for a host name in the common name when there is no other.
        client.hostname_checks_common_name = False
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = client.wrap_bio(to_client, to_server, server_hostname=name)
        theirs = server.wrap_bio(to_server, to_client, server_side=True)
        try:
            for side in (ours, theirs, ours):
                _advance(side)
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
        return ""

    def test_good(self) -> None:
        """Host names, wildcards and IP addresses are verified."""
        certificate = self.authority.certificate("mx.a.test", "*.b.test", "127.0.0.1", "::1")
        for name in ("mx.a.test", "x.b.test", "127.0.0.1", "::1"):
            self.assertEqual(self.handshake(certificate, name), "", name)

    def test_wrong_name(self) -> None:
        """Another name is refused."""
        certificate = self.authority.certificate("mx.a.test")
        self.assertIn("Hostname mismatch", self.handshake(certificate, "mx.b.test"))
        self.assertIn("IP address mismatch", self.handshake(certificate, "127.0.0.1"))

    def test_dates(self) -> None:
        """What is not valid any longer, or not yet, is refused."""
        self.assertIn("expired", self.handshake(self.authority.expired("a.test"), "a.test"))
        early = self.authority.premature("a.test")
        self.assertIn("not yet valid", self.handshake(early, "a.test"))

    def test_self_signed(self) -> None:
        """What nobody vouches for is refused, and for no other reason."""
        certificate = self_signed("a.test", "127.0.0.1")
        self.assertEqual(self.handshake(certificate, "a.test"), "self-signed certificate")
        self.authority.pem = certificate.chain
        self.assertEqual(self.handshake(certificate, "a.test"), "")
        self.assertEqual(self.handshake(certificate, "127.0.0.1"), "")

    def test_stranger(self) -> None:
        """What an authority issued that is not trusted is refused."""
        certificate = Authority().certificate("a.test")
        self.assertIn("unable to get local issuer", self.handshake(certificate, "a.test"))

    def test_nameless(self) -> None:
        """A common name is no reference for a name, though the chain is trusted."""
        certificate = self.authority.nameless("a.test")
        self.assertIn("Hostname mismatch", self.handshake(certificate, "a.test"))

    def test_intermediate(self) -> None:
        """A chain over an authority between is complete."""
        certificate = self.authority.intermediate().certificate("a.test")
        self.assertEqual(certificate.chain.count(b"BEGIN CERTIFICATE"), 2)
        self.assertEqual(self.handshake(certificate, "a.test"), "")

    def test_key_is_private(self) -> None:
        """The file with the key is for its owner only; the trust anchor is for all."""
        key = self.authority.certificate("a.test").save(Path(self.mktemp()))
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        anchor = self.authority.save(Path(self.mktemp()))
        self.assertEqual(anchor.read_bytes(), self.authority.pem)


def _advance(side: ssl.SSLObject) -> None:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return
