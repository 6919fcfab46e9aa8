# -*- test-case-name: tests.edge.test_lines -*-
"""Tests of the command reader."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.lines import FLOOD, CommandReader
from slimtwist.edge.replies import BARE_COMMAND, LINE_TOO_LONG, NOT_SMTP, Refusal

LONGEST = 64


def read(*pieces: bytes, longest: int = LONGEST) -> list[bytes]:
    """Return the lines and, as C{!}, the refusals that come of octets; a fatal one is the last."""
    reader, found = CommandReader(), []
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                line = reader.line(longest)
            except Refusal as refusal:
                found.append(b"!" + refusal.reply)
                if refusal.fatal:
                    return found
                continue
            if line is None:
                break
            found.append(line)
    return found


def octets_of(text: bytes) -> list[bytes]:
    """Return each octet alone."""
    return [text[i : i + 1] for i in range(len(text))]


class Lines(SynchronousTestCase):
    """Lines, however they come."""

    def test_lines(self) -> None:
        """Lines come one by one without their ends; an empty one is a line too."""
        self.assertEqual(read(b"EHLO x\r\n\r\nMA", b"IL\r\nrest"), [b"EHLO x", b"", b"MAIL"])

    def test_split_anywhere(self) -> None:
        """All strings of six octets give the same, in one piece or octet by octet (ING-02)."""
        for letters in product([b"\r", b"\n", b"a"], repeat=6):
            text = b"".join(letters) + b"\r\n\r\n"
            self.assertEqual(read(text), read(*octets_of(text)), text)

    def test_rest(self) -> None:
        """What follows a line can be taken as it is, and is then no line any more."""
        reader = CommandReader()
        reader.feed(b"DATA\r\nbody\r\n")
        self.assertEqual(reader.line(LONGEST), b"DATA")
        self.assertEqual((len(reader), reader.rest(), len(reader)), (6, b"body\r\n", 0))
        self.assertIsNone(reader.line(LONGEST))


class Refused(SynchronousTestCase):
    """What is no command line."""

    def test_bare(self) -> None:
        """CR or LF alone is fatal, so nothing behind it is a command (ING-02)."""
        evil = b"MAIL FROM:<evil@x>\r\n"
        for text in [b"NOOP\n", b"NOOP\r" + evil, b"NOOP\r\r\n", b"\n", b"\r\r\n", b"a\nb\r\n"]:
            self.assertEqual(read(text + evil), [b"!" + BARE_COMMAND], text)

    def test_bare_cr_waits_for_its_lf(self) -> None:
        """A CR at the end of what has come is the beginning of a line end."""
        self.assertEqual(read(b"NOOP\r"), [])
        self.assertEqual(read(b"NOOP\r", b"\n"), [b"NOOP"])

    def test_longest(self) -> None:
        """A line of the length allowed is a line, with one octet more it is not (ING-01)."""
        for text, result in [
            (b"a" * (LONGEST - 2), b"a" * (LONGEST - 2)),
            (b"a" * (LONGEST - 1), b"!" + LINE_TOO_LONG),
        ]:
            line = text + b"\r\nNOOP\r\n"
            self.assertEqual(read(line), [result, b"NOOP"])
            self.assertEqual(read(*octets_of(line)), [result, b"NOOP"])

    def test_long_is_passed_over(self) -> None:
        """A line too long is refused at its end, and hardly a piece of it is kept (ING-01)."""
        reader = CommandReader()
        for _ in range(FLOOD // 10 - 1):
            reader.feed(b"a" * 10)
            self.assertIsNone(reader.line(LONGEST))
            self.assertLessEqual(len(reader), LONGEST)
        reader.feed(b"\r\nNOOP\r\n")
        self.assertRaises(Refusal, reader.line, LONGEST)
        self.assertEqual(reader.line(LONGEST), b"NOOP")

    def test_flood(self) -> None:
        """Whoever sends 64 KiB without a line end is given up, in one piece or many (ING-01)."""
        for size in (1, 1000, FLOOD + 1):
            pieces = [b"a" * size] * (FLOOD // size + 1)
            self.assertEqual(read(*pieces), [b"!" + LINE_TOO_LONG])
        self.assertEqual(read(b"a" * FLOOD + b"\r\nNOOP\r\n"), [b"!" + LINE_TOO_LONG])

    def test_client_hello(self) -> None:
        """A TLS handshake is known by its first octet, without a line end (TLS-25)."""
        self.assertEqual(read(b"\x16\x03\x01"), [b"!" + NOT_SMTP])
        self.assertEqual(read(b"\x16\x03\r\n\x01\r\n"), [b"!" + NOT_SMTP])
        self.assertEqual(read(b"a\x16\r\n"), [b"a\x16"])

    def test_client_hello_in_a_long_line(self) -> None:
        """Only the first octet of a line counts, not the first that was kept of it (TLS-25)."""
        line = b"a" * LONGEST + b"\x16" + b"\r\nNOOP\r\n"
        self.assertEqual(read(*octets_of(line)), [b"!" + LINE_TOO_LONG, b"NOOP"])
