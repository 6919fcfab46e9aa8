# -*- test-case-name: tests.faults.test_tapes -*-
"""What went over a wire, read by a witness: where a message ended, and where it was answered.

A tape holds the octets of one direction.  Where TLS begins on it, its records are opaque ones of
L{slimtwist.testing.tls}, which carry their content in clear; their octets count when a record is
complete.  Nothing here is shared with the program's own parsers.
"""

from __future__ import annotations

from dataclasses import dataclass

_HANDSHAKE = b"\x16\x03\x03"
_DATA = 0x17
_DATA_COMMAND = b"DATA\r\n"
_END_OF_DATA = b"\r\n.\r\n"


def in_clear(octets: bytes) -> bytes:
    """Return what of a tape came before TLS."""
    return octets.partition(_HANDSHAKE)[0]


@dataclass(frozen=True, slots=True)
class Tape:
    """One direction of a connection.

    @ivar said: what was said, without TLS.
    @ivar begins: for each octet of it, how much of the tape came before whatever carries it.
    @ivar ends: for each octet of it, how much of the tape has to come before it can be read.
    """

    said: bytes
    begins: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, octets: bytes) -> Tape:
        """Read a tape."""
        clear = len(in_clear(octets))
        said, begins, ends = bytearray(octets[:clear]), [*range(clear)], [*range(1, clear + 1)]
        at = clear
        while at + 5 <= len(octets):
            size = int.from_bytes(octets[at + 3 : at + 5], "big")
            if at + 5 + size > len(octets):
                break
            if octets[at] == _DATA:
                said += octets[at + 5 : at + 5 + size]
                begins += [at] * size
                ends += [at + 5 + size] * size
            at += 5 + size
        return cls(bytes(said), tuple(begins), tuple(ends))

    def messages(self) -> list[tuple[int, int, int]]:
        """Return for each message how much goes to its DATA, to its end of data, and past that."""
        found, at = [], self.said.find(_DATA_COMMAND)
        while at >= 0:
            begin = self.said.index(_END_OF_DATA, at + len(_DATA_COMMAND))
            last = begin + len(_END_OF_DATA) - 1
            found.append((self.ends[at + 5], self.begins[begin], self.ends[last]))
            at = self.said.find(_DATA_COMMAND, last)
        return found

    def answers(self, count: int) -> list[tuple[int, list[int]]]:
        """Return for each message where it was asked for, and where it was answered.

        @param count: how many answers an end of data has at most; in LMTP several.
        """
        found: list[tuple[int, list[int]]] = []
        wanted = 0
        for line, end in self._lines():
            if line.startswith(b"354"):
                found.append((end, []))
                wanted = count
            elif wanted and line.endswith(b"taken"):
                found[-1][1].append(end)
                wanted -= 1
        return found

    def _lines(self) -> list[tuple[bytes, int]]:
        lines, at = [], 0
        while (end := self.said.find(b"\r\n", at)) >= 0:
            lines.append((self.said[at:end], self.ends[end + 1]))
            at = end + 2
        return lines
