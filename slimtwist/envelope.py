# -*- test-case-name: tests.test_envelope -*-
"""A message with its envelope: what is carried from an edge through a queue to a relay.

All values are checked when built, so that no later layer has to.  Sources: RFC 5321 2.3.1 and 3.3,
RFC 3461 4.3 and 4.4 (RET, ENVID), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 8689 (REQUIRETLS).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from uuid import uuid4

from slimtwist.address import Address, Recipient
from slimtwist.content import Content

#: RFC 3461 4.4: xtext of at most 100 characters.
_ENVID: Final = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2}){1,100}\Z")
_BODIES: Final = (None, "7BIT", "8BITMIME")
_RETURNS: Final = (None, "FULL", "HDRS")
# Fit to name a file, and to be an argument of a program.
_ID: Final = re.compile(r"[0-9A-Za-z][-_.0-9A-Za-z]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Client:
    """What an edge knows of whoever handed a message over; C{None} where it does not know.

    @ivar ip: the address, as text without a zone.
    @ivar host: the verified name of that address.
    @ivar helo: the name that the client gave, as it gave it.
    @ivar protocol: the keyword of RFC 3848 for the C{with} clause: ESMTPSA, say.
    @ivar tls: the protocol version and the cipher.
    @ivar auth: the authenticated identity.
    """

    ip: str | None = None
    host: str | None = None
    helo: str | None = None
    protocol: str | None = None
    tls: str | None = None
    auth: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message, whom it is from and whom it is for.

    @ivar sender: the reverse-path; the null sender for notifications.
    @ivar recipients: at least one; an address may occur twice, a report speaks of positions.
    @ivar content: the octets.
    @ivar id: names the message in logs; kept by L{subset}.
    @ivar received: when it was taken over, in seconds of the queue's clock.
    @ivar client: who handed it over.
    @ivar body: the BODY parameter that it came with (RFC 6152).
    @ivar smtputf8: whether it came with SMTPUTF8.
    @ivar requiretls: whether it came with REQUIRETLS.
    @ivar ret: what a notification returns (RFC 3461 4.3).
    @ivar envid: the sender's own name for it, in xtext (RFC 3461 4.4).
    @raise ValueError: a part is not as its RFC wants it, or there is no recipient.
    """

    sender: Address
    recipients: tuple[Recipient, ...]
    content: Content
    id: str = field(default_factory=lambda: uuid4().hex)
    received: float | None = None
    client: Client = Client()
    body: Literal["7BIT", "8BITMIME"] | None = None
    smtputf8: bool = False
    requiretls: bool = False
    ret: Literal["FULL", "HDRS"] | None = None
    envid: str | None = None

    def __post_init__(self) -> None:
        """Check what the types of the parts do not."""
        if not self.recipients:
            raise ValueError("an envelope needs at least one recipient")
        if not _ID.match(self.id):
            raise ValueError(f"id {self.id[:80]!a} is not 1 to 64 letters, digits, -_.")
        if self.body not in _BODIES or self.ret not in _RETURNS:
            raise ValueError(f"{self.body!a} is no BODY, or {self.ret!a} no RET")
        if self.envid is not None and not _ENVID.match(self.envid):
            raise ValueError(f"ENVID={self.envid[:120]!a} is not xtext")

    @classmethod
    def parse(cls, sender: str, recipients: Iterable[str], octets: bytes) -> Envelope:
        """Build an envelope from plain values.

        @param sender: C{local-part@domain}, or the empty text for the null sender.
        @param recipients: one or more of C{local-part@domain}.
        @param octets: the message with CRLF line ends; L{Content.native} converts others.
        @raise ValueError: a part is malformed; the text names it.
        """
        if isinstance(recipients, str):
            raise ValueError("recipients are a list of texts, not one text")  # noqa: TRY004
        return cls(
            Address.parse(sender), tuple(map(Recipient.parse, recipients)), Content.of(octets)
        )

    @property
    def needs_smtputf8(self) -> bool:
        """Whether sender or header ask for SMTPUTF8; each recipient says so for himself."""
        return self.sender.needs_smtputf8 or (self.smtputf8 and self.content.eight_bit_header)

    def subset(self, positions: Sequence[int]) -> Envelope:
        """Return the same message for the recipients at some positions only.

        @param positions: counted from 0, in the order wanted.
        @raise IndexError: there is no such recipient.
        """
        if min(positions, default=0) < 0:
            raise IndexError(f"there is no recipient {min(positions)}")
        return replace(self, recipients=tuple(self.recipients[i] for i in positions))
