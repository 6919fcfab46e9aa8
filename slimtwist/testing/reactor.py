# -*- test-case-name: tests.testing.test_reactor -*-
"""A reactor in memory: virtual time, an in-memory network, and a turn only when a test says so.

Endpoints, services and protocols run on a L{MemoryReactor} unchanged; ten minutes pass in
microseconds, and the same program does the same things in the same order every time::

    reactor = MemoryReactor()
    reactor.add_host("mx.example", peer)
    reactor.network.black_holes.add("2001:db8::1")
    d = HostnameEndpoint(reactor, "mx.example", 25).connect(factory)
    protocol = reactor.wait(d)
    reactor.advance(600)
    assert not reactor.leftovers()

Its sockets, and the kernel behind them, are L{slimtwist.testing.sockets}; the loop is
L{slimtwist.testing.loop}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    Binding,
    IConnector,
    IListeningPort,
    IProtocolFactory,
    IReactorTCP,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.testing.leftovers import Leftovers
from slimtwist.testing.loop import EventLoop
from slimtwist.testing.network import Network
from slimtwist.testing.resolver import MemoryResolver
from slimtwist.testing.sockets import MemorySocket
from slimtwist.testing.threads import TurnPool
from slimtwist.testing.transport import (
    TCPConnector,
    TCPPort,
    UNIXConnector,
    UNIXPort,
)

_T = TypeVar("_T")


@implementer(IReactorTCP, IReactorUNIX)
class MemoryReactor(EventLoop):
    """A reactor whose time and network are the test's.

    It is running from the start, and does something only in C{flush}, L{advance} and L{wait}.

    @ivar network: what is wrong on the network, and what happened on it.
    @ivar names: the host name resolver; L{hosts} is its table.
    @param start: the virtual time in seconds at first.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.network = Network(self)
        self.names = MemoryResolver(self)
        self._hosts_added = 0
        super().__init__(start)
        self.startRunning(installSignalHandlers=False)

    # What a test does.

    @property
    def hosts(self) -> dict[str, Sequence[str]]:
        """The host name table: name -> addresses."""
        return self.names.hosts

    @hosts.setter
    def hosts(self, table: dict[str, Sequence[str]]) -> None:
        self.names.hosts = table

    def add_host(self, name: str, factory: IProtocolFactory, port: int = 25) -> str:
        """Let C{factory} listen on a host of its own, and return that host's address.

        A name that is in the table already gets a further address.
        """
        self._hosts_added += 1
        address = f"192.0.2.{self._hosts_added}"
        self.hosts[name] = [*self.hosts.get(name, ()), address]
        self.listenTCP(port, factory, interface=address)
        return address

    def advance(self, seconds: float) -> None:
        """Let time pass, and do what becomes due, each at its moment.

        @raise NeverAtRestError: at some moment there is no end to it.
        """
        end = self.seconds() + seconds
        self.flush()
        while self.next(before=end):
            pass
        self.clock.move_to(end)

    def wait(self, deferred: Deferred[_T], within: float = 3600.0) -> _T:
        """Let time pass until C{deferred} fires, but at most C{within} seconds.

        @return: its result; if it fails, the error is raised.
        @raise AssertionError: it has not fired.
        """
        results: list[Any] = []
        deferred.addBoth(results.append)
        end = self.seconds() + within
        self.flush()
        while not results and self.next(before=end):
            pass
        if not results:
            raise AssertionError(f"no result within {within} s; {self.leftovers()}")
        if isinstance(results[0], Failure):
            results[0].raiseException()
        result: _T = results[0]
        return result

    def leftovers(self) -> Leftovers:
        """Return what is still there: timers, connections, ports and producers."""
        return Leftovers.of(self)

    def producers(self) -> list[object]:
        """Return the producers that are registered with an open connection's transport."""
        ends = [end for wire in self.network.wires for end in (wire.client, wire.server)]
        holders = [end.holder for end in ends if not end.closed]
        found = [getattr(holder, "producer", None) for holder in holders]
        return [producer for producer in found if producer is not None]

    # What the loop asks.

    def socket_of(self, descriptor: FileDescriptor) -> MemorySocket:
        """Return the socket with a descriptor's number."""
        return self.network.sockets[descriptor.fileno()]

    def _initThreads(self) -> None:
        self.installNameResolver(self.names)

    def getThreadPool(self) -> Any:  # noqa: ANN401 - the class has no interface
        """Return where calls run that are given to threads: in a later turn."""
        return TurnPool(self)

    # Connecting and listening.

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        bindAddress: Binding | tuple[str, int] | None = None,  # noqa: N803
    ) -> IConnector:
        """Connect by TCP. See C{IReactorTCP}."""
        connector = TCPConnector(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def listenTCP(
        self,
        port: int,
        factory: IProtocolFactory,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """Listen for TCP connections. See C{IReactorTCP}."""
        listener = TCPPort(port, factory, backlog, interface, self)
        listener.startListening()
        return listener

    def connectUNIX(
        self,
        address: str,
        factory: ClientFactory[Any],
        timeout: float = 30.0,
        checkPID: bool = False,  # noqa: FBT002, N803 - as in IReactorUNIX
    ) -> IConnector:
        """Connect to a UNIX socket. See C{IReactorUNIX}."""
        connector = UNIXConnector(address, factory, timeout, self, checkPID)
        connector.connect()
        return connector

    def listenUNIX(
        self,
        address: str,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,  # noqa: FBT002, N803 - as in IReactorUNIX
    ) -> IListeningPort:
        """Listen at a path; no file is made, and C{mode} means nothing. See C{IReactorUNIX}."""
        listener = UNIXPort(address, factory, backlog, self)
        listener.startListening()
        return listener
