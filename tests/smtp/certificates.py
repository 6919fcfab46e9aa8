# -*- test-case-name: tests.smtp.test_tls -*-
"""Certificates good and bad, made when a test needs them."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from slimtwist.smtp.pem import Identity, TrustAnchors

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and the issuers on the way to its authority."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...] = ()

    @cached_property
    def identity(self) -> Identity:
        """It and its issuers, but for the authority."""
        return Identity((self.certificate, *self.issuers[:-1]), self.key)

    @property
    def alone(self) -> Identity:
        """It without its issuers."""
        return Identity((self.certificate,), self.key)

    @property
    def trust(self) -> TrustAnchors:
        """It as a trust anchor."""
        return TrustAnchors((self.certificate,))

    @property
    def pem(self) -> bytes:
        """It in PEM: key, certificate, issuers but for the authority."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return key + b"".join(one.public_bytes(Encoding.PEM) for one in self.identity.certificates)


def issue(
    *hosts: str,
    issuer: Issued | None = None,
    authority: bool | None = False,
    common_name: str = "test",
    addresses: Sequence[str] = (),
    urls: Sequence[str] = (),
    days: tuple[int, int] = (-1, 30),
    usage: x509.ObjectIdentifier | None = SERVER,
    permitted: str | None = None,
    raw: bytes = b"",
) -> Issued:
    """Return a certificate, self-signed where there is no issuer.

    @param authority: what basicConstraints says; L{None} for no such extension.
    @param days: from when to when it is valid, counted from now.
    @param permitted: the domain that it may issue for.
    @param raw: the whole of subjectAltName, in DER.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days[0]))
        .not_valid_after(now + dt.timedelta(days[1]))
    )
    names: list[x509.GeneralName] = [
        *map(x509.DNSName, hosts),
        *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses),
        *map(x509.UniformResourceIdentifier, urls),
    ]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if raw:
        names_oid = x509.SubjectAlternativeName.oid
        builder = builder.add_extension(x509.UnrecognizedExtension(names_oid, raw), critical=False)
    if authority is not None:
        constraints = x509.BasicConstraints(ca=authority, path_length=None)
        builder = builder.add_extension(constraints, critical=True)
    if not authority and usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    if permitted is not None:
        limit = x509.NameConstraints([x509.DNSName(permitted)], None)
        builder = builder.add_extension(limit, critical=True)
    signer = issuer.key if issuer else key
    issuers = (issuer.certificate, *issuer.issuers) if issuer else ()
    return Issued(key, builder.sign(signer, SHA256()), issuers)


#: For mail.example.com, with a key of 512 bits, which no library of today would make.
RSA_512 = b"""\
-----BEGIN PRIVATE KEY-----
MIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAttMRMmtHtfMdlF1o
AeaH0BNO5IEKxugvc27vToBaRd0JCNFdxmCnvA93TO7KoPdvgDy6dXcxQbQ86kLh
JQNa4QIDAQABAkA9mcyXknItKmdzEC31RfnI8FiKwbgh4SXr3Rsg9jp0gz0ICI1P
fj9OKFjotRnOe2odlr2KGH6LdfHC224SwJSJAiEA7mR8ZBMbtoMRv4zobE5znY6p
f5CG0mJ5YzndqgdtMp8CIQDEU+dJ4MQWMzjCzDiDtBeIelFqC6jhOdYXeKRFcU4C
fwIhAKVIKi5ASVCLIz0JdwPQiLxOcxosnC01dS/kqNj/+SfFAiEAnT/G5TmOVWm5
cO055uN8ZefzBclI/vzgKfSLPsO+A+kCIQDf5Fg9Xf6w64Y0f7Kxqpe+OPASnIW/
dK2RRpsrsHkJgg==
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBlDCCAT6gAwIBAgIUeha20Vyn/AKW9z0Mmdrd9UnynJowDQYJKoZIhvcNAQEL
BQAwDzENMAsGA1UEAwwEd2VhazAgFw0yNjExMjIyMzUwMjBaGA8yMTI2MTAyOTIz
NTAyMFowDzENMAsGA1UEAwwEd2VhazBcMA0GCSqGSIb3DQEBAQUAA0sAMEgCQQC2
0xEya0e18x2UXWgB5ofQE07kgQrG6C9zbu9OgFpF3QkI0V3GYKe8D3dM7sqg92+A
PLp1dzFBtDzqQuElA1rhAgMBAAGjcDBuMB0GA1UdDgQWBBSCh1A/Dyr14XOYiNaO
5OJ6ZUaoWDAfBgNVHSMEGDAWgBSCh1A/Dyr14XOYiNaO5OJ6ZUaoWDAPBgNVHRMB
Af8EBTADAQH/MBsGA1UdEQQUMBKCEG1haWwuZXhhbXBsZS5jb20wDQYJKoZIhvcN
AQELBQADQQAjV2OsE+lZ3x8VAOFFAti/flXjwPu7PDrp8QUUDJ6Mz8lbMMCyTbZZ
JFmjylbsPMApsjNWK6DT34w7jBEslvjw
-----END CERTIFICATE-----
"""
