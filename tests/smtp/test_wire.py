# -*- test-case-name: tests.smtp.test_wire -*-
"""The tests of L{slimtwist.smtp.wire}: messages. Those of replies are beside it.

What is expected is worked out by decoders written here, line by line with everything in hand, so
that they share nothing with those under test.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import Content
from slimtwist.smtp.wire import DotReader, DotStuffer

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
