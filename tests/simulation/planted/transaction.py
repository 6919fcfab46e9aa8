# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of mail transactions with a next hop: which reply is to what, and what it means."""

# ruff: noqa: ANN401, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from slimtwist.content import Content
from slimtwist.smtp import fit, transaction
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.transaction import Transaction
from slimtwist.smtp.wire import DotStuffer, ReplyReader
from tests.simulation.defects import Aim, defect, put
from tests.simulation.plan import Fault
from tests.simulation.planted.aims import sent


def _saying(where: str, value: str, *others: Fault, **aimed: Any) -> Aim:
    """Return an aim: the next hop says this there, once."""
    return sent(Fault("reply", where, at=1, value=value), *others, **aimed)


@defect("any 2yz is the word to send", "peer", aim=_saying("DATA m0", "250"))
def _any_word() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def introduce(self: Transaction, content: Content) -> list[bytes]:
            replies: list[bytes] = await there(self, content)
            if len(replies) == len(self._positions) + 2 and replies[-1].startswith(b"2"):
                replies[-1] = b"354 " + replies[-1][4:]
            return replies

        return introduce

    with put(Transaction, "_introduce", make):
        yield


@defect(
    "the second recipient's refusal is lost", "L1", aim=_saying("RCPT m0r1", "550", recipients=3)
)
def _second_lost() -> Iterator[None]:
    def make(there: Any) -> Any:
        def judge(self: Transaction, replies: list[bytes]) -> None:
            if len(replies) > 1 and replies[1].startswith(b"5"):
                replies[1] = replies[0]
            there(self, replies)

        return judge

    with put(Transaction, "_judge_recipients", make):
        yield


@defect(
    "a message is sent though nobody was accepted",
    "peer",
    aim=_saying("RCPT m0r0", "550", Fault("reply", "DATA m0", at=1, value="354")),
)
def _for_nobody() -> Iterator[None]:
    with put(Transaction, "_decline", lambda _: lambda self, recipients: None):
        yield


@defect("only 250 accepts a recipient", "opinion", aim=_saying("RCPT m0r0", "251"))
def _only_250() -> Iterator[None]:
    with put(transaction, "_positive", lambda _: lambda reply: reply.startswith(b"250")):
        yield


@defect("a reply to another command is a success", "table", aim=_saying("end of data m0", "220"))
def _foreign() -> Iterator[None]:
    with put(transaction, "_FOREIGN", lambda _: frozenset()):
        yield


@defect(
    "a refusal of two lines is two refusals",
    "opinion",
    aim=_saying("RCPT m0r0", "multi 550", recipients=2),
)
def _two_for_one() -> Iterator[None]:
    def make(there: Any) -> Any:
        def line(self: ReplyReader, octets: bytes) -> Any:
            return there(self, octets.replace(b"-", b" ", 1) if octets[:1] == b"5" else octets)

        return line

    with put(ReplyReader, "_line", make):
        yield


@defect("replies that nobody has asked for are ignored", "L12", aim=_saying("MAIL m0", "double"))
def _ignored() -> Iterator[None]:
    with put(Channel, "_judge", lambda there: lambda self, owed, extra: there(self, owed, [])):
        yield


@defect(
    "a refusal together with 354 is one reply too many", "opinion", aim=_saying("354 m0", "554")
)
def _at_once() -> Iterator[None]:
    def make(there: Any) -> Any:
        def judge(self: Channel, owed: list[bytes], extra: list[bytes]) -> Any:
            trouble = there(self, owed, extra)
            return trouble and replace(trouble, extra=None)

        return judge

    with put(Channel, "_judge", make):
        yield


@defect(
    "a reply in the middle of a message decides, whatever it is",
    "table",
    aim=_saying("body m0", "250", size=262_144),
)
def _early() -> Iterator[None]:
    def make(there: Any) -> Any:
        def give_up(self: Transaction, positions: Any, command: str, **how: bool) -> None:
            _, _, reply = str(self._channel.trouble).partition("unexpected reply '")
            if command == "DATA" and reply.startswith("2"):
                self._heed(positions, command, reply.partition("'")[0].encode())
            else:
                there(self, positions, command, **how)

        return give_up

    with put(Transaction, "_give_up", make):
        yield


@defect(
    "SIZE does not count the line end that is added",
    "peer",
    aim=sent(size=1, offers=("SIZE", "8BITMIME", "SMTPUTF8")),
)
def _too_short() -> Iterator[None]:
    with put(fit, "_size", lambda _: lambda content: content.size):
        yield


@defect("a message gets a line end more than it has", "L8")
def _line_more() -> Iterator[None]:
    with put(DotStuffer, "finish", lambda there: lambda self: b"\r\n" + there(self)):
        yield
