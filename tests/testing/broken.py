# -*- test-case-name: tests.testing.test_contract -*-
"""Relays that keep to the contract, but for one clause each."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer_only

from slimtwist.envelope import Envelope
from slimtwist.errors import PermanentRelayError, TransientRelayError
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply
from tests.testing.steady import DELIVERED, FAILED, Job, Steady

PERMANENT = PermanentRelayError(FAILED)


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
