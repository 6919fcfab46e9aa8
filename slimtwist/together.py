# -*- test-case-name: tests.test_together -*-
"""Parts of one attempt, side by side."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Report, Verdict
from slimtwist.reply import Reply


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
        outcome for good, and the same holds for all, it fails with L{AttemptCancelled}; what became
        of one is never forgotten, nor told of another.
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
        if self.cancelled and says_one_thing(report):
            raise AttemptCancelled(max(report, key=lambda outcome: outcome.ambiguous))
        return report


def says_one_thing(report: Report) -> bool:
    """Tell whether one error can stand for a report.

    It cannot where a host has put off some recipients: nobody has said that of the others (L11).
    """
    deferred = all(each.verdict is Verdict.DEFERRED for each in report)
    return deferred and len({_gist(each.reply) for each in report}) == 1


def _gist(reply: Reply) -> tuple[int, str | None, str]:
    """Return a reply without the detail, and the warning, that follow a fault of ours."""
    return reply.code, reply.enhanced, reply.text.partition(":")[0].partition(";")[0]
