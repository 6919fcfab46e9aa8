# -*- test-case-name: tests.relay.smtp.test_delivery -*-
"""One attempt of the MX relay: who is asked, in which order, and for whom.

Recipients whose mail the same hosts take form a group; groups run side by side.  Within a group one
host is asked after another, each only for those whom the one before could not take for now; never
after an end that may have been a success, and never two at once: an abandoned connection looks like
abuse.

Sources: RFC 5321 5.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    STAGES,
    RelayError,
    fault_outcome,
    try_next_host,
)
from slimtwist.exchangers import Exchanger, MailLoop
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.settle import settle
from slimtwist.together import Cancellable, side_by_side

if TYPE_CHECKING:
    from slimtwist.relay.smtp.mx import MxSmtpRelay

#: Exchangers and addresses that one attempt asks at most.
_EXCHANGERS: Final = 5
_ADDRESSES: Final = 10
_STAGES: Final = {stage: place for place, stage in enumerate(STAGES)}
_log = Logger()


@dataclass(frozen=True, slots=True)
class Forced:
    """Where the mail of a domain goes, whatever its zone says."""

    host: str
    port: int


#: Who takes the mail of a group of recipients.
Route: TypeAlias = tuple[Exchanger, ...] | Forced


class Delivery:
    """One attempt.

    @ivar relay: knows the exchangers and has the connections.
    @ivar attempts: how many were made before.
    """

    def __init__(self, relay: MxSmtpRelay, envelope: Envelope, attempts: int) -> None:
        """Prepare; nothing is asked."""
        self.relay = relay
        self.attempts = attempts
        self._envelope = envelope

    async def run(self, attempt: Cancellable) -> Report:
        """Make the attempt, and return a whole report, also when it is cancelled."""
        domains = self._by_domain()
        found = await side_by_side(map(self.relay.route, domains))
        routes: dict[Route, list[int]] = {}
        parts: list[tuple[list[int], Report]] = []
        for positions, route in zip(domains.values(), found, strict=True):
            if isinstance(route, Failure):
                parts.append((positions, _report(route, len(positions))))
            else:
                # Domains that name the same exchangers share a transaction.
                routes.setdefault(route, []).extend(positions)
        for positions in routes.values():
            positions.sort()
        parts += await self._deliver(routes, attempt)
        return Report.merge(parts)

    def _by_domain(self) -> dict[str, list[int]]:
        domains: dict[str, list[int]] = {}
        for position, recipient in enumerate(self._envelope.recipients):
            domains.setdefault(recipient.address.domain.lower(), []).append(position)
        return domains

    async def _deliver(
        self, routes: dict[Route, list[int]], attempt: Cancellable
    ) -> list[tuple[list[int], Report]]:
        groups = [
            _Group(self, route, self._envelope.subset(positions)).run(attempt)
            for route, positions in routes.items()
        ]
        reports = await side_by_side(groups)
        return [
            (
                places,
                report
                if isinstance(report, Report)
                else Report.uniform(_meaning(report), len(places)),
            )
            for places, report in zip(routes.values(), reports, strict=True)
        ]


class _Group:
    """Recipients whose mail the same hosts take, and who of them are left for the next host."""

    def __init__(self, delivery: Delivery, route: Route, envelope: Envelope) -> None:
        self._delivery = delivery
        self._relay = delivery.relay
        self._route = route
        self._envelope = envelope
        self._outcomes: dict[int, Outcome] = {}
        self._left = list(range(len(envelope.recipients)))
        self._tried: set[str] = set()

    async def run(self, attempt: Cancellable) -> Report:
        if isinstance(self._route, Forced):
            await self._ask(self._route.host, self._route.port)
        else:
            exchangers = self._relay.exchangers.ordered(self._route)[:_EXCHANGERS]
            await self._ask_each(exchangers, attempt)
        return Report(tuple(self._outcomes[each] for each in sorted(self._outcomes)))

    async def _ask_each(self, exchangers: list[Exchanger], attempt: Cancellable) -> None:
        for exchanger in exchangers:
            try:
                addresses = set(await self._relay.exchangers.addresses(exchanger.host))
            except MailLoop as error:
                self._note([error.outcome] * len(self._left))
                return
            except RelayError as error:
                self._note([error.outcome] * len(self._left))
                continue
            if not addresses <= self._tried:
                self._tried |= addresses
                await self._ask(exchanger.host, self._relay.port)
            if not self._left or attempt.cancelled or len(self._tried) >= _ADDRESSES:
                return

    async def _ask(self, host: str, port: int) -> None:
        """Ask one host, and keep those whom another may still take."""
        relay, envelope = self._relay, self._envelope.subset(self._left)
        report = await relay.relays.use(
            (host, port),
            lambda each: settle(
                relay.clock, each, envelope, self._delivery.attempts, relay.timeouts.attempt
            ),
        )
        self._note(report.outcomes)

    def _note(self, outcomes: Sequence[Outcome]) -> None:
        for position, outcome in zip(self._left[:], outcomes, strict=True):
            if outcome.command is not None and not try_next_host(outcome):
                self._outcomes[position] = outcome
                self._left.remove(position)
            else:
                known = self._outcomes.setdefault(position, outcome)
                self._outcomes[position] = max(known, outcome, key=_weight)


def _weight(outcome: Outcome) -> tuple[bool, int]:
    """Weigh an outcome that is not final: what may pass counts, and who came furthest."""
    return outcome.verdict is Verdict.DEFERRED, _STAGES.get(outcome.command or "", -1)


def _report(result: Report | Failure, count: int) -> Report:
    return result if isinstance(result, Report) else Report.uniform(_meaning(result), count)


def _meaning(failure: Failure) -> Outcome:
    """Return what an error means; but for ours, nothing was sent when it came this far up."""
    if isinstance(failure.value, RelayError):
        return failure.value.outcome
    if failure.check(CancelledError):
        return fault_outcome("cancelled", "", command="connect")
    _log.failure("delivery failed", failure)
    return fault_outcome("internal", type(failure.value).__name__, ambiguous=True)
