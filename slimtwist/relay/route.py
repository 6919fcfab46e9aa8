# -*- test-case-name: tests.relay.test_route -*-
"""The relay that sends each recipient's mail the way of his domain, or of the sender's.

A message for several ways is split; the attempts run side by side, and none of them can change
what another one came to.  What C{--route} of C{twistd relay} builds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from slimtwist.domains import DomainTable
from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.settle import NEVER, settle
from slimtwist.together import says_one_thing

#: No routes.
_NONE: Final[Mapping[str, IRelay]] = MappingProxyType({})


@implementer(IRelay)
class RouteRelay:
    """Chooses a relay by the domain of the recipient, or else of the sender."""

    _log = Logger()

    def __init__(
        self,
        routes: Mapping[str, IRelay],
        default: IRelay,
        *,
        senders: Mapping[str, IRelay] = _NONE,
        runtime: Runtime | None = None,
    ) -> None:
        """Take the relays, which are stopped together with this one.

        @param routes: by domain; C{*.example.com} stands for all below it.  The exact domain comes
            first, then the longest pattern.
        @param default: for every other domain, and for C{postmaster} without one.
        @param senders: instead of the default, by the domain of the sender, in the same way.
        @param runtime: the clock; C{None} for that of the process.
        @raise ValueError: a domain is malformed; the text names it.
        """
        self._table = _table(routes)
        self._senders = _table(senders)
        self._default = default
        relays = [*routes.values(), *senders.values(), default]
        self._relays = list({id(relay): relay for relay in relays}.values())
        self._stopping = False
        self._clock = (runtime or default_runtime()).reactor

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Make an attempt with each relay that a recipient needs. See L{IRelay.attempt}.

        A cancelled attempt fires with a report all the same if a recipient was delivered or refused
        for good before: that is not to be forgotten.
        """
        if self._stopping:
            return fail(TransientRelayError(fault_outcome("deferred", "shutting down")))
        parts = self._split(envelope)
        if len(parts) == 1:
            return parts[0][0].attempt(envelope, attempts)
        return _Attempt().run(
            [
                (positions, settle(self._clock, relay, part, attempts, NEVER))
                for relay, positions in parts
                for part in [envelope.subset(positions)]
            ]
        )

    def stop(self) -> Deferred[None]:
        """Stop all relays. See L{IRelay.stop}."""
        self._stopping = True
        stopping = [
            maybeDeferred(relay.stop).addErrback(self._trouble, relay) for relay in self._relays
        ]
        return DeferredList(stopping).addCallback(lambda _: None)

    def __repr__(self) -> str:
        """Tell where mail goes, for operators."""
        return f"<RouteRelay {self._relays!r}>"

    def _split(self, envelope: Envelope) -> list[tuple[IRelay, list[int]]]:
        """Return the positions of the recipients of each relay."""
        parts: dict[int, tuple[IRelay, list[int]]] = {}
        of_sender = self._senders.get(envelope.sender.domain)
        default = self._default if of_sender is None else of_sender
        for position, recipient in enumerate(envelope.recipients):
            found = self._table.get(recipient.address.domain)
            relay = default if found is None else found
            parts.setdefault(id(relay), (relay, []))[1].append(position)
        return list(parts.values())

    def _trouble(self, failure: object, relay: IRelay) -> None:
        self._log.failure("relay {relay} did not stop", failure, relay=relay)  # type: ignore[arg-type]


def _table(routes: Mapping[str, IRelay]) -> DomainTable[IRelay]:
    table: DomainTable[IRelay] = DomainTable()
    for domain, relay in routes.items():
        table.put(domain, relay)
    return table


class _Attempt:
    """The parts of one attempt; L{settle} makes each fire once, with a whole report."""

    def __init__(self) -> None:
        self._cancelled = False

    def run(self, parts: Sequence[tuple[list[int], Deferred[Report]]]) -> Deferred[Report]:
        """Return what fires with all the reports in one."""
        self._parts = [part for _, part in parts]
        done: Deferred[Report] = Deferred(self._cancel)
        gathered = DeferredList(self._parts)
        gathered.addCallback(self._merged, [positions for positions, _ in parts])
        gathered.addCallbacks(done.callback, done.errback)
        return done

    def _cancel(self, _: object) -> None:
        self._cancelled = True
        for part in self._parts:
            part.cancel()

    def _merged(self, results: Iterable[tuple[bool, Report]], split: list[list[int]]) -> Report:
        report = Report.merge(zip(split, (each for _, each in results), strict=True))
        if self._cancelled and says_one_thing(report):
            raise AttemptCancelled(max(report, key=lambda outcome: outcome.ambiguous))
        return report
