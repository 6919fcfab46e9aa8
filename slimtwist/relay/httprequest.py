# -*- test-case-name: tests.relay.test_httprequest -*-
"""An envelope as the fields of an HTTP request, and what proves who sent it.

The form is that of python-slimta's HTTP edge: addresses in base64 of UTF-8, a field for each
recipient.  Nothing of an envelope goes anywhere else.

Sources: RFC 9110 (fields), RFC 7617 (Basic), RFC 6750 (Bearer), RFC 2104 (HMAC),
draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from twisted.web.http_headers import Headers

from slimtwist.envelope import Envelope
from slimtwist.runtime import ehlo_name

#: Octets of the fields of a signed request, between its parts.
_BETWEEN: Final = b"\n"


@dataclass(frozen=True, slots=True)
class Names:
    """What the fields are called."""

    ehlo: str = "X-Ehlo"
    sender: str = "X-Envelope-Sender"
    recipient: str = "X-Envelope-Recipient"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What proves who we are; never shown.

    @ivar bearer: a token.
    @ivar basic: name and password, with a colon between.
    @ivar key: signs the request: C{X-Signature} is the HMAC with SHA-256, in hexadecimal, of the
        time in C{X-Signature-Time}, the sender's field, each recipient's, and the body, each but
        the last with a line feed behind.
    @raise ValueError: both a token and a password are given.
    """

    bearer: str = field(default="", repr=False)
    basic: str = field(default="", repr=False)
    key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        """Check that there is one way."""
        if self.bearer and self.basic:
            raise ValueError("a bearer token and a password exclude each other")

    def authorization(self) -> str | None:
        """Return the value of Authorization."""
        if self.bearer:
            return f"Bearer {self.bearer}"
        return f"Basic {_base64(self.basic)}" if self.basic else None


def fields(
    envelope: Envelope, ehlo_as: str, names: Names, secrets: Secrets, clock: Callable[[], float]
) -> Headers:
    """Return the fields of a request.

    @param ehlo_as: what we call ourselves.
    @param clock: gives the seconds since 1970, for a signature.
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
        time = str(int(clock()))
        headers.setRawHeaders("X-Signature-Time", [time])
        signature = _signature(secrets.key, [time, sender, *recipients], envelope)
        headers.setRawHeaders("X-Signature", [signature])
    return headers


def idempotency_key(envelope: Envelope) -> str:
    """Return a key that is the same for every attempt with a message and these recipients."""
    digest = hashlib.sha256(envelope.id.encode())
    for recipient in envelope.recipients:
        digest.update(b"\0" + recipient.address.octets)
    return digest.hexdigest()[:32]


def _signature(key: bytes, values: list[str], envelope: Envelope) -> str:
    signing = hmac.new(key, digestmod=hashlib.sha256)
    for value in values:
        signing.update(value.encode() + _BETWEEN)
    for block in envelope.content.blocks():
        signing.update(block)
    return signing.hexdigest()


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()
