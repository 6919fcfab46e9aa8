# -*- test-case-name: tests.edge.test_trace -*-
"""The trace field that goes on top of a message, and those that are there already.

What a client said of itself stands in the field only where it has the form of a host name or an
address literal; nothing else of what it sent does.

Sources: RFC 5321 4.4 (C{Received}), 6.3 (loops); RFC 3848 and RFC 6531 3.7.3 (the C{with} clause).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.utils import formatdate
from typing import Final

from slimtwist.address import Recipient
from slimtwist.envelope import Client
from slimtwist.runtime import Runtime, ehlo_name

_FIELD: Final = re.compile(rb"\r\nreceived:", re.IGNORECASE)
_END_OF_HEADER: Final = b"\r\n\r\n"


def protocol(*, lmtp: bool, esmtp: bool, tls: bool, auth: bool, smtputf8: bool) -> str:
    """Return the word for the C{with} clause.

    @param esmtp: whether the client said EHLO and not HELO.
    """
    if not (lmtp or esmtp):
        return "SMTP"
    word = "LMTP" if lmtp else "SMTP" if smtputf8 else "ESMTP"
    return f"{'UTF8' * smtputf8}{word}{'S' * tls}{'A' * auth}"


class Tracer:
    """Names messages and writes their trace fields.

    Each id ends with a token of this process, by which it knows its own fields again.
    """

    def __init__(self, runtime: Runtime) -> None:
        """Begin to count."""
        self._hostname = runtime.hostname
        self._clock = runtime.reactor
        self._token = f"{runtime.random.getrandbits(48):012x}"
        self._count = 0
        self._date = (-1, "")

    def next_id(self) -> str:
        """Return a name that no other message has."""
        self._count += 1
        return f"{self._count:x}.{self._token}"

    def field(self, client: Client, message_id: str, recipients: Sequence[Recipient]) -> bytes:
        """Return the trace field, with its line ends.

        @param recipients: named if it is one; blind copies are nobody's business.
        """
        origin = _origin(client)
        head = f"Received: from {origin}\r\n\tby {self._hostname} with {client.protocol}"
        tail = self._tail(recipients)
        return f"{head} id {message_id}{tail}; {self._now()}\r\n".encode("ascii")

    def mark(self, recipients: Sequence[Recipient]) -> bytes | None:
        """Return what our own trace fields hold when they name the same recipient.

        A message that comes again for somebody else was sent on on purpose.
        """
        tail = self._tail(recipients)
        return f".{self._token}{tail};".encode("ascii") if tail else None

    def _tail(self, recipients: Sequence[Recipient]) -> str:
        if len(recipients) != 1 or recipients[0].address.needs_smtputf8:
            return ""
        return f"\r\n\tfor <{recipients[0].address}>"

    def _now(self) -> str:
        second = int(self._clock.seconds())
        if self._date[0] != second:
            self._date = (second, f"{formatdate(second)[:-5]}+0000")
        return self._date[1]


class TraceScan:
    """Reads a message as it comes, up to the end of its header, and counts its trace fields.

    @ivar count: the fields so far.
    @ivar looped: whether C{mark} was among them.
    """

    def __init__(self, mark: bytes | None = None) -> None:
        """Begin before the first line.

        @param mark: what a message has that was here before.
        """
        self.count = 0
        self.looped = False
        self._mark = mark
        self._keep = max(len(mark or b""), len(b"\r\nreceived:")) - 1
        self._tail: bytes | None = b"\r\n"

    def feed(self, octets: bytes) -> None:
        """Take the next octets of the message."""
        if self._tail is None:
            return
        seen = self._tail + octets
        header, blank, _ = seen.partition(_END_OF_HEADER)
        # What was kept is shorter than what is looked for, so nothing is found twice but by the
        # longer of the two: the fields are searched for from where they cannot have been seen.
        start = max(0, len(self._tail) - len(b"\r\nreceived:") + 1)
        self.count += len(_FIELD.findall(header, start))
        if self._mark is not None and self._mark in header:
            self.looped = True
        self._tail = None if blank else seen[-self._keep :]


def _origin(client: Client) -> str:
    address = _literal(client.ip)
    try:
        name = ehlo_name(client.helo or "")
    except ValueError:
        name = address or "unknown"
    return f"{name} ({address})" if address else name


def _literal(ip: str | None) -> str | None:
    if ip is None:
        return None
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"
