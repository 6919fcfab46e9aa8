# -*- test-case-name: tests.smtp.test_tls -*-
"""Tests of TLS policies: what they are, and what they make of a connection."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IHandshakeListener, IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import CertificateOptions, TLSVersion, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.smtp.tls import (
    TlsMode,
    TlsPolicy,
    TrustAnchors,
    describe,
    explain,
    server_options,
)
from tests.smtp.certificates import CLIENT, issue
from tests.smtp.handshakes import PythonServer, shake

HOST = "mail.example.com"
_ENCRYPTED = (TlsMode.OPPORTUNISTIC, TlsMode.ENCRYPT, TlsMode.VERIFY)


class PolicyTests(SynchronousTestCase):
    """A policy is a value."""

    def test_default(self) -> None:
        """Without a word, TLS is used where it can be had, and nothing is verified."""
        policy = TlsPolicy()
        self.assertEqual(policy.mode, TlsMode.OPPORTUNISTIC)
        self.assertFalse(policy.required or policy.verified or policy.first)

    def test_required(self) -> None:
        """L9: which modes leave no plaintext to fall back to; TLS first never does."""
        required = [mode for mode in TlsMode if TlsPolicy(mode).required]
        self.assertEqual(required, [TlsMode.ENCRYPT, TlsMode.VERIFY])
        self.assertTrue(all(TlsPolicy(mode, first=True).required for mode in _ENCRYPTED))

    def test_value(self) -> None:
        """TLS-19: policies that treat a host alike are equal, others are not."""
        made = issue(HOST)
        policies = [
            TlsPolicy(),
            TlsPolicy(first=True),
            TlsPolicy(TlsMode.ENCRYPT),
            TlsPolicy(TlsMode.VERIFY),
            TlsPolicy(TlsMode.VERIFY, reference=HOST),
            TlsPolicy(TlsMode.VERIFY, trust=made.trust),
            TlsPolicy(TlsMode.VERIFY, certificate=made.identity),
            TlsPolicy(TlsMode.VERIFY, context=CertificateOptions()),
        ]
        self.assertEqual(len(set(policies)), len(policies))
        again = TrustAnchors((made.certificate,))
        self.assertEqual(hash(TlsPolicy(TlsMode.VERIFY, trust=again)), hash(policies[5]))
        self.assertEqual(TlsPolicy(TlsMode.VERIFY, trust=again), policies[5])

    def test_contradictions(self) -> None:
        """What would silently have no effect is refused."""
        made = issue(HOST)
        context = CertificateOptions()
        for wrong in (
            {"mode": TlsMode.NONE, "first": True},
            {"mode": TlsMode.NONE, "certificate": made.identity},
            {"mode": TlsMode.NONE, "context": context},
            {"mode": TlsMode.ENCRYPT, "trust": made.trust},
            {"mode": TlsMode.VERIFY, "trust": made.trust, "context": context},
            {"mode": TlsMode.VERIFY, "certificate": made.identity, "context": context},
            {"reference": "/run/lmtp"},
        ):
            self.assertRaises(ValueError, TlsPolicy, **wrong)

    def test_secrets(self) -> None:
        """A policy with a client certificate can be logged: the key is not shown."""
        text = repr(TlsPolicy(TlsMode.ENCRYPT, certificate=issue(HOST).identity))
        self.assertNotIn("PrivateKey", text)


class CreatorTests(SynchronousTestCase):
    """What a policy makes of a connection."""

    def test_interface(self) -> None:
        """A creator is what C{startTLS} takes."""
        verifyObject(IOpenSSLClientConnectionCreator, TlsPolicy().creator(HOST))

    def test_nothing_to_make(self) -> None:
        """L9: no TLS in mode none, and no verification without a name."""
        self.assertRaises(ValueError, TlsPolicy(TlsMode.NONE).creator, HOST)
        self.assertRaises(ValueError, TlsPolicy(TlsMode.VERIFY).creator, "/run/lmtp")

    def asked(self, policy: TlsPolicy, host: str) -> bytes | None:
        """Return the server name that a client sends."""
        connected = shake(issue(HOST).identity.options(), policy.creator(host))
        server: SSL.Connection = cast(Any, connected.server.transport).getHandle()
        return server.get_servername()

    def test_server_name(self) -> None:
        """TLS-14: the reference name is sent; nothing for an address or a socket's path."""
        self.assertEqual(self.asked(TlsPolicy(), HOST), HOST.encode())
        self.assertEqual(self.asked(TlsPolicy(), "Mail.Example.COM."), HOST.encode())
        self.assertEqual(self.asked(TlsPolicy(reference="mx.example"), HOST), b"mx.example")
        self.assertEqual(self.asked(TlsPolicy(reference="mx.example"), "192.0.2.1"), b"mx.example")
        for host in ("192.0.2.1", "2001:db8::1", "/run/lmtp"):
            self.assertIsNone(self.asked(TlsPolicy(), host))

    def test_client_certificate(self) -> None:
        """A server that asks for a certificate gets ours, with its chain, in every mode."""
        root = issue(authority=True, common_name="root")
        middle = issue(issuer=root, authority=True, common_name="middle")
        ours = issue("us.example", issuer=middle, usage=CLIENT).identity
        made = issue(HOST)
        server = made.identity.options(root.trust.root)
        for policy in (TlsPolicy(), TlsPolicy(TlsMode.VERIFY, trust=made.trust)):
            self.assertFalse(shake(server, policy.creator(HOST)).secure)
            self.assertTrue(shake(server, replace(policy, certificate=ours).creator(HOST)).secure)

    def test_context(self) -> None:
        """L9: with a context of the application's, verify still checks chain and name itself."""
        good, bad = issue(HOST), issue("www.example.com")
        for context in (
            CertificateOptions(trustRoot=good.trust.root),
            optionsForClientTLS("other.example", trustRoot=good.trust.root),
        ):
            policy = TlsPolicy(TlsMode.VERIFY, context=context)
            self.assertTrue(shake(good.identity.options(), policy.creator(HOST)).secure)
            self.assertTrue(shake(bad.identity.options(), policy.creator(HOST)).refused)
        believing = TlsPolicy(TlsMode.VERIFY, context=CertificateOptions())
        server = good.identity.options()
        self.assertEqual(shake(server, believing.creator(HOST)).refused, "self-signed certificate")

    def test_no_renegotiation(self) -> None:
        """TLS-17: a server cannot negotiate again what was agreed on."""
        made = issue(HOST).identity.options()
        server = CertificateOptions(
            privateKey=made.privateKey,
            certificate=made.certificate,
            lowerMaximumSecurityTo=TLSVersion.TLSv1_2,
        )
        connected = shake(server, TlsPolicy().creator(HOST))
        self.assertTrue(connected.secure)
        transport = cast(TLSMemoryBIOProtocol, connected.server.transport)
        transport.getHandle().renegotiate()
        transport.getHandle().do_handshake()
        transport.write(b"again")
        connected.pump.flush()
        self.assertIsNotNone(connected.client.lost)


