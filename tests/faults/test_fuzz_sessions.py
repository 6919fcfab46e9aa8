# -*- test-case-name: tests.faults.test_fuzz_sessions -*-
"""Hostile octets for whole sessions: clients of the edges, hosts and services of the relays.

What is answered and handed on does not depend on how octets are split; every attempt has one
outcome for each recipient, and a success is one that was said; nothing is raised, nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.errors import RelayError
from slimtwist.outcome import Outcome
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from slimtwist.smtp.auth import Credentials
from slimtwist.testing import MemoryReactor, MemoryRelay
from tests.edge.world import Visitor
from tests.faults.fuzz import corpus, inputs, mutant, ways
from tests.faults.incoming import mail_edge
from tests.faults.service import GOOD, Posting, Service
from tests.smtp.talks import listen, many, static


class EdgeSessionTests(SynchronousTestCase):
    """Clients."""

    def compare(self, factory: Any, inputs: Iterable[bytes]) -> None:  # noqa: ANN401
        """Check that a client is answered alike whatever is split where."""
        for octets in inputs:
            whole, *others = [_visit(factory, pieces) for pieces in ways(octets)]
            for other in others:
                self.assertEqual(whole, other, octets)
            for taken in whole[1]:
                self.assertEqual(taken.count(b"\r\n"), taken.count(b"\r"), octets)
                self.assertEqual(taken.count(b"\r\n"), taken.count(b"\n"), octets)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_smtp(self) -> None:
        """ESMTP (ING-01 to ING-05, ING-21, SMI-01 to SMI-23)."""
        self.compare(SmtpEdgeFactory, inputs("commands", 150))

    def test_mail(self) -> None:
        """A server of twisted.mail (ING-03, ING-04, ING-21, SMI-01)."""
        # What comes behind STARTTLS ends the session only if it came at once (RFC 3207 4.2).
        self.compare(
            mail_edge,
            (each for each in inputs("commands", 150) if b"STARTTLS" not in each.upper()),
        )

    def test_http(self) -> None:
        """HTTP (HTI-02 to HTI-10, INJ-02)."""
        self.compare(HttpEdgeFactory, inputs("requests", 150))


def _visit(factory: Any, pieces: list[bytes]) -> tuple[bytes, list[bytes], tuple[str, ...]]:  # noqa: ANN401
    """Let a client say something; return what it hears, what is handed on, what is left."""
    reactor = MemoryReactor(start=1_700_000_000.0)
    runtime = Runtime(reactor, hostname="edge", random=Random(1))
    relay = MemoryRelay()
    made = factory(runtime, DirectQueue(runtime, relay), EdgeOptions(trace=False))
    port = reactor.listenTCP(25, made, interface="0.0.0.0")
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 25)
    visitor: Any = reactor.wait(endpoint.connect(Factory.forProtocol(Visitor)))
    for piece in pieces:
        if visitor.lost is None:
            visitor.transport.write(piece)
            reactor.flush()
    heard = bytes(visitor.octets)
    visitor.transport.loseConnection()
    port.stopListening()
    reactor.wait(made.stop())
    reactor.advance(6)
    left = reactor.leftovers()
    octets = [each.octets for each in relay.made]
    return heard, octets, left.timers + left.connections + left.producers


class Babbler(Protocol):
    """A host that says the next thing whenever it hears something."""

    transport: Any

    def __init__(self, words: Iterator[bytes]) -> None:
        self._words = words

    def connectionMade(self) -> None:
        """Say the first."""
        self.dataReceived(b"")

    def dataReceived(self, data: bytes) -> None:
        """Say the next; be silent at the end."""
        self.transport.write(next(self._words, b""))


class Babble(Factory):
    """Makes them; the connections share what is said.

    @param words: what is said, a word at a time.
    """

    noisy = False

    def __init__(self, words: list[bytes]) -> None:
        self._words = iter(words)

    def buildProtocol(self, addr: IAddress | None) -> Babbler:
        """Return one."""
        return Babbler(self._words)


class RelaySessionTests(SynchronousTestCase):
    """Hosts and services."""

    def test_hosts(self) -> None:
        """Whatever a host says, each recipient has an outcome, and nothing is left (L1 to L3)."""
        seeds = corpus("replies")
        chance = Random(1)
        delivered = 0
        for _ in range(400):
            words = _words(chance, seeds)
            for lmtp in (False, True):
                outcomes, sent, left = _deliver(words, lmtp=lmtp)
                self.assertEqual(len(outcomes), 2, words)
                self.assertEqual(left, (), words)
                for outcome in outcomes:
                    if outcome.reply.positive or outcome.ambiguous:
                        self.assertTrue(sent, words)
                    if outcome.reply.positive:
                        delivered += 1
                        self.assertIn(b"%d" % outcome.reply.code, b"".join(words))
        self.assertGreater(delivered, 100)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_logins(self) -> None:
        """Whatever a host says to AUTH, there is an outcome, and nothing is left."""
        seeds = corpus("challenges")
        chance = Random(2)
        for number in range(200):
            mechanism = (b"PLAIN", b"LOGIN", b"CRAM-MD5", b"SCRAM-SHA-256")[number % 4]
            hello = b"250-mx\r\n250 AUTH " + mechanism + b"\r\n"
            said = [mutant(chance, seeds) for _ in range(chance.randrange(1, 5))]
            outcomes, sent, left = _deliver(
                [b"220 mx\r\n", hello, *said, *_USUAL[2:]],
                credentials=Credentials("joe", "secret"),
                auth_insecure=True,
            )
            self.assertEqual((len(outcomes), left), (2, ()), said)
            self.assertTrue(sent or not outcomes[0].reply.positive, said)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_services(self) -> None:
        """Whatever a service says, a message has one outcome, however it is split (L1 to L3)."""
        for octets in inputs("responses", 100):
            told = {_post(pieces) for pieces in ways(octets)}
            self.assertEqual(len(told), 1, octets)
        self.flushLoggedErrors()  # of Twisted's client, about what is none of HTTP


_OK = b"250 ok\r\n"
#: What is said in a dialogue that goes well; nothing to the message, and then to its end.
_USUAL = (b"220 mx\r\n", _OK, _OK, _OK, _OK, b"354 go\r\n", b"", _OK, _OK)


def _words(chance: Random, seeds: list[bytes]) -> list[bytes]:
    """Return the usual words, with some that are not."""
    return [mutant(chance, seeds) if chance.random() < 0.15 else word for word in _USUAL]


def _deliver(
    words: list[bytes],
    *,
    lmtp: bool = False,
    **options: Any,  # noqa: ANN401
) -> tuple[tuple[Outcome, ...], bool, tuple[str, ...]]:
    """Deliver to such a host; return the outcomes, whether all was sent, and what is left."""
    reactor = MemoryReactor()
    listen(reactor, Babble(words), lmtp=lmtp)
    relay = static(reactor, lmtp=lmtp, **options)
    try:
        outcomes = reactor.wait(relay.attempt(many(2), 0), 4000).outcomes
    except RelayError as error:
        outcomes = (error.outcome,) * 2
    reactor.wait(relay.stop())
    reactor.advance(6)
    left = reactor.leftovers()
    tapes = [bytes(wire.up.tape) for wire in reactor.network.wires]
    sent = any(b"\r\n.\r\n" in tape for tape in tapes)
    return outcomes, sent, left.timers + left.connections + left.producers


def _post(pieces: list[bytes]) -> tuple[object, ...]:
    """Post to such a service, and return what became of it."""

    def answer(transport: Any) -> None:  # noqa: ANN401
        left = iter(pieces)

        def go_on() -> None:
            piece = next(left, None)
            if piece is None:
                transport.loseConnection()
            else:
                transport.write(piece)
                transport.reactor.callLater(0, go_on)

        go_on()

    posting = Posting(Service(answer, GOOD))
    first, second = posting.outcomes
    return first, second.verdict, posting.left
