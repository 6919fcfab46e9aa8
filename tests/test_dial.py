# -*- test-case-name: tests.test_dial -*-
"""Connecting to a host with several addresses: order, stagger, failures, what is left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail  # noqa: A004
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slimtwist.dial import DialFailed, address_endpoint, dial, resolve
from slimtwist.testing import MemoryReactor, ScriptedPeer

A4, B4, C4 = "192.0.2.1", "192.0.2.2", "192.0.2.3"
A6, B6 = "2001:db8::1", "2001:db8::2"


class Reached(Protocol):
    """The client's side of a connection."""


@implementer(IStreamClientEndpoint)
class Endpoint:
    """An endpoint whose connections the test makes by hand."""

    def __init__(self, connect: Callable[[], Deferred[IProtocol]]) -> None:
        self._connect = connect

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """Return what the test says."""
        return self._connect()


class DialCase(SynchronousTestCase):
    """A network on which some addresses answer and others do not."""

    def setUp(self) -> None:
        """Begin with nobody listening."""
        self.reactor = MemoryReactor()
        self.results: list[Any] = []
        self.lost: list[str] = []
        self.servers = ScriptedPeer([], [], [], [])

    def listen(self, *addresses: str) -> None:
        """Let servers answer at these."""
        for address in addresses:
            self.reactor.listenTCP(25, self.servers, interface=address)

    def endpoint(self, address: str) -> IStreamClientEndpoint:
        """Return the endpoint of an address."""
        return address_endpoint(self.reactor, address, 25, lambda _: None)

    def dial(
        self, *addresses: str, endpoint: Callable[[str], Any] | None = None
    ) -> Deferred[tuple[str, IProtocol]]:
        """Begin to dial; the result is noted."""
        dialling = dial(
            self.reactor,
            addresses,
            endpoint or self.endpoint,
            Factory.forProtocol(Reached),
            timeout=30,
            stagger=0.25,
            lost=lambda address, why: self.lost.append(f"{address}: {why[:22]}"),
        )
        dialling.addBoth(self.results.append)
        self.reactor.flush()
        return dialling

    def tried(self) -> list[tuple[float, str]]:
        """Return when which address was tried."""
        return [(each.moment, each.host) for each in self.reactor.network.attempts]

    def winner(self) -> str:
        """Return the address that answered."""
        (result,) = self.results
        assert isinstance(result, tuple), result
        self.assertIsInstance(result[1], Reached)
        return str(result[0])

    def failure(self) -> str:
        """Return why nobody answered."""
        (result,) = self.results
        return str(self.failureResultOf(fail(result), DialFailed).value)

    def check_left(self, connections: int = 0) -> None:
        """Check that only so many connections are left, and no timer."""
        self.reactor.flush()
        left = self.reactor.leftovers()
        self.assertEqual(left.timers, ())
        self.assertEqual(len(left.connections), connections, str(left))


class OneFamilyTests(DialCase):
    """Addresses of one family."""

    def test_first_answers(self) -> None:
        """The first that answers is taken, and no other is tried."""
        self.listen(A4, B4)
        self.dial(A4, B4)
        self.assertEqual(self.winner(), A4)
        self.assertEqual(self.tried(), [(0, A4)])
        self.check_left(connections=1)

    def test_lost(self) -> None:
        """It is told which addresses did not answer, and of no other."""
        self.listen(C4, A6)
        self.reactor.network.black_holes.add(B4)
        self.dial(A4, B4, C4, A6)
        self.reactor.advance(1)
        self.assertEqual(self.winner(), A6)
        self.assertEqual(self.lost, [f"{A4}: Connection was refused"])

    def test_next_at_once(self) -> None:
        """After a failure the next is tried at once."""
        self.listen(C4)
        self.dial(A4, B4, C4)
        self.assertEqual(self.winner(), C4)
        self.assertEqual(self.tried(), [(0, A4), (0, B4), (0, C4)])
        self.check_left(connections=1)

    def test_silent(self) -> None:
        """L7: an address that does not answer is given up after its time, 30 s."""
        self.listen(B4)
        self.reactor.network.black_holes.add(A4)
        self.dial(A4, B4)
        self.reactor.advance(29.9)
        self.assertEqual(self.tried(), [(0, A4)])
        self.reactor.advance(0.2)
        self.assertEqual(self.winner(), B4)
        self.check_left(connections=1)

    def test_all_fail(self) -> None:
        """The error says of each address what became of it."""
        self.reactor.network.unreachable.add(B4)
        self.reactor.network.black_holes.add(C4)
        self.dial(A4, B4, C4)
        self.reactor.advance(31)
        refused, unreachable, silent = self.failure().split("; ")
        self.assertRegex(refused, r"\A192\.0\.2\.1: .*refused")
        self.assertRegex(unreachable, r"\A192\.0\.2\.2: .*unreachable")
        self.assertEqual(silent, "192.0.2.3: no answer in time")
        self.check_left()

    def test_no_address(self) -> None:
        """A host without any address fails at once."""
        self.dial()
        self.assertEqual(self.failure(), "no address")
        self.check_left()

    def test_source_not_ours(self) -> None:
        """OS-16: EADDRNOTAVAIL is the failure of that address, said in words."""
        self.listen(A4, B4)
        self.reactor.network.own = {"198.51.100.1"}
        sources = {A4: "203.0.113.9", B4: "198.51.100.1"}
        self.dial(
            A4, B4, endpoint=lambda each: address_endpoint(self.reactor, each, 25, sources.get)
        )
        self.assertEqual(self.winner(), B4)
        self.assertEqual(self.reactor.network.attempts[-1].source[0], "198.51.100.1")
        self.results.clear()
        self.dial(A4, endpoint=lambda each: address_endpoint(self.reactor, each, 25, sources.get))
        self.assertRegex(self.failure(), "192.0.2.1: .*Cannot assign requested address")
        self.check_left(connections=1)


