# -*- test-case-name: tests.testing.test_likeness -*-
"""The clock, threads and host names in memory do what Twisted's do: each test runs with both.

Transports, TLS, peers and programs have such tests in modules of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.testing import MemoryReactor, VirtualClock
from tests.testing.test_resolver import Receiver
from tests.testing.worlds import InMemory, OnLoopback, World, scenario


class TimeContract:
    """What a clock does."""

    clock: IReactorTime
    assertEqual: Any
    assertRaises: Any
    assertTrue: Any
    assertFalse: Any

    def begin(self) -> None:
        """Have the clock, and its calls."""
        self.calls: list[tuple[object, ...]] = []

    def note(self, *args: object, **kw: object) -> None:
        """Note a call."""
        self.calls.append((*args, *kw.items()))

    def run_for(self, seconds: float) -> Deferred[None] | None:
        """Let time pass."""
        raise AssertionError(seconds)

    def then(self, waited: Deferred[None] | None, check: Callable[[], None]) -> object:
        """Check something when the time has passed."""
        if waited is not None:
            return waited.addCallback(lambda _: check())
        check()
        return None

    def test_calls(self) -> object:
        """Calls are made with their arguments, each at its time, and none at once."""
        start = self.clock.seconds()
        self.clock.callLater(0.2, self.note, "c", x=1)
        self.clock.callLater(0, self.note, "a")
        self.clock.callLater(0.1, self.note, "b", 2)
        self.assertEqual(self.calls, [])

        def check() -> None:
            self.assertEqual(self.calls, [("a",), ("b", 2), ("c", ("x", 1))])
            self.assertTrue(self.clock.seconds() - start > 0.29)

        return self.then(self.run_for(0.3), check)

    def test_moved(self) -> object:
        """Calls can be moved and cancelled while they are pending, and not any more after that."""
        calls = [self.clock.callLater(0.1, self.note, name) for name in "abcd"]
        now = self.clock.seconds()
        calls[0].delay(0.1)
        calls[1].reset(0.05)
        calls[2].cancel()
        self.assertTrue(abs(calls[0].getTime() - now - 0.2) < 0.05)
        self.assertEqual([each.active() for each in calls], [True, True, False, True])
        listed = [each for each in self.clock.getDelayedCalls() if each in calls]
        self.assertEqual({*listed}, {calls[0], calls[1], calls[3]})
        for late in (calls[2].cancel, lambda: calls[2].reset(1), lambda: calls[2].delay(1)):
            self.assertRaises(AlreadyCancelled, late)

        def check() -> None:
            self.assertEqual(self.calls, [("b",), ("d",), ("a",)])
            self.assertFalse(any(each.active() for each in calls))
            for late in (calls[0].cancel, lambda: calls[0].reset(1), lambda: calls[0].delay(1)):
                self.assertRaises(AlreadyCalled, late)
            self.assertFalse({*calls} & {*self.clock.getDelayedCalls()})

        return self.then(self.run_for(0.3), check)

    def test_within(self) -> object:
        """A call that calls again at once is not made within itself."""

        def first() -> None:
            self.clock.callLater(0, self.note, "second")
            self.note("first")

        self.clock.callLater(0, first)
        return self.then(
            self.run_for(0.1), lambda: self.assertEqual(self.calls, [("first",), ("second",)])
        )

    def test_past(self) -> None:
        """No call can be made in the past."""
        self.assertRaises((ValueError, AssertionError), self.clock.callLater, -1, self.note)


class VirtualTimeTests(TimeContract, SynchronousTestCase):
    """A virtual clock."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = self.moved = VirtualClock(1000.0)
        self.begin()

    def run_for(self, seconds: float) -> None:
        """Move it."""
        self.moved.advance(seconds)


class MemoryTimeTests(TimeContract, SynchronousTestCase):
    """The clock of a reactor in memory."""

    def setUp(self) -> None:
        """Make it."""
        self.clock = self.moved = MemoryReactor()
        self.begin()

    def run_for(self, seconds: float) -> None:
        """Move it."""
        self.moved.advance(seconds)


class RealTimeTests(TimeContract, TestCase):
    """The real one."""

    def setUp(self) -> None:
        """Take it."""
        clock: Any = real_reactor
        self.clock = clock
        self.begin()

    def run_for(self, seconds: float) -> Deferred[None]:
        """Wait for it."""
        return deferLater(self.clock, seconds)


class ReactorContract(World):
    """What threads and host names are like."""

    assertEqual: Any
    assertRaises: Any
    assertNoResult: Any
    flushLoggedErrors: Any

    async def result(self, work: Callable[..., Any], *args: object) -> object:
        """Return what work in a thread has returned."""
        done = deferToThreadPool(self.reactor, self.reactor.getThreadPool(), work, *args)
        self.assertNoResult(done)
        return await done

    @scenario
    async def test_threads(self) -> None:
        """Work in a thread has its result or its error told later."""
        self.assertEqual(await self.result(divmod, 7, 2), (3, 1))
        try:
            await self.result(int, "x")
        except ValueError:
            return
        raise AssertionError("nothing was raised")

    @scenario
    async def test_from_threads(self) -> None:
        """What a thread has called is called in turn."""
        told: list[int] = []

        def work() -> None:
            for number in range(3):
                self.reactor.callFromThread(told.append, number)

        self.reactor.callInThread(work)
        self.assertEqual(told, [])
        await self.until(lambda: len(told) == 3)
        self.assertEqual(told, [0, 1, 2])

    @scenario
    async def test_thread_fails(self) -> None:
        """What nobody waits for is logged when it fails."""
        told: list[str] = []

        def work() -> None:
            self.reactor.callFromThread(told.append, "x")
            raise ZeroDivisionError

        self.reactor.callInThread(work)
        await self.until(lambda: told)
        await self.a_while()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    @scenario
    async def test_literals(self) -> None:
        """An address is its own, of the kinds that are wanted, and comes in a later turn."""
        four, six = IPv4Address("TCP", "127.0.0.1", 25), IPv6Address("TCP", "::1", 25)
        for name, kinds, wanted in (
            ("127.0.0.1", None, [four]),
            ("127.0.0.1", [IPv4Address], [four]),
            ("127.0.0.1", [IPv6Address], []),
            ("::1", [IPv6Address], [six]),
            ("::1", [IPv4Address], []),
        ):
            receiver = Receiver()
            self.reactor.nameResolver.resolveHostName(receiver, name, 25, kinds)
            self.assertEqual(receiver.told[:1], ["began"])
            await self.until(partial(receiver.told.__contains__, "complete"))
            self.assertEqual(receiver.told, ["began", *wanted, "complete"])


class MemoryReactorTests(ReactorContract, InMemory, SynchronousTestCase):
    """In memory."""


class RealReactorTests(ReactorContract, OnLoopback, TestCase):
    """The real ones."""
