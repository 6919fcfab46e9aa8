# -*- test-case-name: tests.test_documentation -*-
"""What C{greet} says of each recipient, whatever the next hop does."""

from __future__ import annotations

from send import greet
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.interfaces import IRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import (
    Body,
    Ended,
    FakeSmarthost,
    MemoryReactor,
    MemoryRelay,
    ScriptedPeer,
)


class SendTests(SynchronousTestCase):
    """Everything is in memory, and so is the time that passes."""

    def setUp(self) -> None:
        """Begin with an empty network."""
        self.reactor = MemoryReactor()
        self.runtime = Runtime(self.reactor, hostname="client.example")

    def smarthost(self) -> StaticSmtpRelay:
        """Return a relay to a host of that network."""
        return StaticSmtpRelay("smarthost.example", runtime=self.runtime)

    def greet(self, relay: IRelay, *recipients: str) -> list[str]:
        """Send a message, and let time pass until it is known what became of it."""
        sending = greet(relay, [*recipients], self.runtime)
        return self.reactor.wait(Deferred.fromCoroutine(sending))

    def test_outcomes(self) -> None:
        """A relay in memory: outcomes as the test writes them down, and no network at all."""
        relay = MemoryRelay({"c@example.net": "550 5.1.1 unknown"})
        replies = self.greet(relay, "b@example.net", "c@example.net")
        self.assertEqual(replies, ["250 2.0.0 delivered", "550 5.1.1 unknown"])
        self.assertTrue(relay.made[0].octets.endswith(b"\r\n\r\nhello\r\n"))

    def test_smarthost(self) -> None:
        """A smart host in memory: the real relay, and a server that is strict with it."""
        host = FakeSmarthost({"RCPT": {"c@example.net": "450 4.7.1 greylisted"}})
        self.reactor.add_host("smarthost.example", host)
        relay = self.smarthost()
        replies = self.greet(relay, "b@example.net", "c@example.net")
        self.assertEqual([each[:9] for each in replies], ["250 2.0.0", "450 4.7.1"])
        [message] = host.messages
        self.assertEqual(
            (message.sender, message.recipients), ("me@example.com", ("b@example.net",))
        )
        host.verify()
        self.reactor.wait(relay.stop())
        left = self.reactor.leftovers()
        self.assertEqual([*left.timers, *left.connections], [])

    def test_silence(self) -> None:
        """A script: a host that takes the message, and never says that it did."""
        peer = ScriptedPeer(
            [
                "S: 220 smarthost.example ESMTP",
                "C: EHLO client.example",
                "S: 250 smarthost.example",
                "C: MAIL FROM:<me@example.com>",
                "S: 250 2.1.0 ok",
                "C: RCPT TO:<b@example.net>",
                "S: 250 2.1.5 ok",
                "C: DATA",
                "S: 354 go on",
                Body(),
                Ended(),
            ]
        )
        self.reactor.add_host("smarthost.example", peer)
        (reply,) = self.greet(self.smarthost(), "b@example.net")
        self.assertIn("451 4.4.2 timed out", reply)
        self.assertIn("the message may be delivered more than once", reply)
        self.assertEqual(self.reactor.seconds(), 600)
        self.assertIn(b"Subject: hello\r\n", peer.bodies[0])
        peer.verify()
