# -*- test-case-name: tests.testing.test_contract -*-
"""The tests of L{slimtwist.testing.contract}: that it passes right relays, and fails wrong ones.

L{Steady} is a relay as small as one can be that needs time, has a limited number of places, and
keeps to the contract.  Every other relay here breaks one clause of it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer, implementer_only

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, PermanentRelayError, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply
from slimtwist.testing import MemoryReactor
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver, ReactorDriver

NOBODY = "nobody@example.org"
DELIVERED = Outcome.of(Reply.parse("250 2.0.0 ok"))
FAILED = Outcome.of(Reply.parse("550 5.1.1 no such user"))
PERMANENT = PermanentRelayError(FAILED)


class Job:
    """A message in a L{Steady} relay."""

    def __init__(self, envelope: Envelope, cancel: Callable[[Job], None]) -> None:
        self.envelope = envelope
        self.done: Deferred[Report] = Deferred(lambda _: cancel(self))
        self.timer: Any = None


@implementer(IRelay)
class Steady:
    """Delivers two messages at once, each in three times C{pace} seconds, and reads it first."""

    places = 2

    def __init__(self, clock: IReactorTime, pace: float = 1.0) -> None:
        self.clock = clock
        self.pace = pace
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.stopping = False
        self.stopped: list[Deferred[None]] = []

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Take a message."""
        if self.stopping:
            return self.refuse()
        job = Job(envelope, self.cancel)
        self.waiting.append(job)
        self.assign()
        return job.done

    def stop(self) -> Deferred[None]:
        """Stop."""
        self.stopping = True
        stopped: Deferred[None] = Deferred()
        self.stopped.append(stopped)
        self.wind_up()
        return stopped

    def refuse(self) -> Deferred[Report]:
        """Take no message."""
        return fail(TransientRelayError.at("stopped"))

    def assign(self) -> None:
        """Give the places that are free to those who wait."""
        while self.waiting and len(self.running) < self.places:
            job = self.waiting.pop(0)
            self.running.append(job)
            job.timer = self.clock.callLater(self.pace, self.read, job)

    def read(self, job: Job) -> None:
        """Read the message."""
        try:
            bytes(job.envelope.content)
        except OSError as error:
            self.unreadable(job, error)
        else:
            job.timer = self.clock.callLater(self.pace, self.send, job)

    def unreadable(self, job: Job, error: OSError) -> None:
        """Give a message back that cannot be read."""
        self.end(job, Failure(TransientRelayError.at(str(error))))

    def send(self, job: Job) -> None:
        """Let it take some more time."""
        job.timer = self.clock.callLater(self.pace, self.deliver, job)

    def deliver(self, job: Job) -> None:
        """Report."""
        addresses = [str(each.address) for each in job.envelope.recipients]
        outcomes = [FAILED if each == NOBODY else DELIVERED for each in addresses]
        self.end(job, self.report(addresses, outcomes))

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Make a report."""
        return Report(tuple(outcomes))

    def cancel(self, job: Job) -> None:
        """Give up a message."""
        self.give_up(job)
        self.end(job, Failure(AttemptCancelled.at("")))

    def give_up(self, job: Job) -> None:
        """Do nothing more for it."""
        if job.timer is not None and job.timer.active():
            job.timer.cancel()

    def end(self, job: Job, result: Report | Failure) -> None:
        """Free its place, and tell how it ended."""
        self.leave(job)
        job.done.callback(result)
        self.assign()
        self.wind_up()

    def leave(self, job: Job) -> None:
        """Free its place."""
        (self.running if job in self.running else self.waiting).remove(job)

    def wind_up(self) -> None:
        """Tell that it has stopped, if it has."""
        if self.stopping and not self.running and not self.waiting:
            self.tell_stopped()

    def tell_stopped(self) -> None:
        """Tell that it has stopped."""
        stopped, self.stopped = self.stopped, []
        for each in stopped:
            each.callback(None)


# What breaks one clause each


@implementer_only()
class Undeclared(Steady):
    """Does not say that it is a relay."""


class Short(Steady):
    """Loses the last of several recipients."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Lose one."""
        return Report(tuple(outcomes[:-1] or outcomes))


class ByAddress(Steady):
    """Keeps outcomes by address, so that an address which is there twice has one."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Lose duplicates."""
        return Report(tuple(dict(zip(addresses, outcomes, strict=True)).values()))


