# -*- test-case-name: tests.relay.test_fallback -*-
"""The relay that asks another one when the first cannot take a message now.

Only for recipients of whom it is certain that the first has not taken the message: an ambiguous
end is left to the next attempt, since asking somebody else would deliver twice.  A refusal for good
is final, whoever gave it.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import implementer

from slimtwist.description import COLON_HINT, seconds
from slimtwist.envelope import Envelope
from slimtwist.installed import installed
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.relay.running import Running
from slimtwist.relay.shared import part_of
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.settle import NEVER, settle
from slimtwist.together import Cancellable


@implementer(IRelay)
class FallbackRelay:
    """Asks relays one after the other, each for the recipients that the ones before deferred."""

    def __init__(
        self,
        relays: Sequence[IRelay],
        *,
        timeout: float | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Take the relays, which are stopped together with this one.

        @param relays: in the order in which they are asked.
        @param timeout: seconds after which the next one is asked, all but the last being given so
            long; C{None} for as long as the whole attempt may take.
        @param runtime: the clock; C{None} for that of the process.
        @raise ValueError: there is none.
        """
        if not relays:
            raise ValueError("there is no relay to ask")
        waits = [NEVER if timeout is None else timeout] * (len(relays) - 1)
        self._relays = list(zip(relays, [*waits, NEVER], strict=True))
        self._running = Running(relays)
        self._clock = (runtime or default_runtime()).reactor

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Make an attempt with each relay until one has decided. See L{IRelay.attempt}."""
        return self._running.begin(lambda whole: self._attempt(whole, envelope, attempts))

    def stop(self) -> Deferred[None]:
        """Let running attempts end, then stop all relays. See L{IRelay.stop}."""
        return self._running.stop()

    def __repr__(self) -> str:
        """Tell who is asked, for operators."""
        return f"<FallbackRelay {[relay for relay, _ in self._relays]!r}>"

    async def _attempt(self, whole: Cancellable, envelope: Envelope, attempts: int) -> Report:
        decided: dict[int, Outcome] = {}
        left = list(range(len(envelope.recipients)))
        for relay, wait in self._relays:
            part = envelope.subset(left)
            report = await settle(self._clock, relay, part, attempts, wait)
            decided.update(zip(left, report, strict=True))
            left = [position for position in left if _may_go_on(decided[position])]
            if whole.cancelled or not left:
                break
        return Report(tuple(decided[position] for position in range(len(decided))))


def _may_go_on(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.DEFERRED and not outcome.ambiguous


def parse_fallback(runtime: Runtime, *relays: str, timeout: str | None = None) -> IRelay:
    """Build a relay that asks others in turn. See L{FallbackRelay}.

    @param relays: names of defined relays, or descriptions in brackets.
    @param timeout: seconds for each but the last.
    @raise ValueError: there is no such relay, or only one, or a description is wrong.
    """
    if not relays:
        raise ValueError("the relays are missing: write fallback:FIRST:SECOND")
    wait = None if timeout is None else seconds("timeout", timeout)
    parts = _parts(runtime, relays)
    if len(parts) == 1:
        raise ValueError("the second relay is missing: write fallback:FIRST:SECOND")
    return FallbackRelay(parts, timeout=wait, runtime=runtime)


def _parts(runtime: Runtime, relays: Sequence[str]) -> list[IRelay]:
    try:
        return [part_of(runtime, each) for each in relays]
    except ValueError as error:
        # A prefix alone, or nothing, is mostly what is left of a description without brackets.
        torn = not {"", *installed().plugins}.isdisjoint(relays)
        if torn and COLON_HINT not in str(error):
            raise ValueError(f"{error}{COLON_HINT}") from error
        raise
