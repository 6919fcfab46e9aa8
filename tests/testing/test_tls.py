# -*- test-case-name: tests.testing.test_tls -*-
"""Opaque TLS behaves as OpenSSL does for Twisted's protocols: the same tests run on both.

Three worlds: opaque in memory, real TLS in memory, real TLS on loopback sockets.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ISSLTransport,
)
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.testing import Handshake, MemoryReactor
from slimtwist.testing.tls import OpaqueContext, OpaqueTLS
from tests.testing.certificates import client_context, server_context
from tests.testing.worlds import InMemory, OnLoopback, Push, Recorder, World, scenario


@implementer(IHandshakeListener)
class Secure(Recorder):
    """Notes the handshake too."""

    def handshakeCompleted(self) -> None:
        """Note it."""
        self.events.append("secure")


class TLSContract(World):
    """What TLS does to a transport, whoever does it."""

    async def secure_pair(self) -> tuple[Any, Any]:
        """Return two ends that have TLS between them."""
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(self.client_context())
        server.transport.startTLS(self.server_context())
        await self.until(lambda: client.events and server.events)
        return client, server

    def client_context(self, *, trusting: bool = True) -> object:
        """Return what the client starts TLS with; it may not trust the server."""
        return client_context(trusting=trusting)

    def server_context(self) -> object:
        """Return what the server starts TLS with."""
        return server_context()

    @scenario
    async def test_handshake(self) -> None:
        """Both sides are told once, and the transport says that it is secure."""
        client, server = await self.secure_pair()
        assert (client.events, server.events) == (["secure"], ["secure"])
        for end in (client, server):
            verifyObject(ISSLTransport, end.transport)
        await self.close(client, server)

    @scenario
    async def test_octets(self) -> None:
        """Octets go both ways, in order, however many."""
        client, server = await self.secure_pair()
        client.transport.write(b"x" * 1_000_000)
        client.transport.writeSequence([b"a", b"b"])
        server.transport.write(b"y")
        await self.until(lambda: len(server.octets) == 1_000_002 and client.octets)
        assert server.octets == b"x" * 1_000_000 + b"ab"
        assert client.octets == b"y"
        await self.close(client, server)

    @scenario
    async def test_written_before_the_handshake(self) -> None:
        """What is written too early waits for the handshake, and goes inside TLS."""
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(self.client_context())
        client.transport.write(b"early")
        await self.a_while()
        assert b"early" not in server.octets
        plain = bytes(server.octets)
        assert plain[:1] == b"\x16"  # a handshake record, RFC 8446 5.1
        await self.close(client, server)

    @scenario
    async def test_plaintext_and_tls(self) -> None:
        """Plaintext sent to a side in TLS makes its handshake fail (TLS-03)."""
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(self.client_context())
        server.transport.write(b"250 injected\r\n")
        await self.until(lambda: client.reason)
        assert isinstance(client.reason, SSL.Error)
        assert client.octets == b""
        await self.close(client, server)

    @scenario
    async def test_client_that_speaks_plaintext(self) -> None:
        """So it is with a server (TLS-25)."""
        client, server = await self.pair(Secure(), Secure())
        server.transport.startTLS(self.server_context())
        client.transport.write(b"EHLO me\r\n")
        await self.until(lambda: server.reason)
        assert isinstance(server.reason, SSL.Error)
        await self.close(client, server)

    @scenario
    async def test_distrust(self) -> None:
        """A client that refuses ends the handshake; each side gets an error of TLS (TLS-12)."""
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(self.client_context(trusting=False))
        server.transport.startTLS(self.server_context())
        await self.until(lambda: client.reason and server.reason)
        assert client.events == ["lost"]
        assert isinstance(client.reason, SSL.Error)
        assert "certificate verify failed" in str(client.reason)
        assert isinstance(server.reason, SSL.Error)
        assert "alert" in str(server.reason)
        await self.close(client, server)

    @scenario
    async def test_lose_connection(self) -> None:
        """An orderly end is one for both sides, after what was written."""
        client, server = await self.secure_pair()
        client.transport.write(b"x" * 100_000)
        client.transport.loseConnection()
        await self.until(lambda: client.reason and server.reason)
        assert isinstance(client.reason, ConnectionDone)
        assert isinstance(server.reason, ConnectionDone)
        assert len(server.octets) == 100_000
        await self.close(client, server)

    @scenario
    async def test_abort(self) -> None:
        """Aborting is to both sides a connection without the end of TLS, so lost."""
        client, server = await self.secure_pair()
        client.transport.abortConnection()
        await self.until(lambda: client.reason and server.reason)
        assert type(client.reason) is ConnectionLost, repr(client.reason)
        assert type(server.reason) is ConnectionLost, repr(server.reason)
        await self.close(client, server)

    @scenario
    async def test_abort_in_the_handshake(self) -> None:
        """Losing a connection in the handshake aborts it."""
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(self.client_context())
        client.transport.loseConnection()
        await self.until(lambda: client.reason and server.reason)
        assert type(client.reason) is ConnectionLost, repr(client.reason)
        assert type(server.reason) is ConnectionLost, repr(server.reason)
        await self.close(client, server)

    @scenario
    async def test_end_without_notice(self) -> None:
        """An end of the wire without TLS's own is a lost connection (truncation, TLS-15)."""
        client, server = await self.secure_pair()
        server.transport.protocol.transport.loseConnection()  # below TLS
        await self.until(lambda: client.reason)
        assert isinstance(client.reason, ConnectionLost)
        await self.close(client, server)

    @scenario
    async def test_back_pressure(self) -> None:
        """A producer is paused by a peer that does not read, and resumed when it does."""
        client, server = await self.secure_pair()
        events = client.events
        client.transport.registerProducer(Push(events), True)
        server.transport.pauseProducing()
        client.transport.write(b"x" * 20_000_000)
        await self.a_while()
        assert events == ["secure", "pause"]
        server.transport.resumeProducing()
        await self.until(lambda: len(server.octets) == 20_000_000)
        assert events == ["secure", "pause", "resume"]
        client.transport.unregisterProducer()
        await self.close(client, server)


