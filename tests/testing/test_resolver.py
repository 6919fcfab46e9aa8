# -*- test-case-name: tests.testing.test_resolver -*-
"""The host name table: it answers in order, in a later turn, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.testing import MemoryReactor


@implementer(IResolutionReceiver)
class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N803
        """Note that."""
        self.resolution = resolutionInProgress
        self.told.append("began")

    def addressResolved(self, address: IAddress) -> None:
        """Note it."""
        self.told.append(address)

    def resolutionComplete(self) -> None:
        """Note that."""
        self.told.append("complete")


class ResolverTests(SynchronousTestCase):
    """The table of a reactor."""

    def setUp(self) -> None:
        """Fill it."""
        self.reactor = MemoryReactor()
        self.reactor.hosts = {"mx.example": ["192.0.2.1", "2001:db8::1", "192.0.2.2"]}
        self.addresses = [
            IPv4Address("TCP", "192.0.2.1", 25),
            IPv6Address("TCP", "2001:db8::1", 25),
            IPv4Address("TCP", "192.0.2.2", 25),
        ]

    def ask(self, name: str, kinds: Sequence[type[IAddress]] | None = None) -> Receiver:
        """Ask for a name."""
        receiver = Receiver()
        self.reactor.nameResolver.resolveHostName(receiver, name, 25, kinds)
        return receiver

    def test_provides(self) -> None:
        """It is a resolver as Twisted has them, and so is its question."""
        verifyObject(IHostnameResolver, self.reactor.nameResolver)
        verifyObject(IHostResolution, self.ask("x").resolution)

    def test_answer(self) -> None:
        """The addresses come in the order of the table, in a later turn; names know no case."""
        for name in ("mx.example", "MX.Example", "mx.example."):
            receiver = self.ask(name)
            self.assertEqual(receiver.told, ["began"])
            self.reactor.flush()
            self.assertEqual(receiver.told, ["began", *self.addresses, "complete"])
        self.assertEqual(self.reactor.names.asked, ["mx.example", "MX.Example", "mx.example."])

    def test_kinds(self) -> None:
        """Only addresses of the kinds that are asked for are told."""
        receiver = self.ask("mx.example", [IPv6Address])
        self.reactor.flush()
        self.assertEqual(receiver.told[1:-1], [self.addresses[1]])

    def test_unknown(self) -> None:
        """An unknown name has no address."""
        receiver = self.ask("nowhere.example")
        self.reactor.flush()
        self.assertEqual(receiver.told, ["began", "complete"])

    def test_literals(self) -> None:
        """An address is its own."""
        for literal in ("192.0.2.9", "2001:db8::9"):
            receiver = self.ask(literal)
            self.reactor.flush()
            self.assertEqual(receiver.told[1].host, literal)  # type: ignore[attr-defined]

    def test_slow_and_hanging(self) -> None:
        """An answer may take its time, or never come."""
        self.reactor.names.delay = 5
        self.reactor.names.hanging.add("hanging.example")
        slow, hanging = self.ask("mx.example"), self.ask("hanging.example")
        self.reactor.advance(4)
        self.assertEqual(slow.told, ["began"])
        self.reactor.advance(1)
        self.assertEqual(slow.told[-1], "complete")
        self.reactor.advance(1000)
        self.assertEqual(hanging.told, ["began"])

    def test_cancel(self) -> None:
        """A cancelled question is not answered, and leaves no timer."""
        receiver = self.ask("mx.example")
        receiver.resolution.cancel()
        self.assertFalse(self.reactor.leftovers())
        self.reactor.flush()
        self.assertEqual(receiver.told, ["began"])
        receiver.resolution.cancel()
