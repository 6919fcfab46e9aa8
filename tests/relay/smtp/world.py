# -*- test-case-name: tests.relay.smtp.test_mx -*-
"""A world of domains and exchangers in memory, with a relay that delivers to them."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor
from slimtwist.testing.names import MemoryNames

OCTETS = b"Subject: a message\r\n\r\nof one line\r\n"


class MxTestCase(SynchronousTestCase):
    """Has a network with a domain name system, and a relay."""

    def setUp(self) -> None:
        """Begin with nobody."""
        self.reactor = MemoryReactor()
        self.names = MemoryNames(self.reactor)
        self.hosts: dict[str, FakeSmarthost] = {}
        self.relays: list[MxSmtpRelay] = []
        self.runtime = Runtime(self.reactor, "relay.example", Random(7), self.names)
        self.make()

    def make(self, **arguments: Any) -> None:  # noqa: ANN401 - those of the relay
        """Make a relay; the one before stays as it is."""
        self.relay = MxSmtpRelay(runtime=self.runtime, **arguments)
        self.relays.append(self.relay)

    def zone(self, **records: Sequence[str]) -> None:
        """Add names below C{.example} to the zone."""
        self.names.zone |= {f"{name}.example": texts for name, texts in records.items()}

    def host(
        self,
        name: str,
        *addresses: str,
        port: int = 25,
        **replies: Any,  # noqa: ANN401 - rules
    ) -> FakeSmarthost:
        """Add a host with its addresses to the zone, and let it listen there."""
        host = FakeSmarthost({key.replace("DOT", "."): each for key, each in replies.items()})
        self.names.zone[f"{name}.example"] = [
            f"{'AAAA' if ':' in each else 'A'} {each}" for each in addresses
        ]
        for address in addresses:
            self.reactor.listenTCP(port, host, interface=address)
        self.hosts[name] = host
        return host

    def begin(self, *recipients: str) -> Deferred[Report]:
        """Begin an attempt."""
        return self.relay.attempt(Envelope.parse("a@client.example", recipients, OCTETS), 0)

    def deliver(self, *recipients: str) -> list[Outcome]:
        """Make an attempt, and return the outcomes."""
        report = self.reactor.wait(self.begin(*recipients))
        return list(report)

    def replies(self, *recipients: str) -> list[str]:
        """Make an attempt, and return the replies."""
        return [str(outcome.reply) for outcome in self.deliver(*recipients)]

    def called(self) -> list[str]:
        """Return the addresses that were connected to, in order, and forget them."""
        called = [attempt.host for attempt in self.reactor.network.attempts]
        self.reactor.network.attempts.clear()
        return called

    def taken(self, name: str) -> list[str]:
        """Return the recipients of all messages that a host took."""
        return [each for message in self.hosts[name].messages for each in message.recipients]

    def end(self) -> None:
        """Stop the relay, and check that all kept to the protocol, and that nothing is left."""
        for relay in self.relays:
            self.reactor.wait(relay.stop())
        for host in self.hosts.values():
            host.verify()
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections, left.producers), ((), (), ()))
