# -*- test-case-name: tests.integration.test_mx -*-
"""Delivery to exchangers that real name servers tell of: NSD and unbound, and smtp-sink."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from slimtwist.envelope import Envelope
from slimtwist.nameservers import Server
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.resolver import StubResolver
from slimtwist.runtime import Runtime
from tests.daemon import Daemon, Wire
from tests.integration.case import ServerCase
from tests.integration.names import Nsd, Unbound
from tests.integration.servers import free_port
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches

_OCTETS = b"Subject: x\r\n\r\nhello\r\n"
_MANY = [f"MX {number} many{number}" for number in range(1, 60)]
RECORDS: Mapping[str, Sequence[str]] = {
    "a": ["127.0.0.2"],
    "b": ["127.0.0.3"],
    "one": ["MX 10 a", "MX 20 b"],
    "two": ["MX 20 b", "MX 10 a"],
    "other": ["MX 5 a", "MX 7 b"],
    "equal": ["MX 10 a", "MX 10 b"],
    "null": ["MX 0 ."],
    "down": ["MX 10 nobody", "MX 20 b"],
    "nobody": ["A 127.0.0.9"],
    "www": ["CNAME one"],
    "dangling": ["CNAME nowhere"],
    "loop": ["CNAME loop2"],
    "loop2": ["CNAME loop"],
    "alias": ["MX 10 cname"],
    "cname": ["CNAME b"],
    "implicit": ["A 127.0.0.3"],
    "empty": ["TXT nothing"],
    "many": [*_MANY, "MX 0 a"],
    "short": ["1 MX 10 a"],
}


def _complete(records: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {
        name: [f"A {text}" if text[0].isdigit() and " " not in text else text for text in texts]
        for name, texts in records.items()
    }


class NamesCase(ServerCase):
    """A test with name servers, and two exchangers on one port."""

    def setUp(self) -> None:
        """Start all."""
        super().setUp()
        self.nsd = self.serve(Nsd(_complete(RECORDS)))
        self.unbound = self.serve(Unbound(self.nsd))
        self.port = free_port("127.0.0.2")
        self.a = self.sink("127.0.0.2")
        self.b = self.sink("127.0.0.3")

    def sink(self, address: str, switches: Switches | None = None) -> SmtpSink:
        """Start an exchanger."""
        return self.serve(SmtpSink(switches, address=address, port=self.port))


class MxTests(NamesCase):
    """Our relay with them, in this process."""

    def setUp(self) -> None:
        """Make the relay."""
        super().setUp()
        self.relay = self.make([("127.0.0.1", self.unbound.port)])

    def make(self, servers: Sequence[Server]) -> MxSmtpRelay:
        """Return a relay that asks some name servers; it ends with the test."""
        resolver = StubResolver(reactor, Random(1), lambda: servers)
        relay = MxSmtpRelay(
            runtime=Runtime(reactor, "relay.test", Random(1), resolver),
            port=self.port,
            allow_networks=["127.0.0.0/8"],
        )
        self.addCleanup(relay.stop)
        return relay

    async def deliver(self, *domains: str, relay: MxSmtpRelay | None = None) -> list[Any]:
        """Send a message to a recipient at each domain; return reply and host of each."""
        recipients = [f"u@{domain}.zone.example" for domain in domains]
        message = Envelope.parse("s@client.test", recipients, _OCTETS)
        report = await (relay or self.relay).attempt(message, 0)
        return [(f"{each.reply.code} {each.reply.enhanced}", each.host) for each in report]

    def at(self, host: str, address: str) -> tuple[str, str]:
        """Return what is said of a message that a host took."""
        return ("250 2.0.0", f"{host}.zone.example [{address}]:{self.port}")

    async def test_preference(self) -> None:
        """The preferred exchanger gets it, whatever the order of the records."""
        expected = [self.at("a", "127.0.0.2")] * 2
        self.assertEqual(await self.deliver("one", "two"), expected)
        [taken] = self.a.messages()
        self.assertEqual(taken.recipients, ("<u@one.zone.example>", "<u@two.zone.example>"))
        self.assertEqual(self.b.messages(), [])

    async def test_shuffle(self) -> None:
        """Exchangers of equal preference share the mail."""
        hosts = {(await self.deliver("equal"))[0][1] for _ in range(20)}
        self.assertEqual(len(hosts), 2)

    async def test_fall_through(self) -> None:
        """Nobody at the first: the second takes it; a refusal for now goes on, too."""
        self.assertEqual(await self.deliver("down"), [self.at("b", "127.0.0.3")])
        self.a.stop()
        self.sink("127.0.0.2", Switches(reject_softly=["RCPT"]))
        self.assertEqual(await self.deliver("one"), [self.at("b", "127.0.0.3")])

    async def test_nobody(self) -> None:
        """A null MX, no such domain, no address, a dangling alias (DNS-01, 03, 05, 10)."""
        replies = [reply for reply, _ in await self.deliver("null", "gone", "empty", "dangling")]
        self.assertEqual(replies, ["556 5.1.10", "550 5.1.2", "550 5.4.4", "550 5.1.2"])

    async def test_alias(self) -> None:
        """A domain or an exchanger may be an alias; a loop is SERVFAIL for unbound."""
        self.assertEqual(await self.deliver("www"), [self.at("a", "127.0.0.2")])
        self.assertEqual(await self.deliver("alias"), [self.at("cname", "127.0.0.3")])
        [(reply, _)] = await self.deliver("loop")
        self.assertIn(reply, ("451 4.4.3", "550 5.4.6"))

    async def test_implicit(self) -> None:
        """A domain without MX is its own exchanger (DNS-04)."""
        self.assertEqual(await self.deliver("implicit"), [self.at("implicit", "127.0.0.3")])

    async def test_truncated(self) -> None:
        """An answer that is too long for UDP is fetched over TCP, once (DNS-19)."""
        self.assertEqual(await self.deliver("many"), [self.at("a", "127.0.0.2")])
        self.assertEqual(self.unbound.questions("many.zone.example", "MX"), 2)

    async def test_truncated_without_tcp(self) -> None:
        """When TCP is refused it is deferred (DNS-19)."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forwarder:
            forwarder.bind(("127.0.0.1", 0))
            forwarder.setblocking(False)
            relay = self.make([forwarder.getsockname()])
            attempt = relay.attempt(
                Envelope.parse("s@client.test", ["u@many.zone.example"], _OCTETS), 0
            )
            question, client = await _received(forwarder)
            forwarder.sendto(question[:2] + b"\x83\x80" + question[4:], client)
            [outcome] = await attempt
        self.assertEqual(str(outcome.reply)[:9], "451 4.4.3")

    async def test_dead_server(self) -> None:
        """A name server that says nothing costs a second, once; one that is not there, nothing
        (DNS-30).
        """
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
            silent.bind(("127.0.0.1", 0))
            for dead, least, most in ((silent.getsockname(), 1.0, 1.5), (("127.0.0.1", 1), 0, 0.5)):
                relay = self.make([dead, ("127.0.0.1", self.unbound.port)])
                began = _now()
                expected = [self.at("a", "127.0.0.2")]
                self.assertEqual(await self.deliver("one", relay=relay), expected)
                self.assertTrue(least <= _now() - began <= most, _now() - began)

    async def test_expired(self) -> None:
        """When its time to live is over, an answer is asked for anew, and not before."""
        for _ in range(3):
            await self.deliver("short")
        self.assertEqual(self.unbound.questions("short.zone.example", "MX"), 1)
        await deferLater(reactor, 1.1)
        await self.deliver("short")
        self.assertEqual(self.unbound.questions("short.zone.example", "MX"), 2)

    async def test_back(self) -> None:
        """The name server is not there, and comes back: mail waits, and is not lost (DNS-29)."""
        self.nsd.stop()
        [(reply, _)] = await self.deliver("one")
        self.assertEqual(reply, "451 4.4.3")
        self.unbound.stop()
        [(reply, _)] = await self.deliver("other")
        self.assertEqual(reply, "451 4.4.3")


