# -*- test-case-name: tests.smtp.test_verification -*-
"""Whether a peer's certificate is believed, with the reason when it is not.

OpenSSL checks the chain and asks L{Verification} about each certificate on it; the name is checked
here, by L{slimtwist.smtp.names}.  Whatever goes wrong on the way is a refusal: the handshake ends
before any octet of ours is sent, and the connection is lost with L{CertificateRejected}.

Sources: RFC 5280 6 (the chain), RFC 9525 (the name), C{OpenSSL.SSL.X509VerificationCodes}.
"""

from __future__ import annotations

import weakref
from types import MappingProxyType
from typing import Final

from OpenSSL.crypto import X509
from OpenSSL.SSL import Connection, X509VerificationCodes
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure

from slimtwist.reply import printable
from slimtwist.smtp.names import CertificateNames, Reference

_CODES = X509VerificationCodes
#: What OpenSSL finds wrong with a certificate; {} is whose it is.
_FAULTS: Final = MappingProxyType(
    {
        _CODES.ERR_CERT_HAS_EXPIRED: "{} has expired",
        _CODES.ERR_CERT_NOT_YET_VALID: "{} is not yet valid",
        _CODES.ERR_CERT_REVOKED: "{} is revoked",
        _CODES.ERR_CERT_SIGNATURE_FAILURE: "signature of the {} is wrong",
        _CODES.ERR_UNHANDLED_CRITICAL_EXTENSION: "{} has an unknown critical extension",
        _CODES.ERR_INVALID_PURPOSE: "{} is not meant for this use",
        _CODES.ERR_DEPTH_ZERO_SELF_SIGNED_CERT: "self-signed {}",
        _CODES.ERR_SELF_SIGNED_CERT_IN_CHAIN: "certificate authority is not trusted",
        _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT: "certificate issuer is unknown",
        _CODES.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "certificate issuer is unknown",
        _CODES.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: "certificate issuer is unknown",
        _CODES.ERR_INVALID_CA: "{} is not a certificate authority's",
        _CODES.ERR_KEYUSAGE_NO_CERTSIGN: "certificate issuer may not sign certificates",
        _CODES.ERR_PERMITTED_VIOLATION: "name constraints of the authority violated",
        _CODES.ERR_EXCLUDED_VIOLATION: "name constraints of the authority violated",
        _CODES.ERR_PATH_LENGTH_EXCEEDED: "certificate chain is longer than its authority allows",
        _CODES.ERR_CERT_CHAIN_TOO_LONG: "certificate chain is too long",
        # From OpenSSL's x509_vfy.h; pyOpenSSL has no names for these.
        66: "key of the {} is too short",
        67: "key of the {} is too short",
        68: "{} is signed with a weak digest",
    }
)


class CertificateRejected(Exception):
    """The certificate of a peer is not believed; the text says why, in one printable line."""


class Verification:
    """The verify callback of one connection."""

    def __init__(self, reference: Reference, protocol: TLSMemoryBIOProtocol) -> None:
        """Begin to verify.

        @param reference: the name that the peer must prove.
        @param protocol: the TLS layer, which loses its connection when he does not.
        """
        self._reference = reference
        # The protocol holds the connection, which holds this.
        self._protocol = weakref.ref(protocol)

    def __call__(self, _: Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
        """Tell OpenSSL whether to go on; it asks from the authority's certificate to the peer's."""
        try:
            if not ok:
                self._reject(_chain_fault(code, depth))
            elif depth == 0:
                self._check_name(certificate)
            return True
        except CertificateRejected as error:
            self._lose(error)
        # Here an exception has nowhere to go, and must not become consent.
        except Exception as error:  # noqa: BLE001
            self._lose(CertificateRejected(f"certificate cannot be read: {type(error).__name__}"))
        return False

    def _check_name(self, certificate: X509) -> None:
        names = CertificateNames.of(certificate.to_cryptography())
        if not self._reference.proved_by(names):
            self._reject(f"name mismatch: wanted {self._reference.text}, certificate has {names}")

    def _reject(self, reason: str) -> None:
        raise CertificateRejected(printable(reason))

    def _lose(self, error: CertificateRejected) -> None:
        if (protocol := self._protocol()) is not None:
            protocol.failVerification(Failure(error))


def _chain_fault(code: int, depth: int) -> str:
    whose = "issuer's certificate" if depth else "certificate"
    return _FAULTS.get(code, f"{{}} refused by OpenSSL, error {code}").format(whose)
