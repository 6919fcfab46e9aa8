# -*- test-case-name: tests.test_together -*-
"""Parts of one attempt, side by side."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Report, Verdict


def side_by_side(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> Deferred[list[Any]]:
    """Run coroutines at once.

    @return: fires with their results and Failures, in order; cancelling it cancels all.
    """
    running = [Deferred.fromCoroutine(each) for each in coroutines]
    gathered = DeferredList(running, consumeErrors=True)
    return gathered.addCallback(lambda results: [result for _, result in results])


class Cancellable:
    """An attempt that is told when nobody wants it any more.

    @ivar cancelled: whether it was.
    @ivar done: fires with the report.  When the attempt was cancelled before any recipient had an
        outcome for good, it fails with L{AttemptCancelled}; what was delivered is never forgotten.
    """

    def __init__(self, run: Callable[[Cancellable], Coroutine[Any, Any, Report]]) -> None:
        """Begin the attempt.

        @param run: makes it, and returns a whole report also after it was cancelled.
        """
        self.cancelled = False
        self.done: Deferred[Report] = Deferred(self._cancel)
        self._running = Deferred.fromCoroutine(run(self))
        self._running.addCallback(self._checked).addBoth(self.done.callback)

    def _cancel(self, _: object) -> None:
        self.cancelled = True
        self._running.cancel()

    def _checked(self, report: Report) -> Report:
        if self.cancelled and all(each.verdict is Verdict.DEFERRED for each in report):
            raise AttemptCancelled(max(report, key=lambda outcome: outcome.ambiguous))
        return report
