# -*- test-case-name: tests.testing.test_network -*-
"""The in-memory network: who listens where, what becomes of an attempt to connect, and each wire.

A L{Network} belongs to a reactor. A test tells it what is wrong: addresses that never answer, that
refuse, that cannot be reached, that are not this host's; and it finds in it every attempt and every
connection that was made. Nothing is left to chance: numbers and ports are counted up.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address
from typing import Any, Final, Protocol
from weakref import WeakValueDictionary

from slimtwist.testing.flow import Cut, Flow, Loop, Observer
from slimtwist.testing.sockets import (
    Address,
    ListeningSocket,
    MemorySocket,
    StreamSocket,
    failure,
)
from slimtwist.testing.tls import Handshake

#: The first and the last port that is given to whoever does not choose one (RFC 6335 6).
_EPHEMERAL: Final = (49152, 65535)
#: Seconds after which a client asks again whose request found the backlog full (RFC 6298 2.1).
_RETRANSMISSION: Final = 1.0
_WILDCARDS: Final = {"", "0.0.0.0", "::"}  # noqa: S104 - names of them; nothing is bound


class Fate(Enum):
    """What becomes of an attempt to connect.

    @cvar OPEN: it reaches whoever listens there; nobody: refused.
    @cvar REFUSED: refused though somebody listens.
    @cvar UNREACHABLE: there is no way there (ENETUNREACH).
    @cvar TIMED_OUT: the kernel gives up (ETIMEDOUT).
    @cvar HANGING: nothing ever comes back.
    """

    OPEN = 0
    REFUSED = errno.ECONNREFUSED
    UNREACHABLE = errno.ENETUNREACH
    TIMED_OUT = errno.ETIMEDOUT
    HANGING = -1


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to connect.

    @ivar moment: when, in virtual seconds.
    @ivar source: the address and port it comes from, or the path C{""}.
    @ivar host: the address (or path) it goes to.
    @ivar port: the port it goes to; 0 for a path.
    """

    moment: float
    source: tuple[str, int]
    host: str
    port: int


@dataclass(slots=True, eq=False)
class Wire:
    """A connection that was made.

    @ivar attempt: how it began.
    @ivar up: from the client to the server.
    @ivar down: from the server to the client.
    @ivar opaque: whether TLS is without secrets, and goes as C{handshake} says; if not, it is real.
    @ivar handshake: what becomes of TLS on it.
    """

    attempt: Attempt
    client: StreamSocket = field(repr=False)
    server: StreamSocket = field(repr=False)
    up: Flow = field(repr=False)
    down: Flow = field(repr=False)
    handshake: Handshake

    @property
    def open(self) -> bool:
        """Whether either end still has its socket."""
        return not (self.client.closed and self.server.closed)

    def freeze(self) -> None:
        """Let nothing arrive any more at either end, not even an end: the peer's host is gone."""
        self.up.stall(self.up.arrived)
        self.down.stall(self.down.arrived)

    def thaw(self) -> None:
        """Let all arrive that was held back."""
        self.up.resume()
        self.down.resume()

    def cut(self, how: Cut = Cut.RST) -> None:
        """Cut the connection now; with FIN or HALF it is the client that sees the end."""
        self.down.cut(self.down.arrived, how)


class Waker(Loop, Protocol):
    """What the network needs of its reactor."""

    def wake(self, socket: MemorySocket) -> None:
        """Look whether C{socket} is ready for those who wait for it."""


