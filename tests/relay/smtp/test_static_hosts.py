# -*- test-case-name: tests.relay.smtp.test_static_hosts -*-
"""Tests of relays to hosts that are slow, dead or strange, and of attempts that are given up."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from random import Random
from tempfile import TemporaryFile
from typing import Any

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionFailed,
    PermanentRelayError,
    RelayError,
    TransientRelayError,
)
from slimtwist.outcome import Report, Verdict
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.settle import settle
from slimtwist.testing import (
    Call,
    Close,
    Deafen,
    Fate,
    MemoryReactor,
    Reset,
    Stall,
    Wait,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.relay.smtp.worlds import TAKEN, World
from tests.smtp.talks import TEXT, USUAL, envelope, runtime, static

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


class HostTests(SynchronousTestCase):
    """Hosts that cannot be reached, or want nothing."""

    def test_refused_connection(self) -> None:
        """Each message is told; nothing is left."""
        world = World()
        world.reactor.network.refusing.add("192.0.2.1")
        error = self.error(world.begin(), world.reactor)
        self.assertIsInstance(error, ConnectionFailed)
        self.assertEqual((error.outcome.command, error.outcome.ambiguous), ("connect", False))
        self.assertEqual(world.stop(), ())

    def error(self, running: Deferred[Report], reactor: MemoryReactor) -> RelayError:
        """Return the error of an attempt."""
        error: RelayError = self.assertRaises(RelayError, reactor.wait, running)
        return error

    def test_greetings(self) -> None:
        """A refusal of ours defers; only 521 says that the host takes no mail (PEER-08)."""
        for code, kind in (
            (421, TransientRelayError),
            (450, TransientRelayError),
            (550, TransientRelayError),
            (554, TransientRelayError),
            (521, PermanentRelayError),
            (556, TransientRelayError),
        ):
            world = World(FakeSmarthost({"GREETING": (f"{code} text", Stall())}))
            error = self.error(world.begin(), world.reactor)
            self.assertIsInstance(error, kind)
            self.assertEqual(error.outcome.command, "greeting")
            self.assertEqual(world.stop(), ())

    def test_dead_host(self) -> None:
        """Thousands wait for a host that never answers: each ends at its own time (POOL-06)."""
        world = World(pool_size=2)
        world.reactor.network.black_holes.add("192.0.2.1")
        other = static(world.reactor)
        living = FakeSmarthost()
        world.reactor.add_host("living.example", living)
        other = StaticSmtpRelay("living.example", tls="none", runtime=runtime(world.reactor))
        ends: list[tuple[float, str]] = []
        for number in range(3000):
            waiting = settle(world.reactor, world.relay, envelope(), 0, 100 + number % 7)
            waiting.addCallback(
                lambda report: ends.append((world.reactor.seconds(), report[0].reply.enhanced))
            )
        beside = world.reactor.wait(other.attempt(envelope(), 0))
        self.assertEqual((beside[0].verdict, world.reactor.seconds()), (DELIVERED, 0))
        world.reactor.advance(110)
        self.assertEqual(len(ends), 3000)
        # Two connections at a time, each given up after 30 seconds; the others by their deadline.
        self.assertEqual(sorted({code for _, code in ends}), ["4.4.1", "4.4.7"])
        self.assertEqual(len([code for _, code in ends if code == "4.4.1"]), 6)
        self.assertEqual({moment for moment, code in ends if code == "4.4.7"}, {*range(100, 107)})
        self.assertEqual(world.stop(), ())

    def test_many_waiting_and_an_endpoint_that_fails_at_once(self) -> None:
        """Ten thousand that fail in one call do so without a recursion for each (POOL-06)."""

        @implementer(IStreamClientEndpoint)
        class Broken:
            def connect(self, _: IProtocolFactory) -> Deferred[Any]:
                return defer.fail(OSError("no"))

        opened: list[IStreamClientEndpoint] = []

        def create(reactor: Any, _: str, __: int) -> IStreamClientEndpoint:
            opened.append(TCP4ClientEndpoint(reactor, "192.0.2.1", 25) if not opened else Broken())
            return opened[-1]

        world = World(FakeSmarthost({"GREETING": (Wait(5), Reset())}), pool_size=1)
        relay = static(world.reactor, pool_size=1, endpoint_creator=create)
        running = [relay.attempt(envelope(), 0) for _ in range(10_000)]
        world.reactor.advance(6)
        for each in running:
            self.assertIn(type(self.failureResultOf(each).value), self.kinds)
        self.assertEqual(len(opened), 10_000)

    kinds = (*TransientRelayError.__subclasses__(), TransientRelayError)

    def test_slow_but_good(self) -> None:
        """A host that takes its time gets its mail, within each deadline (PEER-42)."""
        slow = {
            "GREETING": (Wait(299), "220 mx.example"),
            "EHLO": (Wait(30), "250 mx.example"),
            "MAIL": (Wait(30), "250 ok"),
            "RCPT": (Wait(30), "250 ok"),
            "DATA": (Wait(30), "354 go"),
            ".": (Wait(599), "250 taken"),
        }
        world = World(FakeSmarthost(slow))
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), 299 + 120 + 599)

    def test_goodbye_to_one(self) -> None:
        """421 to one message leaves the others alone (PEER-06, L10)."""
        host = FakeSmarthost({"RCPT": {"bad@example.net": ("421 4.7.0 go away", Close(), Stall())}})
        world = World(host, pool_size=2)
        running = [world.begin(envelope(name)) for name in ("a@x", "bad@example.net", "b@x", "c@x")]
        verdicts = [world.reactor.wait(each)[0].verdict for each in running]
        self.assertEqual(verdicts, [DELIVERED, DEFERRED, DELIVERED, DELIVERED])

    def test_greylisting(self) -> None:
        """Greylisted recipients keep the text, at every stage (PEER-45)."""
        for command, stage in (("RCPT", "RCPT"), ("DATA", "DATA"), (".", "end of data")):
            for code in (450, 451):
                world = World(FakeSmarthost({command: f"{code} 4.7.1 greylisted, wait 300 s"}))
                self.assertEqual(
                    world.attempt(), [f"{code} 4.7.1 greylisted, wait 300 s ({stage})"]
                )

    def test_attempts_beside_each_other(self) -> None:
        """The same envelope twice at once is two messages: the caller's business (OUT-12)."""
        world = World()
        message = envelope()
        first, second = world.begin(message), world.begin(message)
        world.reactor.wait(first)
        world.reactor.wait(second)
        self.assertEqual(len(world.host.messages), 2)

    def test_addresses(self) -> None:
        """Addresses of all kinds arrive as they are (INJ-05, OUT-06)."""
        names = ["prvs=1@x.example", "a+b=c@d.example", '"quoted local"@x.example', "UP@x.example"]
        for sender in ["", *names]:
            world = World()
            message = Envelope.parse(sender, names, TEXT)
            self.assertEqual(world.attempt(message), [TAKEN] * 4)
            [taken] = world.host.messages
            self.assertEqual((taken.sender, list(taken.recipients)), (sender, names))


