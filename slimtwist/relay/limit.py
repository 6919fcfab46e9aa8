# -*- test-case-name: tests.relay.test_limit -*-
"""The relay that asks another one for no more than that can bear, or is allowed to do."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from zope.interface import implementer

from slimtwist.description import number
from slimtwist.envelope import Envelope
from slimtwist.errors import fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report
from slimtwist.relay.line import Line, Rate
from slimtwist.relay.running import Running
from slimtwist.relay.shared import part_of
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.settle import NEVER, settle
from slimtwist.together import Cancellable

#: What becomes of an attempt that is cancelled in the line: nothing was sent.
_IN_LINE: Final = fault_outcome("cancelled", "it was waiting in line")


@implementer(IRelay)
class LimitRelay:
    """Lets attempts wait in line; the time that they wait is of their own deadline."""

    def __init__(
        self,
        relay: IRelay,
        *,
        concurrency: int | None = None,
        rate: Rate | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Take the relay, which is stopped together with this one.

        @param relay: makes the attempts.
        @param concurrency: how many it makes at once; C{None} for any number.
        @param rate: how many it begins in a time; C{None} for any number.
        @param runtime: the clock; C{None} for that of the process.
        @raise ValueError: the concurrency is below 1.
        """
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency={concurrency} delivers nothing")
        self._relay = relay
        self._running = Running([relay])
        self._clock = (runtime or default_runtime()).reactor
        self._line = Line(self._clock, concurrency, rate)

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Make an attempt when its turn has come. See L{IRelay.attempt}."""
        return self._running.begin(lambda whole: self._attempt(whole, envelope, attempts))

    def stop(self) -> Deferred[None]:
        """Let all attempts end, also those in the line; then stop the relay. See L{IRelay.stop}."""
        return self._running.stop()

    def __repr__(self) -> str:
        """Tell what goes on, for operators."""
        return f"<LimitRelay {self._relay!r} {self._line!r}>"

    async def _attempt(self, _: Cancellable, envelope: Envelope, attempts: int) -> Report:
        try:
            await self._line.enter()
        except CancelledError:
            return Report.uniform(_IN_LINE, len(envelope.recipients))
        try:
            return await settle(self._clock, self._relay, envelope, attempts, NEVER)
        finally:
            self._line.leave()


def parse_limit(
    runtime: Runtime, relay: str, *, concurrency: str | None = None, rate: str | None = None
) -> IRelay:
    """Build a relay that asks another one for no more than it may. See L{LimitRelay}.

    @param relay: the name of a defined relay, or a description in brackets.
    @param concurrency: so many attempts at once.
    @param rate: C{100/min}: so many in a time; the times are C{s}, C{min}, C{h} and C{d}.
    @raise ValueError: there is no such relay, or an argument is wrong.
    """
    if concurrency is None and rate is None:
        raise ValueError("the limit is missing: write concurrency=NUMBER or rate=NUMBER/min")
    return LimitRelay(
        part_of(runtime, relay),
        concurrency=None if concurrency is None else number("concurrency", concurrency, least=1),
        rate=None if rate is None else Rate.parse(rate),
        runtime=runtime,
    )
