# -*- test-case-name: tests.simulation.test_simulation -*-
"""The octets of planned messages: biased to what breaks mail software.

Lines that begin with dots, that are a dot, that look like commands; line ends around the sizes of
blocks; nothing at all.  All line ends are CRLF, but in messages of the shape C{bare}, which have to
be refused.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import Final

from tests.simulation.plan import Message, source

_LINES: Final = (
    b"",
    b".",
    b"..",
    b"...",
    b".x",
    b". ",
    b"x.",
    b"text",
    b"Subject: hello",
    b"MAIL FROM:<evil@example.net>",
    b"RCPT TO:<evil@example.net>",
    b"DATA",
    b"QUIT",
    b"250 2.0.0 ok",
    b"\xc3\xa9\xff\x00",
    b"a" * 998,
)
#: What some take for the end of a message, and must not (SMI-01 to SMI-07).
_BARE: Final = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r\n", b"\r.\n", b"\r\n.\r", b"\n.\r")
_EVIL: Final = b"MAIL FROM:<m9t9@s.example>\r\nRCPT TO:<m9r9@d1.example>\r\nDATA\r\nevil\r\n"


@lru_cache(maxsize=256)
def octets(message: Message) -> bytes:
    """Return a message's octets."""
    random = source(message.seed, "octets")
    if message.shape == "exact":
        return _exact(message.size, random)
    if message.shape == "bare":
        return b"x" * message.size + random.choice(_BARE) + _EVIL
    if message.shape == "dots":
        return _dots(message.size, random)
    return _text(message.size, random)


def _text(size: int, random: Random) -> bytes:
    """Return lines, the last of which may have no end."""
    lines = random.choices(_LINES, k=1 + size // 40) if size else []
    text = b"\r\n".join(lines)
    return text + b"\r\n" if lines and random.random() < 0.8 else text


def _exact(size: int, random: Random) -> bytes:
    """Return exactly so many octets, with something odd across the end of each 16 KiB."""
    text = bytearray(b"x" * size)
    for end in range(16384, size, 16384):
        odd = random.choice((b"\r\n.\r\n", b"\r\n..", b"\r\n", b"\r\n.x"))
        start = end - random.randrange(len(odd) + 1)
        if start + len(odd) + 2 <= size:
            text[start : start + len(odd)] = odd
    if size >= 2:
        text[-2:] = b"\r\n"
    return bytes(text).replace(b"\r\r", b"x\r")


def _dots(size: int, random: Random) -> bytes:
    """Return nothing but dots and line ends."""
    return b"".join(random.choices((b".", b"\r\n", b"\r\n.", b"\r\n.\r\n"), k=size // 3 + 1))
