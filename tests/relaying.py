# -*- test-case-name: tests.test_assembly -*-
"""A whole relay in memory, as an operator's options make it, with a client and a smart host."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.assembly import assemble
from slimtwist.choices import Choices
from slimtwist.runtime import Runtime
from slimtwist.service import RelayService
from slimtwist.testing import FakeSmarthost, MemoryReactor
from tests.edge.world import Visitor, code

HELLO = b"EHLO client.example\r\n"
MESSAGE = b"Subject: a message\r\n\r\nof one line\r\n"


def mail(recipient: str, *, hello: bytes = HELLO) -> bytes:
    """Return all that a client says to send the message, in one write."""
    said = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<%b>\r\nDATA\r\n" % recipient.encode()
    return hello + said + MESSAGE + b".\r\n"


class RelayTestCase(SynchronousTestCase):
    """Has a smart host, and starts relays to it."""

    def setUp(self) -> None:
        """Begin with a network and the smart host."""
        self.reactor = MemoryReactor(start=1_700_000_000.0)
        self.runtime = Runtime(self.reactor, hostname="relay.example", random=Random(1))
        self.hop = FakeSmarthost()
        self.reactor.add_host("smarthost.example", self.hop)

    def service(self, **choices: object) -> RelayService:
        """Return the relay that an operator's choices make, not started."""
        chosen: dict[str, Any] = {"relay": "smtp:smarthost.example", **choices}
        return assemble(Choices(**chosen), self.runtime)

    def start(self, **choices: object) -> RelayService:
        """Return the relay that an operator's choices make, started."""
        service = self.service(**choices)
        service.privilegedStartService()
        service.startService()
        return service

    def visit(self, endpoint: str = "tcp:127.0.0.1:2525") -> Visitor:
        """Return a client that was greeted."""
        connected: Deferred[Any] = clientFromString(self.reactor, endpoint).connect(
            Factory.forProtocol(Visitor)
        )
        visitor: Visitor = self.reactor.wait(connected)
        self.reactor.flush()
        self.greeting = visitor.replies()[0]
        return visitor

    def say(self, visitor: Visitor, octets: bytes) -> list[str]:
        """Send octets, and return the replies to them."""
        visitor.transport.write(octets)
        self.reactor.flush()
        return visitor.replies()

    def codes(self, visitor: Visitor, octets: bytes) -> list[str]:
        """Send octets, and return the codes of the replies to them."""
        return [code(reply) for reply in self.say(visitor, octets)]

    def send(self, recipient: str, endpoint: str = "tcp:127.0.0.1:2525") -> str:
        """Send the message, and return the last reply."""
        visitor = self.visit(endpoint)
        envelope, data, message = mail(recipient).partition(b"DATA\r\n")
        *_, reply = self.say(visitor, envelope)
        return self.say(visitor, data + message)[-1] if reply.startswith("250 ") else reply
