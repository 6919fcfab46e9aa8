# -*- test-case-name: tests.smtp.test_pem -*-
"""Tests of certificates, keys and anchors in PEM files."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.pem import Identity, TrustAnchors, server_options
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from tests.smtp.certificates import RSA_512, Issued, issue
from tests.smtp.handshakes import shake


class _Files(SynchronousTestCase):
    """PEM files."""

    def file(self, *parts: bytes) -> str:
        """Return the path of a file with these parts, readable by its owner."""
        path = Path(self.mktemp())
        path.write_bytes(b"".join(parts))
        path.chmod(0o600)
        return str(path)

    def fault(self, read: object, *parts: bytes) -> str:
        """Return what is said of a file; it begins with the file's name."""
        path = self.file(*parts)
        error = self.assertRaises(ValueError, read, path)
        self.assertTrue(str(error).startswith(f"{path}: "), error)
        return str(error).removeprefix(f"{path}: ")


def certificate(made: Issued) -> bytes:
    """Return a certificate in PEM."""
    return made.certificate.public_bytes(Encoding.PEM)


def key(made: Issued, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    """Return a key in PEM."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return made.key.private_bytes(Encoding.PEM, form, encryption)


class IdentityTests(_Files):
    """A key, its certificate and the chain."""

    def setUp(self) -> None:
        """Make a chain."""
        self.root = issue(authority=True, common_name="root")
        self.middle = issue(issuer=self.root, authority=True, common_name="middle")
        self.made = issue("a.example", issuer=self.middle)

    def test_any_order(self) -> None:
        """The key decides which certificate is ours; the rest is its chain."""
        parts = [key(self.made), certificate(self.made), certificate(self.middle)]
        for order in (parts, parts[::-1], [parts[2], parts[0], parts[1]]):
            found = Identity.read(self.file(b"some text\n", *order))
            self.assertEqual(found, self.made.identity)
            self.assertEqual(found.key.public_key(), self.made.key.public_key())

    def test_old_form(self) -> None:
        """A key as OpenSSL wrote it of old, after the block that names its curve."""
        curve = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        old = key(self.made, PrivateFormat.TraditionalOpenSSL)
        self.assertIn(b"BEGIN EC PRIVATE KEY", old)
        found = Identity.read(self.file(curve, old, certificate(self.made)))
        self.assertEqual(found.key.public_key(), self.made.key.public_key())

    def test_value(self) -> None:
        """Read again it is the same; the key is no part of what is shown."""
        path = self.file(self.made.pem)
        self.assertEqual(hash(Identity.read(path)), hash(Identity.read(path)))
        self.assertEqual(Identity.read(path), Identity.read(path))
        self.assertNotIn("key=", repr(Identity.read(path)))

    def test_no_certificate(self) -> None:
        """A key alone."""
        fault = self.fault(Identity.read, key(self.made))
        self.assertEqual(fault, "there is no certificate in it")

    def test_no_key(self) -> None:
        """A certificate alone."""
        fault = self.fault(Identity.read, certificate(self.made))
        self.assertEqual(fault, "there is no private key in it")

    def test_encrypted(self) -> None:
        """An encrypted key, in both forms: nobody is there to be asked for the password."""
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
            fault = self.fault(
                Identity.read, key(self.made, form, b"password"), certificate(self.made)
            )
            self.assertEqual(fault, "the private key is encrypted")

    def test_another_key(self) -> None:
        """A key that does not match."""
        fault = self.fault(Identity.read, key(self.made), certificate(self.middle))
        self.assertEqual(fault, "the private key belongs to no certificate in it")

    def test_damaged(self) -> None:
        """Damage to key or certificate."""
        broken = key(self.made).replace(b"M", b"!")
        fault = self.fault(Identity.read, broken, certificate(self.made))
        self.assertTrue(fault.startswith("the private key cannot be read: "), fault)
        broken = certificate(self.made).replace(b"MII", b"AAA")
        fault = self.fault(Identity.read, key(self.made), broken)
        self.assertTrue(fault.startswith("a certificate cannot be read: "), fault)

    def test_useless_key(self) -> None:
        """A key of a kind that signs nothing."""
        exchange = X25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        fault = self.fault(Identity.read, exchange, certificate(self.made))
        self.assertEqual(fault, "TLS has no use for a X25519PrivateKey")

    def test_missing(self) -> None:
        """No such file."""
        error = self.assertRaises(ValueError, Identity.read, "/no/such/file")
        self.assertEqual(str(error), "/no/such/file: No such file or directory")


class TrustAnchorsTests(_Files):
    """What peers are believed by."""

    def test_many(self) -> None:
        """Each certificate of a file is an anchor."""
        one, two = issue("a.example"), issue("b.example")
        trust = TrustAnchors.read(self.file(certificate(one), b"\n# text\n", certificate(two)))
        for made, host in ((one, "a.example"), (two, "b.example")):
            creator = TlsPolicy(TlsMode.VERIFY, trust=trust).creator(host)
            self.assertTrue(shake(made.identity.options(), creator).secure)

    def test_none(self) -> None:
        """A file without a certificate is refused: it would believe nobody."""
        self.assertEqual(self.fault(TrustAnchors.read), "there is no certificate in it")

    def test_missing(self) -> None:
        """No such file."""
        error = self.assertRaises(ValueError, TrustAnchors.read, "/no/such/file")
        self.assertEqual(str(error), "/no/such/file: No such file or directory")


class ServerOptionsTests(_Files):
    """What an edge says who it is with."""

    def test_chain(self) -> None:
        """The chain is sent along, so that a client with the root alone believes it."""
        root = issue(authority=True, common_name="root")
        middle = issue(issuer=root, authority=True, common_name="middle")
        options = server_options(self.file(issue("a.example", issuer=middle).pem))
        creator = TlsPolicy(TlsMode.VERIFY, trust=root.trust).creator("a.example")
        self.assertTrue(shake(options, creator).secure)

    def test_weak(self) -> None:
        """A key that OpenSSL finds too short is refused at once, not at the first handshake."""
        fault = self.fault(server_options, RSA_512)
        self.assertIn("too small", fault)
