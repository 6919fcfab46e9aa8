# -*- test-case-name: tests.compare.test_player -*-
"""The messages that clients are given: octets with CRLF line ends, as RFC 5322 has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HEADER: Final = (
    b"From: sender@client.test\r\nTo: recipient@compare.test\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <%d@client.test>\r\n"
    b"Subject: message %d\r\n"
)
_DOTS: Final = b"\r\n.\r\n..\r\n.a line that begins with a dot\r\nthe last line\r\n"
#: White space at line ends, folding that no library would choose, an empty field: whoever writes
#: the header anew breaks a signature over it (RFC 6376 3.4.1, "simple").
_ODD: Final = (
    b"X-Folded: a\r\n\tb\r\n  c \r\nx-lower:no space\r\nX-Empty:\r\nX-Long: "
    + b"y" * 900
    + b"\r\nX-Quoted: =?utf-8?q?caf=C3=A9?= \r\n"
)
_MIME: Final = (
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n"
)

#: What follows the first lines of the header.
MESSAGES: Final[Mapping[str, bytes]] = {
    "plain": _DOTS,
    "odd": _ODD + _DOTS,
    "8-bit": _MIME + "\r\ncafé\r\n".encode() + _DOTS,
    "large": b"\r\n" + (b"x" * 76 + b"\r\n") * 60_000,
}


def message(kind: str, number: int) -> bytes:
    """Return a message.

    @param kind: a key of L{MESSAGES}.
    @param number: which of those that a client is given.
    """
    return _HEADER % (number, number) + MESSAGES[kind]
