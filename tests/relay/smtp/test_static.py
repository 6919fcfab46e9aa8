# -*- test-case-name: tests.relay.smtp.test_static -*-
"""Tests of relays to one host: everything from C{attempt} to the wire and back.

That the laws hold whatever a host answers is shown in L{tests.relay.smtp.test_static_laws}.
"""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, ClassVar

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
from slimtwist.interfaces import IRelay
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Report, Verdict
from slimtwist.relay.smtp.static import StaticLmtpRelay, StaticSmtpRelay
from slimtwist.settle import settle
from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import (
    Call,
    Close,
    Cut,
    Deafen,
    Fate,
    MemoryReactor,
    Reset,
    ScriptedPeer,
    Send,
    Stall,
    Wait,
)
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver
from slimtwist.testing.smarthost import FakeSmarthost
from slimtwist.testing.steps import Step
from tests.smtp.talks import HOST, TEXT, USUAL, envelope, hello, listen, runtime, static
from tests.smtp.test_transaction import told

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED
#: Ways in which a host ends a connection in the place of an answer.
ENDS: tuple[tuple[Any, ...], ...] = (
    (Close(), Stall()),
    (Reset(), Stall()),
    ("421 4.3.2 bye", Close(), Stall()),
    (Send(b"25"), Close(), Stall()),
)
TAKEN = "250 2.0.0 taken (end of data)"


class _Contract(RelayContract):
    """A relay of this module and a host that takes every message but one person's."""

    refused = "nobody@example.org"
    keywords: ClassVar[tuple[str, ...]] = USUAL
    options: ClassVar[dict[str, Any]] = {}

    def build(self) -> tuple[IRelay, Driver]:
        """Build relay and host."""
        reactor = MemoryReactor()
        refusal = {"nobody@example.org": "550 5.1.1 no such user"}
        lmtp = self.options.get("lmtp", False)
        host = FakeSmarthost({"RCPT": refusal}, self.keywords, lhlo=lmtp)
        listen(reactor, host, lmtp=lmtp)
        return static(reactor, **self.options), MemoryDriver(reactor)


class PipelinedContractTests(_Contract, SynchronousTestCase):
    """With PIPELINING."""


class LockStepContractTests(_Contract, SynchronousTestCase):
    """Without, over a single connection."""

    keywords = ()
    options: ClassVar[dict[str, Any]] = {"pool_size": 1}


class TlsContractTests(_Contract, SynchronousTestCase):
    """With STARTTLS."""

    keywords = (*USUAL, "STARTTLS")
    options: ClassVar[dict[str, Any]] = {"tls": "opportunistic"}


class LmtpContractTests(_Contract, SynchronousTestCase):
    """LMTP."""

    options: ClassVar[dict[str, Any]] = {"lmtp": True}


class ShortLivedContractTests(_Contract, SynchronousTestCase):
    """One message a connection, one recipient a transaction."""

    keywords = (*USUAL, "LIMITS RCPTMAX=1")
    options: ClassVar[dict[str, Any]] = {"limits": Limits(uses=1), "pool_size": 1}


class World:
    """A relay, its host, and the time and network of both.

    @ivar host: the host, a FakeSmarthost unless told otherwise.
    """

    def __init__(self, host: Any = None, **options: Any) -> None:
        """Let the host listen."""
        self.reactor = MemoryReactor()
        self.host = host or FakeSmarthost(lhlo=options.get("lmtp", False))
        listen(self.reactor, self.host, lmtp=options.get("lmtp", False))
        self.relay = static(self.reactor, **options)

    def begin(self, message: Envelope | None = None) -> Deferred[Report]:
        """Begin an attempt."""
        return self.relay.attempt(message or envelope(), 0)

    def attempt(self, message: Envelope | None = None) -> list[str]:
        """Make an attempt, and return what became of the recipients."""
        try:
            return [told(each) for each in self.reactor.wait(self.begin(message))]
        except RelayError as error:
            return [told(error.outcome)]

    def stop(self) -> tuple[str, ...]:
        """Stop the relay, and return what it leaves behind."""
        self.reactor.wait(self.relay.stop())
        self.reactor.flush()
        left = self.reactor.leftovers()
        return left.timers + left.connections + left.producers

    @property
    def connections(self) -> int:
        """How many were made."""
        return len(self.reactor.network.wires)


