# -*- test-case-name: tests.relay.http.test_relay -*-
"""The connections of an HTTP relay, below Twisted's HTTP client.

A L{Link} stands between the transport and the client's protocol.  It tells a message when it has
left, bounds what a response may be, and ends a connection whose peer does not.

Sources: RFC 9112 9.3 (persistence), RFC 9110 15.2 (interim responses).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final, cast
from weakref import WeakSet

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IDelayedCall,
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IProducer,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IBodyProducer
from zope.interface import implementer

from slimtwist.latch import Latch
from slimtwist.relay.http.body import ContentBody
from slimtwist.relay.http.head import Heads
from slimtwist.smtp.tls import TlsPolicy

#: Octets of a response that are taken: its fields, and what is read of its body.
_LONGEST: Final = 262144
#: Seconds that a peer has to end a connection that we end (TLS waits for it).
_FAREWELL: Final = 5.0


@implementer(IHandshakeListener)
class Link(ProtocolWrapper):
    """One connection.

    @ivar ready: fires when it may be used: under TLS, when the peer has proved who he is; fails
        when it is lost before.
    @ivar gone: fires with itself when it is lost.
    """

    factory: Links
    transport: Any

    def __init__(self, factory: Links, wrapped: Any) -> None:  # noqa: ANN401 - as in Twisted
        """Begin, not connected."""
        super().__init__(factory, wrapped)
        self.gone: Deferred[Link] = Deferred()
        self.ready: Deferred[None] = Deferred(lambda _: self.transport.abortConnection())
        self._heard = 0
        self._heads = Heads()
        self._body: ContentBody | None = None
        self._told = False
        self._farewell: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:  # noqa: ANN401 - as in Twisted
        """Be connected; without TLS this is all."""
        super().makeConnection(transport)
        if not isinstance(transport, ProtocolWrapper):
            self.ready.callback(None)

    def handshakeCompleted(self) -> None:
        """Take note of TLS."""
        self.ready.callback(None)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Learn which message is written."""
        self._heard = 0
        self._heads.begin()
        if isinstance(producer, ContentBody):
            self._body = producer
            producer.over(self)
        super().registerProducer(producer, streaming)

    def watch(self) -> None:
        """See L{Watched<slimtwist.relay.http.body.Watched>}.

        A transport pauses its producer when it holds more than C{bufferSize}, which is also what it
        reads at a time: so it cannot be 0.
        """
        self._lowest.bufferSize = 1

    def unwatch(self) -> None:
        """See L{Watched<slimtwist.relay.http.body.Watched>}."""
        lowest = self._lowest
        lowest.bufferSize = type(lowest).bufferSize

    def dataReceived(self, data: bytes) -> None:
        """Pass octets on, unless there are too many, or they are no response."""
        if self._told:
            return
        self._heard += len(data)
        complaint = self._heads.feed(data)
        if complaint and self._body is not None:
            self._body.complaint = complaint
        if complaint or self._heard > _LONGEST:
            self.transport.abortConnection()
            return
        super().dataReceived(data)
        if self._body is not None and not self.disconnecting:
            self._body.encourage()

    def loseConnection(self) -> None:
        """End the connection, if need be without the peer."""
        if self._body is not None and not self._body.finished:
            self.transport.abortConnection()
            # Twisted's client forgets the request with the response, and then cannot fail it.
            self._tell(Failure(ConnectionAborted()))
            return
        if self._farewell is None:
            self._farewell = self.factory.clock.callLater(_FAREWELL, self.transport.abortConnection)
        super().loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Leave nothing behind."""
        if self._farewell is not None and self._farewell.active():
            self._farewell.cancel()
        self._tell(reason)
        if not self.ready.called:
            self.ready.errback(reason)
        self.gone.callback(self)

    def _tell(self, reason: Failure) -> None:
        """Tell the client that the connection is lost, once."""
        if not self._told:
            self._told = True
            super().connectionLost(reason)

    @property
    def _lowest(self) -> Any:  # noqa: ANN401
        transport = self.transport
        while isinstance(transport, ProtocolWrapper):
            transport = transport.transport
        return transport


class Links(WrappingFactory[Link]):
    """Makes them."""

    protocol = Link
    noisy = False

    def __init__(self, clock: Any, factory: IProtocolFactory) -> None:  # noqa: ANN401 - as in Runtime
        """Make links for the protocols of a factory."""
        super().__init__(factory)
        self.clock = clock


@implementer(IStreamClientEndpoint)
class _Linked:
    """An endpoint whose protocols have a L{Link} below."""

    def __init__(
        self,
        clock: Any,  # noqa: ANN401 - as in Runtime
        endpoint: IStreamClientEndpoint,
        creator: IOpenSSLClientConnectionCreator | None,
        opened: Callable[[Link], object],
    ) -> None:
        self._clock = clock
        self._endpoint = endpoint
        self._creator = creator
        self._opened = opened

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:  # noqa: N803 - as in the interface
        """Connect."""
        return Deferred.fromCoroutine(self._connect(Links(self._clock, protocolFactory)))

    async def _connect(self, links: Links) -> Any:  # noqa: ANN401
        if self._creator is None:
            link = await cast("Deferred[Link]", self._endpoint.connect(links))
        else:
            tls = TLSMemoryBIOFactory(self._creator, True, links, clock=self._clock)
            secured = await cast("Deferred[Any]", self._endpoint.connect(tls))
            link = secured.wrappedProtocol
        self._opened(link)
        await link.ready
        return link.wrappedProtocol


@implementer(IAgentEndpointFactory)
class Ways:
    """How a service is connected to."""

    def __init__(self, reactor: Any, tls: TlsPolicy, unix: str | None, wait: float) -> None:  # noqa: ANN401
        """Keep what is known.

        @param tls: how it proves who it is.
        @param unix: the socket that it listens on, if not by TCP.
        @param wait: seconds for connecting.
        """
        self._reactor = reactor
        self._tls = tls
        self._unix = unix
        self._wait = wait
        self._open: set[Link] = set()
        self._stopping = False
        self._closed = Latch()

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """Return the endpoint. See C{IAgentEndpointFactory}."""
        if self._unix is None:
            endpoint: Any = HostnameEndpoint(
                self._reactor, uri.host.decode("ascii"), uri.port, timeout=self._wait
            )
        else:
            endpoint = UNIXClientEndpoint(self._reactor, self._unix, timeout=self._wait)
        https = uri.scheme == b"https"
        creator = self._tls.creator(uri.host.decode("ascii")) if https else None
        return _Linked(self._reactor, endpoint, creator, self._opened)

    def closed(self) -> Deferred[None]:
        """Fire when no connection is left, to be asked when no new one will be made."""
        self._stopping = True
        self._look_for_end()
        return self._closed.wait()

    def _opened(self, link: Link) -> None:
        self._open.add(link)
        link.gone.addCallback(self._ended)

    def _ended(self, link: Link) -> None:
        self._open.discard(link)
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._stopping and not self._open:
            self._closed.release()


@implementer(IAgent)
class Fixed:
    """An agent that posts to one address, and asks for nothing compressed, whatever it is told."""

    def __init__(self, agent: IAgent, address: bytes) -> None:
        """Use an agent.

        @param address: a URI.
        """
        self._agent = agent
        self._address = address

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,  # noqa: N803 - as in the interface
    ) -> Deferred[Any]:
        """Make a request. See C{IAgent}."""
        if headers is not None:
            headers.removeHeader(b"Accept-Encoding")  # treq's own
        made: Deferred[Any] = self._agent.request(method, self._address, headers, bodyProducer)
        return made


class Pool(HTTPConnectionPool):
    """Twisted's pool of idle connections, which looks at a kept one before it hands it out."""

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 - as in Runtime
        """Keep none."""
        super().__init__(reactor)
        self._clock = reactor
        self._known: WeakSet[Any] = WeakSet()
        # What Twisted would send again by itself, is for others to decide.
        self.retryAutomatically = False

    def getConnection(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Deferred[Any]:
        """Return a connection that lives, as far as this can be known."""
        return Deferred.fromCoroutine(self._get(key, endpoint))

    async def _get(self, key: Hashable, endpoint: IStreamClientEndpoint) -> Any:  # noqa: ANN401
        while True:
            connection = await super().getConnection(key, endpoint)
            if connection not in self._known:
                self._known.add(connection)
                return connection
            try:
                # Its end may have come, and not have been read yet: a whole turn will do it.
                await deferLater(self._clock, 0)
                await deferLater(self._clock, 0)
            except CancelledError:
                connection.abort()
                raise
            if connection.state == "QUIESCENT":
                return connection
