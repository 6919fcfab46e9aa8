# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of delivery by LMTP: who the replies to the end of data are about."""

# ruff: noqa: ANN401 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from slimtwist.smtp.transaction import Transaction
from tests.simulation.defects import defect, put
from tests.simulation.plan import Fault
from tests.simulation.planted.aims import sent

_REFUSED = Fault("reply", "end of data m0r1", at=1, value="550")
_GONE = Fault("reply", "end of data m0r1", at=1, value="close")
_UNKNOWN = Fault("reply", "RCPT m0r0", at=1, value="550")


@defect("replies of LMTP are the next recipient's", "L12", "lmtp", sent(_REFUSED, recipients=3))
def _shifted() -> Iterator[None]:
    def make(there: Any) -> Any:
        def conclude(self: Transaction, groups: list[list[int]], replies: list[bytes]) -> None:
            there(self, [*groups[1:], *groups[:1]], replies)

        return conclude

    with put(Transaction, "_conclude", make):
        yield


@defect(
    "replies of LMTP that do not come are like the last that came",
    "L12",
    "lmtp",
    sent(_GONE, recipients=3),
)
def _missing() -> Iterator[None]:
    def make(there: Any) -> Any:
        def conclude(self: Transaction, groups: list[list[int]], replies: list[bytes]) -> None:
            there(self, groups, replies + replies[-1:] * (len(groups) - len(replies)))

        return conclude

    with put(Transaction, "_conclude", make):
        yield


@defect(
    "a reply is waited for from recipients who were refused",
    "opinion",
    "lmtp",
    sent(_UNKNOWN, recipients=2),
)
def _counted() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def end_of_data(self: Transaction) -> None:
            self._accepted = list(self._positions)
            await there(self)

        return end_of_data

    with put(Transaction, "_end_of_data", make):
        yield
