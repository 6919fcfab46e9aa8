# -*- test-case-name: tests.testing.test_transport -*-
"""Two worlds for one test: the in-memory network, and loopback sockets with Twisted's reactor.

A test's body is a coroutine. Each world runs it on its reactor; in memory, nothing may be left.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeVar

from twisted.internet import reactor as real_reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, connectProtocol, serverFromString
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IListeningPort,
    IPushProducer,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.testing import MemoryReactor


class Recorder(Protocol):
    """Notes what happens to it."""

    transport: Any

    def __init__(self) -> None:
        self.octets = bytearray()
        self.reason: Any = None
        self.events: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        """Note octets."""
        self.octets += data
        if data == b"raise":
            raise ZeroDivisionError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end."""
        self.reason = reason.value
        self.events.append("lost")
        if self.octets == b"raise when lost":
            raise ZeroDivisionError


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """One that goes on when half of its connection is closed."""

    def readConnectionLost(self) -> None:
        """Note it."""
        self.events.append("read lost")

    def writeConnectionLost(self) -> None:
        """Note it."""
        self.events.append("write lost")


@implementer(IPushProducer)
class Push:
    """A streaming producer that notes what it is told; the test writes."""

    def __init__(self, events: list[str] | None = None, stopping: Exception | None = None) -> None:
        self.stopping = stopping
        self.events = [] if events is None else events

    def pauseProducing(self) -> None:
        """Note it."""
        self.events.append("pause")

    def resumeProducing(self) -> None:
        """Note it."""
        self.events.append("resume")

    def stopProducing(self) -> None:
        """Note it."""
        self.events.append("stop")
        if self.stopping is not None:
            raise self.stopping


class Servers(Factory):
    """Makes the server's side; C{None} where the test wants no protocol."""

    noisy = False

    def __init__(self, make: Callable[[], Recorder | None]) -> None:
        self._make = make
        self.made: list[Recorder] = []
        self.addresses: list[IAddress] = []

    def buildProtocol(self, addr: IAddress | None) -> Recorder | None:
        """Return one."""
        assert addr is not None
        self.addresses.append(addr)
        protocol = self._make()
        if protocol is not None:
            self.made.append(protocol)
        return protocol


_W = TypeVar("_W", bound="World")


def scenario(
    body: Callable[[_W], Coroutine[Deferred[Any], Any, None]],
) -> Callable[[_W], object]:
    """Make a coroutine a test of whatever world its class lives in."""

    @wraps(body)
    def test(self: _W) -> object:
        return self.run_async(body(self))

    return test


class World:
    """Connects protocols, and lets time pass."""

    reactor: Any
    port: IListeningPort | None = None
    mktemp: Callable[[], str]
    flushLoggedErrors: Callable[..., list[Failure]]

    def run_async(self, body: Coroutine[Deferred[Any], Any, None]) -> object:
        """Run a test's body."""
        raise AssertionError(body)

    async def until(self, done: Callable[[], object]) -> None:
        """Let time pass until something holds."""
        for _ in range(1000):
            if done():
                return
            await deferLater(self.reactor, 0.005)
        raise AssertionError("it never came to that")

    async def a_while(self) -> None:
        """Let some time pass in which something must not happen."""
        await deferLater(self.reactor, 0.05)

    async def listen(self, servers: Factory, where: str = "tcp:0:interface=127.0.0.1") -> IAddress:
        """Listen, and return the address."""
        self.port = await serverFromString(self.reactor, where).listen(servers)
        return self.port.getHost()

    async def dial(self, address: IAddress, client: Recorder) -> None:
        """Connect a client."""
        if isinstance(address, UNIXAddress):
            where = f"unix:{os.fsdecode(address.name or b'')}"
        else:
            assert isinstance(address, IPv4Address | IPv6Address)
            where = f"tcp:{address.host}:{address.port}".replace("::1", r"\:\:1")
        await connectProtocol(clientFromString(self.reactor, where), client)

    async def pair(
        self,
        client: Recorder | None = None,
        server: Recorder | None = None,
        where: str = "tcp:0:interface=127.0.0.1",
    ) -> tuple[Any, Any]:
        """Return the two ends of a connection."""
        client, server = client or Recorder(), server or Recorder()
        servers = Servers(lambda: server)
        await self.dial(await self.listen(servers, where), client)
        await self.until(lambda: server.transport)
        return client, server

    async def close(self, *ends: Recorder) -> None:
        """End what is left of the connection and the port."""
        for end in ends:
            end.transport.resumeProducing() if end.reason is None else None
            end.transport.abortConnection()
        await self.until(lambda: all(end.reason for end in ends))
        await self.stop()

    async def stop(self) -> None:
        """Stop listening."""
        if self.port is not None:
            stopped = self.port.stopListening()
            if stopped is not None:
                await stopped


class InMemory(World):
    """The in-memory network."""

    def new_reactor(self) -> MemoryReactor:
        """Return the reactor for a test."""
        return MemoryReactor()

    def run_async(self, body: Coroutine[Deferred[Any], Any, None]) -> None:
        """Run a test's body, and check that nothing is left."""
        self.reactor = self.new_reactor()
        self.reactor.wait(Deferred.fromCoroutine(body))
        self.reactor.flush()
        assert not self.reactor.leftovers(), self.reactor.leftovers()


class OnLoopback(World):
    """Real sockets."""

    timeout = 30
    reactor = real_reactor

    def run_async(self, body: Coroutine[Deferred[Any], Any, None]) -> Deferred[None]:
        """Run a test's body."""
        return Deferred.fromCoroutine(body)
