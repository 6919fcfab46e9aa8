# -*- test-case-name: tests.integration.test_certificates -*-
"""Certificates for the servers that tests start: good ones, and bad ones of every kind.

An L{Authority} is a certificate authority that lives as long as the test. Its C{pem} is the trust
anchor which a client is given. What trustme does not make (a certificate signed by itself, one
without the subjectAltName that RFC 9525 asks for) is made by cryptography.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Certificate:
    """A private key and the certificates that go with it, leaf first, in PEM."""

    key: bytes
    chain: bytes

    def save(self, path: Path) -> Path:
        """Write key and chain to one file, for its owner only; return its path."""
        path.touch(0o600)
        path.write_bytes(self.key + self.chain)
        return path


class Authority:
    """A certificate authority.

    @ivar pem: its own certificate in PEM, to be trusted or not.
    """

    def __init__(self, authority: trustme.CA | None = None) -> None:
        self._authority = authority or trustme.CA()
        self.pem = self._authority.cert_pem.bytes()

    def save(self, path: Path) -> Path:
        """Write the trust anchor to a file that everybody may read; return its path."""
        path.write_bytes(self.pem)
        return path

    def intermediate(self) -> Authority:
        """Return an authority under this one; what it issues carries the whole chain."""
        return Authority(self._authority.create_child_ca())

    def certificate(
        self, *names: str, since: datetime | None = None, until: datetime | None = None
    ) -> Certificate:
        """Issue a certificate for a server or client.

        @param names: host names, also with a wildcard, IP addresses or mail addresses: each
            becomes a subjectAltName of its kind.
        @param since: from when it is valid.
        @param until: until when it is valid.
        """
        issued = self._authority.issue_cert(*names, not_before=since, not_after=until)
        chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
        return Certificate(issued.private_key_pem.bytes(), chain)

    def expired(self, *names: str) -> Certificate:
        """Issue a certificate that was valid until yesterday."""
        now = datetime.now(UTC)
        return self.certificate(*names, since=now - 30 * _DAY, until=now - _DAY)

    def premature(self, *names: str) -> Certificate:
        """Issue a certificate that is valid from tomorrow on."""
        now = datetime.now(UTC)
        return self.certificate(*names, since=now + _DAY, until=now + 30 * _DAY)

    def nameless(self, common_name: str) -> Certificate:
        """Issue a certificate with a common name only, which RFC 9525 6.3 does not look at."""
        key = ec.generate_private_key(ec.SECP256R1())
        issuer = x509.load_pem_x509_certificate(self.pem)
        signer = serialization.load_pem_private_key(
            self._authority.private_key_pem.bytes(), password=None
        )
        builder = _builder(common_name, key).issuer_name(issuer.subject)
        return _signed(builder, key, cast("ec.EllipticCurvePrivateKey", signer))


def self_signed(*names: str) -> Certificate:
    """Return a certificate that nobody vouches for but its own key.

    @param names: host names and IP addresses; the first is the common name too.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(names[0], key)
    builder = builder.issuer_name(_common_name(names[0])).add_extension(
        x509.SubjectAlternativeName(_general_names(names)), critical=False
    )
    return _signed(builder, key, key)


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(name) for name in names]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(common_name: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_common_name(common_name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + 30 * _DAY)
    )


def _signed(
    builder: x509.CertificateBuilder,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
) -> Certificate:
    made = builder.sign(signer, hashes.SHA256())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Certificate(pem, made.public_bytes(serialization.Encoding.PEM))
