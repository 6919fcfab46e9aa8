# -*- test-case-name: tests.test_resolver -*-
"""Questions to recursive name servers, in the messages of twisted.names.

Twisted's own client takes an answer to any question for ours, asks for a truncated answer by TCP
without end, takes what is left of a cut message for the whole, and cannot be cancelled.  This one
counts an answer only if it is whole, comes from the server that was asked and repeats the question;
whatever else comes is passed over, for the true one may still be on its way.

Sources: RFC 5452 9 (accepting answers), RFC 7766 5 (truncation), RFC 1035 4.2 (transports).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from ipaddress import ip_address
from random import Random
from typing import IO, Any, Final, cast

from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as NoAnswer
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    connectProtocol,
)
from twisted.internet.protocol import DatagramProtocol, connectionDone
from twisted.internet.task import deferLater
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import DNSNameError, DNSServerError
from twisted.protocols.basic import Int16StringReceiver
from twisted.python.failure import Failure

from slimtwist.nameservers import ResolvConf, Server

#: Answer, authority and additional records.
Records = tuple[list[dns.RRHeader], list[dns.RRHeader], list[dns.RRHeader]]

#: Seconds that each name server has, in each round of asking all of them.
_ROUNDS: Final = (1, 3, 11)
_TCP: Final = 10
#: Questions on their way at once: each needs a socket.
_AT_ONCE: Final = 200
#: Octets of a datagram that are read; without EDNS it has at most 512 (RFC 1035 4.2.1).
_DATAGRAM: Final = 4096
#: Records that are decoded before others have their turn.
_SLICE: Final = 100
#: Types that are decoded; the others are passed over.
_DECODED: Final = frozenset({dns.A, dns.AAAA, dns.CNAME, dns.MX, dns.SOA})


class _Message(dns.Message):
    """A message whose records are decoded one by one, and that is whole.

    Twisted decodes all at once, which can take 50 ms, and returns what it found before a cut.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sections: list[tuple[list[dns.RRHeader], int, IO[bytes]]] = []

    def parseRecords(
        self,
        list: list[dns.RRHeader],  # noqa: A002 - named so in Twisted
        num: int,
        strio: IO[bytes],
    ) -> None:
        self._sections.append((list, num, strio))
        # In here is how many compressed names Twisted allows a message, and has seen in it.
        self._context = copy_context()

    def records(self) -> Iterator[None]:
        """Decode a record in each step. Raises whatever a decoder makes of hostile octets."""
        for section, count, stream in self._sections:
            for _ in range(count):
                section.append(self._context.run(self._record, stream))
                yield

    def _record(self, stream: IO[bytes]) -> dns.RRHeader:
        header = dns.RRHeader(auth=self.auth)
        header.decode(stream)
        length = cast("int", header.rdlength)
        known = header.type in _DECODED
        make = self.lookupRecordType(header.type) if known else dns.UnknownRecord
        payload = cast("Any", make(ttl=header.ttl))
        end = stream.tell() + length
        payload.decode(stream, length)
        if stream.tell() != end:
            raise ValueError("a record is not as long as it says")
        header.payload = payload
        return header


class _Question:
    """One question, with an identifier of its own each time it is asked.

    @ivar octets: as it is sent.
    """

    def __init__(self, query: dns.Query, number: int) -> None:
        self._query = query
        message = dns.Message(number, recDes=1)
        message.queries = [query]
        self.octets = message.toStr()

    def begin(self, octets: bytes) -> _Message | None:
        """Return the answer that some octets begin, if they are one to this question."""
        if octets[:2] != self.octets[:2]:
            return None
        message = _Message()
        try:
            message.fromStr(octets)
        except Exception:  # noqa: BLE001 - whatever a decoder makes of hostile octets
            return None
        asked = message.queries == [self._query] and message.opCode == dns.OP_QUERY
        return message if asked and message.answer else None

    def read(self, octets: bytes) -> _Message | None:
        """Return the answer that some octets are; of one that was cut, what is whole."""
        message = self.begin(octets)
        if message is None or message.trunc:
            return message
        try:
            for _ in message.records():
                pass
        except Exception:  # noqa: BLE001 - likewise
            return None
        return message


class _Datagrams(DatagramProtocol):
    """Waits for the answer of one server; each question has a port of its own (RFC 5452 9.2)."""

    transport: Any

    def __init__(self, server: Server, question: _Question) -> None:
        self._server = ip_address(server[0]), server[1]
        self._question = question
        self.answer: Deferred[dns.Message] = Deferred()

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        if self.answer.called or (ip_address(addr[0]), addr[1]) != self._server:
            return
        message = self._question.read(datagram)
        if message is not None:
            self.answer.callback(message)

    def connectionRefused(self) -> None:
        self.stopProtocol()

    def stopProtocol(self) -> None:
        # With epoll, Twisted takes a refusal for the end of the port and does not tell of it.
        if not self.answer.called:
            self.answer.errback(error.ConnectionRefusedError())


