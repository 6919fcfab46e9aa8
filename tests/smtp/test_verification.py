# -*- test-case-name: tests.smtp.test_verification -*-
"""Tests of which certificates are believed, by real handshakes."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

from cryptography.x509 import load_pem_x509_certificate
from OpenSSL.crypto import X509
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.names import Reference
from slimtwist.smtp.pem import Identity, TrustAnchors
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.smtp.verification import Verification
from tests.smtp.certificates import CLIENT, RSA_512, Issued, issue
from tests.smtp.handshakes import Server, shake

HOST = "mail.example.com"


class _Certificates(SynchronousTestCase):
    """A trusted authority, and what verify and opportunistic say to a server."""

    root: Issued

    def setUp(self) -> None:
        """Make the authority."""
        self.root = issue(authority=True, common_name="root")

    def refuses(
        self, shown: Identity | Server, reason: str, trust: TrustAnchors | None = None
    ) -> None:
        """Check that verify refuses a server for a reason, and opportunistic takes it."""
        server = shown.options() if isinstance(shown, Identity) else shown
        policy = TlsPolicy(TlsMode.VERIFY, trust=trust or self.root.trust)
        self.assertEqual(shake(server, policy.creator(HOST)).refused, reason)
        for mode in (TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT):
            connected = shake(server, TlsPolicy(mode).creator(HOST))
            self.assertTrue(connected.secure)
            self.assertTrue(connected.described.endswith(" untrusted"))

    def believes(
        self, shown: Identity, host: str = HOST, trust: TrustAnchors | None = None
    ) -> None:
        """Check that verify takes a server."""
        policy = TlsPolicy(TlsMode.VERIFY, trust=trust or self.root.trust)
        connected = shake(shown.options(), policy.creator(host))
        self.assertTrue(connected.secure, connected.refused)
        self.assertTrue(connected.described.endswith(" verified"))


class ChainTests(_Certificates):
    """TLS-12: a chain to a trust anchor is needed, and is not looked at by opportunistic."""

    def test_good(self) -> None:
        """A certificate of the authority, or of one that it made an authority."""
        middle = issue(issuer=self.root, authority=True, common_name="middle")
        self.believes(issue(HOST, issuer=self.root).identity)
        self.believes(issue(HOST, issuer=middle).identity)

    def test_reordered(self) -> None:
        """TLS-12: a chain sent in another order is the same chain."""
        one = issue(issuer=self.root, authority=True, common_name="one")
        two = issue(issuer=one, authority=True, common_name="two")
        made = issue(HOST, issuer=two)
        self.believes(Identity((made.certificate, one.certificate, two.certificate), made.key))

    def test_self_signed(self) -> None:
        """TLS-12: self-signed."""
        self.refuses(issue(HOST).identity, "self-signed certificate")

    def test_expired(self) -> None:
        """TLS-12: expired."""
        made = issue(HOST, issuer=self.root, days=(-3, -1))
        self.refuses(made.identity, "certificate has expired")

    def test_not_yet_valid(self) -> None:
        """TLS-12: not yet valid."""
        made = issue(HOST, issuer=self.root, days=(1, 3))
        self.refuses(made.identity, "certificate is not yet valid")

    def test_unknown_authority(self) -> None:
        """TLS-12: an authority that is not ours, whether it is sent along or not."""
        other = issue(authority=True, common_name="other")
        made = issue(HOST, issuer=other)
        self.refuses(made.identity, "certificate issuer is unknown")
        sent = Identity((made.certificate, other.certificate), made.key)
        self.refuses(sent, "certificate authority is not trusted")

    def test_chain_missing(self) -> None:
        """TLS-12: the certificate between the server's and the authority's is not sent."""
        middle = issue(issuer=self.root, authority=True, common_name="middle")
        self.refuses(issue(HOST, issuer=middle).alone, "certificate issuer is unknown")

    def test_issuer_is_no_authority(self) -> None:
        """TLS-12: CA:FALSE, or nothing said about it, in the issuer's certificate."""
        for said in (False, None):
            middle = issue(issuer=self.root, authority=said, common_name="middle", usage=None)
            self.refuses(
                issue(HOST, issuer=middle).identity,
                "issuer's certificate is not a certificate authority's",
            )

    def test_issuer_expired(self) -> None:
        """The dates of every certificate on the chain count, and the text says whose it was."""
        middle = issue(issuer=self.root, authority=True, common_name="middle", days=(-3, -1))
        self.refuses(issue(HOST, issuer=middle).identity, "issuer's certificate has expired")

    def test_name_constraints(self) -> None:
        """TLS-12: an authority for another domain."""
        middle = issue(
            issuer=self.root, authority=True, common_name="middle", permitted="example.org"
        )
        self.refuses(
            issue(HOST, issuer=middle).identity, "name constraints of the authority violated"
        )

    def test_client_certificate(self) -> None:
        """TLS-12: a certificate that is for clients only."""
        made = issue(HOST, issuer=self.root, usage=CLIENT)
        self.refuses(made.identity, "certificate is not meant for this use")

    def test_short_key(self) -> None:
        """TLS-12: RSA-512, even from an anchor itself."""
        path = Path(self.mktemp())
        path.write_bytes(RSA_512)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        server.set_ciphers("ALL:@SECLEVEL=0")
        server.load_cert_chain(path)
        trust = TrustAnchors((load_pem_x509_certificate(RSA_512),))
        self.refuses(server, "key of the certificate is too short", trust)

    def test_pinned(self) -> None:
        """The very certificate of the server is an anchor, whoever issued it."""
        middle = issue(issuer=self.root, authority=True, common_name="middle")
        for made in (issue(HOST), issue(HOST, issuer=middle)):
            self.believes(made.alone, trust=made.trust)
        self.believes(issue(HOST, issuer=middle).identity, trust=middle.trust)

    def test_pinned_for_another_name(self) -> None:
        """An anchor is no reason to take the wrong name."""
        made = issue("www.example.com")
        self.refuses(
            made.identity,
            "name mismatch: wanted mail.example.com, certificate has www.example.com",
            made.trust,
        )