class Backwards(Steady):
    """Reports in another order."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Turn it round."""
        return Report(tuple(outcomes[::-1]))


class OneForAll(Steady):
    """Gives the refusal of one recipient to all."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Fail them all."""
        return Report.uniform(FAILED if FAILED in outcomes else DELIVERED, len(outcomes))


class SuccessForAll(Steady):
    """Says of everybody that he was delivered, since one was."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Deliver them all."""
        return Report.uniform(DELIVERED, len(outcomes))


class Timid(Steady):
    """Defers everything."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Defer it."""
        return Report.uniform(Outcome.of(Reply.parse("450 later")), len(outcomes))


class Softening(Steady):
    """Defers what was refused for good."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Defer it."""
        deferred = Outcome.of(Reply.parse("450 later"))
        return Report(tuple(deferred if each is FAILED else each for each in outcomes))


class Listing(Steady):
    """Fires with a list."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Make no report of it."""
        return outcomes  # type: ignore[return-value]


class Replying(Steady):
    """Fires with replies."""

    def report(self, addresses: list[str], outcomes: list[Outcome]) -> Report:
        """Make no outcomes of them."""
        return Report(tuple(each.reply for each in outcomes))  # type: ignore[misc]


class Silent(Steady):
    """Never ends an attempt."""

    def deliver(self, job: Job) -> None:
        """Do nothing."""


class Blocking(Steady):
    """Returns its report, not a Deferred."""

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Return it."""
        return Report.uniform(DELIVERED, len(envelope.recipients))  # type: ignore[return-value]


class Raising(Steady):
    """Raises instead of failing."""

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Raise."""
        raise TransientRelayError.at("not today")


class Untold(Steady):
    """Leaves it to Twisted to say that an attempt was cancelled."""

    def cancel(self, job: Job) -> None:
        """Say nothing."""
        self.give_up(job)
        self.leave(job)


