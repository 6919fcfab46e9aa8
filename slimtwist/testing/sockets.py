# -*- test-case-name: tests.testing.test_sockets -*-
"""Sockets in memory: as much of the socket interface as Twisted's TCP classes call.

The network is made of these instead of a second implementation of Twisted's transports, so that
producers, half-closes, aborts and errors are Twisted's own and cannot differ from production. What
is here is the kernel's part, as Linux does it: octets received before a reset can still be read; an
end that was received comes before a later reset; closing with octets unread sends a reset (RFC 1122
4.2.2.13); writing to a closed peer first succeeds, and fails after its reset.

A socket calls nobody: it tells the network that it may be ready, and the reactor looks.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from slimtwist.testing.flow import Flow

if TYPE_CHECKING:
    from slimtwist.testing.network import Network, Wire

#: An address as the socket interface has it: (host, port), (host, port, flow, scope) or a path.
Address = Any

#: SO_LINGER on, for no seconds: closing resets the connection.
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def failure(number: int) -> OSError:
    """Return the error that the kernel would report."""
    return OSError(number, os.strerror(number))


class MemorySocket:
    """What listening and connected sockets share: a number, a family, a name.

    @ivar reader: who waits for this socket to be readable, as the reactor has noted.
    @ivar writer: who waits for it to be writable.
    @ivar holder: whose it is: the transport or port that has waited for it.
    """

    def __init__(self, network: Network, family: socket.AddressFamily) -> None:
        self._network = network
        self.family = family
        self.number = network.number(self)
        self.reader: Any = None
        self.writer: Any = None
        self.holder: Any = None
        self.closed = False
        self.name: Address = None
        self._options: dict[tuple[int, int], int | bytes] = {}

    def fileno(self) -> int:
        """Return the number by which the reactor knows this socket."""
        return -1 if self.closed else self.number

    def setblocking(self, flag: bool) -> None:
        """Do nothing: no call on a socket in memory blocks."""

    def setsockopt(self, level: int, option: int, value: int | bytes) -> None:
        """Keep an option."""
        self._options[level, option] = value

    def getsockopt(self, level: int, option: int) -> int | bytes:
        """Return an option that was set, or 0."""
        return self._options.get((level, option), 0)

    def getsockname(self) -> Address:
        """Return this end's address."""
        return self.name

    def bind(self, address: Address) -> None:
        """Choose this end's address.

        @raise OSError: EADDRNOTAVAIL, the address is none of this host's.
        """
        self.name = self._network.bindable(self.family, address)

    def readable(self) -> bool:
        """Whether reading or accepting would give something."""
        return False

    def writable(self) -> bool:
        """Whether writing would get on."""
        return False

    def close(self) -> None:
        """Give the socket up."""
        self.closed = True
        self._network.forget(self)


class ListeningSocket(MemorySocket):
    """A socket that accepts connections."""

    def __init__(self, network: Network, family: socket.AddressFamily) -> None:
        super().__init__(network, family)
        self._backlog = 0
        self._waiting: deque[StreamSocket] = deque()

    def listen(self, backlog: int) -> None:
        """Accept connections; at most C{backlog} wait to be accepted."""
        self._backlog = backlog

    def bind(self, address: Address) -> None:
        """Choose the address.

        @raise OSError: EADDRNOTAVAIL, or EADDRINUSE, somebody listens there.
        """
        self.name = self._network.listen(self, address)

    def full(self) -> bool:
        """Whether no more may wait; Linux lets one more wait than was asked for."""
        return len(self._waiting) > self._backlog

    def offer(self, connection: StreamSocket) -> None:
        """Let a new connection wait."""
        self._waiting.append(connection)
        self._network.wake(self)

    def readable(self) -> bool:
        """Whether somebody waits to be accepted."""
        return bool(self._waiting)

    def accept(self) -> tuple[StreamSocket, Address]:
        """Return the first who waits, with its peer's address."""
        if not self._waiting:
            raise failure(errno.EAGAIN)
        connection = self._waiting.popleft()
        return connection, connection.getpeername()

    def shutdown(self, how: int) -> None:
        """Refuse those who wait."""
        while self._waiting:
            self._waiting.popleft().abort()

    def close(self) -> None:
        """Stop listening."""
        self.shutdown(socket.SHUT_RDWR)
        super().close()


