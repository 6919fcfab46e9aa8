# -*- test-case-name: tests.relay.test_blackhole -*-
"""The relay to nowhere is a relay like any other."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Verdict
from slimtwist.relay.blackhole import BlackholeRelay


class BlackholeTests(SynchronousTestCase):
    """It takes everything until it is stopped."""

    def setUp(self) -> None:
        """A message for two."""
        self.relay = BlackholeRelay()
        octets = b"Subject: x\r\n\r\nx\r\n"
        self.message = Envelope.parse("a@example.org", ["b@example.net", "c@example.net"], octets)

    def test_interface(self) -> None:
        """It provides what it says."""
        self.assertTrue(verifyObject(IRelay, self.relay))

    def test_attempt(self) -> None:
        """Every recipient is delivered."""
        report = self.successResultOf(self.relay.attempt(self.message, 0))
        self.assertEqual([each.verdict for each in report], [Verdict.DELIVERED] * 2)

    def test_stop(self) -> None:
        """Once it is stopped it takes nothing, and loses nothing (L2)."""
        self.assertIsNone(self.successResultOf(self.relay.stop()))
        self.assertIsNone(self.successResultOf(self.relay.stop()))
        self.failureResultOf(self.relay.attempt(self.message, 0), TransientRelayError)