class _Stream(Int16StringReceiver):
    """Asks over a connection, and waits for the first message."""

    def __init__(self, question: _Question) -> None:
        self._question = question
        self.answer: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        self.sendString(self._question.octets)

    def stringReceived(self, string: bytes) -> None:
        if not self.answer.called:
            self.answer.callback(string)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.answer.called:
            self.answer.errback(reason)


class StubResolver(ResolverBase):
    """Asks recursive name servers, one after another. An C{IResolver}."""

    def __init__(
        self,
        reactor: Any,  # noqa: ANN401 - it provides time, UDP and TCP
        random: Random,
        servers: Callable[[], Sequence[Server]] | None = None,
    ) -> None:
        """Ask nothing yet.

        @param reactor: clock and network.
        @param random: the source of identifiers.
        @param servers: returns who is asked, the preferred first; C{None} for those of
            C{/etc/resolv.conf}.
        """
        super().__init__()
        self._reactor = reactor
        self._random = random
        self._servers = ResolvConf().servers if servers is None else servers
        self._answered: Server | None = None
        self._places = DeferredSemaphore(_AT_ONCE)

    def _lookup(
        self,
        name: bytes,
        cls: int,
        type: int,  # noqa: A002 - named so in Twisted
        timeout: Sequence[int] | None,
    ) -> Deferred[Records]:
        """Ask a question: what every C{lookup...} of C{IResolver} comes to.

        @return: fires with the records.  Fails with an error of C{twisted.names.error} for a
            response code, with C{TimeoutError}, or with what went wrong on the network.
        """
        query = dns.Query(name, type, cls)
        rounds = timeout or _ROUNDS
        return self._places.run(lambda: Deferred.fromCoroutine(self._ask(query, rounds)))

    async def _ask(self, query: dns.Query, rounds: Sequence[int]) -> Records:
        # The one that answered last time goes first, so that a dead one costs time only once.
        left = sorted(self._servers(), key=lambda each: each != self._answered)
        trouble: Exception = NoAnswer("no name server answered")
        for wait in rounds:
            for server in left[:]:
                try:
                    message = await self._exchange(server, query, wait)
                except CancelledError:
                    raise
                except NoAnswer:
                    continue
                except Exception as reason:  # noqa: BLE001 - each means: ask the next one
                    trouble = reason
                    left.remove(server)
                else:
                    self._answered = server
                    return _records(message)
        raise trouble

    async def _exchange(self, server: Server, query: dns.Query, wait: int) -> dns.Message:
        """Return one server's answer, which is about the name and not about its troubles."""
        question = _Question(query, self._random.getrandbits(16))
        message = await self._by_udp(server, question, wait)
        if message.trunc:
            message = await self._by_tcp(server, question)
        if message.trunc:
            raise DNSServerError(message)
        if message.rCode not in (dns.OK, dns.ENAME):
            raise cast("Exception", self.exceptionForCode(message.rCode)(message))
        return message

    async def _by_udp(self, server: Server, question: _Question, wait: int) -> dns.Message:
        protocol = _Datagrams(server, question)
        interface = "::" if ":" in server[0] else ""
        port = self._reactor.listenUDP(0, protocol, interface, _DATAGRAM)
        try:
            # The kernel then passes over what others send, and tells when nobody is there.
            protocol.transport.connect(*server)
            protocol.transport.write(question.octets)
            return await protocol.answer.addTimeout(wait, self._reactor)
        finally:
            port.stopListening()

    async def _by_tcp(self, server: Server, question: _Question) -> dns.Message:
        kind = TCP6ClientEndpoint if ":" in server[0] else TCP4ClientEndpoint
        protocol = _Stream(question)
        try:
            await connectProtocol(kind(self._reactor, *server, timeout=_TCP), protocol)
            octets = await protocol.answer.addTimeout(_TCP, self._reactor)
        finally:
            if protocol.transport is not None:
                cast("Any", protocol.transport).abortConnection()
        message = question.begin(octets)
        if message is None:
            raise ValueError("the answer cannot be read")
        if not message.trunc:
            for count, _ in enumerate(message.records(), 1):
                if count % _SLICE == 0:
                    await deferLater(self._reactor, 0)
        return message


def _records(message: dns.Message) -> Records:
    if message.rCode == dns.ENAME:
        raise DNSNameError(message)
    return message.answers, message.authority, message.additional
