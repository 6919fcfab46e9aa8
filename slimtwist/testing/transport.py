# -*- test-case-name: tests.testing.test_transport -*-
"""Twisted's own TCP and UNIX transports, on sockets in memory.

Each class here is Twisted's with two things put in its place: the socket comes from the reactor's
network, and C{startTLS} is opaque (L{slimtwist.testing.tls}). Everything else, the buffers,
producers, half-closes, aborts, timeouts and the reasons of a lost connection, is Twisted's code.
"""

# ruff: noqa: ANN401 - Twisted's transports and connectors have no annotations to meet.

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, cast

from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory, ISSLTransport
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import directlyProvides

from slimtwist.testing.sockets import ListeningSocket, StreamSocket
from slimtwist.testing.tls import OpaqueContext

if TYPE_CHECKING:
    from slimtwist.testing.network import Network


class _BelowTLS:
    """The transport that a TLS protocol writes to: the same connection, without its TLS."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def write(self, data: bytes) -> None:
        """Write octets to the wire."""
        FileDescriptor.write(self._connection, data)

    def writeSequence(self, iovec: list[bytes]) -> None:
        """Write octets to the wire."""
        FileDescriptor.writeSequence(self._connection, iovec)

    def loseConnection(self) -> None:
        """Close the wire."""
        FileDescriptor.loseConnection(self._connection)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let a producer write to the wire."""
        FileDescriptor.registerProducer(self._connection, producer, streaming)

    def unregisterProducer(self) -> None:
        """End that."""
        FileDescriptor.unregisterProducer(self._connection)


class _Opaque:
    """Mixed into a transport: its C{startTLS} as the network says, on the reactor's own clock."""

    def startTLS(self, ctx: Any, normal: bool = True) -> None:  # noqa: FBT002 - as in ITLSTransport
        """Begin TLS. See C{twisted.internet.interfaces.ITLSTransport}.

        @param ctx: looked at only if the network's TLS is not opaque.
        """
        connection: Any = self
        if _network(connection.reactor).opaque:
            ctx = OpaqueContext(connection.socket.wire.handshake)
        client = connection._tlsClientDefault is normal  # noqa: SLF001 - whether it is a client's
        producer, streaming = connection.producer, connection.streamingProducer
        if producer is not None:
            connection.unregisterProducer()
        factory = TLSMemoryBIOFactory(ctx, client, Factory(), clock=connection.reactor)
        _put_between(connection, factory.protocol(factory, connection.protocol, False))
        if producer is not None:
            connection.registerProducer(producer, streaming)


def _put_between(connection: Any, layer: Any) -> None:
    """Put TLS between a transport and its protocol, as C{twisted.internet.tcp} does.

    Twisted's own function takes its clock from the global reactor.
    """
    connection.protocol = layer
    connection.getHandle = layer.getHandle
    connection.getPeerCertificate = layer.getPeerCertificate
    directlyProvides(connection, ISSLTransport)
    connection.TLS = True
    layer.makeConnection(_BelowTLS(connection))


class TCPServer(_Opaque, tcp.Server):
    """The server's end of a TCP connection."""


class TCPClient(_Opaque, tcp.Client):
    """The client's end of a TCP connection."""

    def __init__(
        self,
        host: str,
        port: int,
        bind: Any,
        connector: Any,
        reactor: Any,
    ) -> None:
        self.reactor = reactor  # Twisted sets it only after it has asked for a socket
        super().__init__(host, port, bind, connector, reactor)

    def createInternetSocket(self) -> StreamSocket:
        """Return a new socket."""
        return StreamSocket(_network(self.reactor), self.addressFamily)


class TCPPort(tcp.Port):
    """A listening TCP port."""

    transport = TCPServer

    def createInternetSocket(self) -> Any:
        """Return a new socket."""
        return ListeningSocket(_network(self.reactor), self.addressFamily)


class TCPConnector(tcp.Connector):
    """An attempt to connect by TCP."""

    def _makeTransport(self) -> TCPClient:
        return TCPClient(self.host, self.port, self.bindAddress, self, self.reactor)


class UNIXServer(_Opaque, unix.Server):
    """The server's end of a connection by UNIX socket."""


class UNIXClient(_Opaque, unix.Client):
    """The client's end of a connection by UNIX socket."""

    def __init__(self, path: str, connector: Any, reactor: Any) -> None:
        self.reactor = reactor
        super().__init__(path, connector, reactor)

    def createInternetSocket(self) -> StreamSocket:
        """Return a new socket."""
        return StreamSocket(_network(self.reactor), socket.AF_UNIX)


class UNIXConnector(unix.Connector):
    """An attempt to connect by UNIX socket."""

    def _makeTransport(self) -> Any:
        return UNIXClient(self.address, self, self.reactor)


class UNIXPort(tcp.Port):
    """A listening UNIX socket; its path is a name on the network, not a file."""

    addressFamily = socket.AF_UNIX
    transport = UNIXServer

    def __init__(self, path: str, factory: IProtocolFactory, backlog: int, reactor: Any) -> None:
        super().__init__(0, factory, backlog, reactor=reactor)
        self._started_by = factory
        self._path = path

    def startListening(self) -> None:
        """Begin to listen.

        @raise CannotListenError: somebody listens at this path.
        """
        listener: Any = ListeningSocket(_network(self.reactor), self.addressFamily)
        try:
            listener.bind(self._path)
        except OSError as error:
            raise CannotListenError(None, self._path, error) from error
        listener.listen(self.backlog)
        self._started_by.doStart()
        self.connected = True
        self.socket = listener
        setattr(self, "fileno", listener.fileno)  # noqa: B010 - Twisted puts it over the method
        self.numberAccepts = 100
        self.startReading()

    def _buildAddr(self, address: str) -> UNIXAddress:
        return UNIXAddress(address)

    def getHost(self) -> UNIXAddress:
        """Return where it listens."""
        return UNIXAddress(self._path)


def _network(reactor: Any) -> Network:
    """Return the network of an in-memory reactor."""
    return cast("Network", reactor.network)