class Deaf(Steady):
    """Goes on with what was cancelled, and lets its caller wait for it."""

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Go on with it."""
        first: Deferred[Any] = Deferred()
        second: Deferred[Any] = Deferred()

        def ended(result: Any) -> None:  # noqa: ANN401 - a report or a Failure
            (second if first.called else first).callback(result)

        super().attempt(envelope, attempts).addBoth(ended)

        def cancelled(why: Failure) -> Any:  # noqa: ANN401 - the Failure, or what waits
            return second if why.check(CancelledError) else why

        return first.addErrback(cancelled)


class Working(Steady):
    """Goes on with what was cancelled, unseen."""

    def give_up(self, job: Job) -> None:
        """Leave the timer."""
        job.timer = self.clock.callLater(100, lambda: None)


class Hoarding(Steady):
    """Keeps the place of what was cancelled."""

    places = 1

    def leave(self, job: Job) -> None:
        """Leave only after a delivery."""
        if job.timer is None or job.timer.called:
            super().leave(job)


class Collateral(Steady):
    """Cancels all when one is cancelled."""

    def cancel(self, job: Job) -> None:
        """Cancel them."""
        for each in [*self.waiting, *self.running]:
            super().cancel(each)


class Contagious(Steady):
    """Fails all when one fails."""

    def unreadable(self, job: Job, error: OSError) -> None:
        """Fail them."""
        for each in [*self.waiting, *self.running]:
            self.give_up(each)
            super().unreadable(each, error)


class Eager(Steady):
    """Takes messages when it has been stopped."""

    def refuse(self) -> Deferred[Report]:
        """Say that it was delivered."""
        return succeed(Report.uniform(DELIVERED, 3))


class Harsh(Steady):
    """Refuses messages for good when it has been stopped."""

    def refuse(self) -> Deferred[Report]:
        """Refuse."""
        return fail(PERMANENT)


class Hasty(Steady):
    """Does not wait for running attempts when it stops."""

    def wind_up(self) -> None:
        """Tell at once."""
        if self.stopping:
            self.tell_stopped()


class Ruthless(Steady):
    """Cancels running attempts when it stops."""

    def stop(self) -> Deferred[None]:
        """Cancel them."""
        for job in [*self.waiting, *self.running]:
            job.done.cancel()
        return super().stop()


class Endless(Steady):
    """Never tells that it has stopped."""

    def tell_stopped(self) -> None:
        """Do nothing."""


class Sleepy(Steady):
    """Tells that it has stopped only if something was running."""

    def stop(self) -> Deferred[None]:
        """Wait for the end of an attempt."""
        self.stopping = True
        self.stopped.append(Deferred())
        return self.stopped[-1]


class Forgetful(Steady):
    """Tells only the last who stopped it."""

    def tell_stopped(self) -> None:
        """Forget the others."""
        self.stopped = self.stopped[-1:]
        super().tell_stopped()


class Littering(Steady):
    """Has a timer of its own, which it leaves behind."""

    def tell_stopped(self) -> None:
        """Leave it."""
        self.clock.callLater(60, lambda: None)
        super().tell_stopped()


class Blind(Steady):
    """Delivers what it cannot read."""

    def unreadable(self, job: Job, error: OSError) -> None:
        """Deliver it."""
        self.deliver(job)


class Bouncing(Steady):
    """Fails for good what it cannot read."""

    def unreadable(self, job: Job, error: OSError) -> None:
        """Fail it."""
        self.end(job, Failure(PERMANENT))


class Careless(Steady):
    """Does not care about what it cannot read: its caller never hears of it."""

    def unreadable(self, job: Job, error: OSError) -> None:
        """Do nothing."""


class Passing(Steady):
    """Passes on what it got when it read."""

    def unreadable(self, job: Job, error: OSError) -> None:
        """Fail with it."""
        self.end(job, Failure(error))


class Stuck(Steady):
    """Loses the place of what it could not read."""

    places = 1

    def unreadable(self, job: Job, error: OSError) -> None:
        """Keep the place."""
        job.done.errback(TransientRelayError.at(str(error)))


class Closing(Steady):
    """Closes the content."""

    def send(self, job: Job) -> None:
        """Close it when it was read."""
        job.envelope.content.close()
        super().send(job)


class Rereading(Steady):
    """Reads the content after the attempt has ended."""

    def end(self, job: Job, result: Report | Failure) -> None:
        """Read it again."""
        super().end(job, result)
        bytes(job.envelope.content)


class Locked(Steady):
    """Cannot take a message while it tells of another."""

    locked = False

    def end(self, job: Job, result: Report | Failure) -> None:
        """Lock while telling."""
        self.leave(job)
        self.locked = True
        job.done.callback(result)
        self.locked = False
        self.wind_up()

    def assign(self) -> None:
        """Do nothing when locked."""
        if not self.locked:
            super().assign()


class Dropping(Steady):
    """Leaves an error that nobody looks at."""

    def deliver(self, job: Job) -> None:
        """Leave it, in a circle, so that it is seen when the garbage is collected."""
        unseen: Any = fail(OSError("unseen"))
        unseen.circle = unseen
        super().deliver(job)


#: Each broken relay, and the tests that must fail because of it.
BROKEN: dict[type[Steady], list[str]] = {
    Undeclared: ["interface"],
    Short: ["report", "order"],
    ByAddress: ["report", "order"],
    Backwards: ["order"],
    OneForAll: ["order"],
    SuccessForAll: ["order", "refused"],
    Timid: ["report", "order", "cancel", "stop", "attempt_within"],
    Softening: ["order", "refused"],
    Listing: ["report"],
    Replying: ["report"],
    Silent: ["report", "cancel"],
    Blocking: ["report"],
    Raising: ["report"],
    Untold: ["cancel", "cancel_last", "independent"],
    Deaf: ["cancel", "cancel_last"],
    Working: ["cancel", "cancel_last"],
    Hoarding: ["cancel"],
    Collateral: ["independent"],
    Contagious: ["independent"],
    Eager: ["stop", "stop_idle", "stop_twice"],
    Harsh: ["stop", "stop_idle", "stop_twice"],
    Hasty: ["stop", "stop_twice"],
    Ruthless: ["stop", "stop_twice"],
    Endless: ["stop", "stop_idle", "interface"],
    Sleepy: ["stop_idle", "interface"],
    Forgetful: ["stop_twice"],
    Littering: ["interface", "report", "cancel", "stop"],
    Blind: ["unreadable_content", "independent"],
    Bouncing: ["unreadable_content", "independent"],
    Careless: ["unreadable_content", "independent"],
    Passing: ["unreadable_content", "independent"],
    Stuck: ["unreadable_content"],
    Closing: ["content_is_only_read"],
    Rereading: ["content_is_only_read"],
    Locked: ["attempt_within"],
    Dropping: ["report"],
}


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
