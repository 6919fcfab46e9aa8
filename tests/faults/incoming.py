# -*- test-case-name: tests.faults.test_cuts_edges -*-
"""Clients that bring two messages over one connection, which may be cut anywhere.

A client says what it has to say in flights, each when the answer to the one before has come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions
from twisted.mail.smtp import ESMTP, SMTPFactory

from slimtwist.edge.auth import portal
from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.edge.mail import MailEdge, RelayDelivery, RelayRealm
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.interfaces import IQueue
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor, MemoryRelay
from slimtwist.testing.network import Wire
from tests.edge.http.world import post
from tests.edge.world import Visitor
from tests.faults.tapes import Tape

#: What is sent, without dots doubled; the second begins where a line begins with a dot.
TEXTS = (b"S: 1\r\n\r\n.x\r\n", b"S: 2\r\n\r\ny\r\n")
_CERTIFICATE: Any = CertificateOptions()
_EDGE = "192.0.2.1"


@dataclass(frozen=True)
class Said:
    """Octets that a client sends at once.

    @ivar octets: they.
    @ivar complete: whether a message is complete with them.
    """

    octets: bytes
    complete: bool = False


@dataclass(frozen=True)
class Incoming:
    """A way to bring two messages.

    @ivar flights: what the client says; C{None} is the beginning of TLS.
    @ivar options: of the edge.
    @ivar factory: makes it.
    @ivar answer: what the next hop says to a message.
    """

    flights: tuple[Said | None, ...]
    options: dict[str, Any] = field(default_factory=dict)
    factory: Callable[..., Any] = SmtpEdgeFactory
    answer: tuple[str, ...] = ("250 2.0.0 delivered",)


def mail_edge(runtime: Runtime, queue: IQueue, options: EdgeOptions) -> MailEdge:
    """Return servers of twisted.mail before the queue, which keep our time."""
    realm = RelayRealm(RelayDelivery(runtime, queue, options))
    servers = SMTPFactory(Portal(realm, [AllowAnonymousAccess()]))
    servers.protocol, servers.noisy = ESMTP, False
    edge = MailEdge(runtime, servers, options.timeouts)
    build = edge.buildProtocol

    def built(addr: IAddress | None) -> Any:  # noqa: ANN401
        server: Any = build(addr)
        server.callLater, server.noisy = runtime.reactor.callLater, False
        return server

    edge.buildProtocol = built  # type: ignore[method-assign]
    return edge


def _mail(hello: bytes, *recipients: bytes) -> bytes:
    rcpt = b"".join(b"RCPT TO:<%b@b.c>\r\n" % each for each in recipients)
    return hello + b"MAIL FROM:<a@b.c>\r\n" + rcpt


_HELLO, _LHLO, _QUIT = b"EHLO c\r\n", b"LHLO c\r\n", Said(b"QUIT\r\n")
_DATA = (
    Said(b"DATA\r\n"),
    Said(TEXTS[0].replace(b"\r\n.", b"\r\n..") + b".\r\n", complete=True),
)
_AGAIN = (Said(_mail(b"", b"s") + b"DATA\r\n"), Said(TEXTS[1] + b".\r\n", complete=True))
_CHUNKS = (
    Said(b"BDAT 7\r\n" + TEXTS[0][:7]),
    Said(b"BDAT %d LAST\r\n" % (len(TEXTS[0]) - 7) + TEXTS[0][7:], complete=True),
    Said(_mail(b"", b"s")),
    Said(b"BDAT %d LAST\r\n" % len(TEXTS[1]) + TEXTS[1], complete=True),
)
_USERS = portal([InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")])
_LOGIN = b"AUTH PLAIN AGpvZQBzZWNyZXQ=\r\n"
_CHUNKED = post(body=b"", length=None)[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
INCOMING = {
    "DATA": Incoming((Said(_mail(_HELLO, b"r")), *_DATA, *_AGAIN, _QUIT)),
    "BDAT": Incoming((Said(_mail(_HELLO, b"r")), *_CHUNKS, _QUIT)),
    "LMTP": Incoming(
        (Said(_mail(_LHLO, b"r", b"q")), *_DATA, _QUIT),
        {"lmtp": True},
        answer=("250 2.0.0 delivered", "450 4.2.1 busy"),
    ),
    "twisted.mail": Incoming(
        (Said(_mail(b"HELO c\r\n", b"r")), *_DATA, *_AGAIN, _QUIT), factory=mail_edge
    ),
    "STARTTLS and AUTH": Incoming(
        (
            Said(_HELLO),
            Said(b"STARTTLS\r\n"),
            None,
            Said(_mail(_HELLO + _LOGIN, b"r")),
            *_DATA,
            *_AGAIN,
            _QUIT,
        ),
        {"certificate": _CERTIFICATE, "portal": _USERS},
    ),
    "HTTP": Incoming(
        (
            Said(post(body=TEXTS[0]), complete=True),
            Said(
                b"%b%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n"
                % (_CHUNKED, 7, TEXTS[1][:7], len(TEXTS[1]) - 7, TEXTS[1][7:]),
                complete=True,
            ),
        ),
        factory=HttpEdgeFactory,
    ),
}


class Visit:
    """A client's connection, and what came of it.

    @ivar relay: the next hop.
    @ivar up: what came to the edge.
    @ivar down: what came to the client.
    @ivar left: what was left in the end.
    """

    def __init__(self, way: Incoming, fault: Callable[[Wire], object] = lambda _: None) -> None:
        """Let the client bring its messages.

        @param fault: is given the connection before anything passes over it.
        """
        self.reactor = reactor = MemoryReactor(start=1_700_000_000.0)
        runtime = Runtime(reactor, hostname="edge", random=Random(1))
        self.relay = MemoryRelay(hold=True)
        self._answer = way.answer
        options = EdgeOptions(trace=False, **way.options)
        factory = way.factory(runtime, DirectQueue(runtime, self.relay), options)
        port = reactor.listenTCP(25, factory, interface="0.0.0.0")
        reactor.network.on_wire = fault
        self._talk(way)
        self._end(factory, port)
        [wire] = reactor.network.wires
        self.up, self.down = bytes(wire.up.tape), bytes(wire.down.tape)

    def _talk(self, way: Incoming) -> None:
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", 25)
        connecting: Deferred[Any] = endpoint.connect(Factory.forProtocol(Visitor))
        self.visitor: Visitor = self.reactor.wait(connecting)
        self._settle()
        for said in way.flights:
            if self.visitor.lost is not None:
                break
            if said is None:
                self.visitor.transport.startTLS(_CERTIFICATE)
            else:
                self.visitor.transport.write(said.octets)
            self._settle()

    def _settle(self) -> None:
        """Do what can be done, with a next hop that takes its time."""
        self.reactor.flush()
        for attempt in self.relay.running:
            self.reactor.advance(1)
            attempt.answer(*self._answer)
            self.reactor.flush()

    def _end(self, factory: Any, port: Any) -> None:  # noqa: ANN401
        self.visitor.transport.loseConnection()
        self._settle()
        port.stopListening()
        self.reactor.wait(factory.stop())
        self.reactor.advance(6)
        left = self.reactor.leftovers()
        self.left = left.timers + left.connections + left.producers + left.ports


@dataclass(frozen=True)
class Undisturbed:
    """The visit that nothing happens to.

    @ivar complete: how much has to come to the edge for each message.
    """

    visit: Visit
    complete: tuple[int, ...]

    @classmethod
    def of(cls, way: Incoming) -> Undisturbed:
        """Make it."""
        visit = Visit(way)
        ends, said = Tape.of(visit.up).ends, 0
        complete = []
        for flight in filter(None, way.flights):
            said += len(flight.octets)
            complete += [ends[said - 1]] * flight.complete
        return cls(visit, tuple(complete))
