# -*- test-case-name: tests.test_resolver -*-
"""Questions to name servers, by twisted.names, with more care than it takes by itself.

An answer counts only if it came from the server that was asked and repeats the question; one that
is truncated over TCP too is a failure of that server, not a reason to ask again.  There is no
search list.

Sources: RFC 5452 9 (accepting answers), RFC 7766 5 (truncation), RFC 1035 4.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.names import client, dns
from twisted.names.error import DNSServerError
from twisted.python.failure import Failure

#: Seconds that each name server has, in each round of asking all of them.
_ROUNDS: Final = (1, 3, 11)
_TCP: Final = 10


class _Question(dns.DNSDatagramProtocol):
    """One question to one server, from a port of its own."""

    def __init__(self, controller: object, reactor: object, server: tuple[str, int]) -> None:
        super().__init__(controller, reactor)
        self._server = server
        self._asked: list[dns.Query] = []

    def ask(self, queries: list[dns.Query], timeout: float) -> Deferred[dns.Message]:
        self._asked = queries
        return self.query(self._server, queries, timeout)

    def startListening(self) -> None:
        interface = "::" if ":" in self._server[0] else ""
        self._reactor.listenUDP(0, self, interface, maxPacketSize=65535)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        # Whatever is not the answer is passed over: the true one may still come.
        if addr[:2] == self._server and _answers(data, self._asked):
            super().datagramReceived(data, self._server)


class StubResolver(client.Resolver):
    """Asks recursive name servers, one after another."""

    def queryUDP(
        self, queries: list[dns.Query], timeout: Sequence[int] | None = None
    ) -> Deferred[dns.Message]:
        """Ask by UDP.

        @return: fires with the first answer that counts; fails with C{TimeoutError} when there is
            none, or with C{OSError}.
        """
        servers = [*self.servers, *self.dynServers]
        rounds = [(server, wait) for wait in timeout or _ROUNDS for server in servers]
        return Deferred.fromCoroutine(self._ask_each(rounds, queries))

    def filterAnswers(self, message: dns.Message) -> object:
        """Return answer, authority and additional records, or fail by the response code."""
        if message.trunc:
            return self.queryTCP(message.queries, _TCP).addCallback(self._from_tcp)
        return super().filterAnswers(message)

    def _from_tcp(self, message: dns.Message) -> object:
        if message.trunc:
            return Failure(DNSServerError(message))
        return super().filterAnswers(message)

    async def _ask_each(
        self, rounds: list[tuple[tuple[str, int], int]], queries: list[dns.Query]
    ) -> dns.Message:
        for server, wait in rounds:
            question = _Question(self, self._reactor, server)
            try:
                return await question.ask(queries, wait)
            except dns.DNSQueryTimeoutError:
                continue
            finally:
                if question.transport is not None:
                    question.transport.stopListening()
        raise defer.TimeoutError("no name server answered")


def _answers(data: bytes, queries: list[dns.Query]) -> bool:
    """Tell whether a datagram is the answer to the question."""
    message = dns.Message()
    try:
        message.fromStr(data)
    except Exception:  # noqa: BLE001 - whatever a decoder makes of hostile octets
        return False
    return bool(message.answer) and message.opCode == dns.OP_QUERY and message.queries == queries