class TwoFamilyTests(DialCase):
    """RFC 8305: the other family joins in a moment later, or at once after a failure."""

    def test_stagger(self) -> None:
        """The other family is tried 250 ms later, and the first that answers wins."""
        self.listen(A4)
        self.reactor.network.black_holes |= {A6, B6}
        self.dial(A6, B6, A4, B4)
        self.reactor.advance(0.24)
        self.assertEqual(self.tried(), [(0, A6)])
        self.reactor.advance(0.02)
        self.assertEqual(self.tried(), [(0, A6), (0.25, A4)])
        self.assertEqual(self.winner(), A4)
        self.check_left(connections=1)

    def test_order_decides(self) -> None:
        """The family of the first address begins, whichever it is."""
        self.reactor.network.black_holes |= {A6, A4}
        for first, other in ((A4, A6), (A6, A4)):
            self.reactor.network.attempts.clear()
            begun = self.reactor.seconds()
            dialling = self.dial(first, other)
            self.reactor.advance(1)
            self.assertEqual(self.tried(), [(begun, first), (begun + 0.25, other)])
            dialling.cancel()

    def test_failure_brings_the_other(self) -> None:
        """A failure brings the other family in at once, and its own family's next."""
        self.listen(B4)
        self.reactor.network.black_holes |= {B6, A4}
        self.dial(A6, B6, A4, B4)
        self.assertEqual(self.tried(), [(0, A6), (0, B6), (0, A4)])
        self.reactor.advance(30.1)
        self.assertEqual(self.winner(), B4)
        self.check_left(connections=1)

    def test_first_family_in_time(self) -> None:
        """A first address that answers in 200 ms is all that is tried."""
        self.listen(A6, A4)
        self.reactor.network.latency = 0.2
        self.dial(A6, A4)
        self.reactor.advance(1)
        self.assertEqual(self.winner(), A6)
        self.assertEqual(self.tried(), [(0, A6)])
        self.check_left(connections=1)

    def test_both_dead(self) -> None:
        """L7: when both families are silent it ends after the time of one address."""
        self.reactor.network.black_holes |= {A6, A4}
        self.dial(A6, A4)
        self.reactor.advance(30)
        self.assertEqual(self.results, [])
        self.reactor.advance(0.3)
        self.assertEqual(
            self.failure(), "2001:db8::1: no answer in time; 192.0.2.1: no answer in time"
        )
        self.check_left()

    def test_both_refuse(self) -> None:
        """When both families refuse it ends at once."""
        self.dial(A6, B6, A4, B4)
        self.assertEqual(len(self.failure().split("; ")), 4)
        self.assertEqual(self.reactor.seconds(), 0)
        self.check_left()

    def test_two_answers_at_once(self) -> None:
        """Of two that answer at one moment one is taken, and the other is ended."""
        self.listen(A6, A4)
        self.reactor.network.latency = 0.5
        self.reactor.network.fate = self._later_for_six
        self.dial(A6, A4)
        self.reactor.advance(1)
        self.assertIn(self.winner(), (A6, A4))
        self.check_left(connections=1)

    def _later_for_six(self, attempt: Any) -> None:  # noqa: ANN401
        # The second family begins 250 ms later and is 250 ms faster.
        self.reactor.network.latency = 0.25


