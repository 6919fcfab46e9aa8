# -*- test-case-name: tests.testing.test_transport -*-
"""The in-memory transports behave as real ones: the same tests run on both.

Each behaviour here is a test of L{TransportContract}; it is run on a L{MemoryReactor}, and on
loopback sockets with Twisted's reactor.
"""

from __future__ import annotations

from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import (
    IConsumer,
    IPullProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.testing.worlds import (
    HalfCloseable,
    InMemory,
    OnLoopback,
    Push,
    Recorder,
    Servers,
    World,
    scenario,
)


@implementer(IPullProducer)
class Pull:
    """A producer that writes one piece each time it is asked, and then unregisters."""

    def __init__(self, consumer: IConsumer, pieces: int) -> None:
        self._consumer = consumer
        self._pieces = pieces

    def resumeProducing(self) -> None:
        """Write one piece."""
        if self._pieces:
            self._pieces -= 1
            self._consumer.write(b"x" * 100_000)
        else:
            self._consumer.unregisterProducer()

    def stopProducing(self) -> None:
        """Do nothing."""


class TransportContract(World):
    """What a transport does, whatever carries it."""

    @scenario
    async def test_write_is_later(self) -> None:
        """Writing calls nobody: the peer gets it in a later turn, in order."""
        client, server = await self.pair()
        verifyObject(ITCPTransport, client.transport)
        client.transport.write(b"a")
        client.transport.writeSequence([b"b", b"c"])
        assert server.octets == b""
        await self.until(lambda: server.octets == b"abc")
        await self.close(client, server)

    @scenario
    async def test_lose_connection_after_write(self) -> None:
        """What was written before is sent, and so is what is written until it is."""
        client, server = await self.pair()
        client.transport.write(b"x" * 1_000_000)
        client.transport.loseConnection()
        client.transport.write(b"y")
        await self.until(lambda: client.reason and server.reason)
        assert server.octets == b"x" * 1_000_000 + b"y"
        assert isinstance(client.reason, ConnectionDone)
        assert isinstance(server.reason, ConnectionDone)
        client.transport.write(b"z")  # is nothing
        await self.close(client, server)

    @scenario
    async def test_lose_connection_waits_for_a_pull_producer(self) -> None:
        """With a pull producer registered, the connection is closed when that unregisters."""
        client, server = await self.pair()
        client.transport.registerProducer(Pull(client.transport, 5), False)
        client.transport.loseConnection()
        await self.until(lambda: client.reason and server.reason)
        assert len(server.octets) == 500_000
        assert isinstance(server.reason, ConnectionDone)
        await self.close(client, server)

    @scenario
    async def test_lose_connection_waits_for_no_push_producer(self) -> None:
        """A push producer holds the connection open only while it is paused."""
        client, server = await self.pair()
        producer = Push()
        client.transport.registerProducer(producer, True)
        client.transport.write(b"x" * 100_000)
        client.transport.loseConnection()
        await self.until(lambda: producer.events == ["pause", "resume"])
        assert client.reason is None
        client.transport.write(b"x")
        await self.until(lambda: client.reason and server.reason)
        assert len(server.octets) == 100_001
        assert producer.events == ["pause", "resume", "stop"]
        await self.close(client, server)

    @scenario
    async def test_push_producer(self) -> None:
        """A producer is paused above bufferSize, and resumed when all has gone."""
        client, server = await self.pair()
        producer = Push()
        client.transport.bufferSize = 1000
        client.transport.registerProducer(producer, True)
        client.transport.write(b"x" * 1000)
        assert producer.events == []
        client.transport.write(b"x")
        assert producer.events == ["pause"]
        await self.until(lambda: len(producer.events) > 1)
        assert producer.events == ["pause", "resume"]
        client.transport.unregisterProducer()
        await self.close(client, server)

    @scenario
    async def test_back_pressure(self) -> None:
        """A peer that does not read keeps the producer paused, and loses nothing."""
        client, server = await self.pair()
        producer = Push()
        server.transport.pauseProducing()
        client.transport.registerProducer(producer, True)
        client.transport.write(b"x" * 20_000_000)
        await self.a_while()
        assert producer.events == ["pause"]
        assert server.octets == b""
        server.transport.resumeProducing()
        await self.until(lambda: len(server.octets) == 20_000_000)
        assert producer.events == ["pause", "resume"]
        client.transport.unregisterProducer()
        await self.close(client, server)

    @scenario
    async def test_pull_producer(self) -> None:
        """A pull producer is asked at once, and then whenever all has gone."""
        client, server = await self.pair()
        client.transport.registerProducer(Pull(client.transport, 5), False)
        await self.until(lambda: len(server.octets) == 500_000)
        await self.until(lambda: client.transport.producer is None)
        await self.close(client, server)

    @scenario
    async def test_producer_and_a_lost_connection(self) -> None:
        """A producer is stopped when the connection is lost, before the protocol is told."""
        client, server = await self.pair()
        producer = Push(client.events)
        client.transport.registerProducer(producer, True)
        server.transport.loseConnection()
        await self.until(lambda: client.reason)
        assert client.events == ["stop", "lost"]
        client.transport.registerProducer(producer, True)
        assert client.events == ["stop", "lost", "stop"]
        await self.close(client, server)

    @scenario
    async def test_two_producers(self) -> None:
        """A second producer is refused."""
        client, server = await self.pair()
        client.transport.registerProducer(Push(), True)
        try:
            client.transport.registerProducer(Push(), True)
        except RuntimeError:
            client.transport.unregisterProducer()
        assert client.transport.producer is None
        await self.close(client, server)

    @scenario
    async def test_abort(self) -> None:
        """Aborting is told in a later turn, and resets the peer; what was buffered is lost."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"x" * 20_000_000)
        await self.a_while()
        client.transport.abortConnection()
        assert client.reason is None
        await self.until(lambda: client.reason)
        assert isinstance(client.reason, ConnectionAborted)
        server.transport.resumeProducing()
        await self.until(lambda: server.reason)
        assert isinstance(server.reason, ConnectionLost)
        assert len(server.octets) < 20_000_000
        await self.close(client, server)

    @scenario
    async def test_octets_before_a_reset(self) -> None:
        """What arrived before a reset is still delivered."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"last words")
        await self.a_while()
        client.transport.abortConnection()
        await self.a_while()
        server.transport.resumeProducing()
        await self.until(lambda: server.reason)
        assert server.octets == b"last words"
        assert isinstance(server.reason, ConnectionLost)
        await self.close(client, server)

    @scenario
    async def test_half_close(self) -> None:
        """A half-closeable protocol goes on in the other direction."""
        client, server = await self.pair(HalfCloseable(), HalfCloseable())
        client.transport.write(b"question")
        client.transport.loseWriteConnection()
        await self.until(lambda: server.events)
        assert (client.events, server.events) == (["write lost"], ["read lost"])
        assert server.octets == b"question"
        client.transport.write(b"too late")
        server.transport.write(b"answer")
        await self.until(lambda: client.octets == b"answer")
        server.transport.loseConnection()
        await self.until(lambda: client.events[1:] == ["read lost"])
        client.transport.loseConnection()
        await self.until(lambda: client.reason and server.reason)
        assert server.octets == b"question"
        await self.close(client, server)

    @scenario
    async def test_half_close_of_a_simple_protocol(self) -> None:
        """A protocol that cannot be half closed loses its connection when its peer is."""
        client, server = await self.pair(HalfCloseable())
        client.transport.loseWriteConnection()
        await self.until(lambda: server.reason)
        assert isinstance(server.reason, ConnectionDone)
        await self.until(lambda: client.events == ["write lost", "read lost"])
        await self.close(client, server)

    @scenario
    async def test_pause_reading(self) -> None:
        """A paused protocol gets nothing: no octets, and no end."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"hello")
        client.transport.loseConnection()
        await self.a_while()
        assert (server.octets, server.reason) == (b"", None)
        server.transport.resumeProducing()
        await self.until(lambda: server.reason)
        assert server.octets == b"hello"
        await self.close(client, server)

    @scenario
    async def test_close_with_octets_unread(self) -> None:
        """Closing without having read all: the peer sees the end, and a reset if it writes."""
        client, server = await self.pair()
        server.transport.pauseProducing()
        client.transport.pauseProducing()
        client.transport.write(b"never read")
        await self.a_while()
        server.transport.write(b"answer")
        server.transport.loseConnection()
        await self.until(lambda: server.reason)
        client.transport.resumeProducing()
        await self.until(lambda: client.reason)
        assert client.octets == b"answer"
        assert isinstance(client.reason, ConnectionDone)
        await self.close(client, server)

    @scenario
    async def test_write_to_a_closed_peer(self) -> None:
        """Writing to a peer that has closed gets on for a while, and then fails."""
        client, server = await self.pair(HalfCloseable())
        server.transport.loseConnection()
        await self.until(lambda: client.events == ["read lost"])
        client.transport.write(b"one")
        await self.a_while()
        client.transport.write(b"two")
        await self.until(lambda: client.reason)
        assert isinstance(client.reason, ConnectionLost)
        await self.close(client, server)

    @scenario
    async def test_protocol_raises(self) -> None:
        """An exception out of dataReceived ends the connection with it, and is logged."""
        client, server = await self.pair()
        client.transport.write(b"raise")
        await self.until(lambda: client.reason and server.reason)
        assert isinstance(server.reason, ZeroDivisionError)
        assert isinstance(client.reason, ConnectionDone)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        await self.close(client, server)

    @scenario
    async def test_protocol_raises_when_lost(self) -> None:
        """An exception out of connectionLost is logged, and disturbs nobody else."""
        client, server = await self.pair()
        client.transport.write(b"raise when lost")
        client.transport.loseConnection()
        await self.until(lambda: client.reason and server.reason)
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        await self.close(client, server)

    @scenario
    async def test_producer_raises_when_stopped(self) -> None:
        """An exception out of a producer is logged; the protocol then never hears of the end."""
        client, server = await self.pair()
        client.transport.pauseProducing()
        server.transport.registerProducer(Push(stopping=ZeroDivisionError()), True)
        server.transport.write(b"x" * 20_000_000)
        await self.a_while()
        client.transport.abortConnection()
        await self.until(lambda: client.reason)
        await self.a_while()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert server.reason is None
        server.transport.unregisterProducer()
        server.transport.connectionLost(Failure(ConnectionDone()))
        await self.close(client, server)

    @scenario
    async def test_no_protocol(self) -> None:
        """A server that builds no protocol closes the connection."""
        client = Recorder()
        await self.dial(await self.listen(Servers(lambda: None)), client)
        await self.until(lambda: client.reason)
        await self.close(client)

    @scenario
    async def test_refused(self) -> None:
        """Where nobody listens any more, a connection is refused."""
        client, server = await self.pair()
        address = server.transport.getHost()
        await self.close(client, server)
        try:
            await self.dial(address, Recorder())
        except error.ConnectionRefusedError:
            return
        raise AssertionError("it was not refused")

    async def addresses(self, host: str, kind: type[object]) -> None:
        """Both ends know their own and the other's address, and so does the factory."""
        servers = Servers(Recorder)
        client = Recorder()
        await self.dial(await self.listen(servers, f"tcp:0:interface={host}"), client)
        await self.until(lambda: servers.made)
        server = servers.made[0]
        assert client.transport.getPeer() == server.transport.getHost()
        assert client.transport.getHost() == server.transport.getPeer()
        assert servers.addresses == [client.transport.getHost()]
        assert isinstance(client.transport.getPeer(), kind)
        await self.close(client, server)

    @scenario
    async def test_ipv4_addresses(self) -> None:
        """Both ends know their own and the other's address, and so does the factory."""
        await self.addresses("127.0.0.1", IPv4Address)

    @scenario
    async def test_ipv6_addresses(self) -> None:
        """So it is with IPv6."""
        await self.addresses(r"\:\:1", IPv6Address)

    @scenario
    async def test_ipv4_on_an_ipv6_socket(self) -> None:
        """A port on C{::} takes IPv4 too, and its peers have mapped addresses."""
        servers = Servers(Recorder)
        client = Recorder()
        address = await self.listen(servers, r"tcp:0:interface=\:\:")
        assert isinstance(address, IPv6Address)
        await self.dial(IPv4Address("TCP", "127.0.0.1", address.port), client)
        await self.until(lambda: servers.made)
        server = servers.made[0]
        assert server.transport.getPeer().host == "::ffff:127.0.0.1"
        assert server.transport.getHost().host == "::ffff:127.0.0.1"
        await self.close(client, server)


class MemoryTests(TransportContract, InMemory, SynchronousTestCase):
    """On the in-memory network."""


class LoopbackTests(TransportContract, OnLoopback, TestCase):
    """On real sockets."""
