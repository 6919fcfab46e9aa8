# -*- test-case-name: tests.edge.test_body -*-
"""A message on its way from a client into a queue's sink, in blocks.

A L{Body} never stops a client in the middle: whatever is wrong with a message, its octets are read
to their end, and dropped, so that they are never taken for commands.

Sources: RFC 5321 4.5.2 (transparency), 4.5.3.1.10 and RFC 1870 6.3 (size), RFC 3030 (BDAT).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from slimtwist.content import BareNewline, Content
from slimtwist.edge.replies import BARE_NEWLINE, LOOP, TOO_LARGE, storage_trouble
from slimtwist.edge.trace import TraceScan
from slimtwist.interfaces import IMessageSink
from slimtwist.limits import Limits
from slimtwist.smtp.wire import DotReader

#: Takes octets; returns those that follow the end of what was awaited, or C{None} before it.
Receiver = Callable[[bytes], bytes | None]

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class Body:
    """A message's octets on their way into a sink.

    @ivar refusal: the reply that says why the message cannot be taken, as soon as this is known.
    @ivar size: octets so far.
    """

    def __init__(self, sink: IMessageSink, limits: Limits, scan: TraceScan) -> None:
        """Begin before the first octet."""
        self.refusal: bytes | None = None
        self.size = 0
        self._sink = sink
        self._limits = limits
        self._scan = scan

    def take(self, octets: bytes) -> None:
        """Take octets with CRLF line ends."""
        if self.refusal is not None:
            return
        self.size += len(octets)
        if self.size > self._limits.message:
            self.refuse(TOO_LARGE)
            return
        self._scan.feed(octets)
        if self._scan.looped or self._scan.count > self._limits.hops:
            self.refuse(LOOP)
            return
        self._store(octets)

    def finish(self) -> Content | None:
        """Return the message, or C{None} when it was refused."""
        if self.refusal is not None:
            return None
        try:
            return self._sink.finish()
        except BareNewline:
            self.refuse(BARE_NEWLINE)
        except OSError as error:
            self.refuse(storage_trouble(error))
        return None

    def refuse(self, reply: bytes) -> None:
        """Drop the message. A refusal that ends the connection outdoes others."""
        if self.refusal is None or reply is BARE_NEWLINE:
            self.refusal = reply
        self.drop()

    def drop(self) -> None:
        """Forget the octets."""
        self._sink.abandon()

    def _store(self, octets: bytes) -> None:
        try:
            self._sink.write(octets)
        except BareNewline:
            self.refuse(BARE_NEWLINE)
        except OSError as error:
            self.refuse(storage_trouble(error))


def dotted(body: Body, *, normalize: bool) -> Receiver:
    """Return what reads a message that follows DATA.

    @param normalize: make CRLF of CR and LF alone; otherwise they refuse the message.
    """
    reader = DotReader(normalize=normalize)

    def receive(octets: bytes) -> bytes | None:
        decoded, rest = reader.feed(octets)
        if reader.bare and not normalize:
            body.refuse(BARE_NEWLINE)
        elif decoded:
            body.take(decoded)
        return rest

    return receive


def counted(size: int, take: Callable[[bytes], object]) -> Receiver:
    """Return what reads a chunk that follows BDAT.

    @param size: its octets.
    """
    left = size

    def receive(octets: bytes) -> bytes | None:
        nonlocal left
        here = octets[:left]
        left -= len(here)
        if here:
            take(here)
        return octets[len(here) :] if left == 0 else None

    return receive


class Normalizer:
    """Octets of any line ends in, octets with CRLF out."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        """Begin.

        @param take: is given the octets.
        """
        self._take = take
        self._held = b""

    def feed(self, octets: bytes) -> None:
        """Take octets. A CR at their end waits for what follows."""
        octets = self._held + octets
        self._held = b"\r" if octets.endswith(b"\r") else b""
        self._take(_LINE_END.sub(b"\r\n", octets.removesuffix(b"\r")))

    def finish(self) -> None:
        """Say that nothing follows."""
        if self._held:
            self._take(b"\r\n")
            self._held = b""