class ByHandTests(DialCase):
    """Endpoints of whatever kind: they may fail, answer or be silent in any way."""

    def test_fails_at_once(self) -> None:
        """Endpoints that fail before C{connect} returns, or raise, are failures like others."""

        def make(address: str) -> IStreamClientEndpoint:
            if address == C4:
                return self.endpoint(address)
            if address == B4:
                raise ValueError("no endpoint")
            return Endpoint(lambda: fail(OSError("no socket")))

        self.listen(C4)
        self.dial(A6, B6, A4, B4, C4, endpoint=make)
        self.assertEqual(self.winner(), C4)
        self.results.clear()
        self.dial(A6, A4, B4, endpoint=make)
        self.assertEqual(self.failure(), f"{A6}: no socket; {A4}: no socket; {B4}: no endpoint")
        self.check_left(connections=1)

    def test_unexpected(self) -> None:
        """An error that is none of a network's is logged with where it happened."""
        self.dial(A4, endpoint=lambda _: 1 // 0)
        self.assertIn("division", self.failure())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_long_text(self) -> None:
        """L6, L5: what an endpoint says is cut, and cannot move a cursor."""
        self.dial(A4, endpoint=lambda _: Endpoint(lambda: fail(OSError("\x1b[2J" * 100_000))))
        self.assertLess(len(self.failure()), 400)
        self.assertTrue(self.failure().isprintable())

    def test_never(self) -> None:
        """L7: an endpoint that never answers, nor minds being cancelled, is given up in time."""
        self.dial(A4, endpoint=lambda _: Endpoint(Deferred))
        self.reactor.advance(30.1)
        self.assertEqual(self.failure(), "192.0.2.1: no answer in time")
        self.check_left()

    def test_late_answer(self) -> None:
        """An endpoint that answers although it was cancelled has its connection ended."""
        self.listen(A4, A6)
        protocol = Reached()

        def make(address: str) -> IStreamClientEndpoint:
            return Endpoint(lambda: late) if address == A6 else self.endpoint(address)

        def answer(deferred: Deferred[IProtocol]) -> None:
            TCP6ClientEndpoint(self.reactor, A6, 25).connect(Factory.forProtocol(lambda: protocol))
            self.reactor.flush()
            deferred.callback(protocol)

        late: Deferred[IProtocol] = Deferred(answer)
        self.dial(A6, A4, endpoint=make)
        self.reactor.advance(1)
        self.assertEqual(self.winner(), A4)
        self.check_left(connections=1)

    def test_made_when_its_turn_comes(self) -> None:
        """An endpoint is made only when its address is tried."""
        made: list[str] = []

        def make(address: str) -> IStreamClientEndpoint:
            made.append(address)
            return self.endpoint(address)

        self.listen(B4)
        self.dial(A4, B4, C4, endpoint=make)
        self.assertEqual(made, [A4, B4])


class CancelTests(DialCase):
    """OS-14: who cancels leaves nothing behind, whenever it is."""

    def test_cancel(self) -> None:
        """Connections being made, and timers, are given up."""
        self.reactor.network.black_holes |= {A6, B6, A4}
        for moment in (0, 0.1, 0.25, 1, 30, 30.1, 59):
            self.results.clear()
            dialling = self.dial(A6, B6, A4)
            self.reactor.advance(moment)
            dialling.cancel()
            (result,) = self.results
            self.failureResultOf(fail(result), CancelledError)
            self.check_left()
            self.reactor.advance(100)
            self.assertEqual(len(self.results), 1)

    def test_cancel_before_anything(self) -> None:
        """Even in the turn in which it began."""
        self.listen(A4)
        dialling = dial(self.reactor, [A4, A6], self.endpoint, Factory(), timeout=30, stagger=0.25)
        dialling.cancel()
        self.failureResultOf(dialling, CancelledError)
        self.check_left()


class StallTests(DialCase):
    """OS-13: a program that was busy does not blame its peers."""

    def test_stall(self) -> None:
        """A connection that was made while nobody looked is taken, although its time is over."""
        self.listen(A4)
        self.reactor.network.latency = 1
        self.reactor.callLater(0.5, self.reactor.clock.move_to, 40)
        self.dial(A4)
        self.reactor.advance(60)
        self.assertEqual(self.winner(), A4)
        self.check_left(connections=1)


class EndpointTests(SynchronousTestCase):
    """The endpoint of an address."""

    def test_families(self) -> None:
        """It is of the address's own family."""
        reactor = MemoryReactor()
        for address, kind in ((A4, TCP4ClientEndpoint), (A6, TCP6ClientEndpoint)):
            self.assertIsInstance(address_endpoint(reactor, address, 25, lambda _: None), kind)


class ResolveTests(SynchronousTestCase):
    """A host's addresses."""

    def setUp(self) -> None:
        """Begin with an empty table."""
        self.reactor = MemoryReactor()

    def test_order(self) -> None:
        """They come in the order of the resolver, each once."""
        self.reactor.hosts["mx.example"] = [B4, A6, A4, B4]
        self.assertEqual(self.reactor.wait(resolve(self.reactor, "mx.example", 30)), [B4, A6, A4])
        self.assertFalse(self.reactor.leftovers())

    def test_unknown(self) -> None:
        """A name that nobody knows has none."""
        self.assertEqual(self.reactor.wait(resolve(self.reactor, "no.example", 30)), [])

    def test_silence(self) -> None:
        """L7: a resolver that never answers is given up."""
        self.reactor.names.hanging.add("mx.example")
        with self.assertRaises(TimeoutError):
            self.reactor.wait(resolve(self.reactor, "mx.example", 30))
        self.assertEqual(self.reactor.seconds(), 30)
        self.assertFalse(self.reactor.leftovers())

    def test_late(self) -> None:
        """What a resolver says afterwards disturbs nobody; who cancels leaves no timer."""
        self.reactor.hosts["mx.example"] = [A4]
        self.reactor.names.delay = 5
        resolving = resolve(self.reactor, "mx.example", 30)
        resolving.cancel()
        self.failureResultOf(resolving, CancelledError)
        self.reactor.advance(10)
        self.assertFalse(self.reactor.leftovers())
