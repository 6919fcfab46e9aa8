# -*- test-case-name: tests.test_resolver -*-
"""The in-memory reactor with UDP, and name servers on it that say what a test wants."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.protocol import DatagramProtocol, Factory
from twisted.names import dns
from twisted.protocols.basic import Int16StringReceiver

from slimtwist.testing import MemoryReactor

Address = tuple[str, int]
#: Makes the datagrams that answer a question, each with the address it seems to come from.
Answer = Callable[[bytes], list[tuple[bytes, Address]]]


class DatagramReactor(MemoryReactor):
    """A reactor in memory that also has UDP.

    @ivar servers: who answers at an address; nobody elsewhere, and the kernel tells of that.
    @ivar sent: every datagram, with where it went and the port that it came from.
    @ivar ports: the UDP ports that are open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[Address, Answer] = {}
        self.sent: list[tuple[bytes, Address, int]] = []
        self.ports: list[DatagramPort] = []
        self.opened = 0

    def listenUDP(
        self,
        port: int,
        protocol: DatagramProtocol,
        interface: str = "",
        maxPacketSize: int = 8192,  # noqa: N803 - as in IReactorUDP
    ) -> DatagramPort:
        """Open a port. See C{IReactorUDP}."""
        self.opened += 1
        opened = DatagramPort(self, protocol, 40000 + self.opened, maxPacketSize)
        self.ports.append(opened)
        protocol.makeConnection(opened)  # type: ignore[arg-type]
        return opened


class DatagramPort:
    """An open UDP port, connected to one address."""

    def __init__(
        self, reactor: DatagramReactor, protocol: DatagramProtocol, number: int, most: int
    ) -> None:
        self._reactor = reactor
        self._protocol = protocol
        self._number = number
        self._most = most
        self._peer: Address = ("", 0)

    def connect(self, host: str, port: int) -> None:
        """Note where datagrams go."""
        self._peer = host, port

    def write(self, datagram: bytes) -> None:
        """Send a datagram; the answers come in later turns."""
        self._reactor.sent.append((datagram, self._peer, self._number))
        answer = self._reactor.servers.get(self._peer)
        if answer is None:
            self._reactor.callLater(0, self._refused)
            return
        for octets, source in answer(datagram):
            self._reactor.callLater(0, self._receive, octets[: self._most], source)

    def _receive(self, octets: bytes, source: Address) -> None:
        if self in self._reactor.ports:
            self._protocol.datagramReceived(octets, source)

    def _refused(self) -> None:
        """Tell of it in the way of poll(2) or, every other time, of epoll(7) in Twisted."""
        if self in self._reactor.ports and self._number % 2:
            self._protocol.connectionRefused()
        elif self in self._reactor.ports:
            self._protocol.doStop()

    def getHost(self) -> IPv4Address:
        """Return where it is."""
        return IPv4Address("UDP", "127.0.0.1", self._number)

    def stopListening(self) -> None:
        """Close it."""
        self._reactor.ports.remove(self)
        if self._protocol.transport is not None:
            self._protocol.doStop()


def reply(question: bytes, *records: dns.RRHeader, **header: Any) -> bytes:  # noqa: ANN401
    """Return the answer to a question, with what is to be different in its header."""
    asked = dns.Message()
    asked.fromStr(question)
    message = dns.Message(
        id=header.pop("ident", asked.id), answer=header.pop("answer", 1), maxSize=0, **header
    )
    message.queries = asked.queries
    message.answers = list(records)
    return message.toStr()


def counts(octets: bytes, answers: int) -> bytes:
    """Return a message whose header tells another number of answers."""
    return octets[:6] + struct.pack("!H", answers) + octets[8:]


class StreamServer(Factory):
    """Answers over TCP.

    @ivar asked: the questions.
    """

    noisy = False

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self.asked: list[bytes] = []

    def buildProtocol(self, addr: object) -> _StreamSession:
        """Return a connection."""
        return _StreamSession(self)

    def answer(self, question: bytes) -> bytes | None:
        """Return the answer; nothing ends the connection."""
        self.asked.append(question)
        return self._answer(question)


class _StreamSession(Int16StringReceiver):
    def __init__(self, server: StreamServer) -> None:
        self._server = server

    def stringReceived(self, string: bytes) -> None:
        answer = self._server.answer(string)
        if answer is None:
            self.transport.loseConnection()  # type: ignore[union-attr]
        elif answer:
            self.sendString(answer)
