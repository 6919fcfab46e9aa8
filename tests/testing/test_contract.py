# -*- test-case-name: tests.testing.test_contract -*-
"""The tests of L{slimtwist.testing.contract}: that it passes right relays, and fails wrong ones."""

from __future__ import annotations

import gc
from typing import Any, ClassVar

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.interfaces import IRelay
from slimtwist.testing import MemoryReactor
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver, ReactorDriver
from tests.testing.broken import (
    BROKEN,
    Blind,
    Blocking,
    Bouncing,
    Closing,
    Deaf,
    Eager,
    Endless,
    Hasty,
    Listing,
    Littering,
    Replying,
    Short,
    Silent,
    SuccessForAll,
)
from tests.testing.steady import NOBODY, Steady


def case(relay: type[Steady], test: str, **attributes: object) -> SynchronousTestCase:
    """A test of the contract, to be run with a relay."""

    class Case(RelayContract, SynchronousTestCase):
        refused: ClassVar[str | None] = NOBODY

        def build(self) -> tuple[IRelay, Driver]:
            clock = MemoryReactor()
            return relay(clock), MemoryDriver(clock)

    for name, value in attributes.items():
        setattr(Case, name, value)
    return Case(f"test_{test}")


def _run(test: SynchronousTestCase) -> list[str]:
    """Run a test; return what is wrong as texts, which hold on to nothing."""
    result = TestResult()
    test.run(result)
    return [str(trouble) for _, trouble in [*result.failures, *result.errors]]


class SteadyContractTests(RelayContract, SynchronousTestCase):
    """A relay that keeps to the contract passes it, under virtual time."""

    refused = NOBODY

    def build(self) -> tuple[IRelay, Driver]:
        """Build a relay on a virtual clock."""
        clock = MemoryReactor()
        return Steady(clock), MemoryDriver(clock)


class RealContractTests(RelayContract, TestCase):
    """A relay that keeps to the contract passes it on the real reactor."""

    refused = NOBODY

    def build(self) -> tuple[IRelay, Driver]:
        """Build a relay on the real clock."""
        clock: Any = real_reactor
        return Steady(clock, pace=0.004), ReactorDriver(clock)


class ContractTests(SynchronousTestCase):
    """The contract can fail."""

    def troubles(self, relay: type[Steady], test: str, **attributes: object) -> list[str]:
        """What a test of the contract finds wrong with a relay."""
        found = _run(case(relay, test, **attributes))
        # What one broken relay left is not to be found by the test of the next.
        gc.collect()
        self.flushLoggedErrors()
        return found

    def trouble(self, relay: type[Steady], test: str, **attributes: object) -> str:
        """The only thing that it finds wrong."""
        (trouble,) = self.troubles(relay, test, **attributes)
        return trouble

    def test_broken(self) -> None:
        """A relay that breaks a clause fails the test of that clause."""
        for relay, tests in BROKEN.items():
            for test in tests:
                self.assertTrue(self.troubles(relay, test), f"{relay.__name__} passes test_{test}")

    def test_every_test_can_fail(self) -> None:
        """There is a broken relay for each test of the contract."""
        tests = {name.removeprefix("test_") for name in dir(RelayContract) if "test_" in name}
        self.assertEqual(tests, {test for tests in BROKEN.values() for test in tests})

    def test_texts(self) -> None:
        """What is wrong is told in words."""
        for relay, test, text in (
            (Littering, "interface", "left behind: <DelayedCall"),
            (Blocking, "report", "instead of a Deferred"),
            (Short, "report", "not one outcome for each recipient"),
            (Listing, "report", "fired with [Outcome("),
            (Replying, "report", "is not an instance of"),
            (Silent, "report", "an attempt for 1 has not fired after 10000 steps"),
            (Endless, "interface", "stop() has not fired after 10000 steps"),
            (Hasty, "stop", "did not wait for a running attempt"),
            (Deaf, "cancel", "left the attempt running"),
            (Eager, "stop_idle", "after stop() fired with Report("),
            (Closing, "content_is_only_read", "closed or changed"),
        ):
            self.assertIn(text, self.trouble(relay, test))

    def test_refusing_is_optional(self) -> None:
        """Where the next hop cannot refuse one recipient, that is not asked for."""
        for test in ("order", "refused"):
            self.assertEqual([], self.troubles(SuccessForAll, test, refused=None))

    def test_reading_is_optional(self) -> None:
        """A relay that does not read may deliver what cannot be read, but not fail it."""
        for test in ("unreadable_content", "independent"):
            self.assertEqual([], self.troubles(Blind, test, reads_content=False))
            self.assertTrue(self.troubles(Bouncing, test, reads_content=False))

    def test_no_relay(self) -> None:
        """A test case that does not say how to build its relay is told so."""
        trouble = self.trouble(Steady, "interface", build=RelayContract.build)
        self.assertIn("how its relay is built", trouble)

    def test_real_time_in_synchronous_case(self) -> None:
        """A synchronous test case that would have to wait fails, and does not pass unseen."""

        class Slow:
            """A driver that takes time."""

            def step(self) -> Deferred[None]:
                """Never end."""
                return Deferred()

            def residue(self) -> list[str]:
                """Find nothing."""
                return []

        def build(_: object) -> tuple[IRelay, Driver]:
            return Steady(MemoryReactor()), Slow()

        trouble = self.trouble(Steady, "report", build=build)
        self.assertIn("only a TestCase", trouble)
