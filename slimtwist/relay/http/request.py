# -*- test-case-name: tests.relay.http.test_request -*-
"""An envelope as the fields of an HTTP request, and what proves who sent it.

The form is that of python-slimta's HTTP edge: addresses in base64 of UTF-8, a field for each
recipient.  Nothing of an envelope goes anywhere else.

Sources: RFC 9110 (fields), RFC 7617 (Basic), RFC 6750 (Bearer), RFC 2104 (HMAC),
draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.http_headers import Headers

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.runtime import ehlo_name

#: Octets that are hashed before others have a turn.
_TURN: Final = 1 << 20
_NAME: Final = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+\Z")
_OURS: Final = frozenset(
    {
        *("accept", "authorization", "connection", "content-length", "content-type", "expect"),
        *("host", "idempotency-key", "transfer-encoding", "x-signature", "x-signature-time"),
    }
)
_TOKEN: Final = re.compile(r"[!-~]*\Z")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Names:
    """What the fields are called.

    @raise ValueError: one is no name of a field (RFC 9110 5.6.2), or is taken.
    """

    ehlo: str = "X-Ehlo"
    sender: str = "X-Envelope-Sender"
    recipient: str = "X-Envelope-Recipient"

    def __post_init__(self) -> None:
        """Refuse what is no name of a field, or would be two fields in one."""
        names = (self.ehlo, self.sender, self.recipient)
        for name in names:
            if not _NAME.match(name):
                raise ValueError(f"{name!a} is no name of a field")
        if len({name.lower() for name in names} | _OURS) < len(names) + len(_OURS):
            raise ValueError("two fields have one name")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves who we are; never shown.

    @ivar bearer: a token.
    @ivar basic: name and password, with a colon between.
    @ivar key: signs the request: C{X-Signature} is the HMAC with SHA-256, in hexadecimal, of the
        time in C{X-Signature-Time}, the sender's field and each recipient's, each with a line feed
        behind, of one more line feed, and of the body.
    @raise ValueError: both a token and a password are given, or one could not stand in a field.
    """

    bearer: str = field(default="", repr=False)
    basic: str = field(default="", repr=False)
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        """Check that there is one way."""
        if self.bearer and self.basic:
            raise ValueError("a bearer token and a password exclude each other")
        if not _TOKEN.match(self.bearer):
            raise ValueError("the token has other characters than visible ASCII")
        if self.basic and (":" not in self.basic or _CONTROL.search(self.basic)):
            raise ValueError("name and password have no colon between, or a control character")

    def authorization(self) -> str | None:
        """Return the value of Authorization."""
        if self.bearer:
            return f"Bearer {self.bearer}"
        return f"Basic {_base64(self.basic)}" if self.basic else None


async def fields(
    envelope: Envelope,
    ehlo_as: str,
    names: Names,
    secrets: Secrets,
    clock: IReactorTime,
) -> Headers:
    """Return the fields of a request.

    @param ehlo_as: what we call ourselves.
    @param clock: its seconds are those since 1970, for a signature.
    @raise OSError: the content, of which the signature is, cannot be read.
    """
    sender = _base64(str(envelope.sender))
    recipients = [_base64(str(each.address)) for each in envelope.recipients]
    headers = Headers(
        {
            "Content-Type": ["message/rfc822"],
            "Accept": ["application/json"],
            "Idempotency-Key": [f'"{idempotency_key(envelope)}"'],
            names.ehlo: [ehlo_name(ehlo_as)],
            names.sender: [sender],
            names.recipient: recipients,
        }
    )
    if (authorization := secrets.authorization()) is not None:
        headers.setRawHeaders("Authorization", [authorization])
    if secrets.key:
        time = str(int(clock.seconds()))
        lines = "".join(f"{each}\n" for each in [time, sender, *recipients, ""])
        signature = await _signature(secrets.key, lines, envelope.content, clock)
        headers.setRawHeaders("X-Signature-Time", [time])
        headers.setRawHeaders("X-Signature", [signature])
    return headers


def idempotency_key(envelope: Envelope) -> str:
    """Return a key that is the same for every attempt with a message and these recipients."""
    digest = hashlib.sha256(envelope.id.encode())
    for recipient in envelope.recipients:
        digest.update(b"\0" + recipient.address.octets)
    return digest.hexdigest()[:32]


async def _signature(key: bytes, lines: str, content: Content, clock: IReactorTime) -> str:
    signing = hmac.new(key, lines.encode(), hashlib.sha256)
    turn = 0
    for block in content.blocks():
        signing.update(block)
        turn += len(block)
        if turn >= _TURN:
            turn = 0
            await deferLater(clock, 0)
    return signing.hexdigest()


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
