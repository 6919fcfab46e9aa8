# -*- test-case-name: tests.integration.test_maildir -*-
"""Reading back what a server delivered, octet for octet.

Postfix and Dovecot put header lines of their own before a message. L{read} takes them off and
gives what is below them, with CRLF line ends, for comparison with what was sent.

Their own lines come first, in this order, each where a server writes it: Return-Path,
X-Original-To, Delivered-To, Received. A message that begins with a folded line, which would look
like part of the Received, is not a problem: Postfix sets an empty line before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_OWN = re.compile(
    rb"Return-Path: <(?P<sender>.*)>\r?\n"
    rb"(?:X-Original-To: (?P<original>.*?)\r?\n)?"
    rb"(?:Delivered-To: (?P<recipient>.*?)\r?\n)?"
    rb"(?:Received: .*\n(?:[ \t].*\n)*)?"
)

_NAME = re.compile(r"(?P<seconds>\d+)\.(?:V[0-9a-f]+I[0-9a-f]+)?M(?P<microseconds>\d+)")


@dataclass(frozen=True, slots=True)
class Delivered:
    """One message in one mailbox.

    @ivar sender: the envelope sender, as the server writes it into a header: a local part with odd
        characters is quoted; empty for the null sender.
    @ivar recipient: the envelope recipient as it was given to the server, or if the server does not
        write it, the empty string.
    @ivar octets: the message below the server's own header lines, with CRLF line ends.
    @ivar own: the server's own header lines, with CRLF line ends.
    """

    sender: str
    recipient: str
    octets: bytes
    own: bytes


def parse(stored: bytes, *, crlf: bool = False) -> Delivered:
    """Return the message that a server stored.

    @param crlf: it was stored with CRLF line ends, not with LF.
    @raise ValueError: it does not begin with the header lines that a server writes.
    """
    own = _OWN.match(stored)
    if own is None:
        raise ValueError(f"no header lines of a server: {stored[:200]!r}")
    return Delivered(
        own["sender"].decode(),
        (own["original"] or own["recipient"] or b"").decode(),
        stored[own.end() :] if crlf else _with_crlf(stored[own.end() :]),
        own[0] if crlf else _with_crlf(own[0]),
    )


def _with_crlf(octets: bytes) -> bytes:
    return octets.replace(b"\n", b"\r\n")


def files(maildir: Path) -> list[Path]:
    """Return the new messages in a Maildir, in the order of their delivery."""
    new = maildir / "new"
    return sorted(new.iterdir(), key=_moment) if new.exists() else []


def _moment(path: Path) -> tuple[int, int]:
    """Return seconds and microseconds, which are in the names that both servers give."""
    found = _NAME.match(path.name)
    if found is None:
        raise ValueError(f"not the name of a file in a Maildir: {path.name}")
    return int(found["seconds"]), int(found["microseconds"])
