# -*- test-case-name: tests.relay.test_policy -*-
"""The relay that has policies look at each message before another relay makes the attempt.

What C{add_policy} is in python-slimta.  A message is split as the policies say; the attempts run
side by side, and each recipient's outcome gets back to its position.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from zope.interface import implementer

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError, fault_outcome
from slimtwist.interfaces import IRelay, IRelayPolicy
from slimtwist.outcome import Outcome, Report
from slimtwist.policy.parts import Part, checked
from slimtwist.relay.running import Running
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.settle import NEVER, settle
from slimtwist.together import Cancellable, side_by_side


@implementer(IRelay)
class PolicyRelay:
    """Runs policies, in their order: each on what the ones before have made of the message."""

    def __init__(
        self, relay: IRelay, policies: Iterable[IRelayPolicy], *, runtime: Runtime | None = None
    ) -> None:
        """Take the relay, which is stopped together with this one.

        @param relay: makes the attempts.
        @param policies: look at each message before each attempt.
        @param runtime: the clock; C{None} for that of the process.
        """
        self._relay = relay
        self._policies = list(policies)
        self._running = Running([relay])
        self._clock = (runtime or default_runtime()).reactor

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Run the policies, and make an attempt with what is left. See L{IRelay.attempt}."""
        return self._running.begin(lambda whole: self._attempt(whole, envelope, attempts))

    def stop(self) -> Deferred[None]:
        """Let running attempts end, then stop the relay. See L{IRelay.stop}."""
        return self._running.stop()

    def __repr__(self) -> str:
        """Tell the policies and the relay, for operators."""
        return f"<PolicyRelay {self._policies!r} {self._relay!r}>"

    async def _attempt(self, whole: Cancellable, envelope: Envelope, attempts: int) -> Report:
        screening = _Screening(whole, envelope)
        try:
            for policy in self._policies:
                await screening.by(policy)
            parts = screening.parts
            reports = await side_by_side(self._report(part, attempts) for part in parts)
            return Report.merge(
                (part.positions, report) for part, report in zip(parts, reports, strict=True)
            )
        finally:
            screening.close()

    async def _report(self, part: Part, attempts: int) -> Report:
        if isinstance(part.fate, Outcome):
            return Report.uniform(part.fate, len(part.positions))
        return await settle(self._clock, self._relay, part.fate, attempts, NEVER)


class _Screening:
    """What the policies have made of one message so far."""

    _log = Logger()

    def __init__(self, whole: Cancellable, envelope: Envelope) -> None:
        self.parts = [Part(tuple(range(len(envelope.recipients))), envelope)]
        self._whole = whole
        self._body = envelope.content.body
        self._made: list[Content] = []

    async def by(self, policy: IRelayPolicy) -> None:
        """Let a policy look at each part."""
        parts = []
        for part in self.parts:
            if isinstance(part.fate, Outcome):
                parts.append(part)
            else:
                parts += await self._applied(policy, part, part.fate)
        self.parts = parts

    def close(self) -> None:
        """Close what the policies have made; nobody reads it any more."""
        for content in self._made:
            content.close()

    async def _applied(self, policy: IRelayPolicy, part: Part, envelope: Envelope) -> list[Part]:
        # Who no longer wants the attempt wants neither the next policy nor what came of this one.
        found: list[Part] = []
        outcome = _CANCELLED
        if not self._whole.cancelled:
            found, outcome = await self._asked(policy, envelope)
        if found and not self._whole.cancelled:
            return [each.within(part.positions) for each in found]
        return [Part(part.positions, outcome)]

    async def _asked(self, policy: IRelayPolicy, envelope: Envelope) -> tuple[list[Part], Outcome]:
        """Return what a policy makes of a message, or nothing and the reason."""
        try:
            found = checked(await _ask(policy, envelope), envelope)
        except RelayError as error:
            return [], error.outcome
        except CancelledError:
            return [], _CANCELLED
        except Exception as error:  # noqa: BLE001 - a policy may be anybody's code
            self._log.failure("policy {policy} failed", policy=policy)
            # Nothing was sent: whoever tries again cannot deliver twice.
            what = f"{type(error).__name__} of policy {type(policy).__name__}"
            return [], fault_outcome("internal", what)
        self._keep(found)
        return found, _CANCELLED

    def _keep(self, parts: Iterable[Part]) -> None:
        made = [part.fate.content for part in parts if isinstance(part.fate, Envelope)]
        self._made += [content for content in made if content.body is not self._body]


_CANCELLED: Final = fault_outcome("cancelled", "")


async def _ask(policy: IRelayPolicy, envelope: Envelope) -> Any:  # noqa: ANN401 - whatever it returns
    return await maybeDeferred(policy.apply, envelope)
