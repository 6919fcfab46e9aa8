# -*- test-case-name: tests.smtp.test_wire_replies -*-
"""Tests of reading replies: one to one, or not at all."""

from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.limits import Limits
from slimtwist.smtp.wire import ReplyReader
from tests.smtp.test_wire import PROFILE, cut_at, splits, strings

LIMITS = Limits(reply_line=20, reply_octets=60, reply_lines=4)


def replies(pieces: Iterable[bytes], limits: Limits) -> tuple[list[bytes], str | None]:
    """The replies in pieces, and the fault that ended them."""
    reader = ReplyReader(limits)
    found: list[bytes] = []
    for piece in pieces:
        found += reader.feed(piece)
        if reader.fault:
            break
    return found, reader.fault


def expected_replies(octets: bytes) -> tuple[list[bytes], bool]:
    """Replies and whether something is wrong behind them, by RFC 5321 4.2, without limits."""
    found: list[bytes] = []
    begun: list[bytes] = []
    for line in octets.split(b"\n")[:-1]:
        text = line[:-1] if line.endswith(b"\r") else line
        code, rest = text[:3], text[3:]
        if code not in {b"%d" % number for number in range(200, 600)} or rest[:1].strip(b" -"):
            return found, True
        if begun and begun[0][:3] != code:
            return found, True
        begun.append(text)
        if rest[:1] != b"-":
            found.append(b"\r\n".join(begun))
            begun = []
    return found, False


