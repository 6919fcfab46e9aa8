# -*- test-case-name: tests.test_reply -*-
"""SMTP replies as values: a code, an enhanced status code, and text that is safe to show.

Whatever a peer sent, a L{Reply} holds printable text only, and no more than is worth keeping; so it
can go into a log line, another reply or a notification as it is.

Sources: RFC 5321 4.2, RFC 2034 (enhanced codes in replies), RFC 3463 and RFC 5248 (their values).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

#: Characters and lines of text that are kept of a peer's reply.
STORED_TEXT: Final = 2048
STORED_LINES: Final = 64
#: RFC 5321 4.5.3.1.5: a reply line with its code and CRLF.
REPLY_LINE: Final = 512

_ONE_LINE: Final = re.compile(r"([2-5]\d\d)(?: ([245]\.\d{1,3}\.\d{1,3}))?(?: (.*))?\Z", re.ASCII)
_ENHANCED: Final = re.compile(r"([245])(\.\d{1,3}\.\d{1,3})(?: |\Z)", re.ASCII)
_CLASSES: Final = re.compile(r"([245])\d\d \1\.\d{1,3}\.\d{1,3}\Z", re.ASCII)
_SPACES: Final = str.maketrans("\t\xa0", "  ")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply.

    @ivar code: from 200 to 599.
    @ivar enhanced: such as C{5.1.1}; its class is the code's; empty for 3yz.
    @ivar lines: the text of each line without codes, printable; may be empty.
    @raise ValueError: the code is out of range, the enhanced code is none or of another class, or
        a text is not printable.
    """

    code: int
    enhanced: str = ""
    lines: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the reply is one, and stays one wherever it is written."""
        if not 200 <= self.code <= 599:
            raise ValueError(f"reply code {self.code} is not from 200 to 599")
        if self.enhanced and not _CLASSES.match(f"{self.code} {self.enhanced}"):
            raise ValueError(f"{self.enhanced!a} cannot go with {self.code} (RFC 2034 4)")
        if not all(map(str.isprintable, self.lines)):
            raise ValueError(f"text of a reply is not printable: {self.text[:80]!a}")

    @classmethod
    def parse(cls, text: str) -> Reply:
        """Return the reply that is written in one line: C{"550 5.1.1 No such user"}.

        @raise ValueError: it is not a code, perhaps an enhanced code, and text.
        """
        if not (match := _ONE_LINE.match(text)):
            raise ValueError(f"{text!a} is not a reply such as '550 5.1.1 text'")
        code, enhanced, rest = match.groups(default="")
        return cls(int(code), enhanced or _plain(int(code)), (printable(rest),) if rest else ())

    @classmethod
    def received(cls, octets: bytes) -> Reply:
        """Return what a peer sent, made safe to keep and to show.

        An enhanced code of another class than the code's gets the code's: the code decides.  Where
        there is none, C{x.0.0} is supplied.

        @param octets: all lines with their codes and line ends, checked by the reply reader.
        """
        code = int(octets[:3])
        lines = octets[: 2 * STORED_TEXT].removesuffix(b"\r\n").split(b"\r\n")[:STORED_LINES]
        texts = [printable(line[4:].decode(errors="replace")) for line in lines]
        found = _ENHANCED.match(texts[0])
        if found is None or 300 <= code < 400:
            return cls(code, _plain(code), _bounded(texts))
        sent = found[1] + found[2]
        texts = [_without(sent, text) for text in texts]
        return cls(code, f"{code // 100}{found[2]}", _bounded(texts))

    @property
    def text(self) -> str:
        """All lines in one."""
        return " ".join(self.lines)

    @property
    def positive(self) -> bool:
        """Whether the code is 2yz."""
        return self.code < 300

    @property
    def permanent(self) -> bool:
        """Whether the code is 5yz."""
        return self.code >= 500

    def softened(self, what: str) -> Reply:
        """Return a 4yz reply that says what was refused, and quotes this reply.

        For refusals that are about us, not about a message (RFC 5321 gives no code for these).

        @param what: begins the text: C{"greeting refused"}.
        """
        enhanced = f"4{self.enhanced[1:]}" if self.enhanced else "4.0.0"
        return Reply(451, enhanced, (printable(f"{what}: {self}"),))

    def with_text(self, text: str) -> Reply:
        """Return the same codes with another text."""
        return replace(self, lines=(printable(text),))

    def encode(self) -> bytes:
        """Return the octets of the reply: ASCII, each line with its codes, of at most 512."""
        prefix = f" {self.enhanced} " if self.enhanced else " "
        width = REPLY_LINE - len(prefix) - 5
        texts = [
            line[start : start + width]
            for line in (text.encode("ascii", "backslashreplace").decode() for text in self.lines)
            for start in range(0, len(line) or 1, width)
        ] or [""]
        last = f"{self.code}{prefix}{texts.pop()}".rstrip()
        before = "".join(f"{self.code}-{prefix[1:]}{text}\r\n" for text in texts)
        return f"{before}{last}\r\n".encode()

    def __str__(self) -> str:
        """Return the reply in one line."""
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))


def printable(text: str) -> str:
    """Return text without anything that moves a cursor, ends a line or turns direction."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "?" for char in text.translate(_SPACES))


def _plain(code: int) -> str:
    return "" if 300 <= code < 400 else f"{code // 100}.0.0"


def _without(enhanced: str, text: str) -> str:
    first, _, rest = text.partition(" ")
    return rest if first == enhanced else text


def _bounded(texts: list[str]) -> tuple[str, ...]:
    room, kept = STORED_TEXT, []
    for text in texts:
        kept.append(text[:room])
        room -= len(text)
        if room <= 0:
            break
    return tuple(kept) if any(kept) else ()
