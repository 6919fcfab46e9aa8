# -*- test-case-name: tests.faults.test_replies -*-
"""Odd replies, each of a kind, and the tables that say what a kind means at each point.

A table is a file of lines with tabs: the points of a dialogue in its first line, a kind in the
first field of the others.  It was written from the laws of a delivery and the cases PEER, POOL,
LMTP and TLS, and not from what the program does.  A cell says what becomes of two recipients::

    ok          both are delivered
    FAIL        both fail for good
    DEFER       both are deferred, and nothing was sent
    DEFER?      both are deferred, and it is open whether the host has the message
    1 FAIL      the first fails for good, the second is delivered
    2 DEFER?    and so on
    -           the case means nothing
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slimtwist.testing import Close, HalfClose, Reset, Send, Stall, Wait
from slimtwist.testing.answers import Answer
from slimtwist.testing.steps import Stage, Step

#: What becomes of a recipient, by the word for it.
WORDS = {"ok": "delivered", "FAIL": "failed", "DEFER": "deferred", "DEFER?": "deferred?"}


@dataclass(frozen=True)
class Beside:
    """Something said beside the answer, of which the host itself thinks nothing."""

    octets: bytes

    def play(self, stage: Stage) -> bool:
        """Say it."""
        stage.send(self.octets)
        return True


@dataclass(frozen=True)
class Code:
    """The code that is usual at a point, with something behind it."""

    rest: str


#: A part of a reply; C{None} is the usual one.
Part = str | Code | Step | None


@dataclass(frozen=True)
class Odd:
    """An odd reply.

    @ivar kind: what the tables call it.
    @ivar parts: what the host says and does.
    """

    kind: str
    parts: tuple[Part, ...]

    def filled(self, usual: str) -> Answer:
        """Return the reply at a point where another is usual."""
        return tuple(_filled(part, usual) for part in self.parts)

    @property
    def code(self) -> int | None:
        """The code that it has, if it has one of its own."""
        [first, *_] = self.parts
        return int(first[:3]) if self.kind[0].isdigit() and isinstance(first, str) else None


def _filled(part: Part, usual: str) -> str | Step:
    if part is None:
        return usual
    if isinstance(part, Code):
        return "\n".join(usual[:3] + line for line in part.rest.split("\n"))
    return part


def _codes(kind: str, *replies: str) -> Iterator[Odd]:
    return (Odd(kind, (reply,)) for reply in replies)


def _deeds(kind: str, *deeds: tuple[Part, ...]) -> Iterator[Odd]:
    return (Odd(kind, deed) for deed in deeds)


_END = (Close(), Stall())
REPLIES = (
    *_codes("2yz", "250 a", "251 a", "252 a", "299 a", "250", "250-a\n250 b", "250 5.1.1 a"),
    *_codes("2yz of another command", "211 a", "214 a", "220 a", "221 a", "235 a"),
    *_codes("3yz", "300 a", "334 YQ==", "352 a", "354 a", "355 a"),
    *_codes("4yz", "400 a", "432 a", "450 4.7.1 a", "451 a", "452 4.2.2 a", "454 a", "499 a"),
    *_codes("4yz", "450 5.1.1 a", "450", "450-a\n450 b"),
    *_codes("452", "452 4.5.3 a", "452 a"),
    *_codes("421", "421 4.3.2 a"),
    *_deeds("421 and end", ("421 a", *_END), ("421 a", Reset(), Stall())),
    *_codes("5yz", "500 a", "501 a", "502 a", "504 a", "530 a", "535 a", "550 5.1.1 a", "551 a"),
    *_codes("5yz", "552 a", "553 a", "554 a", "555 a", "556 a", "559 a", "571 a", "599 a"),
    *_codes("5yz", "503 a", "550 2.0.0 a", "550", "550-a\n550 b"),
    *_codes("521", "521 a"),
    *_codes("malformed", "25", "2500 a", "099 a", "199 a", "600 a", "850 RUBBISH", "-1 a", " 25"),
    *_codes("malformed", "+25", "2_0", "abc", "", "250-a\n550 b", "550-a\n250 b", "354-a\n250 b"),
    *_codes("malformed", "a" * 10240, "250 " + "a" * 10240, "250-a\n" * 300 + "250 a", "\0"),
    *_deeds("malformed", (Send(b"2" * 10240),), (Send(b"250-a\r\n" * 300), Stall())),
    *_deeds("none", (Stall(),), (Send(b"250 a"), Stall()), (Send(b"250-a\r\n"), Stall())),
    *_deeds("lost", _END, (Reset(), Stall()), (HalfClose(), Stall()), (Send(b"25"), *_END)),
    *_deeds("lost", (Send(b"250 a"), *_END), (Send(b"250-a\r\n"), *_END)),
    *_deeds("lost", (Send(b"250 a"), Reset(), Stall()), (Wait(9), *_END)),
    *_deeds("usual", (Code(" a"),), (Code("-a\n b"),), (Code(""),), (Wait(50), None)),
    *_deeds("usual", (Code(" \x7f\x1b[2J\u202e\xff"),), (Code(" 5.1.1 a"),), (Code("-\n"),)),
    *_deeds("usual and more", (None, Beside(b"250 a\r\n")), (None, Beside(b"354 a\r\n"))),
    *_deeds("usual and more", (None, Beside(b"250 a\r\n" * 9)), (None, Beside(b"550 a\r\n" * 2))),
    *_deeds("usual and more", (None, Beside(b"450 a\r\n")), (None, Beside(b"550 a\r\n250 b\r\n"))),
    *_deeds("usual and 5yz", (None, Beside(b"550 a\r\n")), (None, Beside(b"552-a\r\n552 b\r\n"))),
    *_deeds("more and usual", (Beside(b"250 a\r\n"), None)),
    *_deeds("usual and a part", (None, Beside(b"x")), (None, Beside(b"550-a\r\n"))),
    *_deeds("usual and end", (None, *_END)),
    # The reset comes when the client has read the reply, and has said what follows it.
    *_deeds("usual and reset", (None, Reset(), Stall())),
    *_deeds("usual and 421", (None, Beside(b"421 a\r\n"), *_END)),
)


def table(name: str) -> dict[tuple[str, str], str]:
    """Return a table: the cell for each kind and point."""
    text = (Path(__file__).with_name("tables") / f"{name}.tsv").read_text("ascii")
    head, *rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return {
        (row[0], point): cell for row in rows for point, cell in zip(head[1:], row[1:], strict=True)
    }


def expected(cell: str) -> list[str]:
    """Return what a cell says of the two recipients."""
    if cell[0] not in "12":
        return [WORDS[cell]] * 2
    told = ["delivered"] * 2
    for part in cell.split(", "):
        told[int(part[0]) - 1] = WORDS[part[2:]]
    return told
