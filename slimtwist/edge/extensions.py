# -*- test-case-name: tests.edge.test_extensions -*-
"""What an edge offers in its reply to EHLO or LHLO.

Sources: RFC 2920 (PIPELINING), 1870 (SIZE), 6152 (8BITMIME), 6531 (SMTPUTF8), 2034
(ENHANCEDSTATUSCODES), 3030 (CHUNKING), 3207 (STARTTLS), 4954 (AUTH), 3461 (DSN), 9422 (LIMITS).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client may use.

    @ivar size: octets that a message may have.
    @ivar one_recipient: a transaction takes one recipient, since it has one reply.
    @ivar dsn: notifications can be asked for.
    """

    size: int
    one_recipient: bool
    dsn: bool

    def keywords(self, *, starttls: bool, mechanisms: Iterable[str]) -> list[str]:
        """Return the lines of the reply after the first.

        @param starttls: whether TLS can be started now.
        @param mechanisms: of AUTH, that can be used now.
        """
        lines = ["PIPELINING", f"SIZE {self.size}", "8BITMIME", "SMTPUTF8"]
        lines += ["ENHANCEDSTATUSCODES", "CHUNKING"]
        if starttls:
            lines.append("STARTTLS")
        if words := " ".join(mechanisms):
            lines.append(f"AUTH {words}")
        if self.dsn:
            lines.append("DSN")
        if self.one_recipient:
            lines.append("LIMITS RCPTMAX=1")
        return lines


def hello(hostname: str, keywords: Iterable[str]) -> bytes:
    """Return the octets of the reply to EHLO or LHLO."""
    lines = [hostname, *keywords]
    before = "".join(f"250-{line}\r\n" for line in lines[:-1])
    return f"{before}250 {lines[-1]}\r\n".encode("ascii")
