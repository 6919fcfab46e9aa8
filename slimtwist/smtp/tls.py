# -*- test-case-name: tests.smtp.test_tls -*-
"""TLS policy: the protection that a connection must have, as a value.

A L{TlsPolicy} is worked out before connecting and is part of what makes two connections different.
It makes their OpenSSL side.  Whether a failed handshake is followed by a plaintext connection, and
what goes over which channel, is for the session.

No mode takes less than TLS 1.2: RFC 8996 forbids what is older, and the fall-back of
C{opportunistic} is plaintext anyway, which is the honest name for it.  No session is ever resumed,
so none made under a weaker policy can pass for a verified one.

Sources: RFC 3207 (STARTTLS), RFC 7435 (opportunistic), RFC 8314 (TLS first), RFC 9325, RFC 9525.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from slimtwist.smtp.contexts import Contexts
from slimtwist.smtp.handshake import describe, explain
from slimtwist.smtp.names import Reference
from slimtwist.smtp.pem import Identity, TrustAnchors, server_options
from slimtwist.smtp.verification import Verification

__all__ = [
    "Contexts",
    "Identity",
    "TlsMode",
    "TlsPolicy",
    "TrustAnchors",
    "describe",
    "explain",
    "server_options",
]


class TlsMode(enum.Enum):
    """How much protection is wanted."""

    #: Plaintext, even where STARTTLS is offered.
    NONE = "none"
    #: Encrypted if the peer can, else in plaintext; nothing is verified (RFC 7435).
    OPPORTUNISTIC = "opportunistic"
    #: Encrypted or not at all; nothing is verified.
    ENCRYPT = "encrypt"
    #: Encrypted, with a trusted certificate for the right name, or not at all.
    VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """The protection that a connection must have.

    For the policy of another host take C{dataclasses.replace} of this one: the two then share their
    L{Contexts}, of which one with the platform's trust anchors costs some milliseconds and a
    megabyte.

    @ivar mode: how much is wanted.
    @ivar first: TLS begins before the greeting, as on port 465 (RFC 8314 3.3); there is then no
        plaintext to fall back to, whatever the mode.
    @ivar reference: the name to ask for and to verify, a host name or an address; C{None} for the
        host as configured.  Never a name that was looked up in DNS (RFC 9525 6.1).
    @ivar trust: own trust anchors; C{None} for the platform's.
    @ivar certificate: who we are, for peers that ask.
    @ivar context: makes the connections instead of L{contexts}: a C{CertificateOptions}, or what
        C{optionsForClientTLS} returns.  In mode C{verify} name and chain are checked all the same.
    @ivar contexts: where the OpenSSL contexts are kept.
    @raise ValueError: parts contradict each other, or C{reference} is no name.
    """

    mode: TlsMode = TlsMode.OPPORTUNISTIC
    first: bool = False
    reference: str | None = None
    trust: TrustAnchors | None = None
    certificate: Identity | None = None
    context: IOpenSSLClientConnectionCreator | None = None
    contexts: Contexts = field(default_factory=Contexts, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check what can be known before there is a host."""
        if self.reference is not None:
            try:
                Reference.parse(self.reference)
            except ValueError as error:
                raise ValueError(f"reference: {error}") from error
        if self.mode is TlsMode.NONE and (self.first or self.certificate or self.context):
            raise ValueError("without TLS there is no TLS first, no certificate and no context")
        if self.trust is not None and self.mode is not TlsMode.VERIFY:
            raise ValueError(
                f"mode {self.mode.value!r} has no use for trust anchors: take 'verify'"
            )
        if self.context is not None and (self.trust or self.certificate):
            raise ValueError("trust anchors and certificate belong into the context that is given")

    @property
    def required(self) -> bool:
        """Whether a connection that cannot be protected is of no use."""
        return self.first or self.mode in (TlsMode.ENCRYPT, TlsMode.VERIFY)

    @property
    def verified(self) -> bool:
        """Whether the peer must prove who he is."""
        return self.mode is TlsMode.VERIFY

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """Return what C{startTLS} takes for a connection to a host.

        @param host: as configured, a name or an address; for a UNIX socket anything.
        @raise ValueError: the mode is C{none}, or it is C{verify} and there is no name to verify.
        """
        if self.mode is TlsMode.NONE:
            raise ValueError("there is no TLS in mode 'none'")
        return _Creator(self._source(), self._wanted(host), verified=self.verified)

    def _source(self) -> IOpenSSLClientConnectionCreator:
        if self.context is not None:
            return self.context
        return self.contexts.options(self.certificate, self.trust, verified=self.verified)

    def _wanted(self, host: str) -> Reference | None:
        try:
            return Reference.parse(self.reference or host)
        except ValueError:
            if self.verified:
                raise
            return None


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    """Makes connections to one host under one policy."""

    def __init__(
        self, source: IOpenSSLClientConnectionCreator, wanted: Reference | None, *, verified: bool
    ) -> None:
        self._source = source
        self._wanted = wanted
        self._verified = verified

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Return the OpenSSL side of one connection."""
        connection = self._source.clientConnectionForTLS(tlsProtocol)
        # What was agreed on stays (RFC 9325 3.5).
        connection.set_options(SSL.OP_NO_RENEGOTIATION)
        if self._wanted is not None:
            self._ask(connection, self._wanted, tlsProtocol)
        return connection

    def _ask(
        self, connection: SSL.Connection, wanted: Reference, protocol: TLSMemoryBIOProtocol
    ) -> None:
        if wanted.server_name is not None:
            connection.set_tlsext_host_name(wanted.server_name)
        if self._verified:
            mode = SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT
            connection.set_verify(mode, Verification(wanted, protocol))
