# -*- test-case-name: tests.test_content -*-
"""The tests of L{slimtwist.content}."""

from __future__ import annotations

import io
import itertools
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import BLOCK, BareNewline, Content, ContentWriter

#: Messages that other programs alter or trip over, all with CRLF (MSG-02 to MSG-06).
MESSAGES = {
    "empty": b"",
    "one line end": b"\r\n",
    "headers only": b"Subject: x\r\n",
    "body only": b"\r\nbody",
    "not terminated": b"Subject: x\r\n\r\nbody",
    "dots": b".\r\n..\r\n.x\r\n\r\n.\r\n",
    "only a dot": b".",
    "NUL in header": b"Sub\0ject: x\r\n\r\n",
    "8-bit header": b"Subject: \xff\r\n\r\n",
    "UTF-16": b"\xff\xfe" + "\u1234 text".encode("utf-16-le"),
    "From line": b"From a@b Thu Jan  1 00:00:00 1970\r\nSubject: x\r\n\r\nb\r\n",
    "no space, tab folds, spaces-only fold": b"A:x\r\n\ty\r\n   \r\nB:  z\r\n\r\nb\r\n",
    "long header word": b"Subject: " + b"x" * 1200 + b"\r\n\r\n",
    "many headers": b"X: y\r\n" * 10_000 + b"\r\n",
    "huge header": b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "line of 998": b"\r\n" + b"x" * 998 + b"\r\n",
    "line of 65536": b"\r\n" + b"x" * 65536 + b"\r\n",
    "line of 10 MB": b"\r\n" + b"x" * 10_000_000,
    "block less one": b"x" * (BLOCK - 1),
    "block": b"x" * BLOCK,
    "block and one": b"x" * (BLOCK + 1),
    "CRLF across blocks": b"x" * (BLOCK - 1) + b"\r\n." + b"x" * BLOCK,
}
#: Octets in which a CR or an LF stands alone (MSG-08, SMO-01, SMI).
BARE = [
    b"\r",
    b"\n",
    b"a\nb",
    b"a\rb",
    b"\r\r\n",
    b"\r\n\n",
    b"\n\r",
    b"\n\r\n",
    b"\r\n\r",
    b"a\r\n\r\rb",
    b"\n.\n",
    b"\r.\r",
    b"\r\n.\n",
    b"\n.\r\n",
    b"\r\n.\r",
    b"\r.\r\n",
    b"\n.\r",
    b"\r.\n",
]


def traits(content: Content) -> tuple[int, bool, bool, bool, bool, bool]:
    """What a content says of itself."""
    return (
        content.size,
        content.eight_bit,
        content.eight_bit_header,
        content.nul,
        content.dotted,
        content.terminated,
    )


def expected_traits(octets: bytes) -> tuple[int, bool, bool, bool, bool, bool]:
    """The same, found line by line with everything in hand."""
    lines = octets.split(b"\r\n")
    header = list(itertools.takewhile(bool, lines))
    return (
        len(octets),
        max(octets, default=0) > 127,
        any(max(line) > 127 for line in header),
        0 in octets,
        any(line.startswith(b".") for line in lines),
        octets.endswith(b"\r\n"),
    )


def written(pieces: Iterator[bytes] | list[bytes], threshold: int) -> Content:
    """Content that came in pieces."""
    writer = ContentWriter(threshold=threshold)
    for piece in pieces:
        writer.write(piece)
    return writer.finish()


def stands_alone(octets: bytes) -> bool:
    """Whether a CR or an LF stands alone, told apart from the module's way to see it."""
    rest = octets.replace(b"\r\n", b"")
    return b"\r" in rest or b"\n" in rest


