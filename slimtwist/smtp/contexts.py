# -*- test-case-name: tests.smtp.test_contexts -*-
"""The OpenSSL contexts behind TLS policies, made when first needed and kept for later connections.

A context with the platform's trust anchors takes 5 ms and 900 KiB (Debian's 140 anchors), one that
verifies nothing 0.2 ms and 20 KiB; so hosts that are treated alike share one.  Which name is asked
for and verified belongs to a connection, not to a context.
"""

from __future__ import annotations

from typing import Any

from OpenSSL.crypto import X509StoreFlags
from twisted.internet.ssl import CertificateOptions, platformTrust

from slimtwist.smtp.pem import Identity, TrustAnchors


class Contexts:
    """A bounded number of contexts; the one not used for the longest time goes first."""

    def __init__(self, limit: int = 32) -> None:
        """Begin empty.

        @param limit: how many contexts are kept.
        """
        self._limit = limit
        self._kept: dict[object, CertificateOptions] = {}

    def options(
        self, identity: Identity | None, trust: TrustAnchors | None, *, verified: bool
    ) -> CertificateOptions:
        """Return the options that hold the context for these needs.

        What verifies and what does not never share one: OpenSSL keeps sessions in a context.

        @param identity: who we are, for peers that ask.
        @param trust: what a peer is believed by; C{None} for the platform's anchors.
        @param verified: whether a peer has to be believed at all.
        """
        key = (identity, trust, verified)
        options = self._kept.pop(key, None)
        if options is None:
            options = _verifying(identity, trust) if verified else _make(identity, None)
        self._kept[key] = options
        if len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]
        return options

    def __len__(self) -> int:
        return len(self._kept)


def _verifying(identity: Identity | None, trust: TrustAnchors | None) -> CertificateOptions:
    if trust is None:
        return _make(identity, platformTrust())
    options = _make(identity, trust.root)
    if (store := options.getContext().get_cert_store()) is not None:
        # An anchor need not have signed itself: who names a certificate here trusts that one.
        store.set_flags(X509StoreFlags.PARTIAL_CHAIN)
    return options


def _make(identity: Identity | None, trust_root: Any) -> CertificateOptions:  # noqa: ANN401 - Twisted's interface is private
    if identity is None:
        return CertificateOptions(trustRoot=trust_root)
    return identity.options(trust_root)
