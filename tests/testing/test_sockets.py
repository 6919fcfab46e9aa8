# -*- test-case-name: tests.testing.test_sockets -*-
"""Sockets in memory, by themselves: the errors that Twisted's classes take as answers."""

from __future__ import annotations

import errno
import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import MemoryReactor
from slimtwist.testing.sockets import ListeningSocket, StreamSocket


class SocketTests(SynchronousTestCase):
    """A listening socket, a client, and the end that the listener accepts."""

    def setUp(self) -> None:
        """Connect them."""
        self.reactor = MemoryReactor()
        self.network = self.reactor.network
        self.listener = ListeningSocket(self.network, socket.AF_INET)
        self.listener.bind(("192.0.2.1", 25))
        self.listener.listen(5)
        self.client = StreamSocket(self.network, socket.AF_INET)

    def connect(self) -> StreamSocket:
        """Return the accepted end."""
        self.client.connect_ex(("192.0.2.1", 25))
        self.reactor.flush()
        return self.listener.accept()[0]

    def assert_error(self, number: int, function: object, *args: object) -> None:
        """Check with which error a call fails."""
        error = self.assertRaises(OSError, function, *args)
        self.assertEqual(error.errno, number)

    def test_connecting(self) -> None:
        """Connecting takes a turn; asking again tells how it stands."""
        address = ("192.0.2.1", 25)
        self.assertEqual(self.client.connect_ex(address), errno.EINPROGRESS)
        self.assertEqual(self.client.connect_ex(address), errno.EALREADY)
        self.assertFalse(self.client.writable())
        self.reactor.flush()
        self.assertEqual(self.client.connect_ex(address), errno.EISCONN)
        self.assertTrue(self.client.writable())
        self.assertEqual(self.client.getpeername(), address)

    def test_refused(self) -> None:
        """The error of a refused connection is told once, as SO_ERROR."""
        self.client.connect_ex(("192.0.2.1", 26))
        self.reactor.flush()
        self.assertTrue(self.client.writable())
        error = (socket.SOL_SOCKET, socket.SO_ERROR)
        self.assertEqual(self.client.getsockopt(*error), errno.ECONNREFUSED)
        self.assertEqual(self.client.getsockopt(*error), 0)

    def test_accepting_nobody(self) -> None:
        """With nobody waiting, accepting says to come again."""
        self.assertFalse(self.listener.readable())
        self.assert_error(errno.EAGAIN, self.listener.accept)

    def test_reading(self) -> None:
        """Octets come as they were sent, in parts if too large; nothing there says come again."""
        server = self.connect()
        self.assert_error(errno.EAGAIN, server.recv, 9)
        self.client.send(b"hello")
        self.client.send(memoryview(b"there"))
        self.assertEqual(
            [server.recv(3), server.recv(9), server.recv(9)], [b"hel", b"lo", b"there"]
        )
        self.client.shutdown(socket.SHUT_WR)
        self.assertEqual([server.recv(9), server.recv(9)], [b"", b""])
        self.assertEqual(server.recvmsg(9)[0], b"")

    def test_a_full_window(self) -> None:
        """With a full window sending says to come again."""
        server = self.connect()
        self.client.outgoing.window = 3
        self.assertEqual(self.client.send(b"hello"), 3)
        self.assertFalse(self.client.writable())
        self.assert_error(errno.EAGAIN, self.client.send, b"lo")
        server.recv(1)
        self.assertEqual(self.client.send(b"lo"), 1)

    def test_sending_after_the_end(self) -> None:
        """Who has shut down, or was reset, cannot send."""
        server = self.connect()
        self.client.shutdown(socket.SHUT_WR)
        self.assert_error(errno.EPIPE, self.client.send, b"x")
        server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.close()
        self.assert_error(errno.ECONNRESET, self.client.send, b"x")
        self.assert_error(errno.EPIPE, self.client.send, b"x")
        self.assert_error(errno.ENOTCONN, self.client.shutdown, socket.SHUT_RDWR)

    def test_numbers(self) -> None:
        """Each socket has a number of its own, and none when it is closed."""
        numbers = [self.client.fileno(), self.listener.fileno(), self.connect().fileno()]
        self.assertEqual(len(set(numbers)), 3)
        self.client.close()
        self.client.close()
        self.assertEqual(self.client.fileno(), -1)

    def test_options(self) -> None:
        """Options are kept, and are 0 before."""
        option = (socket.IPPROTO_TCP, socket.TCP_NODELAY)
        self.assertEqual(self.client.getsockopt(*option), 0)
        self.client.setsockopt(*option, 1)
        self.assertEqual(self.client.getsockopt(*option), 1)
