# -*- test-case-name: tests.test_documentation -*-
"""The smart host greylists the second recipient: one line, whatever stands behind it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay

MESSAGE = Envelope.parse("me@example.com", ["b@example.net", "c@example.net"], b"Subject: x\r\n")


class GreylistedTests(SynchronousTestCase):
    """The first time he is put off, the second time he is not."""

    def setUp(self) -> None:
        """Begin with an empty network."""
        self.reactor = MemoryReactor()

    def assert_greylisted(self, relay: IRelay) -> None:
        """Make two attempts."""
        for attempts, wanted in enumerate(["deferred", "delivered"]):
            report = self.reactor.wait(relay.attempt(MESSAGE, attempts))
            self.assertEqual([each.verdict.value for each in report], ["delivered", wanted])

    def test_relay(self) -> None:
        """For a program that uses a relay, the relay itself can be a fake."""
        relay = MemoryRelay({"c@example.net": ["450 4.7.1 greylisted"]})
        self.assert_greylisted(relay)

    def test_smarthost(self) -> None:
        """Or the relay is a real one, and the smart host is."""
        host = FakeSmarthost({"RCPT": [None, "450 4.7.1 greylisted"]})
        self.reactor.add_host("smarthost.example", host)
        self.assert_greylisted(StaticSmtpRelay("smarthost.example", runtime=Runtime(self.reactor)))
