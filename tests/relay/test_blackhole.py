# -*- test-case-name: tests.relay.test_blackhole -*-
"""The relay to nowhere is a relay like any other."""

from __future__ import annotations

import io
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Verdict
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver


class BlackholeContractTests(RelayContract, SynchronousTestCase):
    """It keeps to the contract; as it reads nothing, nothing is unreadable for it."""

    reads_content = False

    def build(self) -> tuple[IRelay, Driver]:
        """Build one, with a clock that it does not need."""
        return BlackholeRelay(), MemoryDriver(MemoryReactor())


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

    def test_description(self) -> None:
        """It is built from C{blackhole:}, which has no arguments."""
        runtime = Runtime(MemoryReactor())
        self.assertIsInstance(runtime.relay("blackhole:"), BlackholeRelay)
        self.assertRaises(ValueError, runtime.relay, "blackhole:x")

    def test_content_is_left_alone(self) -> None:
        """A message that nobody can read is taken all the same, and costs nothing."""
        content = Content.read(io.BytesIO(b"x"), threshold=0)
        content.close()
        report = self.successResultOf(self.relay.attempt(replace(self.message, content=content), 0))
        self.assertEqual([each.verdict for each in report], [Verdict.DELIVERED] * 2)
