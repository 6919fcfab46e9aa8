# -*- test-case-name: tests.testing.test_threads -*-
"""Threads that are none: what is given to a thread runs in a later turn of the reactor.

So a program that hands work to threads does it at the same moment in every run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure


class TurnPool:
    """What is used of C{twisted.python.threadpool.ThreadPool}, in turns.

    @param clock: whose turns.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def callInThread(self, func: Callable[..., object], *args: object, **kw: object) -> None:
        """Call a function in a later turn; what it raises is logged."""
        self._clock.callLater(0, func, *args, **kw)

    def callInThreadWithCallback(
        self,
        onResult: Callable[[bool, Any], object] | None,  # noqa: N803 - as in ThreadPool
        func: Callable[..., object],
        *args: object,
        **kw: object,
    ) -> None:
        """Call a function in a later turn, and C{onResult} with success and result or failure."""
        if onResult is None:
            self.callInThread(func, *args, **kw)
        else:
            self._clock.callLater(0, _call, onResult, func, args, kw)

    def adjustPoolsize(self, minthreads: int | None = None, maxthreads: int | None = None) -> None:
        """Do nothing: there is always room."""


def _call(
    on_result: Callable[[bool, Any], object],
    func: Callable[..., object],
    args: tuple[object, ...],
    kw: dict[str, object],
) -> None:
    try:
        result = func(*args, **kw)
    except Exception:  # noqa: BLE001 - it is told to whoever asked
        on_result(False, Failure())
    else:
        on_result(True, result)
