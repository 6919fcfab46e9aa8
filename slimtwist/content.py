# -*- test-case-name: tests.test_content -*-
"""The octets of a message: kept in memory or in a file, read in blocks as often as asked.

Every line of a L{Content} ends with CRLF: a CR or an LF alone is refused when it is built, so that
no peer, however lenient, can see a line end, or an end of data, where another sees none (RFC 5321
2.3.8).
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import BinaryIO, Final

from zope.interface import implementer

from slimtwist.interfaces import IMessageSink

#: Octets in a block: what is read from a file and given to a transport at a time.
BLOCK: Final = 65536

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
#: Lines of 7 bits, none of them empty or with a dot at its beginning.
_HEAD: Final = re.compile(rb"(?:(?!\.)[^\0\r\n\x80-\xff]+\r\n)*\Z")


class BareNewline(ValueError):
    """A CR or an LF stands alone in a message; RFC 5321 2.3.8 has no meaning for it."""


@dataclass(frozen=True, slots=True)
class Content:
    """A message's octets, and what a relay must know of them before it sends any.

    @ivar body: the octets, or a file that holds nothing else.
    @ivar head: octets that stand before C{body}: trace and other headers put on top.
    @ivar size: the number of octets.
    @ivar eight_bit: whether any octet is above 127.
    @ivar eight_bit_header: whether one of the header section is (RFC 6532).
    @ivar nul: whether a NUL is among them.
    @ivar dotted: whether a line begins with a dot.
    @ivar terminated: whether the last line has its CRLF.
    """

    body: bytes | BinaryIO = field(repr=False)
    size: int = 0
    eight_bit: bool = False
    eight_bit_header: bool = False
    nul: bool = False
    dotted: bool = False
    terminated: bool = False
    head: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, octets: bytes) -> Content:
        """Return content with CRLF line ends. Raises L{BareNewline}."""
        return _written(ContentWriter(threshold=len(octets)), octets)

    @classmethod
    def native(cls, octets: bytes) -> Content:
        """Return a text with the platform's, or any, line ends as content: each becomes CRLF."""
        return cls.of(_LINE_END.sub(b"\r\n", octets))

    @classmethod
    def read(cls, file: BinaryIO, *, threshold: int = BLOCK) -> Content:
        """Copy a binary file with CRLF line ends, in blocks.

        @param threshold: above so many octets the copy is in a temporary file, not in memory.
        @raise BareNewline: a CR or an LF stands alone in it.
        @raise OSError: it cannot be read, or the copy not be written.
        """
        writer = ContentWriter(threshold=threshold)
        try:
            while block := file.read(BLOCK):
                writer.write(block)
        except BaseException:
            writer.abandon()
            raise
        return writer.finish()

    def blocks(self) -> Iterator[bytes]:
        """Yield the octets from the first to the last.

        @raise OSError: the file cannot be read.
        """
        if self.head:
            yield self.head
        if isinstance(self.body, bytes):
            for start in range(0, len(self.body), BLOCK):
                yield self.body if len(self.body) <= BLOCK else self.body[start : start + BLOCK]
            return
        yield from _file_blocks(self.body, self.size - len(self.head))

    def under(self, head: bytes) -> Content:
        """Return the same octets under more header fields; the file, if any, is shared.

        @param head: whole 7-bit header lines with CRLF.
        @raise ValueError: it is anything else.
        """
        if not _HEAD.match(head):
            raise ValueError(f"{head[:80]!r} is not whole header lines of 7 bits with CRLF")
        return replace(
            self,
            head=head + self.head,
            size=self.size + len(head),
            terminated=self.terminated or (self.size == 0 and bool(head)),
        )

    def close(self) -> None:
        """Give the file back, if there is one. What is read afterwards fails."""
        if not isinstance(self.body, bytes):
            with suppress(OSError):  # the octets are of no more use, so neither is trouble
                self.body.close()

    def __bytes__(self) -> bytes:
        """Return all octets at once: for tests and small messages."""
        return b"".join(self.blocks())


def _written(writer: ContentWriter, octets: bytes) -> Content:
    writer.write(octets)
    return writer.finish()


def _file_blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    offset = 0
    while offset < size:
        if file.closed:
            raise OSError("message file is closed")
        # pread: several relays may read the same file, each at a place of its own.
        block = os.pread(file.fileno(), min(BLOCK, size - offset), offset)
        if not block:
            raise OSError(f"message file ends after {offset} of {size} octets")
        offset += len(block)
        yield block


@implementer(IMessageSink)
class ContentWriter:
    """Where octets become a L{Content}: in memory up to a threshold, then in a temporary file."""

    def __init__(self, *, threshold: int = BLOCK, directory: str | None = None) -> None:
        """Begin an empty content.

        @param threshold: octets kept in memory before a file is made.
        @param directory: where the file is made; the system's temporary directory by default.
        """
        self._threshold = threshold
        self._directory = directory
        self._memory: list[bytes] = []
        self._file: BinaryIO | None = None
        self._tail = b"\r\n"  # the last octets seen: a message begins at the start of a line
        self._in_header = True
        self.size = 0
        self._eight_bit = self._eight_bit_header = self._nul = self._dotted = False

    def write(self, octets: bytes) -> None:
        """Add octets. Raises L{BareNewline} or OSError; the writer is then to be abandoned."""
        if not octets:
            return
        self._scan(octets)
        self.size += len(octets)
        if self._file is None and self.size > self._threshold:
            self._spill()
        if self._file is None:
            self._memory.append(octets)
        else:
            self._file.write(octets)

    def finish(self) -> Content:
        """Return what was written. Raises L{BareNewline} or OSError."""
        if self._tail.endswith(b"\r"):
            self.abandon()
            raise BareNewline("a CR or an LF stands alone in the message")
        if self._file is not None:
            self._file.flush()
        body, self._file = self._file or b"".join(self._memory), None  # the content's from now on
        return Content(
            body,
            self.size,
            eight_bit=self._eight_bit,
            eight_bit_header=self._eight_bit_header,
            nul=self._nul,
            dotted=self._dotted,
            terminated=bool(self.size) and self._tail.endswith(b"\r\n"),
        )

    def abandon(self) -> None:
        """Forget what was written; may be called at any time, and does nothing after L{finish}."""
        self._memory.clear()
        if self._file is not None:
            with suppress(OSError):  # closing writes what is left, for which there may be no room
                self._file.close()

    def _spill(self) -> None:
        self._file = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115 - closed by Content
        self._file.write(b"".join(self._memory))
        self._memory.clear()

    def _scan(self, octets: bytes) -> None:
        seen = self._tail + octets
        held = seen.endswith(b"\r")
        pairs = seen.count(b"\r\n")
        if seen.count(b"\n") != pairs or seen.count(b"\r") - held != pairs:
            self._tail = b"\r"  # so that it cannot be finished either
            raise BareNewline("a CR or an LF stands alone in the message")
        self._eight_bit |= not octets.isascii()
        self._nul |= b"\0" in octets
        self._dotted |= b"\r\n." in seen
        if self._in_header:
            self._scan_header(seen)
        self._tail = _line_tail(seen)

    def _scan_header(self, seen: bytes) -> None:
        header, blank, _ = seen.partition(b"\r\n\r\n")
        self._eight_bit_header |= not header.isascii()
        self._in_header = not blank


def _line_tail(seen: bytes) -> bytes:
    """Return the longest end of C{seen} that a header's or a line's end may still need."""
    for tail in (b"\r\n\r", b"\r\n", b"\r"):
        if seen.endswith(tail):
            return tail
    return b""
