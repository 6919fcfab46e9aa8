# -*- test-case-name: tests.smtp.test_channel -*-
"""A channel and the host at its other end, in memory."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import (
    TransientRelayError,
)
from slimtwist.limits import Limits, Timeouts
from slimtwist.smtp.channel import Channel, Trouble
from slimtwist.testing import (
    Handshake,
    MemoryReactor,
    ScriptedPeer,
    Wire,
)
from slimtwist.testing.steps import Step

Steps = str | Step


class ChannelCase(SynchronousTestCase):
    """A channel, and the host at its other end."""

    def connect(self, *steps: Steps, handshake: Handshake | None = None) -> Channel:
        """Return a channel to a host that plays these steps."""
        self.reactor = MemoryReactor()
        self.reactor.network.handshake = handshake or Handshake()
        self.peer = ScriptedPeer(list(steps))
        address = self.reactor.add_host("mx.example", self.peer)
        self.closed: list[float] = []

        def build() -> Channel:
            channel = Channel(self.reactor, Limits(), Timeouts())
            channel.on_close = lambda: self.closed.append(self.reactor.seconds())
            return channel

        factory = Factory.forProtocol(build)
        endpoint = TCP4ClientEndpoint(self.reactor, address, 25)
        channel: Any = self.reactor.wait(endpoint.connect(factory))
        assert isinstance(channel, Channel)
        return channel

    @property
    def wire(self) -> Wire:
        """The connection."""
        return self.reactor.network.wires[0]

    def sent(self, channel: Channel, octets: bytes, *waits: float) -> list[list[bytes]]:
        """Send a flight; return the list into which its replies will be put."""
        results: list[list[bytes]] = []
        channel.send(octets, waits).addCallback(results.append)
        return results

    def trouble(self, channel: Channel) -> Trouble:
        """Return what broke it, after checking that it is over."""
        self.reactor.advance(10)
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections, left.producers), ((), (), ()))
        self.assertEqual(len(self.closed), 1)
        self.assertFalse(channel.quiet())
        assert channel.trouble is not None
        return channel.trouble

    def check_kind(
        self, channel: Channel, kind: type[TransientRelayError], detail: str = ""
    ) -> None:
        """Check what broke it."""
        trouble = self.trouble(channel)
        self.assertIs(trouble.kind, kind, trouble)
        self.assertIn(detail, trouble.detail)
