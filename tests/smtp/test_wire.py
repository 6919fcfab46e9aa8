# -*- test-case-name: tests.smtp.test_wire -*-
"""The tests of L{slimtwist.smtp.wire}.

What is expected is worked out by decoders written here, line by line with everything in hand, so
that they share nothing with those under test.
"""

from __future__ import annotations

import itertools
import re
import tracemalloc
from collections.abc import Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import Content
from slimtwist.limits import Limits
from slimtwist.smtp.wire import DotReader, DotStuffer, ReplyReader

PROFILE = settings(derandomize=True, database=None, deadline=None, max_examples=300)
END = b"\r\n.\r\n"
#: Sequences that some parser takes for an end of data, and others do not (SMI-01 to SMI-07).
FALSE_ENDS = [
    b"\n.\n",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r.\r",
    b"\r.\n",
    b"\n.\r",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
]
#: Pieces of octets, so that hypothesis tries every chunking.
PIECES = st.lists(st.text("\r\n.\0a\x80", max_size=10).map(str.encode), max_size=12)


def strings(alphabet: bytes, longest: int) -> Iterator[bytes]:
    """Every string over an alphabet, up to a length."""
    for length in range(longest + 1):
        yield from map(bytes, itertools.product(alphabet, repeat=length))


def splits(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Every way to cut octets in two."""
    return ((octets[:cut], octets[cut:]) for cut in range(len(octets) + 1))


def cut_at(octets: bytes, places: Iterable[int]) -> list[bytes]:
    """Octets cut at places."""
    ends = [0, *sorted(places), len(octets)]
    return [octets[start:end] for start, end in itertools.pairwise(ends)]


def stands_alone(octets: bytes) -> bool:
    """Whether a CR or an LF stands alone."""
    rest = octets.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def decode(octets: bytes, line_end: bytes = rb"\r\n") -> tuple[bytes, bytes]:
    """A message and what follows its end of data, as a peer with that idea of a line reads it."""
    lines: list[bytes] = []
    place = 0
    for match in re.finditer(line_end, octets):
        line, place = octets[place : match.start()], match.end()
        if line == b".":
            return b"".join(lines), octets[place:]
        lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")
    raise AssertionError(f"no end of data in {octets!r}")


def stuffed(pieces: Iterable[bytes]) -> bytes:
    """What is sent for a message that comes in pieces."""
    stuffer = DotStuffer()
    return b"".join([*map(stuffer.feed, pieces), stuffer.finish()])


def terminated(octets: bytes) -> bytes:
    """The octets as SMTP can carry them: the last line has a line end (MSG-03)."""
    return octets if octets.endswith(b"\r\n") or not octets else octets + b"\r\n"


class DotStufferTests(SynchronousTestCase):
    """A message arrives as it is, and as one message."""

    def test_every_short_message(self) -> None:
        """All contents up to 8 octets, cut anywhere: the same for every kind of peer (SMO-01)."""
        for octets in strings(b"\r\n.a", 8):
            if stands_alone(octets):
                continue
            whole = stuffed([octets])
            for line_end in (rb"\r\n", rb"\r?\n", rb"\r\n|\r|\n"):
                self.assertEqual((terminated(octets), b""), decode(whole, line_end))
            for pieces in splits(octets):
                self.assertEqual(whole, stuffed(pieces), pieces)

    def test_every_short_string(self) -> None:
        """All octets up to 7, with CR and LF alone too: one end of data, wherever they are cut.

        A content has no such octets; should they ever come, no strict peer and none that takes LF
        for a line end sees a second message.
        """
        for octets in strings(b"\r\n.a", 7):
            whole = stuffed([octets])
            self.assertEqual(b"", decode(whole)[1], octets)
            self.assertEqual(b"", decode(whole, rb"\r?\n")[1], octets)
            for pieces in splits(octets):
                self.assertEqual(whole, stuffed(pieces), pieces)

    @PROFILE
    @given(PIECES)
    def test_property_identity(self, pieces: list[bytes]) -> None:
        """Any content in any pieces is decoded to itself (SMO-07, L8)."""
        octets = bytes(Content.native(b"".join(pieces)))
        self.assertEqual((terminated(octets), b""), decode(stuffed([octets])))

    @PROFILE
    @given(PIECES)
    def test_property_chunking(self, pieces: list[bytes]) -> None:
        """How octets are cut makes no difference (SMO-07)."""
        self.assertEqual(stuffed([b"".join(pieces)]), stuffed(pieces))

    def test_chunk_boundaries(self) -> None:
        """A dot behind a line end is doubled wherever a chunk ends between them (SMO-02)."""
        sizes = {2**power + near for power in range(17) for near in range(-3, 4)}
        for size in sorted(sizes - set(range(-3, 1))):
            for place in range(max(0, size - 4), size + 1):
                octets = b"a" * place + b"\r\n." + b"b" * 5
                whole = stuffed([octets[:size], octets[size:]])
                self.assertEqual((octets + b"\r\n", b""), decode(whole), (size, place))

    def test_begins_with_dot(self) -> None:
        """A dot that begins the message is doubled (SMO-03)."""
        self.assertEqual(b"..\r\n.\r\n", stuffed([b"."]))
        self.assertEqual(b"..a\r\n.\r\n", stuffed([b".", b"a\r\n"]))

    def test_part_begins_in_mid_line(self) -> None:
        """A dot that begins a part but no line is not doubled (SMO-04)."""
        self.assertEqual(b"ab.c\r\n.\r\n", stuffed([b"ab", b".c\r\n"]))
        self.assertEqual(b"ab.c\r\n.\r\n", stuffed([b"ab", b"", b".", b"c\r\n"]))

    def test_ends(self) -> None:
        """A line end is added only where it is missing, and never doubled (SMO-05, SMO-08)."""
        for octets, sent in (
            (b"", b".\r\n"),
            (b"\r\n", b"\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a\r\n\r\n", b"a\r\n\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a\r\n.", b"a\r\n..\r\n.\r\n"),
            (b"a\r\n.\r\n", b"a\r\n..\r\n.\r\n"),
            (b"a\r", b"a\r\r\n.\r\n"),
            (b"a\n", b"a\n\r\n.\r\n"),
        ):
            for pieces in splits(octets):
                self.assertEqual(sent, stuffed(pieces))

    def test_end_is_one_piece(self) -> None:
        """The last line end leaves together with the dot, whoever cut the message (PEER-47)."""
        for octets in (b"a", b"a\r\n", b"a\r\n\r\n", b".\r\n"):
            for pieces in splits(octets):
                stuffer = DotStuffer()
                for piece in pieces:
                    stuffer.feed(piece)
                self.assertEqual(END, stuffer.finish())

    def test_nothing_is_kept_back(self) -> None:
        """All but a line end at the very end is sent at once: memory is that of a block (L6)."""
        stuffer = DotStuffer()
        sent = taken = 0
        for piece in (b"a", b"b\r", b"\n", b"c\r\n", b"." * 1000, b"\r\n", b"d" * 65536):
            taken += len(piece)
            sent += len(stuffer.feed(piece))
            self.assertLessEqual(taken - sent, 2)


def read(pieces: Iterable[bytes], *, normalize: bool = False) -> tuple[bytes, bytes | None, bool]:
    """The message in pieces, what follows its end, and whether it had a bare newline."""
    reader = DotReader(normalize=normalize)
    message, waiting = b"", iter(pieces)
    for piece in waiting:
        octets, rest = reader.feed(piece)
        message += octets
        if rest is not None:
            return message, rest + b"".join(waiting), reader.bare
    return message, None, reader.bare


class DotReaderTests(SynchronousTestCase):
    """A message ends where all agree that it does, and nowhere else."""

    def test_every_short_string(self) -> None:
        """All octets up to 7, cut anywhere, then an end: as the strict decoder reads (SMI)."""
        for octets in strings(b"\r\n.a", 7):
            whole = octets + END
            message, rest = decode(whole)
            expected = (message, rest, stands_alone(message))
            for pieces in splits(whole):
                self.assertEqual(expected, read(pieces), pieces)

    def test_every_short_string_in_three(self) -> None:
        """All octets up to 5, cut in three anywhere, with text behind the end."""
        for octets in strings(b"\r\n.a", 5):
            whole = octets + END + b"RSET\r\n"
            message, rest = decode(whole)
            expected = (message, rest, stands_alone(message))
            for places in itertools.combinations(range(len(whole) + 1), 2):
                self.assertEqual(expected, read(cut_at(whole, places)))

    def test_normalized(self) -> None:
        """Of all octets up to 7, each CR and LF alone is a line end, but never an end of data."""
        for octets in strings(b"\r\n.a", 7):
            whole = octets + END
            message, rest = decode(whole)
            normal = re.sub(rb"\r\n|\r|\n", b"\r\n", message)
            for pieces in splits(whole):
                found = read(pieces, normalize=True)
                self.assertEqual((normal, rest, stands_alone(message)), found, pieces)

    def test_false_ends(self) -> None:
        """What only some parsers take for an end is none, and noted (SMI-01 to SMI-07)."""
        command = b"MAIL FROM:<evil@example.com>\r\n"
        for false in FALSE_ENDS:
            whole = b"Subject: x\r\n\r\na" + false + command + END[2:]
            for pieces in splits(whole):
                message, rest, bare = read(pieces)
                self.assertEqual(b"", rest)
                self.assertIn(command, message)
                self.assertEqual(b"\0" not in false, bare)
                normal, rest, bare = read(pieces, normalize=True)
                self.assertEqual(b"", rest)
                self.assertIn(command, normal)
                self.assertFalse(stands_alone(normal))

    def test_normalized_is_sent_as_one(self) -> None:
        """A false end made into a line with a dot leaves stuffed, as text (SMI-01, SMO-01)."""
        for false in FALSE_ENDS:
            normal, _, _ = read([b"a" + false + b"b" + END], normalize=True)
            sent = stuffed([normal])
            for line_end in (rb"\r\n", rb"\r?\n", rb"\r\n|\r|\n"):
                self.assertEqual((normal, b""), decode(sent, line_end))

    def test_dots(self) -> None:
        """One dot is taken off a line that begins with one, needed or not (SMI-10 to SMI-13)."""
        for octets, message in (
            (b"..\r\n.\r\n", b".\r\n"),
            (b".x\r\n.\r\n", b"x\r\n"),
            (b"x.\r\n.\r\n", b"x.\r\n"),
            (b"...\r\n.\r\n", b"..\r\n"),
            (b". \r\n.\r\n", b" \r\n"),
            (b".\t\r\n.\r\n", b"\t\r\n"),
            (b".\x0b\r\n.\r\n", b"\x0b\r\n"),
            (b".\r\n", b""),
            (b"\r\n.\r\n", b"\r\n"),
            (b"\r\nbody\r\n.\r\n", b"\r\nbody\r\n"),
        ):
            for pieces in splits(octets):
                self.assertEqual((message, b"", False), read(pieces))

    def test_rest(self) -> None:
        """What follows in the same segment is given back untouched (SMI-14)."""
        rest = b"MAIL FROM:<a@b>\r\n\r\n.\r\n..\r\n"
        for pieces in splits(b"x\r\n.\r\n" + rest):
            self.assertEqual((b"x\r\n", rest, False), read(pieces))

    def test_no_end(self) -> None:
        """Before the end there is no rest, and at most four octets are not sure yet (L6)."""
        for octets in strings(b"\r\n.a", 7):
            if END not in b"\r\n" + octets:
                message, rest, _ = read(map(bytes, zip(octets, strict=True)))
                self.assertIsNone(rest)
                self.assertLessEqual(len(octets) - len(message) - octets.count(b"."), 4)

    def test_long_line(self) -> None:
        """A line of 17 MiB passes in blocks, and its end is found (SMI-16)."""
        reader = DotReader()
        size = 0
        for _ in range(17 * 16):
            octets, rest = reader.feed(b"x" * 65536)
            size += len(octets)
            self.assertIsNone(rest)
        octets, rest = reader.feed(b"\r\n.\r\nRSET\r\n")
        self.assertEqual((17 * 1024 * 1024 + 2, b"RSET\r\n"), (size + len(octets), rest))

    @PROFILE
    @given(PIECES, st.lists(st.integers(0, 200), max_size=8))
    def test_property_both_ways(self, pieces: list[bytes], places: list[int]) -> None:
        """What is stuffed in any pieces is read in any others as it was (SMO-07, L8)."""
        octets = bytes(Content.native(b"".join(pieces)))
        sent = stuffed([octets])
        segments = cut_at(sent, [min(place, len(sent)) for place in places])
        self.assertEqual((terminated(octets), b"", False), read(segments))

    @PROFILE
    @given(PIECES)
    def test_property_any_octets(self, pieces: list[bytes]) -> None:
        """Any octets, in any pieces, are read as by the strict decoder (MSG-12)."""
        message, rest = decode(b"".join(pieces) + END)
        self.assertEqual((message, rest, stands_alone(message)), read([*pieces, END]))


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
