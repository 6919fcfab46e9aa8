# -*- test-case-name: tests.faults.test_fuzz -*-
"""Hostile octets for all that reads commands, replies and messages, without a connection.

Nothing but what is documented is raised, and how the octets are split changes nothing.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge import commands
from slimtwist.edge.body import Normalizer, counted
from slimtwist.edge.lines import CommandReader
from slimtwist.edge.replies import Refusal
from slimtwist.limits import Limits
from slimtwist.reply import REPLY_LINE, STORED_LINES, STORED_TEXT, Reply
from slimtwist.smtp.extensions import Extensions
from slimtwist.smtp.wire import DotReader, DotStuffer, ReplyReader
from tests.faults.fuzz import ALIKE, inputs, ways

#: Small ones, which are met often.
LIMITS = Limits(reply_line=60, reply_octets=200, reply_lines=5)
_SPLIT = st.lists(st.sampled_from([b"250", b"-", b" ", b"\r", b"\n", b"\r\n", b".", b"x", b"\0"]))
Pieces = list[bytes]


class WireTests(SynchronousTestCase):
    """Transducers: the same result however the input is split."""

    def same(self, name: str, count: int, read: Callable[[Pieces], object]) -> None:
        """Check that a reader reads alike whatever is split where."""
        for octets in inputs(name, count):
            whole, *others = [read(pieces) for pieces in ways(octets)]
            for other in others:
                self.assertEqual(whole, other, octets)

    def test_replies(self) -> None:
        """Replies, and what is none (PEER-09 to PEER-16)."""
        self.same("replies", 3000, _replies)

    @ALIKE
    @given(_SPLIT)
    def test_property_replies(self, pieces: Pieces) -> None:
        """However they are split."""
        self.assertEqual(_replies(pieces), _replies([b"".join(pieces)]))

    def test_safe_replies(self) -> None:
        """What is kept of a reply is bounded, printable, and a reply when written (L5, INJ-11)."""
        for octets in inputs("replies", 3000):
            for received in ReplyReader(Limits()).feed(octets):
                reply = Reply.received(received)
                self.assertTrue(all(map(str.isprintable, reply.lines)), octets)
                self.assertLessEqual(len(reply.lines), STORED_LINES)
                self.assertLessEqual(len(reply.text), STORED_TEXT + STORED_LINES)
                written = reply.encode()
                self.assertLessEqual(max(map(len, written.splitlines(True))), REPLY_LINE)
                self.assertEqual(ReplyReader(Limits()).feed(written), [written[:-2]], octets)
                Extensions.parse(received)

    def test_commands(self) -> None:
        """Command lines, and what is none (ING-01 to ING-03)."""
        self.same("commands", 3000, _lines)

    def test_arguments(self) -> None:
        """What stands behind a verb is understood, or refused with a reply (ING-04)."""
        for octets in inputs("commands", 3000):
            for line in octets.split(b"\r\n"):
                argument = line.partition(b" ")[2]
                for parse in (
                    lambda each: commands.mail(each, dsn=True, auth=True),
                    lambda each: commands.rcpt(each, dsn=True, smtputf8=True),
                    lambda each: commands.rcpt(each, dsn=False, smtputf8=False),
                    commands.chunk,
                    commands.hello_name,
                ):
                    _refused(parse, argument)

    def test_messages(self) -> None:
        """What follows 354 is what another reader makes of it (SMI-01 to SMI-14)."""
        for octets in inputs("messages", 3000):
            for pieces in ways(octets):
                self.assertEqual(_message(pieces), _reference(octets), octets)

    @ALIKE
    @given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"x", b"\r\n.\r\n", b"\0"])))
    def test_property_messages(self, pieces: Pieces) -> None:
        """However it is split."""
        self.assertEqual(_message(pieces), _reference(b"".join(pieces)))

    def test_sent_messages(self) -> None:
        """What we send is read as what it was, by a reader that takes any line end (SMO-01)."""
        for octets in inputs("messages", 1000):
            whole = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
            for pieces in ways(whole):
                stuffer = DotStuffer()
                sent = b"".join(map(stuffer.feed, pieces)) + stuffer.finish()
                end = b"" if whole.endswith(b"\r\n") or not whole else b"\r\n"
                self.assertEqual(_reference(sent), (whole + end, b"", False), octets)

    def test_normalized(self) -> None:
        """Line ends of any kind become CRLF, in chunks as in one piece (SMI-20)."""

        def normalized(pieces: Pieces) -> bytes:
            taken: list[bytes] = []
            normalizer = Normalizer(taken.append)
            for piece in pieces:
                normalizer.feed(piece)
            normalizer.finish()
            return b"".join(taken)

        for octets in inputs("messages", 1000):
            wanted = re.sub(rb"\r\n|\r|\n", b"\r\n", octets)
            for pieces in ways(octets):
                self.assertEqual(normalized(pieces), wanted, octets)

    def test_chunks(self) -> None:
        """A chunk is as long as it was said to be, and what follows is not in it (SMI-19)."""
        for number, octets in enumerate(inputs("messages", 1000)):
            size = number % (len(octets) + 1)
            for pieces in ways(octets):
                taken: list[bytes] = []
                receive, rest = counted(size, taken.append), [None, *pieces][0]
                for piece in [b"", *pieces]:
                    rest = receive(piece) if rest is None else rest + piece
                self.assertEqual((b"".join(taken), rest), (octets[:size], octets[size:]))


def _replies(pieces: Pieces) -> object:
    reader = ReplyReader(LIMITS)
    return [reply for piece in pieces for reply in reader.feed(piece)], reader.fault, reader.clean


def _lines(pieces: Pieces) -> list[bytes]:
    reader, found = CommandReader(), []
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                line = reader.line(40)
            except Refusal as refusal:
                found.append(refusal.reply)
                if refusal.fatal:
                    return found
                continue
            if line is None:
                break
            found.append(line)
    return found


def _refused(parse: Callable[[bytes], Any], argument: bytes) -> None:
    with contextlib.suppress(Refusal):
        parse(argument)


def _message(pieces: Pieces) -> tuple[bytes, bytes | None, bool]:
    reader, taken = DotReader(), b""
    rest: bytes | None = None
    for piece in pieces:
        if rest is None:
            decoded, rest = reader.feed(piece)
            taken += decoded
        else:
            rest += piece
    return (taken, rest, reader.bare) if rest is not None else (b"", None, False)


def _reference(octets: bytes) -> tuple[bytes, bytes | None, bool]:
    """Read a message line by line; of one without an end nothing is said."""
    lines = octets.split(b"\r\n")
    for number, line in enumerate(lines[:-1]):
        if line == b".":
            text = [each.removeprefix(b".") for each in lines[:number]]
            body = b"".join(each + b"\r\n" for each in text)
            bare = any(b"\r" in each or b"\n" in each for each in text)
            return body, b"\r\n".join(lines[number + 1 :]), bare
    return b"", None, False