class StaticTests(SynchronousTestCase):
    """A relay with its arguments."""

    def test_first_example(self) -> None:
        """python-slimta's first example works, and a message arrives as it was."""
        world = World(pool_size=1)
        relay = StaticSmtpRelay(HOST, pool_size=1, runtime=runtime(world.reactor))
        message = Envelope.parse("a@example.org", ["b@example.net"], TEXT)
        [outcome] = world.reactor.wait(relay.attempt(message, 0))
        self.assertEqual((outcome.verdict, outcome.ambiguous), (DELIVERED, False))
        [taken] = world.host.messages
        self.assertEqual(taken.sender, "a@example.org")
        self.assertEqual((taken.recipients, taken.octets), (("b@example.net",), TEXT))
        world.reactor.wait(relay.stop())

    def test_no_recipients(self) -> None:
        """Without a recipient there is not even an envelope (OUT-11)."""
        self.assertRaises(ValueError, Envelope.parse, "a@example.org", [], TEXT)

    def test_wrong_arguments(self) -> None:
        """What is wrong is said when the relay is made, not at the first message."""
        login = Credentials("u", "p")
        for options in (
            {"pool_size": 0},
            {"tls": "perhaps"},
            {"eight_bit": "maybe"},
            {"credentials": login, "tls": "none"},
            {"credentials": login, "tls": "encrypt"},
            {"ehlo_as": "a b"},
            {"ehlo_as": "a\r\nMAIL FROM:<x>"},
            {"source_ips": "not an address"},
        ):
            self.assertRaises(ValueError, static, MemoryReactor(), **options)

    def test_repr(self) -> None:
        """It tells where it leads, and what goes on."""
        world = World()
        running = world.begin()
        self.assertEqual(
            repr(world.relay),
            "<StaticSmtpRelay mx.example:25 <Pool 0 open, 1 opening, 0 running, 1 waiting>>",
        )
        world.reactor.wait(running)
        self.assertIn("<Pool 1 open, 0 opening, 0 running, 0 waiting>", repr(world.relay))

    def test_ehlo_as(self) -> None:
        """The name for EHLO is the runtime's, a given one, or what a callable says (INJ-06)."""
        for ehlo_as, said in (
            (None, "client.example"),
            ("other.example", "other.example"),
            ("[192.0.2.7]", "[192.0.2.7]"),
            ("[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
            (lambda host: f"for.{host}", f"for.{HOST}"),
        ):
            world = World(ehlo_as=ehlo_as)
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual(world.host.sessions[0].commands[0], f"EHLO {said}")

    def test_ehlo_as_nonsense(self) -> None:
        """A callable's nonsense is one message's deferral; nothing of it is written (INJ-06)."""
        for nonsense in ("a\r\nMAIL FROM:<x>", "a b", "", "x" * 300, "bücher.example"):
            world = World(ehlo_as=lambda _, nonsense=nonsense: nonsense)
            [outcome] = world.attempt()
            self.assertRegex(outcome, r"\A451 4\.3\.0 internal error: ValueError \(\w+\)\Z")
            world.reactor.flush()
            self.assertEqual(world.host.sessions[0].commands, [])
            self.assertEqual(world.stop(), ())
            self.flushLoggedErrors(ValueError)

    def test_endpoint_creator(self) -> None:
        """It is called once for each new connection, with the destination."""
        world = World()
        asked: list[tuple[str, int]] = []

        def create(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
            asked.append((host, port))
            return TCP4ClientEndpoint(reactor, "192.0.2.1", 25)

        relay = StaticSmtpRelay(
            "elsewhere.example",
            587,
            pool_size=2,
            tls="none",
            endpoint_creator=create,
            runtime=runtime(world.reactor),
        )
        running = [relay.attempt(envelope(), 0) for _ in range(5)]
        for each in running:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        self.assertEqual(asked, [("elsewhere.example", 587)] * 2)

    def test_source_ips(self) -> None:
        """Connections come from the given addresses in turn."""
        world = World(source_ips=["198.51.100.7", "198.51.100.8"], limits=Limits(uses=1))
        for _ in range(3):
            world.attempt()
        sources = [attempt.source[0] for attempt in world.reactor.network.attempts]
        self.assertEqual(sources, ["198.51.100.7", "198.51.100.8", "198.51.100.7"])

    def test_unix(self) -> None:
        """A UNIX socket in the place of host and port (LMTP-11)."""
        world = World(FakeSmarthost(lhlo=True))
        world.reactor.listenUNIX("/run/lmtp", world.host)
        for path, outcome in (
            ("/run/lmtp", TAKEN),
            ("/run/none", "451 4.4.1 cannot connect"),
        ):
            relay = StaticLmtpRelay(unix=path, tls="none", runtime=runtime(world.reactor))
            world.relay = relay
            self.assertTrue(world.attempt()[0].startswith(outcome))
            self.assertIn(path, repr(relay))
        self.assertEqual(world.reactor.network.wires[0].attempt.host, "/run/lmtp")

    def test_lmtp_port(self) -> None:
        """LMTP is never spoken on port 25 by itself (RFC 2033 5)."""
        self.assertIn("localhost:24", repr(StaticLmtpRelay(runtime=runtime(MemoryReactor()))))

    def test_tls(self) -> None:
        """A policy, or its word; who requires TLS says nothing to a host without it (L9)."""
        for policy in ("encrypt", TlsPolicy(TlsMode.ENCRYPT)):
            world = World(FakeSmarthost(extensions=(*USUAL, "STARTTLS")), tls=policy)
            report = world.reactor.wait(world.begin())
            self.assertEqual((report[0].verdict, report[0].tls), (DELIVERED, "TLS"))
            world = World(FakeSmarthost(), tls=policy)
            self.assertRegex(world.attempt()[0], r"\A451 4\.7\.4 .*\(STARTTLS\)\Z")
            self.assertEqual(world.host.messages, [])
            self.assertNotIn("MAIL", " ".join(world.host.sessions[0].commands))

    def test_contents(self) -> None:
        """Hundreds of messages of many sizes arrive octet for octet, in order (L8)."""
        random, sent = Random(8), []
        world = World(pool_size=1)
        for _ in range(300):
            size = random.choice([0, 1, 2, 77, 1000, 65_535, 65_536, 65_537, 140_000])
            octets = bytes(random.choices(b".a\x80\0 ", k=random.randint(0, size)))
            lines = b"\r\n".join(octets.split(b" "))
            sent.append(lines + (b"\r\n" if lines and not lines.endswith(b"\r\n") else b""))
        running = [world.begin(envelope(octets=octets)) for octets in sent]
        for each in running:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        self.assertEqual([message.octets for message in world.host.messages], sent)
        world.host.verify()


class PoolTests(SynchronousTestCase):
    """Connections: how many, how long, and what happens when they die."""

    def test_reuse(self) -> None:
        """One connection carries one message after another; a hundred, then a new one (POOL-08)."""
        world = World()
        for _ in range(101):
            self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual([s.commands.count("DATA") for s in world.host.sessions], [100, 1])
        self.assertEqual(world.host.sessions[0].commands[-1], "QUIT")
        self.assertEqual(world.stop(), ())

    def test_size(self) -> None:
        """There are never more connections than C{pool_size}, or the limit (POOL-06)."""
        for options, most in (
            ({"pool_size": 1}, 1),
            ({"pool_size": 3}, 3),
            ({"limits": Limits(connections=4)}, 4),
            ({}, 20),
        ):
            world = World(FakeSmarthost({".": lambda _: (Wait(1), "250 taken")}), **options)
            running = [world.begin() for _ in range(50)]
            for each in running:
                self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
            self.assertEqual(world.connections, most)
            self.assertEqual(world.stop(), ())

    def test_fair(self) -> None:
        """Messages are sent in the order in which they came (POOL-06)."""
        world = World(pool_size=1)
        running = [world.begin(envelope(f"r{number}@example.net")) for number in range(40)]
        for each in running:
            world.reactor.wait(each)
        names = [message.recipients[0] for message in world.host.messages]
        self.assertEqual(names, [f"r{number}@example.net" for number in range(40)])

    def test_mailmax(self) -> None:
        """What the host takes over one connection is respected, and nobody pays (POOL-08)."""
        world = World(FakeSmarthost(extensions=(*USUAL, "LIMITS MAILMAX=2")), pool_size=1)
        running = [world.begin() for _ in range(5)]
        for each in running:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        self.assertEqual([s.commands.count("DATA") for s in world.host.sessions], [2, 2, 1])

    def test_dead_while_idle(self) -> None:
        """A connection that ends while it is idle is not used again (POOL-01 a)."""
        for goodbye, how in ((b"", Cut.FIN), (b"", Cut.RST), (b"421 4.3.2 bye\r\n", Cut.FIN)):
            world = World()
            self.assertEqual(world.attempt(), [TAKEN])
            world.host.sessions[0].transport.write(goodbye)
            world.host.sessions[0].leave(how)
            world.reactor.flush()
            self.assertIn("<Pool 0 open", repr(world.relay))
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_dead_when_used(self) -> None:
        """One found dead when it is used is replaced, and nobody notices (POOL-01 b, c, d)."""
        for command in ("MAIL", "RCPT", "DATA"):
            for keywords in (USUAL, ()):
                for end in ENDS:
                    host = FakeSmarthost({command: [None, end]}, keywords)
                    world = World(host)
                    self.assertEqual(world.attempt(), [TAKEN])
                    self.assertEqual(world.attempt(), [TAKEN], (command, keywords, end))
                    self.assertEqual((world.connections, len(host.messages)), (2, 2))
                    self.assertEqual(world.stop(), ())

    def test_dead_in_the_same_turn(self) -> None:
        """Also if the end was there in the turn in which it was used (POOL-01 b)."""
        for how in (Cut.FIN, Cut.RST):
            world = World()
            self.assertEqual(world.attempt(), [TAKEN])
            world.reactor.network.wires[0].cut(how)
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_dead_twice(self) -> None:
        """What befalls the second connection is what became of the message (POOL-03)."""
        for end in ENDS:
            host = FakeSmarthost({"MAIL": [None, end, end]})
            world = World(host)
            world.attempt()
            self.assertRegex(world.attempt()[0], r"\A4(51 4\.4\.2|21 4\.3\.2) .*\(MAIL\)\Z")
            self.assertEqual((world.connections, len(host.messages)), (2, 1))
            self.assertEqual(world.attempt(), [TAKEN])

    def test_half_open(self) -> None:
        """A host that vanished is noticed before a message depends on it (POOL-04)."""
        world = World(timeouts=Timeouts(idle=3600, age=3600))
        self.assertEqual(world.attempt(), [TAKEN])
        wire = world.reactor.network.wires[0]
        wire.up.stall()
        wire.down.stall()
        world.reactor.advance(1800)
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), 1805)
        self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_unsolicited(self) -> None:
        """Anything said while nothing was asked ends the connection (POOL-05)."""
        for octets in (b"250 ad\r\n", b"x", b"\x15\x03\x03", b"220 hello\r\n250 ok\r\n250 ok\r\n"):
            world = World()
            world.attempt()
            world.host.sessions[0].transport.write(octets)
            world.reactor.flush()
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_exactly_one_copy(self) -> None:
        """However many idle connections die at once, each message is there once (POOL-01)."""
        world = World(pool_size=5)
        for each in [world.begin() for _ in range(20)]:
            world.reactor.wait(each)
        for wire in world.reactor.network.wires:
            wire.cut(Cut.RST)
        running = [world.begin(envelope(f"s{number}@example.net")) for number in range(30)]
        for each in running:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        names = sorted(message.recipients[0] for message in world.host.messages[20:])
        self.assertEqual(names, sorted(f"s{number}@example.net" for number in range(30)))
        self.assertEqual(world.stop(), ())

    def test_pipelining_lie(self) -> None:
        """A host that drops what follows MAIL is asked anew in lock-step, once (PEER-19)."""
        ignoring = ScriptedPeer(
            [*hello(*USUAL), "C: MAIL FROM:<a@example.org>", "S: 250 ok", Stall()],
            [
                *hello(*USUAL),
                *("C: MAIL FROM:<a@example.org>", "S: 250 ok"),
                *("C: RCPT TO:<b@example.net>", "S: 550 5.1.1 no", "C: RSET", "S: 250 ok"),
            ],
        )
        world = World(ignoring)
        self.assertEqual(world.attempt(), ["550 5.1.1 no (RCPT)"])
        ignoring.verify()

    def test_pipelining_lie_twice(self) -> None:
        """There is no third try."""
        host = FakeSmarthost({"RCPT": [(Close(), Stall())] * 3})
        world = World(host)
        self.assertRegex(world.attempt()[0], r"\A451 4\.4\.2 .*\(RCPT\)\Z")
        self.assertEqual(world.connections, 2)

    def test_idle_expiry(self) -> None:
        """An idle connection says QUIT after 60 seconds, and a message then begun has a new one."""
        host = FakeSmarthost({"QUIT": lambda _: (Wait(3), "221 bye", Close())})
        world = World(host)
        world.attempt()
        world.reactor.advance(60)
        self.assertEqual(host.sessions[0].commands[-1], "QUIT")
        self.assertEqual(world.attempt(), [TAKEN])  # POOL-11
        self.assertEqual(world.reactor.seconds(), 60)
        self.assertEqual(host.sessions[0].commands.count("DATA"), 1)

    def test_nobody_waits_for_quit(self) -> None:
        """A host that never answers QUIT delays no message (PEER-35)."""
        host = FakeSmarthost({"QUIT": lambda _: Stall()})
        world = World(host, pool_size=1, limits=Limits(uses=1))
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), 0)
        world.reactor.advance(5)
        self.assertEqual(world.reactor.leftovers().connections, ())

    def test_nobody_waits_for_age(self) -> None:
        """A connection that grew too old while idle delays no message (POOL-08)."""
        world = World(pool_size=1)
        for _ in range(11):
            self.assertEqual(world.attempt(), [TAKEN])
            world.reactor.advance(29)
        before = world.reactor.seconds()
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), before)
        self.assertEqual(world.connections, 2)

    def test_connections_that_take_nothing(self) -> None:
        """A host whose new connections are of no use is not asked again and again (PEER-17)."""
        hi = "".join(f"{line[3:]}\r\n" for line in hello(*USUAL) if line.startswith("S: 250"))
        script: list[str | Step] = [*hello()[:2], Send(hi.encode() + b"250 extra\r\n")]
        world = World(ScriptedPeer(script, script, script))
        running = [world.begin(), world.begin()]
        for each in running:
            error = self.failureOf(world, each)
            self.assertIs(type(error.outcome.verdict), Verdict)
            self.assertEqual(error.outcome.verdict, DEFERRED)
        self.assertEqual(world.connections, 2)
        self.assertEqual(world.stop(), ())

    def failureOf(self, world: World, running: Deferred[Report]) -> RelayError:
        """Return the error of an attempt."""
        try:
            report = world.reactor.wait(running)
        except RelayError as error:
            return error
        raise AssertionError(report)

    def test_poison(self) -> None:
        """A message that breaks our code is alone in that (POOL-14, L10)."""
        world = World(pool_size=1)

        class Poison(Content):
            def blocks(self) -> Any:
                yield b"x"
                raise ZeroDivisionError

        good = [world.begin(), world.begin()]
        bad = world.begin(replace(envelope(), content=Poison(b"x", 1)))
        good.append(world.begin())
        for each in good:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        [outcome] = world.reactor.wait(bad)
        self.assertEqual(told(outcome), "451 4.3.0 internal error: ZeroDivisionError (DATA)")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(world.host.messages), 3)
        self.assertEqual(world.stop(), ())


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
        """A refusal of ours defers; 521 and 556 say that the host takes no mail (PEER-08)."""
        for code, kind in (
            (421, TransientRelayError),
            (450, TransientRelayError),
            (550, TransientRelayError),
            (554, TransientRelayError),
            (521, PermanentRelayError),
            (556, PermanentRelayError),
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
        blocks = [0]

        class Large(Content):
            def blocks(self) -> Any:
                for _ in range(0, self.size, 65536):
                    blocks[0] += 1
                    yield b"x" * 65536

        world = World(FakeSmarthost({"DATA": ("354 go", Deafen())}), pool_size=count)
        message = replace(envelope(), content=Large(b"", size))
        running = [world.begin(message) for _ in range(count)]
        world.reactor.advance(100)
        held = [wire.client.holder for wire in world.reactor.network.wires]
        buffered = [len(each.dataBuffer) + each._tempDataLen for each in held]  # noqa: SLF001
        self.assertEqual(len(buffered), count)
        self.assertLessEqual(max(buffered), 65536)
        self.assertGreater(min(buffered), 0)
        self.assertLessEqual(blocks[0], 2 * count)  # one fills the window, one waits
        for each in running:
            each.cancel()
            self.failureResultOf(each, AttemptCancelled)
