# -*- test-case-name: tests.edge.test_lines -*-
"""Octets of a client to command lines, without a transport.

A line ends with CR and LF together.  A CR or an LF alone is no line end, and is not passed over
either: what one program takes for one command would be two for another, so the connection ends.  A
line that is too long is not kept.

Sources: RFC 5321 2.3.8 (line ends), 4.5.3.1.4 (command line).
"""

from __future__ import annotations

from typing import Final

from slimtwist.edge.replies import BARE_COMMAND, LINE_TOO_LONG, NOT_SMTP, Refusal

#: Octets of a line that are passed over before its sender is given up.
FLOOD: Final = 65536
#: A TLS record of the type handshake: its sender takes this for a port that begins with TLS.
_CLIENT_HELLO: Final = 0x16


class CommandReader:
    """Octets in, command lines out.

    The lines are taken one by one, since what follows a command may be no line at all.
    """

    def __init__(self) -> None:
        """Begin before the first line."""
        self._buffer = bytearray()
        self._skipped = 0  # octets of the current line that were not kept

    def __len__(self) -> int:
        """Return how many octets wait to be read."""
        return len(self._buffer)

    def feed(self, octets: bytes) -> None:
        """Add octets."""
        self._buffer += octets

    def rest(self) -> bytes:
        """Take all that was not read: what follows is no command line."""
        octets = bytes(self._buffer)
        self._buffer.clear()
        return octets

    def line(self, longest: int) -> bytes | None:
        """Take one line.

        @param longest: octets that it may have, with its CRLF.
        @return: the line without its CRLF, or C{None} before its end.
        @raise Refusal: it is too long; fatal if much too long, or a CR or LF stands alone in it, or
            the client speaks another protocol.
        """
        buffer = self._buffer
        end = buffer.find(b"\n") + 1
        if not end:
            self._check_beginning(longest)
            return None
        line = bytes(buffer[:end])
        del buffer[:end]
        size = end + self._skipped
        self._check(line)
        self._skipped = 0
        if size > longest:
            raise Refusal(LINE_TOO_LONG, fatal=size > FLOOD)
        return line[:-2]

    def _check_beginning(self, longest: int) -> None:
        buffer = self._buffer
        if buffer:
            self._check(bytes(buffer).removesuffix(b"\r") + b"\r\n")
        if len(buffer) + self._skipped > FLOOD:
            raise Refusal(LINE_TOO_LONG, fatal=True)
        if len(buffer) > longest:
            # The last octet may be the CR of the line's end.
            self._skipped += len(buffer) - 1
            del buffer[:-1]

    def _check(self, line: bytes) -> None:
        if line[0] == _CLIENT_HELLO and not self._skipped:
            raise Refusal(NOT_SMTP, fatal=True)
        if not line.endswith(b"\r\n") or line.count(b"\r") != 1:
            raise Refusal(BARE_COMMAND, fatal=True)
