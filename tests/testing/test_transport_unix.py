# -*- test-case-name: tests.testing.test_transport_unix -*-
"""The in-memory UNIX sockets behave as real ones: the same tests run on both."""

from __future__ import annotations

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.testing.worlds import HalfCloseable, InMemory, OnLoopback, World, scenario


class UNIXContract(World):
    """What a UNIX socket does, whatever carries it."""

    @scenario
    async def test_octets_and_addresses(self) -> None:
        """A UNIX socket carries octets; its addresses are paths; TCP's options do nothing."""
        path = self.mktemp()
        client, server = await self.pair(where=f"unix:{path}")
        client.transport.setTcpNoDelay(True)
        client.transport.write(b"x" * 300_000)
        await self.until(lambda: len(server.octets) == 300_000)
        assert client.transport.getPeer() == server.transport.getHost() == UNIXAddress(path)
        assert client.transport.getHost() == server.transport.getPeer() == UNIXAddress(None)
        await self.close(client, server)

    @scenario
    async def test_no_reset(self) -> None:
        """Aborting a UNIX socket looks to the peer like closing it."""
        client, server = await self.pair(where=f"unix:{self.mktemp()}")
        client.transport.abortConnection()
        await self.until(lambda: server.reason)
        assert isinstance(server.reason, ConnectionDone)
        await self.close(client, server)

    @scenario
    async def test_closed_with_octets_unread(self) -> None:
        """Closing a UNIX socket without having read all resets it, after what was sent."""
        client, server = await self.pair(where=f"unix:{self.mktemp()}")
        server.transport.pauseProducing()
        client.transport.pauseProducing()
        client.transport.write(b"never read")
        server.transport.write(b"answer")
        await self.a_while()
        server.transport.loseConnection()
        await self.until(lambda: server.reason)
        client.transport.resumeProducing()
        await self.until(lambda: client.reason)
        assert client.octets == b"answer"
        assert isinstance(client.reason, ConnectionLost)
        await self.close(client, server)

    @scenario
    async def test_written_to_when_closed(self) -> None:
        """Writing to a closed UNIX socket fails at once."""
        client, server = await self.pair(HalfCloseable(), where=f"unix:{self.mktemp()}")
        server.transport.loseConnection()
        await self.until(lambda: client.events == ["read lost"])
        client.transport.write(b"one")
        await self.until(lambda: client.reason)
        assert isinstance(client.reason, ConnectionLost)
        await self.close(client, server)


class MemoryTests(UNIXContract, InMemory, SynchronousTestCase):
    """On the in-memory network."""


class LoopbackTests(UNIXContract, OnLoopback, TestCase):
    """On real sockets."""