class NameTests(_Certificates):
    """TLS-12, TLS-13: the right name is needed, and is not looked at by opportunistic."""

    def wrong(self, made: Issued, has: str) -> None:
        """Check that the name is refused."""
        self.refuses(made.identity, f"name mismatch: wanted {HOST}, certificate has {has}")

    def test_wrong_name(self) -> None:
        """TLS-12: another name."""
        made = issue("www.example.com", issuer=self.root, addresses=["192.0.2.1"])
        self.wrong(made, "www.example.com, 192.0.2.1")

    def test_wildcards(self) -> None:
        """TLS-12: a wildcard in each form."""
        self.believes(issue("*.example.com", issuer=self.root).identity)
        for name in ("*.com", "*", "m*l.example.com", "*.*.com", "mail.*.com", "*.a.example.com"):
            self.wrong(issue(name, issuer=self.root), name)

    def test_common_name(self) -> None:
        """TLS-12: the common name alone."""
        made = issue(issuer=self.root, common_name=HOST)
        self.wrong(made, "no subject alternative name")

    def test_nul(self) -> None:
        """TLS-12: NUL in a name; the text stays one printable line."""
        made = issue(f"{HOST}\0.evil.org", issuer=self.root)
        self.wrong(made, f"{HOST}?.evil.org")
        policy = TlsPolicy(TlsMode.VERIFY, trust=self.root.trust)
        lost = shake(made.identity.options(), policy.creator(HOST)).client.lost
        assert lost is not None
        self.assertTrue(str(lost.value).isprintable())

    def test_address(self) -> None:
        """TLS-12: an address is proved by an IP name, not by a DNS name that looks like it."""
        for host in ("192.0.2.1", "2001:db8::1"):
            self.believes(issue(issuer=self.root, addresses=[host]).identity, host)
        policy = TlsPolicy(TlsMode.VERIFY, trust=self.root.trust)
        server = issue("192.0.2.1", issuer=self.root).identity.options()
        self.assertEqual(
            shake(server, policy.creator("192.0.2.1")).refused,
            "name mismatch: wanted 192.0.2.1, certificate has 192.0.2.1",
        )

    def test_odd_names_beside(self) -> None:
        """RFC 9525 6.3: names of other kinds, or malformed, do not spoil the good one."""
        urls = ["https://mail.example.com:8443/"]
        made = issue("*.com", "192.0.2.1", "a\0b", HOST, issuer=self.root, urls=urls)
        self.believes(made.identity)

    def test_odd_names_alone(self) -> None:
        """Nor do they make OpenSSL's verdict on the chain the last word."""
        urls = ["https://mail.example.com:8443/"]
        self.wrong(issue("*.com", issuer=self.root, urls=urls), "*.com")
        self.wrong(issue(issuer=self.root, urls=urls), "no subject alternative name")

    def test_reference_name(self) -> None:
        """TLS-13: the reference name of the policy counts, not the host connected to."""
        policy = TlsPolicy(TlsMode.VERIFY, reference="mx.example.net", trust=self.root.trust)
        right = issue("mx.example.net", issuer=self.root).identity.options()
        wrong = issue(HOST, issuer=self.root).identity.options()
        self.assertTrue(shake(right, policy.creator(HOST)).secure)
        self.assertIn("wanted mx.example.net", shake(wrong, policy.creator(HOST)).refused)


class _Unreadable:
    """A certificate that no one can read."""

    def to_cryptography(self) -> None:
        """Fail, as no library should."""
        raise RuntimeError


class CallbackTests(SynchronousTestCase):
    """What OpenSSL is told, whatever happens on the way."""

    text = ""

    def ask(self, certificate: Callable[[], object], code: int, depth: int) -> bool:
        """Return the answer about a certificate."""
        policy = TlsPolicy(TlsMode.VERIFY, trust=issue().trust)
        connected = shake(b"", policy.creator(HOST))
        protocol = cast(TLSMemoryBIOProtocol, connected.client.transport)
        verification = Verification(Reference.parse(HOST), protocol)
        shown = cast(X509, certificate())
        answer = verification(connected.client_side, shown, code, depth, int(code == 0))
        connected.pump.flush()
        self.text = connected.refused
        return answer

    def test_any_failure_is_a_refusal(self) -> None:
        """An error that nobody thought of is never consent."""
        self.assertFalse(self.ask(_Unreadable, 0, 0))
        self.assertEqual(self.text, "certificate cannot be read: RuntimeError")

    def test_unknown_code(self) -> None:
        """A fault of OpenSSL's that has no text here is named by its number."""
        self.assertFalse(self.ask(_Unreadable, 9999, 1))
        self.assertEqual(self.text, "issuer's certificate refused by OpenSSL, error 9999")

    def test_issuers_have_any_name(self) -> None:
        """The name is the server's certificate's to prove, not its issuer's."""
        made = issue("other.example").certificate
        self.assertTrue(self.ask(lambda: X509.from_cryptography(made), 0, 1))
        self.assertFalse(self.ask(lambda: X509.from_cryptography(made), 0, 0))