class RelayTests(NamesCase):
    """The program, as an operator runs it."""

    def test_four_domains(self) -> None:
        """A message for four domains, of which two share exchangers, one takes no mail, and one has
        its first exchanger down: four right outcomes, told and logged.
        """
        description = f"mx:port={self.port}:allow_networks=127.0.0.0/8"
        resolver = f"127.0.0.1:{self.unbound.port}"
        arguments = ["--lmtp", "tcp:0:interface=127.0.0.1", "--hostname", "relay.test"]
        daemon = Daemon(self.mktemp(), *arguments, "--relay", description, "--resolver", resolver)
        self.addCleanup(daemon.__exit__)
        with Wire.to(daemon.address()) as client:
            client.until("220")
            client.say("LHLO client.test")
            client.until("250 ")
            domains = ["one", "null", "two", "down"]
            recipients = [f"RCPT TO:<u@{domain}.zone.example>" for domain in domains]
            client.say("MAIL FROM:<s@client.test>", *recipients, "DATA")
            client.until("354")
            client.say("Subject: x", "", "hello", ".")
            replies = [client.hear() for _ in domains]
        codes = [" ".join(reply.split()[:2]) for reply in replies]
        self.assertEqual(codes, ["250 2.0.0", "556 5.1.10", "250 2.0.0", "250 2.0.0"])
        for domain, verdict, peer in [
            ("one", "delivered", "a.zone.example [127.0.0.2]"),
            ("null", "failed", "None"),
            ("two", "delivered", "a.zone.example [127.0.0.2]"),
            ("down", "delivered", "b.zone.example [127.0.0.3]"),
        ]:
            line = daemon.line(f"to=<u@{domain}.zone.example>")
            self.assertIn(f"verdict={verdict} ", line)
            self.assertIn(f"peer={peer}", line)
        [shared] = self.a.messages()
        self.assertEqual(shared.recipients, ("<u@one.zone.example>", "<u@two.zone.example>"))
        self.assertEqual(len(self.b.messages()), 1)


def _now() -> float:
    return cast("IReactorTime", reactor).seconds()


async def _received(server: socket.socket) -> tuple[bytes, Any]:
    """Return the next datagram, while the reactor runs."""
    while True:
        try:
            return server.recvfrom(512)
        except BlockingIOError:
            await deferLater(reactor, 0.01)
