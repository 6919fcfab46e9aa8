# -*- test-case-name: tests.testing.test_drivers -*-
"""The tests of L{slimtwist.testing.drivers}."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.testing import MemoryReactor
from slimtwist.testing.drivers import MemoryDriver, ReactorDriver


class MemoryDriverTests(SynchronousTestCase):
    """An in-memory reactor goes on one turn at a time."""

    def setUp(self) -> None:
        """Make a reactor, and note what happens."""
        self.reactor = MemoryReactor()
        self.driver = MemoryDriver(self.reactor)
        self.seen: list[object] = []

    def test_turns(self) -> None:
        """Each step makes one turn, or moves the time to the next."""
        for name in ("a", "b"):
            self.reactor.callLater(0, self.seen.append, name)
        self.reactor.callLater(60, self.seen.append, "c")
        found = []
        for _ in range(5):
            self.driver.step()
            found.append((len(self.seen), self.reactor.seconds()))
        self.assertEqual([(1, 0.0), (2, 0.0), (2, 60.0), (3, 60.0), (3, 60.0)], found)
        self.assertEqual(["a", "b", "c"], self.seen)

    def test_patience(self) -> None:
        """The reactor's own patience is as before."""
        before = self.reactor.patience
        self.reactor.callLater(0, self.seen.append, None)
        self.driver.step()
        self.driver.step()
        self.assertEqual(before, self.reactor.patience)

    def test_residue(self) -> None:
        """Timers and connections are residue, a listening peer is not."""
        self.assertEqual([], self.driver.residue())
        self.reactor.add_host("mx.example", Factory.forProtocol(Protocol))
        self.assertEqual([], self.driver.residue())
        call = self.reactor.callLater(60, self.seen.append, None)
        (text,) = self.driver.residue()
        self.assertIn("DelayedCall", text)
        call.cancel()
        client = ClientFactory()
        client.protocol = Protocol
        self.reactor.connectTCP("192.0.2.1", 25, client)
        self.assertNotEqual([], self.driver.residue())

    def test_no_time_passes(self) -> None:
        """Looking for residue lets no time pass, so that no timer is overlooked."""
        self.reactor.callLater(0.001, self.seen.append, None)
        self.assertEqual(1, len(self.driver.residue()))
        self.assertEqual((0.0, []), (self.reactor.seconds(), self.seen))


class ReactorDriverTests(TestCase):
    """The real reactor goes on by a few milliseconds."""

    reactor: Any = real_reactor

    async def driver(self) -> ReactorDriver:
        """Let the reactor come up, with trial's own timer, and look at it."""
        await deferLater(self.reactor, 0)
        return ReactorDriver(self.reactor, interval=0.001, patience=0.02)

    async def test_step(self) -> None:
        """Each step takes the interval."""
        driver = await self.driver()
        before = self.reactor.seconds()
        await driver.step()
        self.assertGreaterEqual(self.reactor.seconds() - before, 0.001)

    async def test_nothing(self) -> None:
        """What was there before is no residue."""
        driver = await self.driver()
        self.assertEqual([], await driver.residue())

    async def test_timer(self) -> None:
        """A timer is residue as long as it is there."""
        driver = await self.driver()
        call = self.reactor.callLater(60, lambda: None)
        (text,) = await driver.residue()
        self.assertIn("DelayedCall", text)
        call.cancel()
        self.assertEqual([], await driver.residue())

    async def test_descriptor(self) -> None:
        """So is an open file."""
        driver = await self.driver()
        number = os.open("/dev/null", os.O_RDONLY)
        self.assertEqual([f"descriptor {number}"], await driver.residue())
        os.close(number)
        self.assertEqual([], await driver.residue())

    async def test_reader(self) -> None:
        """So is whatever the reactor watches."""
        driver = await self.driver()
        port = self.reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.assertEqual(2, len(await driver.residue()))
        await port.stopListening()
        self.assertEqual([], await driver.residue())

    async def test_patience(self) -> None:
        """What goes away in time is no residue."""
        driver = await self.driver()
        self.reactor.callLater(0.005, lambda: None)
        self.assertEqual([], await driver.residue())