class CancelTests(SynchronousTestCase):
    """Attempts that nobody waits for any more."""

    def test_at_every_step(self) -> None:
        """Cancelled at any moment, nothing is left, and the next message has its turn (POOL-07)."""
        for keywords in (USUAL, (), (*USUAL, "STARTTLS")):
            for moment in range(40):
                self.cancel_at(moment * 0.5, keywords)

    def cancel_at(self, moment: float, keywords: tuple[str, ...]) -> None:
        """Cancel after so many seconds, each reply taking one."""
        taken: list[float] = []
        host = FakeSmarthost(
            {
                "GREETING": (Wait(1), "220 mx.example"),
                "MAIL": [(Wait(1), "250 ok")],
                "RCPT": [(Wait(1), "250 ok")],
                "DATA": [(Wait(1), "354 go")],
                ".": [(Call(lambda: taken.append(world.reactor.seconds())), Wait(1), "250 taken")],
            }
        )
        host.extensions = keywords
        world = World(host, pool_size=1, tls="opportunistic")
        running, next_one = world.begin(), world.begin()
        world.reactor.advance(moment)
        over, sent = running.called, bool(taken)
        running.cancel()
        if over:
            self.assertEqual(self.successResultOf(running)[0].verdict, DELIVERED)
        else:
            error = self.failureResultOf(running, AttemptCancelled).value
            self.assertEqual(error.ambiguous, sent, moment)
        self.assertEqual(world.reactor.wait(next_one)[0].verdict, DELIVERED)
        self.assertEqual(len(host.messages), 1 + sent)
        self.assertEqual(world.stop(), ())

    def test_random(self) -> None:
        """Many messages, many cancelled, one pool: all end, nothing is left (POOL-07)."""
        for seed in range(5):
            random = Random(seed)
            slow = lambda _, random=random: (Wait(random.random()), "250 ok")  # noqa: E731
            host = FakeSmarthost({"MAIL": slow, ".": slow})
            world = World(host, pool_size=3)
            running = []
            for _ in range(300):
                running.append(world.begin())
                if random.random() < 0.5:
                    random.choice(running).cancel()
                world.reactor.advance(random.random() / 5)
            delivered = ambiguous = 0
            for each in running:
                try:
                    delivered += world.reactor.wait(each)[0].verdict is DELIVERED
                except AttemptCancelled as error:
                    ambiguous += error.ambiguous
            self.assertGreater(delivered, 50)
            self.assertTrue(delivered <= len(host.messages) <= delivered + ambiguous)
            self.assertIn("0 running, 0 waiting", repr(world.relay))
            self.assertEqual(world.stop(), ())

    def test_waiting(self) -> None:
        """Who is cancelled in the line was never begun."""
        world = World(FakeSmarthost({".": (Wait(9), "250 taken")}), pool_size=1)
        first, second = world.begin(), world.begin()
        world.reactor.advance(1)
        second.cancel()
        error = self.failureResultOf(second, AttemptCancelled).value
        self.assertFalse(error.ambiguous)
        world.reactor.wait(first)
        self.assertEqual(len(world.host.messages), 1)