class Network:
    """Everything between the sockets.

    @ivar black_holes: addresses from which nothing ever comes back.
    @ivar refusing: addresses that refuse, whoever listens there.
    @ivar unreachable: addresses to which there is no way.
    @ivar fate: decides about an attempt before these do; C{None} from it leaves it to them.
    @ivar own: this host's addresses, for who binds to one; C{None}: all are.
    @ivar home: the addresses, v4 and v6, that connections to elsewhere come from.
    @ivar last_port: the port that was given last to whoever did not choose one.
    @ivar latency: seconds that connecting takes.
    @ivar opaque: whether TLS is without secrets, and goes as C{handshake} says; if not, it is real.
    @ivar handshake: what becomes of TLS on new connections.
    @ivar observer: called with the flow and each piece of octets or mark that arrives anywhere.
    @ivar on_wire: called with each new wire before anything passes over it; may set its faults.
    @ivar attempts: every attempt to connect, in order.
    @ivar wires: every connection made, in order.

    An address in these sets is a host (C{"192.0.2.1"}), a pair of host and port, or a path.
    """

    def __init__(self, loop: Waker) -> None:
        self._loop = loop
        self._numbers = 0
        self.last_port = _EPHEMERAL[0] - 1
        self._listeners: dict[tuple[int, str, int], ListeningSocket] = {}
        self._connecting: dict[StreamSocket, Attempt] = {}
        self.sockets: WeakValueDictionary[int, MemorySocket] = WeakValueDictionary()
        self.black_holes: set[str | tuple[str, int]] = set()
        self.refusing: set[str | tuple[str, int]] = set()
        self.unreachable: set[str | tuple[str, int]] = set()
        self.fate: Callable[[Attempt], Fate | None] | None = None
        self.own: set[str] | None = None
        self.home = ("198.51.100.1", "2001:db8:51::1")
        self.latency = 0.0
        self.opaque = True
        self.handshake = Handshake()
        self.observer: Observer | None = None
        self.on_wire: Callable[[Wire], object] | None = None
        self.attempts: list[Attempt] = []
        self.wires: list[Wire] = []

    # What sockets ask.

    def number(self, socket: MemorySocket) -> int:
        """Give a new socket its number."""
        self._numbers += 1
        self.sockets[self._numbers] = socket
        return self._numbers

    def forget(self, socket: MemorySocket) -> None:
        """Take note that a socket was closed."""
        self.sockets.pop(socket.number, None)
        if isinstance(socket, StreamSocket):
            self._connecting.pop(socket, None)
        else:
            self._listeners = {key: s for key, s in self._listeners.items() if s is not socket}

    def wake(self, socket: MemorySocket) -> None:
        """Tell the reactor that a socket may be ready."""
        self._loop.wake(socket)

    def bindable(self, family: socket.AddressFamily, address: Address) -> Address:
        """Return the full address to which a socket may be bound.

        @raise OSError: EADDRNOTAVAIL.
        """
        if family == socket.AF_UNIX:
            return address
        host = address[0]
        if self.own is not None and host not in _WILDCARDS | self.own:
            raise failure(errno.EADDRNOTAVAIL)
        return _name(family, host, address[1] or self._next_port())

    def listen(self, listener: ListeningSocket, address: Address) -> Address:
        """Let a socket listen, and return its full address.

        @raise OSError: EADDRINUSE, EADDRNOTAVAIL.
        """
        name = self.bindable(listener.family, address)
        host, port = _host_port(name)
        for family, other, taken in self._listeners:
            if (family, taken) == (listener.family, port) and (
                host == other or (port and {host, other} & _WILDCARDS)
            ):
                raise failure(errno.EADDRINUSE)
        self._listeners[listener.family, host, port] = listener
        return name

    def connect(self, client: StreamSocket, address: Address) -> None:
        """Begin an attempt."""
        host, port = _host_port(address)
        client.name = self._source(client, host)
        attempt = Attempt(self._loop.seconds(), _host_port(client.name), host, port)
        self.attempts.append(attempt)
        self._connecting[client] = attempt
        self._loop.at(attempt.moment + self.latency, self._reach, client, attempt)

    def listening(self) -> list[str]:
        """Return where somebody listens, as text."""
        return [f"{host}:{port}" if port else host for _, host, port in self._listeners]

    def connecting(self) -> list[Attempt]:
        """Return the attempts of which nothing has become yet."""
        return list(self._connecting.values())

    # How an attempt goes on.

    def _reach(self, client: StreamSocket, attempt: Attempt) -> None:
        if client.closed:
            return
        fate = self._fate(attempt)
        if fate is Fate.OPEN:
            self._open(client, attempt)
        elif fate is not Fate.HANGING:
            self._refuse(client, fate.value)

    def _refuse(self, client: StreamSocket, number: int) -> None:
        del self._connecting[client]
        client.refused(number)

    def _fate(self, attempt: Attempt) -> Fate:
        decided = self.fate(attempt) if self.fate is not None else None
        if decided is not None:
            return decided
        names: set[Any] = {attempt.host, (attempt.host, attempt.port)}
        if names & self.black_holes:
            return Fate.HANGING
        if names & self.unreachable:
            return Fate.UNREACHABLE
        return Fate.REFUSED if names & self.refusing else Fate.OPEN

    def _open(self, client: StreamSocket, attempt: Attempt) -> None:
        listener = self._listener(client.family, attempt.host, attempt.port)
        if listener is None:
            path = client.family == socket.AF_UNIX
            self._refuse(client, errno.ENOENT if path else errno.ECONNREFUSED)
        elif listener.full():
            self._loop.at(self._loop.seconds() + _RETRANSMISSION, self._reach, client, attempt)
        else:
            self._join(client, listener, attempt)

    def _join(self, client: StreamSocket, listener: ListeningSocket, attempt: Attempt) -> None:
        """Make a connection; the client learns of it first, since it is acknowledged to it."""
        del self._connecting[client]
        server = StreamSocket(self, listener.family)
        server.name = _name(listener.family, attempt.host, attempt.port)
        wire = self._wire(client, server, attempt)
        self.wires.append(wire)
        if self.on_wire is not None:
            self.on_wire(wire)
        client.established(_name(client.family, attempt.host, attempt.port))
        server.established(_name(listener.family, *attempt.source))
        listener.offer(server)

    def _wire(self, client: StreamSocket, server: StreamSocket, attempt: Attempt) -> Wire:
        number = len(self.wires) + 1
        up = Flow(self._loop, client, server, f"{number} up")
        down = Flow(self._loop, server, client, f"{number} down")
        up.observer = down.observer = self.observer
        up.reverse, down.reverse = down, up
        client.outgoing = server.incoming = up
        client.incoming = server.outgoing = down
        client.wire = server.wire = Wire(attempt, client, server, up, down, self.handshake)
        return client.wire

    def _listener(self, family: int, host: str, port: int) -> ListeningSocket | None:
        """Return who listens; a socket on C{::} takes IPv4 too, as on Linux (RFC 3493 3.7)."""
        wildcards = ["0.0.0.0", ""] if family == socket.AF_INET else ["::"]  # noqa: S104
        for candidate in [host, *wildcards]:
            if found := self._listeners.get((family, candidate, port)):
                return found
        return self._listeners.get((socket.AF_INET6, "::", port))

    def _source(self, client: StreamSocket, host: str) -> Address:
        """Return where a connection comes from: where it is bound, or this host's address."""
        if client.family == socket.AF_UNIX:
            return ""
        bound, port = _host_port(client.name) if client.name else ("", self._next_port())
        if bound in _WILDCARDS:
            six = client.family == socket.AF_INET6
            loopback = ip_address(host).is_loopback
            bound = ("::1" if six else "127.0.0.1") if loopback else self.home[six]
        return _name(client.family, bound, port)

    def _next_port(self) -> int:
        self.last_port = self.last_port + 1 if self.last_port < _EPHEMERAL[1] else _EPHEMERAL[0]
        return self.last_port


def _name(family: int, host: str, port: int) -> Address:
    """Return an address as the socket interface has it, seen by a socket of C{family}."""
    if family == socket.AF_UNIX:
        return host
    if family == socket.AF_INET:
        return (host, port)
    return (host if ":" in host else f"::ffff:{host}", port, 0, 0)


def _host_port(address: Address) -> tuple[str, int]:
    """Return host and port of an address; a path has port 0."""
    if isinstance(address, tuple):
        return address[0], address[1]
    return os.fsdecode(address), 0
