# -*- test-case-name: tests.testing.test_reactor -*-
"""A reactor in memory: virtual time, network and programs, and a turn only when a test says so.

Endpoints, services and protocols run on a L{MemoryReactor} unchanged; ten minutes pass in
microseconds, and the same program does the same things in the same order every time::

    reactor = MemoryReactor()
    reactor.add_host("mx.example", peer)
    reactor.network.black_holes.add("2001:db8::1")
    d = HostnameEndpoint(reactor, "mx.example", 25).connect(factory)
    protocol = reactor.wait(d)
    reactor.advance(600)
    assert not reactor.leftovers()

Its sockets, and the kernel behind them, are L{slimtwist.testing.sockets}; its processes are
L{slimtwist.testing.processes}; the loop is L{slimtwist.testing.loop}.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    Binding,
    IConnector,
    IListeningPort,
    IProcessProtocol,
    IProcessTransport,
    IProtocolFactory,
    IReactorProcess,
    IReactorTCP,
    IReactorUNIX,
)
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.testing.execution import Surroundings
from slimtwist.testing.leftovers import Leftovers
from slimtwist.testing.loop import EventLoop
from slimtwist.testing.network import Network
from slimtwist.testing.processes import STANDARD, Command, Processes
from slimtwist.testing.programs import FakeProgram
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
#: The environment of a program, unless somebody says otherwise: as Twisted has it.
_EMPTY: Final[Mapping[Any, Any]] = MappingProxyType({})


@implementer(IReactorTCP, IReactorUNIX, IReactorProcess)
class MemoryReactor(EventLoop):
    """A reactor whose time, network and programs are the test's.

    It is running from the start, and does something only in C{flush}, L{advance} and L{wait}.

    @ivar network: what is wrong on the network, and what happened on it.
    @ivar names: the host name resolver; L{hosts} is its table.
    @ivar system: the processes; L{programs} is their table.
    @param start: the virtual time in seconds at first.
    """

    def __init__(self, start: float = 0.0) -> None:
        self.network = Network(self)
        self.names = MemoryResolver(self)
        self.system = Processes(self)
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

    @property
    def programs(self) -> dict[str, FakeProgram]:
        """The table of programs: name or path -> what it does."""
        return self.system.programs

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
        """Return what is still there: timers, connections, ports, producers, programs."""
        return Leftovers.of(self)

    def producers(self) -> list[object]:
        """Return the producers that are registered with an open connection's transport."""
        ends = [end for wire in self.network.wires for end in (wire.client, wire.server)]
        holders = [end.holder for end in ends if not end.closed]
        found = [getattr(holder, "producer", None) for holder in holders]
        pipes = self.system.producers()
        return [*(producer for producer in found if producer is not None), *pipes]

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

    # Programs.

    def spawnProcess(  # noqa: PLR0917 - as in IReactorProcess
        self,
        processProtocol: IProcessProtocol,  # noqa: N803
        executable: bytes | str,
        args: Sequence[bytes | str],
        env: Mapping[Any, Any] | None = _EMPTY,
        path: bytes | str | None = None,
        uid: int | None = None,
        gid: int | None = None,
        usePTY: bool = False,  # noqa: FBT002, N803
        childFDs: Mapping[int, int | str] | None = None,  # noqa: N803
    ) -> IProcessTransport:
        """Start a program of L{programs}. See C{IReactorProcess}.

        @raise OSError: it cannot be started.
        @raise ValueError: it is to have a terminal, or a descriptor of this process.
        """
        given: Mapping[int, int | str] = STANDARD if childFDs is None else childFDs
        plan = {number: str(kind) for number, kind in given.items()}
        if usePTY or not {*plan.values()} <= {"r", "w"}:
            raise ValueError("there are pipes in memory, and nothing else")
        command = Command(
            os.fsdecode(executable),
            [os.fsdecode(each) for each in args],
            self._surroundings(os.environ if env is None else env, path, uid, gid),
            forked=uid is not None or gid is not None or not _is_here(path),
        )
        return self.system.spawn(processProtocol, command, plan)

    def _surroundings(
        self,
        variables: Mapping[Any, Any],
        path: bytes | str | None,
        uid: int | None,
        gid: int | None,
    ) -> Surroundings:
        return Surroundings(
            {os.fsdecode(k): os.fsdecode(v) for k, v in variables.items()},
            None if path is None else os.fsdecode(path),
            self.system.uid if uid is None else uid,
            self.system.gid if gid is None else gid,
        )


def _is_here(path: bytes | str | None) -> bool:
    """Tell whether a folder is the one in which this process runs, which decides about forking."""
    return path is None or Path(os.fsdecode(path)).absolute() == Path.cwd()
