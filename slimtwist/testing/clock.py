# -*- test-case-name: tests.testing.test_clock -*-
"""A virtual clock: timed calls that run when a test says that time has passed.

L{VirtualClock} differs from C{twisted.internet.task.Clock} in three points which tests of a mail
system need. Time moves to each call's own moment before that call runs, so that a call which
schedules another gets the right one in the right order. Calls due at one moment run in the order in
which they were scheduled. And the calls are a heap, so that ten thousand deadlines cost little.

Who decides when time passes is the caller: L{slimtwist.testing.MemoryReactor}, or a test that calls
L{VirtualClock.advance}.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

_Entry = tuple[float, int, DelayedCall]

#: How many cancelled calls may lie in the heap before it is cleaned.
_LITTER = 64


@implementer(IReactorTime)
class VirtualClock:
    """Timed calls in the order of their moments.

    @ivar serial: how many were scheduled so far.
    @param start: what L{seconds} says at first, in seconds.
    """

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._heap: list[_Entry] = []
        self.serial = 0
        self._cancelled = 0
        self._hidden: set[DelayedCall] = set()

    def seconds(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002 - named so in IReactorTime
        *args: object,
        **kw: object,
    ) -> DelayedCall:
        """Schedule a call C{delay} seconds from now.

        @raise ValueError: C{delay} is negative.
        """
        if delay < 0:
            raise ValueError(f"a call cannot be made {-delay} seconds ago")
        call = DelayedCall(
            self._now + delay, callable, args, kw, self._forget, self._push, self.seconds
        )
        self._push(call)
        return call

    def at(self, moment: float, call: Callable[..., object], *args: object) -> DelayedCall:
        """Schedule what the network does at C{moment}; it is nobody's timer and not listed."""
        due = max(moment, self._now)
        hidden = DelayedCall(due, call, args, {}, self._forget, self._push, self.seconds)
        self._hidden.add(hidden)
        self._push(hidden)
        return hidden

    def getDelayedCalls(self) -> list[DelayedCall]:
        """Return the pending calls of those who use the clock, the soonest first."""
        entries = sorted((call.getTime(), serial, call) for _, serial, call in self._heap)
        calls = dict.fromkeys(call for _, _, call in entries if _pending(call))
        return [call for call in calls if call not in self._hidden]

    def advance(self, seconds: float) -> None:
        """Let time pass, and make each call at its moment. For tests that need nothing but time."""
        end = self._now + seconds
        while (moment := self.next_moment()) is not None and moment <= end:
            self.move_to(moment)
            call = self.pop()
            if call is not None:
                call.func(*call.args, **call.kw)
        self.move_to(end)

    def next_moment(self) -> float | None:
        """Return when the next call is due, or C{None} if there is none."""
        while self._heap:
            moment, _, call = self._heap[0]
            # Written out, as it is asked in each turn: pending, and not put off.
            if not (call.called or call.cancelled) and call.time + call.delayed_time == moment:
                return moment
            heappop(self._heap)
            self._settle(call, moment)
        return None

    def due(self, serial: int | None = None) -> bool:
        """Whether a call is due now, and no later in the count than C{serial} if that is given."""
        if not self._heap or self._heap[0][0] > self._now:
            return False
        moment = self.next_moment()
        if moment is None or moment > self._now:
            return False
        return serial is None or self._heap[0][1] <= serial

    def pop(self) -> DelayedCall | None:
        """Take the first call out if it is due now; the caller runs it."""
        if not self.due():
            return None
        call = heappop(self._heap)[2]
        call.called = 1
        self._hidden.discard(call)
        return call

    def size(self) -> int:
        """Return how many entries are kept, with those that were cancelled and not swept yet."""
        return len(self._heap)

    def move_to(self, moment: float) -> None:
        """Let the time be C{moment}; it never goes back."""
        self._now = max(self._now, moment)

    def _push(self, call: DelayedCall) -> None:
        self.serial += 1
        heappush(self._heap, (call.getTime(), self.serial, call))

    def _settle(self, call: DelayedCall, moment: float) -> None:
        """Deal with an entry that is out of date: cancelled, or put off since."""
        if not _pending(call):
            self._cancelled = max(0, self._cancelled - 1)
        elif call.getTime() > moment:
            call.activate_delay()
            self._push(call)

    def _forget(self, call: DelayedCall) -> None:
        """Count a cancelled call; sweep when most of the heap is such."""
        self._cancelled += 1
        self._hidden.discard(call)
        if self._cancelled > max(_LITTER, len(self._heap) // 2):
            self._cancelled = 0
            self._heap = [e for e in self._heap if _pending(e[2]) and e[2] is not call]
            heapify(self._heap)


def _pending(call: DelayedCall) -> bool:
    return not (call.called or call.cancelled)
