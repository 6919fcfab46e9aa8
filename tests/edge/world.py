# -*- test-case-name: tests.edge -*-
"""An edge, a queue, a next hop and clients, all in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slimtwist.edge.access import Access
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IQueue, IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.queue.direct import DirectQueue
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor

#: Where the edge listens, and addresses of strangers.
EDGE = "192.0.2.1"
STRANGER = "203.0.113.7"
DELIVERED = "250 2.0.0 taken"


@implementer(IRelay)
class NextHop:
    """A relay that keeps what it is given, and answers as a test says.

    @ivar answers: the replies for the recipients, the last one for all that follow.
    @ivar slow: whether attempts wait for L{answer}.
    """

    def __init__(self, *answers: str) -> None:
        self.answers: Sequence[str] = answers or (DELIVERED,)
        self.envelopes: list[Envelope] = []
        self.messages: list[bytes] = []
        self.waiting: list[Deferred[Report]] = []
        self.slow = False
        self.cancelled = 0
        self.stopped = False

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Keep the message; answer at once, or when L{answer} is called."""
        self.envelopes.append(envelope)
        self.messages.append(bytes(envelope.content))
        if self.slow:
            self.waiting.append(Deferred(self._cancel))
            return self.waiting[-1]
        return succeed(self.report(envelope))

    def report(self, envelope: Envelope, *answers: str) -> Report:
        """Return the outcomes that the answers are."""
        texts = [*(answers or self.answers)]
        texts += [texts[-1]] * (len(envelope.recipients) - len(texts))
        return Report(tuple(Outcome.of(Reply.parse(text)) for text in texts))

    def answer(self, *answers: str) -> None:
        """Let the attempt that waits longest end."""
        envelope = self.envelopes[-len(self.waiting)]
        self.waiting.pop(0).callback(self.report(envelope, *answers))

    def stop(self) -> Deferred[None]:
        """Note it."""
        self.stopped = True
        return succeed(None)

    def _cancel(self, _: object) -> None:
        self.cancelled += 1


class Visitor(Protocol):
    """A client that sends what a test says.

    @ivar heard: what came since it was last asked for.
    @ivar lost: why the connection ended.
    """

    transport: Any

    def __init__(self) -> None:
        self.octets = bytearray()
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.octets += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note it."""
        self.lost = reason

    def replies(self) -> list[str]:
        """Return the replies that have come since, each in a line."""
        octets = bytes(self.octets)
        self.octets.clear()
        replies, lines = [], []
        for line in octets.decode().split("\r\n")[:-1]:
            lines.append(line)
            if line[3:4] != "-":
                replies.append("\n".join(lines))
                lines = []
        return replies


class EdgeTestCase(SynchronousTestCase):
    """Has an edge before a next hop, and clients of it."""

    def setUp(self) -> None:
        """Begin without an edge."""
        self.reactor = MemoryReactor(start=1_700_000_000.0)
        self.runtime = Runtime(self.reactor, hostname="relay.example", random=Random(1))
        self.hop = NextHop()

    def edge(self, options: EdgeOptions | None = None, queue: IQueue | None = None) -> None:
        """Let an edge listen; strangers may write to C{accepted.example} only."""
        self.options = options = options or EdgeOptions(
            access=Access.parse(accept=["accepted.example"])
        )
        self.queue = queue or DirectQueue(
            self.runtime, self.hop, limits=options.limits, timeouts=options.timeouts
        )
        self.factory = SmtpEdgeFactory(self.runtime, self.queue, options)
        self.port = self.reactor.listenTCP(25, self.factory, interface="0.0.0.0")
        self.reactor.listenUNIX("/run/edge", self.factory)

    def visit(self, ip: str = "127.0.0.1", *, greeting: bool = True) -> Visitor:
        """Return a client from an address, that has been greeted."""
        host = "127.0.0.1" if ip.startswith("127.") else EDGE
        endpoint = TCP4ClientEndpoint(self.reactor, host, 25, bindAddress=(ip, 0))
        return self._arrive(endpoint.connect(Factory.forProtocol(Visitor)), greeting=greeting)

    def visit_by_unix(self) -> Visitor:
        """Return a client from this host."""
        endpoint = UNIXClientEndpoint(self.reactor, "/run/edge")
        return self._arrive(endpoint.connect(Factory.forProtocol(Visitor)), greeting=True)

    def _arrive(self, connected: Deferred[Any], *, greeting: bool) -> Visitor:
        visitor: Visitor = self.reactor.wait(connected)
        self.reactor.flush()
        if greeting:
            self.assertEqual([reply[:4] for reply in visitor.replies()], ["220 "])
        return visitor

    def say(self, visitor: Visitor, octets: bytes) -> list[str]:
        """Send octets, and return the replies to them."""
        visitor.transport.write(octets)
        self.reactor.flush()
        return visitor.replies()

    def codes(self, visitor: Visitor, octets: bytes) -> list[str]:
        """Send octets, and return the codes of the replies to them, with the enhanced ones."""
        return [code(reply) for reply in self.say(visitor, octets)]

    def begin(self, visitor: Visitor, recipient: bytes = b"b@example.org") -> None:
        """Come as far as DATA or BDAT."""
        hello = b"LHLO" if self.options.lmtp else b"EHLO"
        said = hello + b" client.example\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<%b>\r\n"
        replies = self.codes(visitor, said % recipient)
        self.assertEqual(replies[1:], ["250 2.1.0", "250 2.1.5"])

    def assert_nothing_left(self) -> None:
        """Check that no timer, connection or producer is left when all clients have gone."""
        self.reactor.wait(Deferred.fromCoroutine(_stopped(self.port.stopListening)))
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections, left.producers), ((), (), ()))


async def _stopped(stop: Callable[[], Any]) -> None:
    await stop()


def code(reply: str) -> str:
    """Return the code of a reply and its enhanced code, if it has one."""
    words = reply.split(maxsplit=2)
    return " ".join(words[:2]) if words[1:] and words[1][1:2] == "." else words[0][:3]
