# -*- test-case-name: tests.relay.smtp.test_delivery -*-
"""One attempt of the MX relay: who is asked, in which order, and for whom.

Recipients whose mail the same hosts take form a group; groups run side by side, and a domain whose
name servers are slow delays no other.  Within a group one
host is asked after another, each only for those whom the one before could not take for now; never
after an end that may have been a success, and never two at once: an abandoned connection looks like
abuse.  Names that share addresses are one host: no address is tried twice.

Sources: RFC 5321 5.1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Final, TypeAlias

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.envelope import Envelope
from slimtwist.errors import STAGES, RelayError, fault_outcome, try_next_host
from slimtwist.exchangers import Exchanger, MailLoop
from slimtwist.latch import Latch
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.settle import settle
from slimtwist.together import Cancellable, side_by_side

if TYPE_CHECKING:
    from slimtwist.relay.smtp.mx import MxSmtpRelay

#: Exchangers and addresses that one attempt asks at most.
_EXCHANGERS: Final = 5
_ADDRESSES: Final = 10
#: Seconds that a domain waits for others which may share its exchangers, once it is looked up.
_GATHER: Final = 1.0
#: Seconds.  An attempt's deadline is its caller's, and passes before; a host has none of its own.
_NEVER: Final = 86400.0
_STAGES: Final = {stage: place for place, stage in enumerate(STAGES)}
_CANCELLED: Final = fault_outcome("cancelled", "", command="connect")
_log = Logger()


@dataclass(frozen=True, slots=True)
class NextHop:
    """A host that is asked.

    @ivar forced: whether the operator named it, so that it may be anywhere.
    @ivar only: the addresses that it may be connected to at; none for all that it has.
    """

    host: str
    port: int
    forced: bool = False
    only: tuple[str, ...] = ()


#: Who takes the mail of a group of recipients.
Route: TypeAlias = tuple[Exchanger, ...] | NextHop


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
        self._sought = 0
        self._found: dict[Route, list[int]] = {}
        self._gathered = Latch()
        self._gathering: IDelayedCall | None = None
        self._parts: list[tuple[Sequence[int], Report]] = []

    async def run(self, attempt: Cancellable) -> Report:
        """Make the attempt, and return a whole report, also when it is cancelled."""
        domains = self._by_domain()
        self._sought = len(domains)
        try:
            await side_by_side(self._deliver(*each, attempt) for each in domains.items())
        finally:
            if self._gathering is not None and self._gathering.active():
                self._gathering.cancel()
        return Report.merge(self._parts)

    async def _deliver(self, domain: str, positions: list[int], attempt: Cancellable) -> None:
        """Look a domain up, and deliver to all whose mail goes the same way."""
        try:
            route = await self.relay.route(domain)
        except Exception:  # noqa: BLE001 - whatever it is, nothing was sent
            self._parts.append((positions, Report.uniform(_meaning(Failure()), len(positions))))
            self._answered(found=False)
            return
        self._found.setdefault(route, []).extend(positions)
        self._answered(found=True)
        with suppress(CancelledError):  # which the group is told by the attempt
            await self._gathered.wait()
        # Domains that name the same exchangers share a transaction: the first takes all along.
        if together := self._found.pop(route, None):
            group = _Group(self, route, sorted(together), self._envelope)
            await group.run(attempt)
            self._parts.append((group.positions, group.report()))

    def _answered(self, *, found: bool) -> None:
        """Count a look-up; those found wait for the others a moment, not until the last."""
        self._sought -= 1
        if not self._sought:
            self._gathered.release()
        elif found and self._gathering is None:
            self._gathering = self.relay.clock.callLater(_GATHER, self._gathered.release)

    def _by_domain(self) -> dict[str, list[int]]:
        domains: dict[str, list[int]] = {}
        for position, recipient in enumerate(self._envelope.recipients):
            domains.setdefault(recipient.address.domain.lower(), []).append(position)
        return domains


class _Group:
    """Recipients whose mail the same hosts take, and who of them are left for the next host.

    @ivar positions: who they are.
    """

    def __init__(
        self, delivery: Delivery, route: Route, positions: list[int], envelope: Envelope
    ) -> None:
        self._relay = delivery.relay
        self._attempts = delivery.attempts
        self._route = route
        self._envelope = envelope
        self.positions = positions
        self._left = positions[:]
        self._outcomes: dict[int, Outcome] = {}
        self._tried: set[str] = set()

    def report(self) -> Report:
        return Report(tuple(self._outcomes[each] for each in self.positions))

    async def run(self, attempt: Cancellable) -> None:
        try:
            if attempt.cancelled:  # while others were looked up
                self._missed(_CANCELLED)
            elif isinstance(self._route, NextHop):
                await self._ask(self._route)
            else:
                await self._ask_each(self._relay.exchangers.ordered(self._route), attempt)
        except Exception:  # noqa: BLE001 - whatever it is, nothing was sent since the last report
            self._missed(_meaning(Failure()))

    async def _ask_each(self, exchangers: list[Exchanger], attempt: Cancellable) -> None:
        for group in self._groups(exchangers[:_EXCHANGERS]):
            hosts = [each.host for each in group]
            found = await side_by_side(map(self._relay.exchangers.addresses, hosts))
            if attempt.cancelled:  # while they were looked up
                self._missed(_CANCELLED)
                return
            loops = [each for each in found if isinstance(each, Failure) and each.check(MailLoop)]
            if loops:  # neither this one nor any that is not preferred to it (RFC 5321 5.1)
                self._missed(_meaning(loops[0]))
                return
            for host, addresses in zip(hosts, found, strict=True):
                await self._ask_at(host, addresses)
                if not self._left or attempt.cancelled:
                    return
        if len(exchangers) > _EXCHANGERS:
            self._soften()

    def _groups(self, exchangers: list[Exchanger]) -> Iterator[list[Exchanger]]:
        """Return whose addresses have to be known before any of them is asked.

        An address that is ours shuts out all who are not preferred to it.
        """
        if not self._relay.exchangers.knows_own_addresses:
            yield from ([each] for each in exchangers)
        else:
            by_preference = groupby(exchangers, key=lambda each: each.preference)
            yield from (list(group) for _, group in by_preference)

    async def _ask_at(self, host: str, addresses: tuple[str, ...] | Failure) -> None:
        """Ask one host, at those of its addresses that were not tried yet."""
        if isinstance(addresses, Failure):
            self._missed(_meaning(addresses))
            return
        new = [each for each in addresses if each not in self._tried]
        chosen = tuple(new[: _ADDRESSES - len(self._tried)])
        if chosen:
            self._tried.update(chosen)
            # With so many there may be more, of which the next look-up returns others.
            whole = chosen == addresses and len(addresses) < _ADDRESSES
            await self._ask(NextHop(host, self._relay.port, only=() if whole else chosen))
        if len(chosen) < len(new):
            self._soften()

    async def _ask(self, hop: NextHop) -> None:
        """Ask one host, and keep those whom another may still take."""
        relay, envelope = self._relay, self._envelope.subset(self._left)
        try:
            report = await relay.relays.use(
                hop, lambda each: settle(relay.clock, each, envelope, self._attempts, _NEVER)
            )
        except Exception:  # noqa: BLE001 - settle raises nothing: there is no relay to this host
            self._missed(_meaning(Failure()))
            return
        for position, outcome in zip(self._left[:], report.outcomes, strict=True):
            if try_next_host(outcome):
                self._note(position, outcome)
                continue
            self._left.remove(position)
            if outcome.verdict is Verdict.FAILED and outcome.command is None:
                self._note(position, outcome)  # a loop, which no host said: who was busy may not be
            else:
                self._outcomes[position] = outcome

    def _missed(self, outcome: Outcome) -> None:
        """Take note that a host could not be asked."""
        for position in self._left:
            self._note(position, outcome)

    def _note(self, position: int, outcome: Outcome) -> None:
        known = self._outcomes.setdefault(position, outcome)
        self._outcomes[position] = max(known, outcome, key=_weight)

    def _soften(self) -> None:
        """Fail nobody for good while there are hosts that were not asked."""
        for position in self._left:
            outcome = self._outcomes[position]
            if outcome.verdict is Verdict.FAILED:
                reply = outcome.reply.softened("not every exchanger was asked")
                self._outcomes[position] = replace(outcome, verdict=Verdict.DEFERRED, reply=reply)


def _weight(outcome: Outcome) -> tuple[bool, int]:
    """Weigh an outcome that is not final: what may pass counts, and who came furthest."""
    return outcome.verdict is Verdict.DEFERRED, _STAGES.get(outcome.command or "", -1)


def _meaning(failure: Failure) -> Outcome:
    """Return what an error means where nothing was sent."""
    if isinstance(failure.value, RelayError):
        return failure.value.outcome
    if failure.check(CancelledError):
        return _CANCELLED
    _log.failure("delivery failed", failure)
    return fault_outcome("internal", type(failure.value).__name__, command="connect")