def open_files() -> set[str]:
    """The descriptors of this process."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


class ContentTests(SynchronousTestCase):
    """A message's octets are kept as they are, or refused."""

    def test_octets_are_kept(self) -> None:
        """What goes in comes out, from memory and from a file (L8, MSG-02 to MSG-06)."""
        for name, octets in MESSAGES.items():
            for threshold in (0, len(octets)):
                content = written([octets], threshold)
                self.assertTrue(bytes(content) == octets, name)
                self.assertEqual(expected_traits(octets), traits(content), name)
                content.close()

    def test_of(self) -> None:
        """C{of} keeps the very octets in memory, without a copy."""
        octets = b"x" * 100_000
        self.assertIs(octets, Content.of(octets).body)

    def test_bare_newline(self) -> None:
        """A CR or an LF alone is refused, whichever way the octets come (MSG-08, SMO-01)."""
        for octets in BARE:
            self.assertRaises(BareNewline, Content.of, octets)
            self.assertRaises(BareNewline, Content.of, b"Subject: x\r\n\r\na" + octets + b"b")
            for threshold in (0, 100):
                source = io.BytesIO(octets)
                self.assertRaises(BareNewline, Content.read, source, threshold=threshold)

    def test_smuggled(self) -> None:
        """No sequence that some parser takes for an end of data becomes a content (SMO-01)."""
        for first, second in itertools.product((b"\r\n", b"\r", b"\n"), repeat=2):
            if first == second == b"\r\n":
                continue
            octets = b"text" + first + b"." + second + b"MAIL FROM:<evil@example.com>\r\n"
            self.assertRaises(BareNewline, Content.of, octets)

    def test_every_short_string(self) -> None:
        """Every string up to 7 octets, under every split in two: the same traits, or refused."""
        for length in range(8):
            for letters in itertools.product(b"\r\n.a", repeat=length):
                octets = bytes(letters)
                for cut in range(length + 1):
                    pieces = [octets[:cut], octets[cut:]]
                    if stands_alone(octets):
                        self.assertRaises(BareNewline, written, pieces, 1000)
                    else:
                        content = written(pieces, 1000)
                        self.assertEqual(expected_traits(octets), traits(content), octets)
                        self.assertEqual(octets, content.body)

    def test_header_under_every_split(self) -> None:
        """Where the header ends does not depend on how the octets come."""
        for octets in (
            b"a: \xff\r\n\r\nb",
            b"a: b\r\n\r\n\xff",
            b"\r\n\xff",
            b"\r\n\r\n\xff\r\n",
            b"a: b\r\n\xff: c\r\n\r\n",
        ):
            for cuts in itertools.combinations(range(len(octets) + 1), 2):
                pieces = [octets[: cuts[0]], octets[cuts[0] : cuts[1]], octets[cuts[1] :]]
                self.assertEqual(expected_traits(octets), traits(written(pieces, 100)))

    @settings(derandomize=True, database=None, deadline=None, max_examples=300)
    @given(st.lists(st.text("\r\n.a\0\x80", max_size=12), max_size=8), st.integers(0, 40))
    def test_property_same_or_refused(self, pieces: list[str], threshold: int) -> None:
        """Any octets in any pieces, with a file or without: the same, or refused (MSG-12)."""
        blocks = [piece.encode("latin-1") for piece in pieces]
        octets = b"".join(blocks)
        if stands_alone(octets):
            self.assertRaises(BareNewline, written, blocks, threshold)
        else:
            with closing(written(blocks, threshold)) as content:
                self.assertEqual(octets, bytes(content))
                self.assertEqual(expected_traits(octets), traits(content))

    @settings(derandomize=True, database=None, deadline=None, max_examples=50)
    @given(st.binary(max_size=65536))
    def test_property_native(self, octets: bytes) -> None:
        """Any text becomes content; what has CRLF already stays as it is (MSG-12, SMO-08)."""
        content = Content.native(octets)
        self.assertEqual(content, Content.native(bytes(content)))
        self.assertEqual(
            octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n"),
            bytes(content).replace(b"\r\n", b"\n"),
        )

    def test_native(self) -> None:
        """Each line end, of any platform, becomes one CRLF (SMO-08)."""
        for octets, converted in (
            (b"a\nb\n", b"a\r\nb\r\n"),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"a\rb\r", b"a\r\nb\r\n"),
            (b"a\n\nb", b"a\r\n\r\nb"),
            (b"a\r\r\n\nb", b"a\r\n\r\n\r\nb"),
            (b"\n.\n", b"\r\n.\r\n"),
        ):
            self.assertEqual(converted, bytes(Content.native(octets)))

    def test_read_again(self) -> None:
        """Blocks are read as often as asked, by several readers at once, each from the start."""
        octets = b"".join(b"%06d\r\n" % line for line in range(50_000))
        for threshold in (0, len(octets)):
            with closing(Content.read(io.BytesIO(octets), threshold=threshold)) as content:
                first, second = content.blocks(), content.blocks()
                interleaved = list(zip(first, second, strict=True))
                self.assertEqual(octets, b"".join(one for one, _ in interleaved))
                self.assertEqual(octets, b"".join(two for _, two in interleaved))

    def test_blocks_are_bounded(self) -> None:
        """No block has more octets than C{BLOCK}, and none is empty (L6)."""
        octets = b"x" * (3 * BLOCK + 1)
        for threshold in (0, len(octets)):
            with closing(written([octets], threshold)) as content:
                self.assertEqual([BLOCK] * 3 + [1], list(map(len, content.blocks())))
        self.assertEqual([], list(Content.of(b"").blocks()))

    def test_memory_of_a_file(self) -> None:
        """A message above the threshold takes no memory but for a block (OS-08, L6)."""

        class Zeros:
            """A file of 32 MiB."""

            left = 32 * 1024 * 1024

            def read(self, size: int) -> bytes:
                """Return the next octets."""
                taken = min(size, self.left)
                self.left -= taken
                return b"x" * taken

        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        source: BinaryIO = Zeros()  # type: ignore[assignment]
        with closing(Content.read(source)) as content:
            for _ in content.blocks():
                pass
            self.assertEqual(32 * 1024 * 1024, content.size)
        self.assertLess(tracemalloc.get_traced_memory()[1], 8 * BLOCK)

    def test_short_file(self) -> None:
        """A file that has lost octets is an OSError, not a shorter message (L8)."""
        content = written([b"x" * 3 * BLOCK], 0)
        self.addCleanup(content.close)
        for left in (BLOCK + 5, 0):
            os.truncate(self.file_of(content).fileno(), left)
            self.assertRaises(OSError, bytes, content)

    def file_of(self, content: Content) -> BinaryIO:
        """The file of a content that has one."""
        assert not isinstance(content.body, bytes)
        return content.body

    def test_close(self) -> None:
        """Closing gives the file back; it may be done again, and does nothing in memory."""
        before = open_files()
        content = written([b"x"], 0)
        self.assertNotEqual(before, open_files())
        content.close()
        content.close()
        self.assertEqual(before, open_files())
        memory = Content.of(b"x")
        memory.close()
        self.assertEqual(b"x", bytes(memory))

    def test_not_shown(self) -> None:
        """The octets of a message do not get into a log by way of C{repr}."""
        self.assertNotIn("secret", repr(Content.of(b"secret").under(b"X: secret\r\n")))

    def test_long_file(self) -> None:
        """Octets that a file holds behind the message are not sent: C{size} holds."""
        content = written([b"x" * (BLOCK + 3)], 0)
        self.addCleanup(content.close)
        os.pwrite(self.file_of(content).fileno(), b"y" * 10, content.size)
        self.assertEqual(b"x" * (BLOCK + 3), bytes(content))

    def test_read_after_close(self) -> None:
        """What is read of a closed file is an OSError, as C{blocks} promises."""
        content = written([b"x" * (BLOCK + 3)], 0)
        blocks = content.blocks()
        next(blocks)
        content.close()
        self.assertRaises(OSError, next, blocks)
        self.assertRaises(OSError, bytes, content)


