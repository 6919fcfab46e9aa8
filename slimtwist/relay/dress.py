# -*- test-case-name: tests.relay.test_dress -*-
"""A message as a program or a mailbox wants it: line ends, and the fields of final delivery.

Sources: RFC 5321 4.4 (Return-Path), RFC 4155 (the line before a message in an mbox).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from slimtwist.address import Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope

#: Octets of a message in which its header is looked for.
_HEADER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Dress:
    """What is done to a message before a program reads it.

    @ivar eol: C{crlf} or C{lf}.
    @ivar from_line: put mbox's line with sender and time before everything.
    @ivar return_path: put a Return-Path field on top.
    @ivar delivered_to: put a Delivered-To field on top, and refuse a message that has it already.
    @ivar x_original_to: put an X-Original-To field on top.
    @raise ValueError: the line end is none.
    """

    eol: str = "crlf"
    from_line: bool = False
    return_path: bool = False
    delivered_to: bool = False
    x_original_to: bool = False

    def __post_init__(self) -> None:
        """Check the line end."""
        if self.eol not in ("crlf", "lf"):
            raise ValueError(f"eol={self.eol!r} is neither crlf nor lf")

    def blocks(
        self, envelope: Envelope, recipient: Recipient | None, now: float
    ) -> Iterator[bytes]:
        """Yield the octets that a program reads.

        @param recipient: whom this delivery is for; C{None} for all, without fields that name one.
        @param now: seconds since 1970, for mbox's line.
        """
        head = b"".join(self._head(envelope, recipient, now))
        if self.eol == "crlf":
            if head:
                yield head
            yield from envelope.content.blocks()
            return
        yield from _with_lf(head, envelope.content.blocks())

    def visited(self, content: Content) -> frozenset[str]:
        """Return whom a message was delivered to before, in lower case, as far as that counts.

        @raise OSError: the content cannot be read.
        """
        found = fields(content, "Delivered-To") if self.delivered_to else ()
        return frozenset(map(str.lower, found))

    @property
    def names_recipient(self) -> bool:
        """Whether the message differs from recipient to recipient."""
        return self.delivered_to or self.x_original_to

    def _head(self, envelope: Envelope, recipient: Recipient | None, now: float) -> Iterator[bytes]:
        sender = envelope.sender.octets
        if self.from_line:
            date = datetime.fromtimestamp(now, UTC).ctime().encode()
            yield b"From %s %s\r\n" % (sender.replace(b" ", b"-") or b"MAILER-DAEMON", date)
        if self.return_path:
            yield b"Return-Path: <%s>\r\n" % sender
        if recipient is not None and self.x_original_to:
            yield b"X-Original-To: %s\r\n" % recipient.address.octets
        if recipient is not None and self.delivered_to:
            yield b"Delivered-To: %s\r\n" % recipient.address.octets


def _with_lf(head: bytes, blocks: Iterator[bytes]) -> Iterator[bytes]:
    held = head
    for block in blocks:
        octets = held + block
        held = b"\r" if octets.endswith(b"\r") else b""
        yield octets[: len(octets) - len(held)].replace(b"\r\n", b"\n")
    if held:
        yield held.replace(b"\r\n", b"\n")


def fields(content: Content, name: str) -> list[str]:
    """Return the values of a header field, in their order, each in one line.

    @param name: in any case.
    @raise OSError: the content cannot be read.
    """
    field = rb"(?im)^%b[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)" % re.escape(name).encode()
    values = re.findall(field, _header(content))
    return [" ".join(value.decode("utf-8", "replace").split()) for value in values]


def _header(content: Content) -> bytes:
    """Return the header of a message, or as much of it as is looked at."""
    header = b"\r\n"
    for block in content.blocks():
        header += block
        if (end := header.find(b"\r\n\r\n")) >= 0:
            return header[:end]
        if len(header) > _HEADER:
            break
    return header[:_HEADER]
