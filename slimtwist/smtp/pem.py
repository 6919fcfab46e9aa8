# -*- test-case-name: tests.smtp.test_pem -*-
"""Certificates, keys and trust anchors from PEM files.

Errors name the file and its fault, so that an operator can mend it.  Source: RFC 7468 (PEM).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL
from OpenSSL.crypto import X509, PKey
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates

from slimtwist.smtp.secret import read_file, read_secret

_Path = str | os.PathLike[str]
_Key = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey
_KEY_BLOCK: Final = re.compile(
    rb"-----BEGIN ([A-Z ]*)PRIVATE KEY-----.*?-----END \1PRIVATE KEY-----", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """Certificates that are believed without further proof.

    @ivar certificates: authorities, or the very certificates that peers will show.
    """

    certificates: tuple[x509.Certificate, ...]

    @classmethod
    def read(cls, path: _Path) -> TrustAnchors:
        """Return the certificates of a PEM file, one or many.

        @raise ValueError: the file cannot be read, or holds no certificate.
        """
        return cls(tuple(_certificates(path, read_file(path))))

    @property
    def root(self) -> Any:  # noqa: ANN401 - Twisted's interface is private
        """Twisted's form of it: what C{trustRoot} takes."""
        return trustRootFromCertificates(
            Certificate(X509.from_cryptography(one)) for one in self.certificates
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are in TLS: a key, its certificate, and the chain to the authority.

    Two of the same certificates are equal, whenever they were read.

    @ivar certificates: ours first, then the chain.
    @ivar key: the private key of the first.
    """

    certificates: tuple[x509.Certificate, ...]
    key: _Key = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: _Path) -> Identity:
        """Return the identity in a PEM file: the key, its certificate and the chain, in any order.

        @raise ValueError: the file cannot be read, has no key or an encrypted one, no certificate,
            or none that belongs to the key.
        """
        content = read_secret(path)
        key = _private_key(path, content)
        certificates = _certificates(path, content)
        own = next((one for one in certificates if one.public_key() == key.public_key()), None)
        if own is None:
            raise ValueError(f"{os.fspath(path)}: the private key belongs to no certificate in it")
        return cls((own, *(one for one in certificates if one != own)), key)

    def options(self, trust_root: Any = None) -> CertificateOptions:  # noqa: ANN401 - likewise
        """Return Twisted's form of it, for one side of connections with TLS 1.2 and later.

        @param trust_root: what peers are believed by; C{None} to believe anybody.
        """
        own, *chain = map(X509.from_cryptography, self.certificates)
        return CertificateOptions(
            privateKey=PKey.from_cryptography_key(self.key),
            certificate=own,
            extraCertChain=chain,
            trustRoot=trust_root,
        )


def server_options(path: _Path) -> CertificateOptions:
    """Return what C{startTLS} takes on a server's side: TLS 1.2 and later, no client certificate.

    @param path: of a PEM file with the key, its certificate and the chain.
    @raise ValueError: as L{Identity.read}, or OpenSSL finds key or certificate too weak.
    """
    options = Identity.read(path).options()
    try:
        options.getContext()
    except SSL.Error as error:
        reasons = "; ".join(entry[-1] for entry in error.args[0])
        raise ValueError(f"{os.fspath(path)}: OpenSSL refuses it: {reasons}") from error
    return options


def _certificates(path: _Path, content: bytes) -> list[x509.Certificate]:
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise ValueError(f"{os.fspath(path)}: there is no certificate in it")
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: a certificate cannot be read: {error}") from error


def _private_key(path: _Path, content: bytes) -> _Key:
    if (block := _KEY_BLOCK.search(content)) is None:
        raise ValueError(f"{os.fspath(path)}: there is no private key in it")
    try:
        key = load_pem_private_key(block[0], None)
    except TypeError as error:
        raise ValueError(f"{os.fspath(path)}: the private key is encrypted") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"{os.fspath(path)}: the private key cannot be read: {error}") from error
    if isinstance(key, _Key):
        return key
    raise ValueError(f"{os.fspath(path)}: TLS has no use for a {type(key).__name__}")
