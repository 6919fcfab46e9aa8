# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects between a relay and the client that waits: what is told, to whom, and when."""

# ruff: noqa: ANN401 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from twisted.python.failure import Failure

from slimtwist import settle
from slimtwist.content import Content
from slimtwist.outcome import Outcome, Report
from slimtwist.queue import direct
from slimtwist.queue.direct import DirectQueue
from slimtwist.reply import Reply
from tests.simulation.defects import defect, put
from tests.simulation.plan import Client, Fault
from tests.simulation.planted.aims import sent

_REFUSED: Final = Fault("reply", "end of data m0", at=1, value="550")
_ONE_REFUSED: Final = Fault("reply", "RCPT m0r1", at=1, value="550")


@defect("a client is told before there is an outcome", "L1", aim=sent(_REFUSED, client=Client(0)))
def _hasty() -> Iterator[None]:
    def make(there: Any) -> Any:
        def begin(self: Any, *arguments: Any) -> Any:
            self.client_gone = True
            promise = there(self, *arguments)
            promise.callback([Reply.parse("250 2.0.0 taken")] * len(self.envelope.recipients))
            return promise

        return begin

    with put(direct._Delivery, "begin", make):  # noqa: SLF001
        yield


@defect("outcomes are in another order than recipients", "L1", aim=sent(_ONE_REFUSED, recipients=2))
def _reversed() -> Iterator[None]:
    def make(there: Any) -> Any:
        def fire(self: Any, report: Report) -> None:
            there(self, Report(tuple(report)[::-1]))

        return fire

    with put(settle._Settlement, "_fire", make):  # noqa: SLF001
        yield


@defect("a relay that raises has failed for good", "L2", aim=sent(Fault("raise", "0")))
def _hardened() -> Iterator[None]:
    def make(there: Any) -> Any:
        def meaning(self: Any, failure: Failure) -> Outcome:
            outcome: Outcome = there(self, failure)
            known = outcome.reply.enhanced != "4.3.0"
            return outcome if known else Outcome.of(Reply.parse("554 5.3.0 internal error"))

        return meaning

    with put(settle._Settlement, "_meaning", make):  # noqa: SLF001
        yield


@defect("each outcome is told twice in the log", "L2")
def _logged_twice() -> Iterator[None]:
    def make(there: Any) -> Any:
        def finished(self: DirectQueue, *arguments: Any) -> None:
            there(self, *arguments)
            there(self, *arguments)

        return finished

    with put(DirectQueue, "_finished", make):
        yield


@defect(
    "a message that was delivered keeps its file", "left", aim=sent(client=Client(0), memory=10)
)
def _unclosed() -> Iterator[None]:
    kept: list[Content] = []

    def keep(self: Content) -> None:
        kept.append(self)

    with put(Content, "close", lambda _: keep):
        yield
    for each in kept:
        each.close()
