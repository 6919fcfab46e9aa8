# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of the receiving edge: SMTP and LMTP in, BDAT, STARTTLS."""

# ruff: noqa: ANN401, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from slimtwist.edge.body import Body
from slimtwist.edge.channel import Channel
from slimtwist.edge.transaction import Transaction
from slimtwist.smtp import wire
from slimtwist.smtp.wire import DotReader
from tests.simulation.defects import defect, put
from tests.simulation.plan import Client, Fault
from tests.simulation.planted.aims import sent

_LMTP: Final = Client(0, entry="lmtp", pipelined=True)
_ONE_REFUSED: Final = Fault("reply", "RCPT m0r1", at=1, value="550")
_PIECES: Final = Fault("segments", "client 0 up", at=7)


@defect(
    "dots are looked for in each segment for itself",
    "L8",
    aim=sent(_PIECES, client=Client(0), size=2000, shape="dots"),
)
def _by_segment() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda seen: 0 if seen.endswith(b"\r\n") else there(seen)

    with put(wire, "_prefix_length", make):
        yield


@defect(
    "LF, dot, LF ends a message", "L5", aim=sent(client=Client(0, pipelined=True), shape="bare")
)
def _smuggled() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self, octets: there(self, octets.replace(b"\n.\n", b"\r\n.\r\n"))

    with put(DotReader, "feed", make):
        yield


@defect(
    "replies of LMTP go out in the wrong order",
    "L1",
    aim=sent(_ONE_REFUSED, client=_LMTP, recipients=2),
)
def _turned() -> Iterator[None]:
    with put(Transaction, "_final", lambda there: lambda self, r: [*there(self, r)][::-1]):
        yield


@defect("chunks are joined with a line end", "L8", aim=sent(client=Client(0, chunk=100), size=1000))
def _joined() -> Iterator[None]:
    def make(there: Any) -> Any:
        def taker(self: Transaction, body: Body) -> Callable[[bytes], None]:
            if body.size:
                body.take(b"\r\n")
            take: Callable[[bytes], None] = there(self, body)
            return take

        return taker

    with put(Transaction, "_chunk_taker", make):
        yield


@defect(
    "commands in clear are heard inside of TLS",
    "client",
    aim=sent(client=Client(0, secure=True, injects=True)),
)
def _injected() -> Iterator[None]:
    with put(Channel, "unread", lambda _: property(lambda self: 0)):
        yield


@defect("recipients of the message before are kept", "L8", aim=sent(client=_LMTP, messages=2))
def _kept() -> Iterator[None]:
    def make(there: Any) -> Any:
        def reset(self: Transaction) -> None:
            kept = self._recipients
            there(self)
            self._recipients = kept

        return reset

    with put(Transaction, "reset", make):
        yield
