# -*- test-case-name: tests.relay.smtp.test_delivery_custom -*-
"""Delivery by relays to hosts that are not ours."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed

from slimtwist.envelope import Envelope
from slimtwist.errors import fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.testing.memory import MemoryRelay
from tests.relay.smtp.test_delivery import ONE, TAKEN, TwoExchangersTestCase


class Custom(MxSmtpRelay):
    """Treats hosts in ways of its own."""

    def new_static_relay(self, host: str, port: int) -> IRelay:
        """Return what the host's name asks for."""
        if host.startswith("raise"):
            raise ZeroDivisionError(host)
        if host.startswith("odd"):
            return Odd(host)
        if host.startswith("held"):
            return MemoryRelay(otherwise="250 2.0.0 by hand")
        return super().new_static_relay(host, port)


class Odd(MemoryRelay):
    """Does what no relay may."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Fail as its name says."""
        if "unknown" in self._host:
            return fail(ZeroDivisionError())
        if "short" in self._host:
            return succeed(Report(()))
        outcome = fault_outcome("lost", "", command="connect", ambiguous=True)
        return succeed(Report.uniform(outcome, len(envelope.recipients)))


class CustomTests(TwoExchangersTestCase):
    """Relays to hosts that are not ours (L3, L4)."""

    def setUp(self) -> None:
        """Use one that makes its own."""
        super().setUp()
        self.relay = Custom(runtime=self.runtime)

    def domain(self, host: str) -> None:
        """Let the domain prefer a host."""
        self.zone(d=[f"MX 1 {host}.example", "MX 2 m2.example"], **{host: [f"A {ONE}"]})

    def test_own(self) -> None:
        """What it makes is used."""
        self.domain("held")
        self.assertEqual(self.replies("u@d.example"), ["250 2.0.0 by hand"])

    def test_cannot_be_made(self) -> None:
        """A host to which no relay can be made is passed over."""
        self.domain("raise")
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unknown_error(self) -> None:
        """What nobody knows the meaning of may have been a success: no other host is asked."""
        for host in ("odd-unknown", "odd-short", "odd-lost"):
            self.relay = Custom(runtime=self.runtime)
            self.make_again(host)
            [outcome] = self.deliver("u@d.example")
            self.assertTrue(outcome.ambiguous)
        self.assertEqual(self.taken("m2"), [])
        self.flushLoggedErrors(ZeroDivisionError)

    def make_again(self, host: str) -> None:
        """Prefer a host, and forget what was known of the domain."""
        self.reactor.advance(4000)
        self.domain(host)