class ReplyReaderTests(SynchronousTestCase):
    """Replies are read one to one, or not at all."""

    def test_replies(self) -> None:
        """One line or several, with CRLF or LF, with a text or without (PEER-09, PEER-43)."""
        for octets, found in (
            (b"250 ok\r\n", [b"250 ok"]),
            (b"250 ok\n", [b"250 ok"]),
            (b"250\r\n", [b"250"]),
            (b"250 \r\n", [b"250 "]),
            (b"250-a\r\n250-b\r\n250 c\r\n", [b"250-a\r\n250-b\r\n250 c"]),
            (b"250-\r\n250\r\n", [b"250-\r\n250"]),
            (b"220-a\n220 b\n", [b"220-a\r\n220 b"]),
            (b"250 a\r\n354 b\r\n550-c\r\n550 d\r\n", [b"250 a", b"354 b", b"550-c\r\n550 d"]),
            (b"250 \xff\x00\x1b[2J\r\n", [b"250 \xff\x00\x1b[2J"]),
            (b"250 a\rb\r\n", [b"250 a\rb"]),
            (b"299 x\r\n355 x\r\n459 x\r\n559 x\r\n", [b"299 x", b"355 x", b"459 x", b"559 x"]),
            (b"220-x\r\n" * 50 + b"220 x\r\n", [b"220-x\r\n" * 50 + b"220 x"]),
        ):
            for pieces in splits(octets):
                self.assertEqual((found, None), replies(pieces, Limits()))
            single = [octets[place : place + 1] for place in range(len(octets))]
            self.assertEqual((found, None), replies(single, Limits()))

    def test_no_reply(self) -> None:
        """What has no code of three digits from 200 to 599 is a fault (PEER-10, PEER-48)."""
        for line in (
            b"25",
            b"2500 x",
            b"099 x",
            b"199 x",
            b"600 x",
            b"850 RUBBISH",
            b"-1 ",
            b" 25",
            b"+25",
            b"2_0",
            b"abc",
            b"",
            b"\0",
            b"250\tx",
            b"250.x",
            b"\xb2\xb5\xb0 x",
            b"SSH-2.0-OpenSSH_9.2",
            b"HTTP/1.1 400 Bad Request",
            b"* OK IMAP4rev1",
            b"\x16\x03\x01\x02\x00",
        ):
            for pieces in splits(b"220 ok\r\n" + line + b"\r\n250 never read\r\n"):
                found, fault = replies(pieces, Limits())
                self.assertEqual([b"220 ok"], found)
                self.assertIsNotNone(fault)

    def test_codes_differ(self) -> None:
        """Lines of different codes are no reply, whichever the last is (PEER-12)."""
        for octets in (b"550-a\r\n250 b\r\n", b"250-a\r\n550 b\r\n", b"250-a\r\n251-b\r\n"):
            for pieces in splits(octets):
                found, fault = replies(pieces, Limits())
                self.assertEqual([], found)
                self.assertIsNotNone(fault)

    def test_every_short_string(self) -> None:
        """Short strings over what a reply is made of, cut anywhere, are read by the book."""
        for prefix in (b"", b"25", b"250", b"250-\r\n25", b"250-\r\n250"):
            for tail in strings(b"25- \r\n", 4):
                octets = prefix + tail
                expected, wrong = expected_replies(octets)
                for pieces in splits(octets):
                    found, fault = replies(pieces, Limits())
                    self.assertEqual((expected, wrong), (found, fault is not None), pieces)

    def test_every_split_in_three(self) -> None:
        """A dialogue's replies are the same wherever two cuts are (PEER-17, L12)."""
        octets = (
            b"220 x\r\n250-a\r\n250-PIPELINING\n250 b\r\n250\r\n354 go\r\n550-\r\n550 5.1.1 n\r\n"
        )
        expected = replies([octets], Limits())
        self.assertEqual((5, None), (len(expected[0]), expected[1]))
        for places in itertools.combinations(range(len(octets) + 1), 2):
            self.assertEqual(expected, replies(cut_at(octets, places), Limits()))

    def test_unfinished(self) -> None:
        """A reply without its line end is none, and is seen (PEER-31, TLS-02)."""
        for octets in (
            b"2",
            b"25",
            b"250",
            b"250 ok",
            b"250 ok\r",
            b"250-a\r\n",
            b"250-a\r\n250 b",
        ):
            reader = ReplyReader(Limits())
            self.assertTrue(reader.clean)
            self.assertEqual([], reader.feed(octets))
            self.assertIsNone(reader.fault)
            self.assertFalse(reader.clean)

    def test_clean(self) -> None:
        """Between two replies the reader is clean (TLS-01)."""
        reader = ReplyReader(Limits())
        self.assertEqual([b"250-a\r\n250 b"], reader.feed(b"250-a\r\n250 b\r\n"))
        self.assertTrue(reader.clean)
        reader.feed(b"junk\r\n")
        self.assertFalse(reader.clean)

    def test_line_limit(self) -> None:
        """A line of the limit passes, one more octet is a fault, with or without its end."""
        for line_end in (b"\r\n", b"\n"):
            line = b"250 " + b"x" * (LIMITS.reply_line - 4)
            self.assertEqual(([line], None), replies([line + line_end], LIMITS))
            found, fault = replies([line + b"x" + line_end], LIMITS)
            self.assertEqual([], found)
            self.assertIsNotNone(fault)
        reader = ReplyReader(LIMITS)
        reader.feed(b"250 " + b"x" * LIMITS.reply_line)
        self.assertIsNotNone(reader.fault)

    def test_reply_limits(self) -> None:
        """A reply of too many lines or octets is a fault; the count begins anew with each."""
        for count, wrong in ((LIMITS.reply_lines - 1, False), (LIMITS.reply_lines, True)):
            octets = (b"250-\r\n" * count + b"250\r\n") * 2
            found, fault = replies([octets], LIMITS)
            self.assertEqual((0 if wrong else 2, wrong), (len(found), fault is not None))
        for size, wrong in ((18, False), (19, True)):  # with CRLF 60 octets, and 63
            octets = (b"250-" + b"x" * (size - 4) + b"\r\n") * 2 + b"250 " + b"x" * (size - 4)
            found, fault = replies([(octets + b"\r\n") * 2], LIMITS)
            self.assertEqual((0 if wrong else 2, wrong), (len(found), fault is not None))

    def test_endless_continuation(self) -> None:
        """A reply without end is given up, and takes less than 128 KiB (PEER-13, L6)."""
        for line in (b"250-x\r\n", b"250-" + b"x" * 8000 + b"\r\n"):
            reader = ReplyReader(Limits())
            tracemalloc.start()
            for _ in range((65536 + 8192) // len(line)):
                self.assertEqual([], reader.feed(line))
            used = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            self.assertIsNotNone(reader.fault)
            self.assertLess(used, 131072)

    def test_endless_line(self) -> None:
        """A line without end is given up at 8 KiB, one octet at a time or all at once (PEER-14)."""
        for size in (1, 100, 8192, 1_000_000):
            reader = ReplyReader(Limits())
            for _ in range(8192 // size + 1):
                self.assertIsNone(reader.fault)
                self.assertEqual([], reader.feed(b"2" * size))
            self.assertIsNotNone(reader.fault)

    def test_many_replies_at_once(self) -> None:
        """A hundred thousand replies in one segment take linear time (L7)."""
        found, fault = replies([b"250 ok\r\n" * 100_000], Limits())
        self.assertEqual((100_000, None), (len(found), fault))

    @PROFILE
    @given(st.lists(st.text("250- \r\n\0\x80x", max_size=8).map(str.encode), max_size=12))
    def test_property_chunking(self, pieces: list[bytes]) -> None:
        """Any octets in any pieces give the same replies as at once."""
        whole = b"".join(pieces)
        expected = replies([whole], Limits())
        self.assertEqual(expected, replies(pieces, Limits()))
        self.assertEqual(expected_replies(whole), (expected[0], expected[1] is not None))

    def test_fault_is_safe_to_show(self) -> None:
        """The text of a fault shows little of what came, and nothing that a log obeys (INJ-11)."""
        _, fault = replies([b"\x1b[2J\xff\0" * 1000 + b"\n"], Limits())
        assert fault is not None
        self.assertTrue(fault.isprintable())
        self.assertLess(len(fault), 300)

    def test_not_read_behind_a_fault(self) -> None:
        """Behind a fault nothing is read any more, and nothing kept (PEER-10, L6, L12)."""
        for octets in (b"junk\r\n", b"250-a\r\n550 b\r\n", b"2" * 9000, b"250-a\r\n" * 300):
            reader = ReplyReader(Limits())
            self.assertEqual([], reader.feed(octets))
            fault = reader.fault
            tracemalloc.start()
            for _ in range(10):
                self.assertEqual([], reader.feed(b"250 ok\r\n250 ok\r\n" + b"2" * 65536))
            used = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            self.assertEqual(fault, reader.fault)
            self.assertLess(used, 65536)

    def test_limits_under_every_split(self) -> None:
        """At and around each limit, cuts change neither the replies nor the fault."""
        for size in range(LIMITS.reply_line - 2, LIMITS.reply_line + 3):
            for line_end in (b"\r\n", b"\n", b"\r\r\n"):
                for start in (b"250 ", b"250-", b"junk", b"550 "):
                    line = start + b"x" * (size - 4) + line_end
                    octets = b"250-a\r\n" + line + b"250 b\r\n"
                    expected = replies([octets], LIMITS)
                    for pieces in splits(octets):
                        self.assertEqual(expected, replies(pieces, LIMITS), pieces)
