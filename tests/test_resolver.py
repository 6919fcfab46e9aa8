# -*- test-case-name: tests.test_resolver -*-
"""Questions to name servers: what counts as an answer, whom it is asked of, and when it ends."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004 - it fails so
from twisted.internet.error import ConnectionRefusedError  # noqa: A004 - it fails so
from twisted.internet.interfaces import IResolver
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryRefusedError, DNSServerError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.resolver import StubResolver
from tests.datagrams import Address, DatagramReactor, StreamServer, counts, reply

FIRST, SECOND = ("192.0.2.53", 53), ("2001:db8::53", 53)


def mx(name: str = "example.org", *hosts: str) -> list[dns.RRHeader]:
    """Return some MX records."""
    return [
        dns.RRHeader(name, dns.MX, dns.IN, 300, dns.Record_MX(10, host))
        for host in hosts or ("mx.example",)
    ]


class ResolverTestCase(SynchronousTestCase):
    """Has two name servers, of which the first answers."""

    def setUp(self) -> None:
        """Begin."""
        self.reactor = DatagramReactor()
        self.resolver = StubResolver(self.reactor, Random(1), lambda: [FIRST, SECOND])
        self.say(FIRST, lambda question: [reply(question, *mx())])

    def say(
        self, server: Address, answer: Callable[[bytes], list[bytes]], source: Address | None = None
    ) -> None:
        """Let a name server answer."""
        self.reactor.servers[server] = lambda question: [
            (each, source or server) for each in answer(question)
        ]

    def ask(self, name: str = "example.org") -> list[str]:
        """Return the exchangers of a domain; nothing is left behind."""
        answers, _, _ = self.reactor.wait(self.resolver.lookupMailExchange(name))
        self.assert_clean()
        return [str(each.payload.name) for each in answers]

    def refused(self, kind: type[Exception]) -> None:
        """Check how a question fails, and that nothing is left behind."""
        self.assertRaises(kind, self.reactor.wait, self.resolver.lookupMailExchange("example.org"))
        self.assert_clean()

    def assert_clean(self) -> None:
        """Check that no port, no timer and no connection is left."""
        self.reactor.flush()
        left = self.reactor.leftovers()
        self.assertEqual((self.reactor.ports, left.timers, left.connections), ([], (), ()))

    def asked(self) -> list[Address]:
        """Return who was asked, in order."""
        return [server for _, server, _ in self.reactor.sent]


def _after(wrong: Callable[[bytes], bytes], question: bytes) -> list[bytes]:
    """Return something that is wrong, and then the answer."""
    return [wrong(question), reply(question, *mx())]


class AnswerTests(ResolverTestCase):
    """What counts as an answer (RFC 5452)."""

    def test_interface(self) -> None:
        """It is a resolver of twisted.names."""
        self.assertTrue(verifyObject(IResolver, self.resolver))

    def test_answer(self) -> None:
        """Records come as twisted.names has them; a code is an error."""
        self.assertEqual(self.ask(), ["mx.example"])
        self.say(FIRST, lambda question: [reply(question, rCode=dns.ENAME)])
        self.refused(DNSNameError)
        self.assertEqual(self.asked(), [FIRST] * 2)

    def test_passed_over(self) -> None:
        """What is not the answer is passed over, and the wait goes on (DNS-21)."""
        evil = mx("example.org", "evil.example")
        other = dns.Message()
        other.queries = [dns.Query("other.example", dns.MX, dns.IN)]
        chaos = dns.Message()
        chaos.queries = [dns.Query("example.org", dns.MX, dns.CH)]

        def asked(question: bytes, what: dns.Message) -> bytes:
            what.id = int.from_bytes(question[:2], "big")
            return what.toStr()

        wrongs: list[Callable[[bytes], bytes]] = [
            lambda question: reply(question, *evil, ident=int.from_bytes(question[:2], "big") ^ 1),
            lambda question: reply(asked(question, other), *evil),
            lambda question: reply(asked(question, chaos), *evil),
            lambda question: reply(question, *evil, answer=0),
            lambda question: reply(question, *evil, opCode=2),
            lambda question: question,
            lambda question: question[:2],
            lambda _: b"",
            lambda question: question[:2] + b"\x80\x00" + b"\xff" * 500,
        ]
        for wrong in wrongs:
            self.say(FIRST, partial(_after, wrong))
            self.assertEqual(self.ask(), ["mx.example"])

    def test_other_source(self) -> None:
        """An answer from another address or port is passed over (DNS-21)."""
        evil = mx("example.org", "evil.example")
        others = [("192.0.2.54", 53), ("192.0.2.53", 54), SECOND]
        self.reactor.servers[FIRST] = lambda question: [
            *((reply(question, *evil), other) for other in others),
            (reply(question, *mx()), FIRST),
        ]
        self.assertEqual(self.ask(), ["mx.example"])

    def test_same_address(self) -> None:
        """An address may be written in several ways."""
        del self.reactor.servers[FIRST]
        self.say(SECOND, lambda question: [reply(question, *mx())], ("2001:db8:0:0::53", 53))
        self.assertEqual(self.ask(), ["mx.example"])

    def test_case(self) -> None:
        """The name may come back in other case."""
        self.say(
            FIRST, lambda question: [reply(question, *mx()).replace(b"example", b"eXample", 1)]
        )
        self.assertEqual(self.ask(), ["mx.example"])

    def test_cut(self) -> None:
        """An answer that is not whole is none: cut at any octet, or with wrong counts (DNS-23)."""
        self.say(FIRST, lambda question: [reply(question, *mx("example.org", "a.b", "c.d"))])
        self.ask()
        whole = reply(self.reactor.sent[-1][0], *mx("example.org", "a.b", "c.d"))
        for end in [*range(len(whole)), None]:
            self.say(FIRST, partial(_after, partial(_cut, end)))
            self.assertEqual(self.ask(), ["a.b", "c.d"] if end is None else ["mx.example"])
        for number in (3, 65535):
            self.say(FIRST, partial(_after, partial(_counting, number)))
            self.assertEqual(self.ask(), ["mx.example"])

    def test_lengths(self) -> None:
        """A record that is longer or shorter than it says makes the answer none (DNS-23)."""
        for wrong in (3, 5, 200, 0):
            self.say(
                FIRST, partial(_after, partial(_with_record, dns.A, wrong, b"\xc0\x00\x02\x01"))
            )
            self.assertEqual(self.ask(), ["mx.example"])

    def test_loops(self) -> None:
        """Names that point at themselves or beyond the end make it none (DNS-23)."""
        for name in (b"\xc0\x0c\xc0", b"\xff\xff"):
            record = partial(_with_record, dns.MX, 2 + len(name), b"\x00\x01" + name)
            self.say(FIRST, partial(_after, record))
            self.assertEqual(self.ask(), ["mx.example"])

    def test_others(self) -> None:
        """Records of types that are not needed are passed over, whatever is in them."""
        self.say(FIRST, lambda question: [_with_record(dns.TXT, 3, b"\xff\xff\xff", question)])
        answers, _, _ = self.reactor.wait(self.resolver.lookupMailExchange("example.org"))
        self.assertEqual([each.type for each in answers], [dns.TXT])

    @settings(max_examples=300, deadline=None)
    @given(octets=st.binary(max_size=200), keep=st.integers(0, 40))
    def test_any_octets(self, octets: bytes, keep: int) -> None:
        """Whatever octets come, they raise nothing, and the true answer is heard (DNS-23)."""
        self.setUp()
        self.say(FIRST, lambda question: [
            reply(question, *mx("example.org", "x.y"))[:keep] + octets, reply(question, *mx())
        ])  # fmt: skip
        self.assertIn(len(self.ask()), range(200))

    def test_unpredictable(self) -> None:
        """Identifier and port differ from question to question (RFC 5452 9.2)."""
        for _ in range(50):
            self.ask()
        self.assertGreater(len({datagram[:2] for datagram, _, _ in self.reactor.sent}), 45)
        self.assertEqual(len({port for _, _, port in self.reactor.sent}), 50)


class ServerTests(ResolverTestCase):
    """Who is asked."""

    def test_dead(self) -> None:
        """The second is asked after a second, and next time it goes first (DNS-30)."""
        self.say(FIRST, lambda _: [])
        self.say(SECOND, lambda question: [reply(question, *mx())])
        self.assertEqual(self.ask(), ["mx.example"])
        self.assertEqual((self.reactor.seconds(), self.asked()), (1.0, [FIRST, SECOND]))
        self.ask()
        self.assertEqual((self.reactor.seconds(), self.asked()[2:]), (1.0, [SECOND]))
        self.say(SECOND, lambda _: [])
        self.say(FIRST, lambda question: [reply(question, *mx())])
        self.ask()
        self.assertEqual(self.asked()[3:], [SECOND, FIRST])

    def test_nobody_there(self) -> None:
        """A host without a name server is passed over at once; with no other it is an error."""
        del self.reactor.servers[FIRST]
        self.refused(ConnectionRefusedError)
        self.assertEqual((self.reactor.seconds(), self.asked()), (0.0, [FIRST, SECOND]))

    def test_all_silent(self) -> None:
        """Each has 1, 3 and 11 seconds, then it is over."""
        for server in (FIRST, SECOND):
            self.say(server, lambda _: [])
        self.refused(TimeoutError)
        self.assertEqual((self.reactor.seconds(), self.asked()), (30.0, [FIRST, SECOND] * 3))

    def test_in_trouble(self) -> None:
        """One that cannot answer is asked once, and the next at once; the last one's code tells."""
        self.say(FIRST, lambda question: [reply(question, rCode=dns.ESERVER)])
        self.say(SECOND, lambda question: [reply(question, *mx())])
        self.assertEqual(self.ask(), ["mx.example"])
        self.say(SECOND, lambda question: [reply(question, rCode=dns.EREFUSED)])
        self.resolver = StubResolver(self.reactor, Random(1), lambda: [FIRST, SECOND])
        self.refused(DNSQueryRefusedError)
        self.assertEqual((self.reactor.seconds(), len(self.asked())), (0.0, 4))

    def test_changed(self) -> None:
        """Who is asked is found out for each question (DNS-29)."""
        servers = [SECOND]
        self.resolver = StubResolver(self.reactor, Random(1), lambda: servers)
        self.refused(ConnectionRefusedError)
        servers[0] = FIRST
        self.assertEqual(self.ask(), ["mx.example"])

    def test_nobody(self) -> None:
        """With nobody to ask it fails."""
        self.resolver = StubResolver(self.reactor, Random(1), list)
        self.refused(TimeoutError)

    def test_many(self) -> None:
        """Not more than 200 questions are on their way at once; all are answered (L6)."""
        self.say(FIRST, lambda _: [])
        waiting = [self.resolver.lookupAddress(f"h{n}.example") for n in range(1000)]
        self.assertEqual(len(self.reactor.ports), 200)
        self.say(FIRST, lambda question: [reply(question, *mx())])
        for each in waiting:
            self.reactor.wait(each)
        self.assert_clean()

    def test_cancel(self) -> None:
        """A cancelled question leaves nothing, and its place is free (DNS-36)."""
        self.say(FIRST, lambda _: [])
        for _ in range(300):
            asked = self.resolver.lookupAddress("h.example")
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        self.assert_clean()


