# -*- test-case-name: tests.test_content_writer -*-
"""Tests of writing a content as it comes in: where it is kept, and what is left of it."""

from __future__ import annotations

import io
import resource
import tempfile
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.content import BLOCK, BareNewline, Content, ContentWriter
from slimtwist.interfaces import IMessageSink
from tests.test_content import open_files


class ContentWriterTests(SynchronousTestCase):
    """Octets are written as they come in."""

    def test_threshold(self) -> None:
        """Up to the threshold octets are in memory, above it in a file without a name."""
        for size, kept in ((10, True), (11, False)):
            writer = ContentWriter(threshold=10, directory=tempfile.gettempdir())
            for _ in range(size):
                writer.write(b"x")
            with closing(writer.finish()) as content:
                self.assertEqual(kept, isinstance(content.body, bytes))
                self.assertEqual(b"x" * size, bytes(content))

    def test_directory(self) -> None:
        """The file is made where it is wanted, and leaves no name behind."""
        folder = Path(self.mktemp())
        folder.mkdir()
        writer = ContentWriter(threshold=0, directory=str(folder))
        writer.write(b"x")
        with closing(writer.finish()) as content:
            self.assertEqual([], list(folder.iterdir()))
            self.assertEqual(b"x", bytes(content))
        nowhere = ContentWriter(threshold=0, directory=str(folder / "nowhere"))
        self.assertRaises(OSError, nowhere.write, b"x")

    def test_abandon(self) -> None:
        """An abandoned writer leaves nothing; it may be abandoned again and at any time."""
        before = open_files()
        for threshold in (0, 100):
            for pieces in (0, 1, 2):
                writer = ContentWriter(threshold=threshold)
                for _ in range(pieces):
                    writer.write(b"x")
                writer.abandon()
                writer.abandon()
                self.assertEqual(before, open_files())

    def test_read_leaves_no_file(self) -> None:
        """A file that turns out to be malformed leaves no temporary file behind."""
        before = open_files()
        source = io.BytesIO(b"x" * 2 * BLOCK + b"\n")
        self.assertRaises(BareNewline, Content.read, source, threshold=0)
        self.assertEqual(before, open_files())

    def test_unfinished_cr(self) -> None:
        """A CR at the very end is refused, and nothing is left behind."""
        before = open_files()
        for threshold in (0, 100):
            writer = ContentWriter(threshold=threshold)
            writer.write(b"x\r")
            self.assertRaises(BareNewline, writer.finish)
            self.assertEqual(before, open_files())

    def test_size(self) -> None:
        """The number of octets so far is known, so that an edge can stop at its limit."""
        writer = ContentWriter()
        for size in range(5):
            self.assertEqual(size, writer.size)
            writer.write(b"x")

    def test_many_small_pieces(self) -> None:
        """A hundred thousand single octets do not need quadratic time."""
        writer = ContentWriter(threshold=1_000_000)
        for _ in range(100_000):
            writer.write(b"x")
        self.assertEqual(100_000, writer.finish().size)

    def test_abandon_after_finish(self) -> None:
        """Abandoning may come at any time: what was finished belongs to the content by then."""
        for threshold in (0, 100):
            writer = ContentWriter(threshold=threshold)
            writer.write(b"x")
            with closing(writer.finish()) as content:
                writer.abandon()
                self.assertEqual(b"x", bytes(content))

    def test_finish_after_bare_newline(self) -> None:
        """A message that was refused cannot be finished: half of it is no message (MSG-08)."""
        before = open_files()
        for threshold in (0, 100):
            for octets in (b"\n", b"y\rz", b"\r\n.\n"):
                writer = ContentWriter(threshold=threshold)
                writer.write(b"x")
                self.assertRaises(BareNewline, writer.write, octets)
                self.assertRaises(BareNewline, writer.finish)
                self.assertEqual(before, open_files())

    def test_disk_full(self) -> None:
        """A disk that takes no more is an OSError, and nothing is left behind (OS-03)."""
        before = open_files()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for size in (1000, 100_000):  # found out at the end, and on the way
            writer = ContentWriter(threshold=0)
            resource.setrlimit(resource.RLIMIT_FSIZE, (500, hard))
            try:
                self.assertRaises(OSError, self.write_all, writer, size)
                writer.abandon()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            self.assertEqual(before, open_files())

    def write_all(self, writer: ContentWriter, size: int) -> None:
        """Write so many octets and an end."""
        writer.write(b"x" * size)
        writer.finish()

    def test_is_a_sink(self) -> None:
        """An edge can write to it as to any queue's sink."""
        self.assertTrue(verifyObject(IMessageSink, ContentWriter()))