class StreamSocket(MemorySocket):
    """One end of a connection.

    @ivar incoming: the direction towards this end, once connected.
    @ivar outgoing: the direction from this end, once connected.
    @ivar wire: both, once connected.
    """

    incoming: Flow
    outgoing: Flow
    wire: Wire

    def __init__(self, network: Network, family: socket.AddressFamily) -> None:
        super().__init__(network, family)
        self._peer: Address = None
        self._connecting = False
        self.connected = False
        self._error = 0
        self._broken = False
        self._inbox: deque[bytes] = deque()
        self._ended = False

    # Connecting.

    def connect_ex(self, address: Address) -> int:
        """Begin to connect, or say how it stands: 0 or the number of an error."""
        if self.connected:
            return errno.EISCONN
        if self._connecting:
            return errno.EALREADY
        self._connecting = True
        self._network.connect(self, address)
        return errno.EINPROGRESS

    def established(self, peer: Address) -> None:
        """Be connected to C{peer}."""
        self._peer = peer
        self.connected = True
        self._connecting = False
        self._network.wake(self)

    def refused(self, number: int) -> None:
        """Fail to connect."""
        self._error = number
        self._network.wake(self)

    def getpeername(self) -> Address:
        """Return the other end's address."""
        return self._peer

    def getsockopt(self, level: int, option: int) -> int | bytes:
        """Return an option; asking for the error forgets it, as in the kernel."""
        if (level, option) == (socket.SOL_SOCKET, socket.SO_ERROR):
            number, self._error = self._error, 0
            return number
        return super().getsockopt(level, option)

    # Reading and writing.

    def readable(self) -> bool:
        """Whether there are octets, an end or an error to be read."""
        return bool(self._inbox or self._ended or self._error)

    def writable(self) -> bool:
        """Whether octets can be sent, or an error told."""
        if not self.connected:
            return bool(self._error)
        return self._broken or self.outgoing.finished or self.outgoing.room() > 0

    def recv(self, size: int) -> bytes:
        """Return octets as they arrived, at most C{size}; none at the end."""
        if self._inbox:
            octets = self._inbox.popleft()
            if len(octets) > size:
                self._inbox.appendleft(octets[size:])
                octets = octets[:size]
            self.incoming.taken(len(octets))
            return octets
        if self._ended and not self._error:
            return b""
        raise failure(self._take_error() or errno.EAGAIN)

    def recvmsg(
        self, size: int, ancillary: int = 0, flags: int = 0
    ) -> tuple[bytes, list[tuple[int, int, bytes]], int, Address]:
        """Return octets as L{recv} does; there is never anything beside them."""
        return self.recv(size), [], 0, self._peer

    def send(self, octets: bytes | memoryview) -> int:
        """Send as many octets as there is room for, and return how many that was."""
        if self._broken or self.outgoing.finished:
            raise failure(self._take_error() or errno.EPIPE)
        sent = self.outgoing.send(bytes(octets))
        if not sent:
            raise failure(errno.EAGAIN)
        return sent

    def _take_error(self) -> int:
        number, self._error = self._error, 0
        return number

    # Ending.

    def shutdown(self, how: int) -> None:
        """Send no more, after what was sent."""
        if not self.connected or self._broken:
            raise failure(errno.ENOTCONN)
        if how != socket.SHUT_RD:
            self.outgoing.finish()

    def close(self) -> None:
        """Close; with octets unread, or lingering for no time (TCP only), that is a reset."""
        if self.closed:
            return
        super().close()
        if self.connected and not self._broken:
            if self._inbox or self._lingers():
                self.outgoing.reset()
            else:
                self.outgoing.finish()
            if self.family == socket.AF_UNIX:
                self.incoming.close_reader()

    def _lingers(self) -> bool:
        linger = self.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER)
        return linger == _RESET_ON_CLOSE and self.family != socket.AF_UNIX

    def abort(self) -> None:
        """Reset the connection."""
        super().close()
        self.outgoing.reset()

    # What the flows tell.

    def receive(self, octets: bytes) -> None:
        """Take octets that have arrived; a closed socket answers them with a reset."""
        if self.closed:
            self.outgoing.reset()
            return
        self._inbox.append(octets)
        self._network.wake(self)

    def receive_end(self) -> None:
        """Note that no more octets will arrive."""
        self._ended = True
        self._network.wake(self)

    def receive_reset(self) -> None:
        """Note that the connection is no more; what arrived before can still be read."""
        if not self._broken:
            self._broken = True
            seen = self._ended and self.family != socket.AF_UNIX
            self._error = 0 if seen else errno.ECONNRESET
            self._network.wake(self)

    def room_made(self) -> None:
        """Note that more may be sent."""
        self._network.wake(self)