class StreamTests(ResolverTestCase):
    """Answers that are too long for a datagram (RFC 7766)."""

    def setUp(self) -> None:
        """The first name server says that its answer is cut."""
        super().setUp()
        self.say(FIRST, lambda question: [reply(question, trunc=1)])
        self.many = [f"mx{n}.example" for n in range(3600)]

    def listen(
        self, answer: Callable[[bytes], bytes | None], server: Address = FIRST
    ) -> StreamServer:
        """Let a name server answer over TCP."""
        stream = StreamServer(answer)
        self.reactor.listenTCP(53, stream, interface=server[0])
        return stream

    def test_long(self) -> None:
        """It is asked again over TCP, of the same name server, and once (DNS-19)."""
        stream = self.listen(lambda question: reply(question, *mx("example.org", *self.many[:400])))
        self.assertEqual(self.ask(), self.many[:400])
        self.assertEqual((len(stream.asked), self.asked()), (1, [FIRST]))

    def test_thousands(self) -> None:
        """What fits into an answer is decoded, and others have their turns meanwhile (DNS-17)."""
        records = [_raw(n) for n in range(3600)]
        self.listen(lambda question: _with_records(question, records))
        before = self.reactor.clock.serial
        self.assertEqual(len(self.ask()), 3600)
        self.assertGreater(self.reactor.clock.serial - before, 35)

    def test_many_pointers(self) -> None:
        """A thousand compressed names are allowed in a message, as Twisted has it (DNS-23)."""
        for count, allowed in ((900, True), (1100, False)):
            self.setUp()
            self.listen(partial(_pointing, count))
            self.resolver = StubResolver(self.reactor, Random(1), lambda: [FIRST])
            if allowed:
                self.assertEqual(len(self.ask()), count)
            else:
                self.refused(ValueError)

    def test_cut_again(self) -> None:
        """Cut over TCP as well: that name server cannot answer, and is not asked on (DNS-20)."""
        stream = self.listen(lambda question: reply(question, trunc=1))
        self.refused(ConnectionRefusedError)
        self.assertEqual(self.asked(), [FIRST, SECOND])
        self.say(SECOND, lambda _: [])
        self.refused(DNSServerError)
        self.assertEqual((len(stream.asked), self.asked()[2:]), (2, [FIRST, *[SECOND] * 3]))

    def test_next(self) -> None:
        """When TCP does not work, the next name server is asked (DNS-19)."""
        for answer in (None, lambda _: None, lambda _: b"", lambda _: b"x", lambda q: q):
            self.setUp()
            if answer is not None:
                self.listen(answer)
            self.say(SECOND, lambda question: [reply(question, *mx())])
            self.assertEqual(self.ask(), ["mx.example"], answer)

    def test_partial_datagram(self) -> None:
        """A datagram that says it is cut may end anywhere behind the question."""
        self.say(FIRST, lambda question: [reply(question, *mx(), trunc=1)[:-5]])
        self.listen(lambda question: reply(question, *mx()))
        self.assertEqual(self.ask(), ["mx.example"])

    def test_silent(self) -> None:
        """A connection whose answer never comes is ended after 10 seconds."""
        self.listen(lambda _: b"")
        self.resolver = StubResolver(self.reactor, Random(1), lambda: [FIRST])
        self.refused(TimeoutError)
        self.assertLessEqual(self.reactor.seconds(), 30)

    def test_cancel(self) -> None:
        """A question that is cancelled ends its connection."""
        self.listen(lambda _: b"")
        asked: Deferred[Any] = self.resolver.lookupMailExchange("example.org")
        self.reactor.flush()
        self.assertTrue(self.reactor.leftovers().connections)
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assert_clean()


def _cut(end: int | None, question: bytes) -> bytes:
    return reply(question, *mx("example.org", "a.b", "c.d"))[:end]


def _counting(number: int, question: bytes) -> bytes:
    return counts(_cut(None, question), number)


def _raw(number: int) -> bytes:
    """Return an MX record without compressed names."""
    owner = b"\x01a\x00" if number % 2 else b"\x01b\x00"
    return owner + struct.pack("!HHIHH", dns.MX, dns.IN, 300, 5, number) + b"\x01c\x00"


def _pointing(count: int, question: bytes) -> bytes:
    """Return an answer with records whose owner is a compressed name."""
    return _with_records(question, [b"\xc0\x0c" + _raw(n)[3:] for n in range(count)])


def _with_records(question: bytes, records: list[bytes]) -> bytes:
    return counts(reply(question), len(records)) + b"".join(records)


def _with_record(kind: int, length: int, data: bytes, question: bytes) -> bytes:
    return _with_records(
        question, [b"\xc0\x0c" + struct.pack("!HHIH", kind, dns.IN, 300, length) + data]
    )
