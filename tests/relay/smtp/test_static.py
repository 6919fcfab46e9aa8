# -*- test-case-name: tests.relay.smtp.test_static -*-
"""Tests of relays to one host: the contract, and what each argument does.

Its connections are tested in L{tests.relay.smtp.test_static_pool}, hosts of all kinds in
L{tests.relay.smtp.test_static_hosts}, and that the laws hold whatever a host answers in
L{tests.relay.smtp.test_static_laws}.
"""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from random import Random
from typing import Any, ClassVar

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.limits import Limits
from slimtwist.outcome import Verdict
from slimtwist.relay.smtp.static import StaticLmtpRelay, StaticSmtpRelay
from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import (
    MemoryReactor,
)
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver
from slimtwist.testing.smarthost import FakeSmarthost
from tests.relay.smtp.worlds import TAKEN, World
from tests.smtp.talks import HOST, TEXT, USUAL, envelope, listen, runtime, static

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


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
        # A queue asks once what to call its relay in the log.
        self.assertEqual(str(world.relay), "<StaticSmtpRelay mx.example:25>")

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