class LoopbackTests(TLSContract, OnLoopback, TestCase):
    """Real TLS on real sockets."""


class RealInMemoryTests(TLSContract, InMemory, SynchronousTestCase):
    """Real TLS on the in-memory network."""

    def new_reactor(self) -> MemoryReactor:
        """Return a reactor whose TLS is real."""
        reactor = super().new_reactor()
        reactor.network.opaque = False
        return reactor


class OpaqueTests(TLSContract, InMemory, SynchronousTestCase):
    """Opaque TLS."""

    def client_context(self, *, trusting: bool = True) -> object:
        """Return no context, and let the handshake go as the test wants it."""
        for wire in self.reactor.network.wires:
            wire.handshake = Handshake(None if trusting else "client")
        return None

    def server_context(self) -> object:
        """Return no context."""
        return None

    @scenario
    async def test_server_refuses(self) -> None:
        """The test can let the server end the handshake, with any reason."""
        self.reactor.network.handshake = Handshake("server", "no shared cipher")
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(None)
        server.transport.startTLS(None)
        await self.until(lambda: client.reason and server.reason)
        assert "no shared cipher" in str(server.reason)
        assert "alert" in str(client.reason)
        await self.close(client, server)

    @scenario
    async def test_hanging(self) -> None:
        """The test can let the handshake hang (TLS-11)."""
        self.reactor.network.handshake = Handshake(hangs=True)
        client, server = await self.pair(Secure(), Secure())
        client.transport.startTLS(None)
        server.transport.startTLS(None)
        await self.a_while()
        assert (client.events, server.events) == ([], [])
        await self.close(client, server)

    @scenario
    async def test_no_secrets(self) -> None:
        """The octets on the wire are readable, and the same each time."""
        client, server = await self.secure_pair()
        client.transport.write(b"EHLO me\r\n")
        await self.until(lambda: server.octets)
        tape = self.reactor.network.wires[0].up.tape
        assert tape.endswith(b"\x17\x03\x03\x00\x09EHLO me\r\n")
        assert client.transport.getPeerCertificate() is None
        await self.close(client, server)

    @scenario
    async def test_every_split(self) -> None:
        """Records may be split anywhere: one octet at a time does as well."""
        client, server = await self.pair(Secure(), Secure())
        for flow in (self.reactor.network.wires[0].up, self.reactor.network.wires[0].down):
            flow.segment = lambda octets: [bytes([octet]) for octet in octets]
        client.transport.startTLS(None)
        server.transport.startTLS(None)
        client.transport.write(b"x" * 20_000)
        await self.until(lambda: len(server.octets) == 20_000)
        await self.close(client, server)

    def test_shutdown_in_the_handshake(self) -> None:
        """Ending TLS before it has begun is an error, as with OpenSSL."""
        for connection in (OpaqueTLS(Handshake()), SSL.Connection(SSL.Context(SSL.TLS_METHOD))):
            connection.set_connect_state()
            self.assertRaises(SSL.WantReadError, connection.do_handshake)
            self.assertRaises(SSL.Error, connection.shutdown)

    def test_provides(self) -> None:
        """The context is what Twisted asks connections of."""
        context = OpaqueContext(Handshake())
        verifyObject(IOpenSSLClientConnectionCreator, context)
        verifyObject(IOpenSSLServerConnectionCreator, context)
