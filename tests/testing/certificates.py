# -*- test-case-name: tests.testing.test_tls -*-
"""TLS contexts for tests: a server with a certificate, and clients that trust it or not."""

from __future__ import annotations

import trustme
from twisted.internet.ssl import (
    Certificate,
    KeyPair,
    PrivateCertificate,
    optionsForClientTLS,
    platformTrust,
)

_AUTHORITY = trustme.CA()
_ISSUED = _AUTHORITY.issue_cert("mx.example")


def client_context(*, trusting: bool = True) -> object:
    """Return what a client of mx.example starts TLS with."""
    trust = Certificate.loadPEM(_AUTHORITY.cert_pem.bytes()) if trusting else platformTrust()
    return optionsForClientTLS("mx.example", trust)


def server_context() -> object:
    """Return what mx.example starts TLS with."""
    certificate = Certificate.loadPEM(_ISSUED.cert_chain_pems[0].bytes())
    key = KeyPair.load(_ISSUED.private_key_pem.bytes(), 1)
    context: object = PrivateCertificate.fromCertificateAndKeyPair(certificate, key).options()
    return context
