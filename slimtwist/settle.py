# -*- test-case-name: tests.test_settle -*-
"""How a queue calls a relay: whatever the relay does, one complete report, in time.

A relay may be anybody's code.  L{settle} alone owns the attempt's deadline; it turns a report, an
error of ours, any other exception, a wrong value or silence into a L{Report}, exactly once.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report


def settle(
    clock: IReactorTime, relay: IRelay, envelope: Envelope, attempts: int, deadline: float
) -> Deferred[Report]:
    """Make an attempt and report on it.

    @param clock: measures the deadline.
    @param attempts: how many were made before.
    @param deadline: in seconds from now, after which the attempt is cancelled; a relay that does
        not end by then is not waited for.
    @return: fires once with an outcome for each recipient, and never fails.  Cancelling it cancels
        the attempt, and it fires with what that led to.
    """
    return _Settlement(clock, relay, envelope).run(attempts, deadline)


class _Settlement:
    _log = Logger()

    def __init__(self, clock: IReactorTime, relay: IRelay, envelope: Envelope) -> None:
        self._clock = clock
        self._relay = relay
        self._envelope = envelope
        self._result: Deferred[Report] = Deferred(lambda _: self._give_up("cancelled"))
        self._settled = False

    def run(self, attempts: int, deadline: float) -> Deferred[Report]:
        self._timer = self._clock.callLater(deadline, self._give_up, "deadline")
        try:
            attempt = self._relay.attempt(self._envelope, attempts)
        except Exception:  # noqa: BLE001 - a relay may be anybody's code
            attempt = Failure()  # type: ignore[assignment]
        # A value or a Failure in the place of a Deferred is judged like one that came later.
        self._attempt = attempt if isinstance(attempt, Deferred) else _fired(attempt)
        self._attempt.addBoth(self._judge)
        return self._result

    def _give_up(self, fault: str) -> None:
        self._fault = fault
        self._attempt.cancel()
        # The relay had its chance to say how far it came; a silent one may have sent all.
        self._settle(fault_outcome(fault, "", ambiguous=True))

    def _judge(self, result: object) -> None:
        if isinstance(result, Report) and len(result) == len(self._envelope.recipients):
            self._fire(result)
        elif isinstance(result, Failure):
            self._settle(self._meaning(result))
        else:
            self._log.error("relay {relay} returned {result!r}", relay=self._relay, result=result)
            self._settle(fault_outcome("internal", "incomplete report", ambiguous=True))

    def _meaning(self, failure: Failure) -> Outcome:
        if isinstance(failure.value, RelayError):
            return failure.value.outcome
        if failure.check(CancelledError):
            return fault_outcome(getattr(self, "_fault", "cancelled"), "", ambiguous=True)
        self._log.failure("relay {relay} failed", failure, relay=self._relay)
        # Nobody knows what was sent before an unknown exception.
        return fault_outcome("internal", type(failure.value).__name__, ambiguous=True)

    def _settle(self, outcome: Outcome) -> None:
        self._fire(Report.uniform(outcome, len(self._envelope.recipients)))

    def _fire(self, report: Report) -> None:
        if self._settled:
            return
        self._settled = True
        if self._timer.active():
            self._timer.cancel()
        self._result.callback(report)


def _fired(result: object) -> Deferred[object]:
    fired: Deferred[object] = Deferred()
    fired.callback(result)
    return fired
