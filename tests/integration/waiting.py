# -*- test-case-name: tests.integration.test_waiting -*-
"""Waiting for what another program does, while the reactor keeps running.

A server delivers or logs some time after its reply, and no event tells us. L{until} asks again and
again, for a bounded time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.trial.unittest import FailTest

_POLL = 0.02

_Found = TypeVar("_Found")


class NotInTimeError(FailTest):
    """What a test waits for did not happen."""


def until(
    look: Callable[[], _Found],
    what: str,
    *,
    within: float = 60.0,
    clock: IReactorTime | None = None,
) -> Deferred[_Found]:
    """Wait until something is there.

    @param look: is called again and again, and returns something true when it has come.
    @param what: what the test waits for, for the text of the error.
    @param within: for how many seconds at most.
    @param clock: by default the global reactor.
    @return: a Deferred firing with what C{look} returned; it fails with L{NotInTimeError}.
    """
    return Deferred.fromCoroutine(
        _until(look, what, within, clock or cast("IReactorTime", _reactor))
    )


async def _until(
    look: Callable[[], _Found], what: str, within: float, clock: IReactorTime
) -> _Found:
    deadline = clock.seconds() + within
    while not (found := look()):
        if clock.seconds() >= deadline:
            raise NotInTimeError(f"{what}: not within {within:g} seconds")
        await deferLater(clock, _POLL)
    return found