class ResumptionTests(SynchronousTestCase):
    """TLS-18: no session is ever resumed, so none that was made under another policy."""

    def server(self, version: ssl.TLSVersion) -> tuple[ssl.SSLContext, TrustAnchors]:
        """Return what makes servers that resume sessions, and the anchor that believes them."""
        made, path = issue(HOST), Path(self.mktemp())
        path.write_bytes(made.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.maximum_version = version
        return context, made.trust

    def test_never(self) -> None:
        """A server that would gladly resume a session gets a full handshake each time."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server, trust = self.server(version)
            anybody = TlsPolicy()
            verify = replace(anybody, mode=TlsMode.VERIFY, trust=trust)
            for policy in (anybody, anybody, verify, verify, anybody):
                connected = shake(server, policy.creator(HOST))
                self.assertTrue(connected.secure)
                self.assertFalse(cast(PythonServer, connected.server).tls.session_reused)

    def test_the_server_would(self) -> None:
        """The servers of this test do resume a session that a client offers."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            server, _ = self.server(version)
            creator = TlsPolicy().creator(HOST)
            session = shake(server, creator).client_side.get_session()
            assert session is not None
            connected = shake(server, _Resuming(creator, session))
            self.assertTrue(cast(PythonServer, connected.server).tls.session_reused)


@implementer(IOpenSSLClientConnectionCreator)
class _Resuming:
    """Offers a session."""

    def __init__(self, creator: IOpenSSLClientConnectionCreator, session: SSL.Session) -> None:
        """Offer it on the connections of another creator."""
        self._creator = creator
        self._session = session

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Return the OpenSSL side of one connection."""
        connection = self._creator.clientConnectionForTLS(tlsProtocol)
        connection.set_session(self._session)
        return connection


class _StartsTls(Protocol):
    """A server that goes over to TLS as soon as it is connected."""

    def __init__(self, options: CertificateOptions) -> None:
        """Begin."""
        self._options = options

    def connectionMade(self) -> None:
        """Go over to TLS."""
        self.transport.startTLS(self._options)  # type: ignore[union-attr]


@implementer(IHandshakeListener)
class _Client(Protocol):
    """A client that goes over to TLS, and tells what came of it."""

    def __init__(self, creator: IOpenSSLClientConnectionCreator) -> None:
        """Begin."""
        self._creator = creator
        self.told: Deferred[str] = Deferred()
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Go over to TLS."""
        self.transport.startTLS(self._creator)  # type: ignore[union-attr]

    def handshakeCompleted(self) -> None:
        """Tell how it is protected."""
        self.told.callback(describe(self.transport))
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell why it is not."""
        if not self.told.called:
            self.told.callback(explain(reason))
        self.ended.callback(None)


class SocketTests(TestCase):
    """STARTTLS on real sockets, by Twisted's own transports."""

    def setUp(self) -> None:
        """Make a certificate."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(issue(HOST).pem)

    async def told(self, policy: TlsPolicy, options: CertificateOptions) -> str:
        """Connect, go over to TLS, and return what the client has to tell."""
        factory = Factory.forProtocol(lambda: _StartsTls(options))
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        client = _Client(policy.creator(HOST))
        there = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        await there.connect(Factory.forProtocol(lambda: client))
        told = await client.told
        await client.ended
        return told

    async def test_starttls(self) -> None:
        """TLS-12: a transport tells how it is protected, a failure why it is not."""
        options = server_options(self.path)
        verify = TlsPolicy(TlsMode.VERIFY, trust=TrustAnchors.read(self.path))
        self.assertRegex(await self.told(TlsPolicy(), options), r"\ATLSv1.3 \S+ untrusted\Z")
        self.assertRegex(await self.told(verify, options), r"\ATLSv1.3 \S+ verified\Z")
        strict = TlsPolicy(TlsMode.VERIFY, trust=issue().trust)
        self.assertEqual(await self.told(strict, options), "self-signed certificate")
