# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of pools, and of the connections in them."""

# ruff: noqa: ANN401, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twisted.python.failure import Failure

from slimtwist.errors import AttemptCancelled, ConnectionLost
from slimtwist.pool import Pool
from slimtwist.smtp.channel import Trouble
from slimtwist.smtp.connection import Connection
from tests.simulation.defects import defect, put
from tests.simulation.plan import Client, Fault
from tests.simulation.planted.aims import sent

_ONE_BY_ONE: Final = Client(0)
_SILENT: Final = Fault("reply", "RCPT m0r0", at=1, value="none")
_DEAD: Final = Fault("reply", "MAIL m1", at=1, value="close")
_LOST: Final = Fault("reply", "end of data m2", at=1, value="close")
_REFUSED: Final = Fault("reply", "RCPT m0r0", at=1, value="550")


@defect(
    "a message that is cancelled keeps its slot",
    "unexpected",
    aim=sent(_SILENT, Fault("cancel", "0", at=2.0)),
)
def _held() -> Iterator[None]:
    def make(there: Any) -> Any:
        def failed(self: Pool, failure: Failure, job: Any) -> None:
            self._running += bool(failure.check(AttemptCancelled))
            there(self, failure, job)

        return failed

    with put(Pool, "_failed", make):
        yield


@defect(
    "the replacement of a dead pooled connection is an attempt",
    "FRESH",
    aim=sent(_DEAD, client=_ONE_BY_ONE, messages=2),
)
def _counted() -> Iterator[None]:
    def make(there: Any) -> Any:
        def failed(self: Pool, failure: Failure, job: Any) -> None:
            job.fresh = True
            there(self, failure, job)

        return failed

    with put(Pool, "_failed", make):
        yield


@defect(
    "a pooled connection is replaced after the message was sent",
    "L4",
    aim=sent(_LOST, messages=3, recipients=2, pool=1),
)
def _again() -> Iterator[None]:
    def make(there: Any) -> Any:
        def is_stale(self: Connection, transaction: Any, trouble: Trouble, *, reused: bool) -> Any:
            stale = there(self, transaction, trouble, reused=reused)
            return stale or (reused and trouble.kind is ConnectionLost)

        return is_stale

    with put(Connection, "_is_stale", make):
        yield


@defect(
    "a transaction that was left open is not reset",
    "peer",
    aim=sent(_REFUSED, client=_ONE_BY_ONE, messages=2),
)
def _open() -> Iterator[None]:
    with put(Connection, "_rest", lambda there: lambda self, dirty: there(self, dirty=False)):
        yield


@defect("a pool has no limit", "L6", aim=sent(messages=6, pool=1))
def _unlimited() -> Iterator[None]:
    def make(_: Any) -> Any:
        return lambda self: len(self._waiting) - len(self._opening)

    with put(Pool, "_wanted", make):
        yield


@defect(
    "a connection is used for ever", "L6", aim=sent(client=_ONE_BY_ONE, messages=3, uses=2, pool=1)
)
def _unworn() -> Iterator[None]:
    with put(Connection, "_worn", lambda _: lambda self: self._spent()):
        yield
