# -*- test-case-name: tests.edge.mail.test_gathering -*-
"""Lines of a message, as a server of twisted.mail gives them, on their way into a queue's sink.

Lines come without their CRLF and with their dots unstuffed.  They are kept until there is a block
of them.  The limits are our own, whatever the server has.

Sources: RFC 5321 2.3.8 (line ends), 4.5.3.1.6 (length of lines).
"""

from __future__ import annotations

from typing import Final, NoReturn

from slimtwist.content import BLOCK, Content
from slimtwist.edge.body import Body, Normalizer
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.replies import (
    BARE_NEWLINE,
    INTERNAL,
    LINE_TOO_LONG,
    TOO_LARGE,
    storage_trouble,
)
from slimtwist.edge.setting import Setting
from slimtwist.edge.trace import TraceScan

#: Octets that a line may have. A server of C{twisted.mail.smtp} gives up lines above 16,384.
LONGEST_LINE: Final = 65536


class Gathering:
    """A message while it comes."""

    def __init__(self, setting: Setting, mark: bytes | None, longest_line: int) -> None:
        """Begin before the first line.

        @param mark: what the message has if it was here before.
        @param longest_line: octets that a line may have, without its end.
        @raise Refused: there is no room.
        """
        try:
            sink = setting.queue.sink()
        except OSError as error:
            raise Refused.message(storage_trouble(error)) from error
        self._body = Body(sink, setting.options.limits, TraceScan(mark))
        self._longest = longest_line
        self._lines: list[bytes] = []
        self._held = self._size = 0
        self._first = True
        self._longest_message = setting.options.limits.message
        self._normalize = setting.options.bare_newline == "normalize"
        # What is stored ends with a line end, so nothing is left in a normalizer.
        self._store = Normalizer(self._body.take).feed if self._normalize else self._body.take

    def take(self, line: bytes) -> None:
        """Take a line.

        @raise Refused: the message cannot be taken; nothing of it is kept.
        """
        first, self._first = self._first, False
        if first and _is_trace(line):
            return  # our own says the same
        self._lines.append(line)
        self._held += len(line) + 2
        self._size += len(line) + 2
        if (reply := self._fault(line)) is not None:
            self._body.refuse(reply)
        elif self._held >= BLOCK:
            self._flush()
        if self._body.refusal is not None:
            self._refuse()

    def finish(self) -> Content:
        """Return the message.

        @raise Refused: it cannot be taken.
        """
        self._flush()
        content = self._body.finish()
        if content is None:
            self._refuse()
        return content

    def drop(self) -> None:
        """Forget the lines; may be called at any time."""
        self._lines.clear()
        self._held = 0
        self._body.drop()

    def _fault(self, line: bytes) -> bytes | None:
        """Return why a line refuses the message, at once: any server passes that on as it is."""
        if len(line) > self._longest:
            return LINE_TOO_LONG
        if self._size > self._longest_message:
            return TOO_LARGE
        if not self._normalize and (b"\n" in line or b"\r" in line):
            return BARE_NEWLINE
        return None

    def _flush(self) -> None:
        if self._lines:
            self._lines.append(b"")
            self._store(b"\r\n".join(self._lines))
            self._lines.clear()
            self._held = 0

    def _refuse(self) -> NoReturn:
        raise Refused.message(self._body.refusal or INTERNAL)


def _is_trace(line: bytes) -> bool:
    """Tell whether a first line is several: the trace field that the server itself has made.

    No line of a client can look so without being refused, since line ends stand in it.
    """
    return line.startswith(b"Received: ") and b"\n" in line