class StopTests(SynchronousTestCase):
    """The end of a relay."""

    def test_drain(self) -> None:
        """New attempts are refused, the others end, then the connections do."""
        world = World(FakeSmarthost({".": lambda _: (Wait(9), "250 taken")}), pool_size=2)
        running = [world.begin() for _ in range(6)]
        world.reactor.advance(1)
        stopped = world.relay.stop()
        error = self.failureResultOf(world.begin(), TransientRelayError).value
        self.assertIn("shutting down", str(error))
        world.reactor.wait(stopped)
        self.assertEqual(
            [self.successResultOf(each)[0].verdict for each in running], [DELIVERED] * 6
        )
        self.assertEqual(world.reactor.seconds(), 27)
        for session in world.host.sessions:
            self.assertEqual(session.commands[-1], "QUIT")
        self.assertEqual(world.stop(), ())

    def test_while_connecting(self) -> None:
        """A connection that is being made for nobody is given up."""
        world = World()
        world.reactor.network.fate = lambda _: Fate.HANGING
        running = world.begin()
        world.reactor.advance(1)
        running.cancel()
        self.failureResultOf(running, AttemptCancelled)
        self.assertEqual(world.stop(), ())
        self.assertEqual(world.reactor.seconds(), 1)

    def test_before_anything(self) -> None:
        """A relay that never did anything stops at once."""
        self.assertEqual(World().stop(), ())


class MemoryTests(SynchronousTestCase):
    """What messages take while they are on their way."""

    def test_large_messages(self) -> None:
        """Fifty messages of 50 MB in flight: of each only a block is in memory (L6)."""
        size, count = 50_000_000, 50
        file = TemporaryFile()  # noqa: SIM115 - closed by the cleanup
        self.addCleanup(file.close)
        file.truncate(size)
        world = World(FakeSmarthost({"DATA": ("354 go", Deafen())}), pool_size=count)
        message = replace(envelope(), content=Content(file, size))
        running = [world.begin(message) for _ in range(count)]
        world.reactor.advance(100)
        held = [wire.client.holder for wire in world.reactor.network.wires]
        buffered = [len(each.dataBuffer) + each._tempDataLen for each in held]  # noqa: SLF001
        self.assertEqual(len(buffered), count)
        self.assertLessEqual(max(buffered), 65536)
        self.assertGreater(min(buffered), 0)
        for each in running:
            each.cancel()
            self.failureResultOf(each, AttemptCancelled)
