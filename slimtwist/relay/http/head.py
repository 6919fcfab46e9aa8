# -*- test-case-name: tests.relay.http.test_head -*-
"""The first lines of HTTP responses, looked at before Twisted's parser has them.

That parser takes more for a response than is one: a status with a sign or with zeros in front, a
body whose end is told in two ways; and it waits behind C{101 Switching Protocols} for another.  Who
does not speak HTTP/1.1 has not said that he took a message.

Sources: RFC 9112 4 (status line), 5 (fields), 6.3 (length of a body), RFC 9110 15.2.2 (101).
"""

from __future__ import annotations

import re
from typing import Final

#: Octets of a line; Twisted's parser takes no longer one.
_LONGEST: Final = 16000
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: |\Z)")
_NUMBER: Final = re.compile(rb"[0-9]{1,18}\Z")
_SWITCHING: Final = 101
_LENGTH, _CODING = b"content-length", b"transfer-encoding"


class Heads:
    """Reads along, until the first line of a body.

    @ivar complaint: what is wrong; empty as long as nothing is.
    """

    def __init__(self) -> None:
        """Begin before a response."""
        self.begin()

    def begin(self) -> None:
        """Expect another response."""
        self.complaint = ""
        self._line = b""
        self._over = False
        self._expect_status()

    def _expect_status(self) -> None:
        self._status = 0
        self._framing: dict[bytes, list[bytes]] = {_LENGTH: [], _CODING: []}
        self._first = True

    def feed(self, octets: bytes) -> str:
        """Take octets.

        @return: the complaint.
        """
        if self._over:
            return self.complaint
        *lines, self._line = (self._line + octets).split(b"\n")
        for line in lines:
            self._take(line.removesuffix(b"\r"))
            if self._over:
                return self.complaint
        if len(self._line) > _LONGEST:
            self._complain("a line without end")
        return self.complaint

    def _take(self, line: bytes) -> None:
        if len(line) > _LONGEST:
            self._complain("a line without end")
        elif not self._status:
            self._take_status(line)
        elif not line:
            self._end()
        elif line[:1] not in b" \t":
            self._take_field(line)
        elif self._first:
            self._complain("no field")

    def _take_status(self, line: bytes) -> None:
        found = _STATUS.match(line)
        if found is None or found[1] < b"100":
            self._complain("no status line of HTTP/1.1")
        else:
            self._status = int(found[1])

    def _take_field(self, line: bytes) -> None:
        self._first = False
        name, colon, value = line.partition(b":")
        if not colon:
            self._complain("no field")
        elif name.lower() in self._framing:
            self._framing[name.lower()].append(value.strip().lower())

    def _end(self) -> None:
        lengths, codings = self._framing[_LENGTH], self._framing[_CODING]
        if self._status == _SWITCHING:
            self._complain("101 Switching Protocols")
        elif self._status < 200:
            self._expect_status()
        elif lengths and codings:
            self._complain("the end of the body is told in two ways")
        elif len(set(lengths)) > 1 or not all(map(_NUMBER.match, lengths)):
            self._complain("no Content-Length")
        elif codings not in ([], [b"chunked"]):
            self._complain("unknown Transfer-Encoding")
        else:
            self._over = True

    def _complain(self, what: str) -> None:
        self.complaint = what
        self._over = True
