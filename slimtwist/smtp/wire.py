# -*- test-case-name: tests.smtp.test_wire -*-
"""Octets to replies and messages, and back, without a transport.

Each of these transducers gives the same result however its input is split.  They note what is
wrong; what that means is for others to say.

Sources: RFC 5321 2.3.8 (line ends), 4.2.1 (replies), 4.5.2 (transparency), 4.5.3.1 (lengths).
"""

from __future__ import annotations

import re
from typing import Final

from slimtwist.limits import Limits

_REPLY_LINE: Final = re.compile(rb"[2-5][0-9][0-9](?:([ -])[^\n]*)?\Z", re.DOTALL)
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_LINE_ENDS: Final = (b"\r\n", b"\r", b"\n")
_END: Final = b"\r\n.\r\n"
_TOO_LONG: Final = "a reply line is too long"


class ReplyReader:
    """Octets in, whole replies out.

    Lines may end with LF alone, and text may hold any octet; the code decides, so a reply whose
    lines have different codes is none.

    @ivar fault: what the peer sent that is no reply, or too much of one; it is not read any
        further.
    """

    def __init__(self, limits: Limits) -> None:
        """Begin between two replies."""
        self._limits = limits
        self._rest = b""  # the beginning of a line
        self._lines: list[bytes] = []  # the beginning of a reply
        self._size = 0
        self.fault: str | None = None

    @property
    def clean(self) -> bool:
        """Whether nothing of a further reply has come."""
        return not self._rest and not self._lines and not self.fault

    def feed(self, octets: bytes) -> list[bytes]:
        """Take octets, return the replies that they complete, each with its codes and line ends."""
        if self.fault:
            return []
        *lines, rest = (self._rest + octets).split(b"\n")
        self._rest = b""
        replies = []
        for line in lines:
            if (reply := self._line(line.removesuffix(b"\r"))) is not None:
                replies.append(reply)
            if self.fault:
                return replies
        if len(rest.removesuffix(b"\r")) > self._limits.reply_line:
            self.fault = _TOO_LONG
        else:
            self._rest = rest
        return replies

    def _line(self, line: bytes) -> bytes | None:
        self._size += len(line) + 2
        if len(line) > self._limits.reply_line:
            self.fault = _TOO_LONG
        elif (match := _REPLY_LINE.match(line)) is None:
            self.fault = f"no reply code in {ascii(line[:40])[1:]}"
        elif self._lines and line[:3] != self._lines[0][:3]:
            self.fault = "the lines of a reply have different codes"
        elif self._size > self._limits.reply_octets or len(self._lines) >= self._limits.reply_lines:
            self.fault = "a reply is too long"
        elif match[1] == b"-":
            self._lines.append(line)
        else:
            return self._whole(line)
        return None

    def _whole(self, last: bytes) -> bytes:
        reply = b"\r\n".join([*self._lines, last]) if self._lines else last
        self._lines, self._size = [], 0
        return reply


class DotStuffer:
    """A message's octets in, the same with dots at the beginning of lines doubled out.

    The end of the message is held back until L{finish}, so that the last line end leaves in one
    piece with the dot behind it.
    """

    def __init__(self) -> None:
        """Begin at the first line of a message."""
        self._held = b"\r\n"  # as if a line had ended: the message begins a new one
        self._begun = False

    def feed(self, octets: bytes) -> bytes:
        """Take octets, return those that may be sent."""
        if not octets:
            return b""
        stuffed = (self._held + octets).replace(b"\n.", b"\n..")
        if not self._begun:
            self._begun, stuffed = True, stuffed[2:]
        hold = next((len(end) for end in _LINE_ENDS if stuffed.endswith(end)), 0)
        cut = len(stuffed) - hold
        self._held = stuffed[cut:]
        return stuffed[:cut]

    def finish(self) -> bytes:
        """Return the end of the message, its line end if it has none, and the end of data."""
        if not self._begun:
            return _END[2:]
        return _END if self._held == b"\r\n" else self._held + _END


class DotReader:
    """What follows 354 in, the message without its doubled dots out, up to the end of data.

    Only CRLF, dot, CRLF ends a message.  A CR or an LF that stands alone is either noted, for a
    refusal after the end of data, or made a CRLF; it never ends a line that a dot could begin.

    @ivar bare: whether one was seen.
    """

    def __init__(self, *, normalize: bool = False) -> None:
        """Begin at the first line of a message.

        @param normalize: make a line end of each CR and LF that stands alone.
        """
        self._held = b"\r\n"  # as if a line had ended
        self._begun = False
        self._normalize = normalize
        self.bare = False

    def feed(self, octets: bytes) -> tuple[bytes, bytes | None]:
        """Take octets.

        @return: the octets of the message that are sure now, and what follows the end of data, or
            C{None} before it.
        """
        seen = self._held + octets
        end = seen.find(_END)
        if end >= 0:
            return self._decode(seen[: end + 2]), seen[end + len(_END) :]
        keep = _prefix_length(seen)
        self._held = seen[len(seen) - keep :]
        return self._decode(seen[: len(seen) - keep]), None

    def _decode(self, octets: bytes) -> bytes:
        # A CR is never the last octet here, and an LF never the first of a pair: the end of what
        # has come is held back while it may begin CRLF, dot, CRLF.
        octets = octets.replace(b"\r\n.", b"\r\n")
        pairs = octets.count(b"\r\n")
        if octets.count(b"\n") != pairs or octets.count(b"\r") != pairs:
            self.bare = True
            if self._normalize:
                octets = _LINE_END.sub(b"\r\n", octets)
        if not self._begun and octets:
            self._begun, octets = True, octets[2:]
        return octets


def _prefix_length(seen: bytes) -> int:
    """Return how many of the last octets may be the beginning of the end of data."""
    return next((n for n in range(4, 0, -1) if seen.endswith(_END[:n])), 0)