class UnderTests(SynchronousTestCase):
    """Header fields can be put on top of a message."""

    def test_octets(self) -> None:
        """The fields stand above the octets, which stay as they are, and can be stacked (L8)."""
        for name, octets in MESSAGES.items():
            for threshold in (0, len(octets)):
                with closing(written([octets], threshold)) as content:
                    more = content.under(b"B: c\r\n").under(b"A: b\r\n\tc\r\n")
                    whole = b"A: b\r\n\tc\r\nB: c\r\n" + octets
                    self.assertTrue(bytes(more) == whole, name)
                    self.assertEqual(len(whole), more.size, name)
                    self.assertEqual(whole.endswith(b"\r\n"), more.terminated, name)
                    self.assertEqual(expected_traits(whole), traits(more), name)
                    self.assertTrue(bytes(content) == octets, name)

    def test_file_is_shared(self) -> None:
        """The file is not copied."""
        with closing(written([b"body"], 0)) as content:
            self.assertIs(content.body, content.under(b"A: b\r\n").body)

    def test_malformed(self) -> None:
        """What is not whole 7-bit header lines would make another message (L5, INJ-13)."""
        for head in (
            b"A: b",
            b"A: b\n",
            b"A: b\r",
            b"A: b\r\n\r\n",
            b"\r\nA: b\r\n",
            b"A: b\nB: c\r\n",
            b"A: b\r\n.\r\n",
            b".A: b\r\n",
            b"A: \xff\r\n",
            b"A: \0\r\n",
            b"A: b\r\n\r\nMAIL FROM:<evil@example.com>\r\n",
        ):
            self.assertRaises(ValueError, Content.of(b"body").under, head)

    def test_nothing(self) -> None:
        """No fields leave the message as it is; an empty one has no line end then either."""
        for octets in (b"", b"x", b"x\r\n"):
            self.assertEqual(Content.of(octets), Content.of(octets).under(b""))
