# -*- test-case-name: tests.smtp.test_verification -*-
"""Real TLS between two protocols in memory: our clients, and Twisted's or Python's servers."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect

from slimtwist.smtp.handshake import describe, explain


class Talker(Protocol):
    """Says something as soon as it can; keeps what it hears, and why the connection ended."""

    def __init__(self, says: bytes) -> None:
        """Begin.

        @param says: what it says.
        """
        self.says = says
        self.heard = b""
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        """Speak."""
        assert self.transport is not None
        self.transport.write(self.says)

    def dataReceived(self, data: bytes) -> None:
        """Listen."""
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Remember why."""
        self.lost = reason


class PythonServer(Talker):
    """Speaks TLS by Python's own ssl module, which can do what pyOpenSSL does not let us."""

    def __init__(self, says: bytes, context: ssl.SSLContext) -> None:
        """Begin.

        @param context: a server's.
        """
        super().__init__(says)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    def connectionMade(self) -> None:
        """Wait for the client."""

    def dataReceived(self, data: bytes) -> None:
        """Get on with the handshake, then talk; an alert is sent before the end."""
        assert self.transport is not None
        self._incoming.write(data)
        broken = self._talk()
        self.transport.write(self._outgoing.read())
        if broken:
            self.transport.loseConnection()

    def _talk(self) -> bool:
        try:
            self.tls.do_handshake()
            self.tls.write(self.says)
            self.says = b""
            self.heard += self.tls.read()
        except ssl.SSLError as error:
            return not isinstance(error, ssl.SSLWantReadError)
        return False


Creator = IOpenSSLClientConnectionCreator | IOpenSSLServerConnectionCreator
Server = IOpenSSLServerConnectionCreator | ssl.SSLContext | bytes


@dataclass
class Connected:
    """Both sides of a connection, when everything was said."""

    client: Talker
    server: Talker
    client_side: SSL.Connection
    pump: IOPump

    @property
    def secure(self) -> bool:
        """Whether both sides heard each other."""
        return (self.client.heard, self.server.heard) == (b"from server", b"from client")

    @property
    def refused(self) -> str:
        """Why the connection ended; empty if it did not, or if the client had said something."""
        lost = self.client.lost
        return explain(lost) if lost is not None and b"client" not in self.server.heard else ""

    @property
    def described(self) -> str:
        """What the client knows of its protection."""
        return describe(self.client.transport)


def shake(server: Server, creator: IOpenSSLClientConnectionCreator) -> Connected:
    """Connect a client to a server, with TLS from the start.

    @param server: makes the server's side; or what it says instead of TLS.
    """
    clock, us = Clock(), Talker(b"from client")
    ours = _wrap(us, creator, clock, client=True)
    if isinstance(server, bytes):
        them = theirs = Talker(server)
    elif isinstance(server, ssl.SSLContext):
        them = theirs = PythonServer(b"from server", server)
    else:
        them = Talker(b"from server")
        theirs = _wrap(them, server, clock, client=False)  # type: ignore[assignment]
    pump = connect(
        theirs, FakeTransport(theirs, True), ours, FakeTransport(ours, False), clock=clock
    )
    return Connected(us, them, ours.getHandle(), pump)


def _wrap(
    protocol: Protocol, creator: Creator, clock: Clock, *, client: bool
) -> TLSMemoryBIOProtocol:
    factory = TLSMemoryBIOFactory(creator, client, Factory.forProtocol(lambda: protocol), clock)
    wrapper = factory.buildProtocol(None)
    assert isinstance(wrapper, TLSMemoryBIOProtocol)
    return wrapper
