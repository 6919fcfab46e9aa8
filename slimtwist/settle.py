# -*- test-case-name: tests.test_settle -*-
"""How a queue calls a relay: whatever the relay does, one complete report, in time.

A relay may be anybody's code.  L{settle} alone owns the attempt's deadline; it turns a report, an
error of ours, any other exception, a wrong value or silence into a L{Report}, exactly once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, RelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report

#: Seconds.  For a part of an attempt: the deadline is that of the whole, and passes before.
NEVER: Final = 86400.0


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
        self._fault: str | None = None  # why it was given up

    def run(self, attempts: int, deadline: float) -> Deferred[Report]:
        self._timer = self._clock.callLater(max(0, deadline), self._give_up, "deadline")
        try:
            attempt = self._relay.attempt(self._envelope, attempts)
        except Exception:  # noqa: BLE001 - a relay may be anybody's code
            attempt = Failure()  # type: ignore[assignment]
        # A value or a Failure in the place of a Deferred is judged like one that came later.
        self._attempt = attempt if isinstance(attempt, Deferred) else _fired(attempt)
        self._attempt.addBoth(self._judge)
        return self._result

    def _give_up(self, fault: str) -> None:
        if self._fault is None:  # not while the relay is being cancelled
            self._fault = fault
            self._cancel()
        # The relay had its chance to say how far it came; a silent one may have sent all.
        self._settle(fault_outcome(fault, "", ambiguous=True))

    def _cancel(self) -> None:
        try:
            self._attempt.cancel()
        except Exception:  # noqa: BLE001 - a canceller is the relay's code, too
            self._log.failure("relay {relay} cannot be cancelled", relay=self._relay)

    def _judge(self, result: object) -> None:
        if isinstance(result, Report) and self._is_complete(result):
            self._fire(result)
        elif isinstance(result, Failure):
            self._settle(self._meaning(result))
        else:
            self._log.error("relay {relay} returned {result!r}", relay=self._relay, result=result)
            self._settle(fault_outcome("internal", "incomplete report", ambiguous=True))

    def _is_complete(self, report: Report) -> bool:
        given: object = report.outcomes  # whatever a relay has put there
        if not isinstance(given, Sequence):
            return False
        outcomes = [each for each in given if isinstance(each, Outcome)]
        return len(outcomes) == len(given) == len(self._envelope.recipients)

    def _meaning(self, failure: Failure) -> Outcome:
        error = failure.value
        if isinstance(error, AttemptCancelled) and self._fault == "deadline":
            # The relay knows how far it came, we know why it had to end.
            passed = fault_outcome("deadline", "", ambiguous=error.outcome.ambiguous)
            return replace(error.outcome, reply=passed.reply)
        if isinstance(error, RelayError):
            return error.outcome
        if isinstance(error, CancelledError):
            return fault_outcome(self._fault or "cancelled", "", ambiguous=True)
        self._log.failure("relay {relay} failed", failure, relay=self._relay)
        # Nobody knows what was sent before an unknown exception.
        return fault_outcome("internal", type(error).__name__, ambiguous=True)

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
