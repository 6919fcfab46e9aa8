# -*- test-case-name: tests.edge.http.test_request -*-
"""What the request line and the fields of a request say, checked before any of its body is read.

Sources: RFC 9110 (fields), RFC 9112 6 (framing), python-slimta's HTTP edge (the envelope),
draft-ietf-httpapi-idempotency-key-header.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from twisted.web.http_headers import Headers

from slimtwist.address import Address, Recipient
from slimtwist.edge.http.answer import Refused, refusal
from slimtwist.limits import Limits

#: Where messages are posted to.
PATHS: Final = frozenset({b"/messages", b"/messages/"})
#: Where load balancers ask.
HEALTH: Final = b"/health"

_ORIGIN: Final = re.compile(rb"\Ahttps?://[^/?#]*", re.IGNORECASE)
_KEY: Final = re.compile(r"[ -~]{1,255}\Z")
_EHLO: Final = re.compile(r"[!-~]{1,255}\Z")
_SEPARATOR: Final = re.compile(r"[,;]")


@dataclass(frozen=True, slots=True)
class Head:
    """A request as far as its first empty line.

    @ivar method: as it was sent.
    @ivar path: without a query.
    @ivar version: C{HTTP/1.1}.
    @ivar fields: the header.
    @ivar length: octets of the body; C{None} where it comes in chunks.
    """

    method: bytes
    path: bytes
    version: bytes
    fields: Headers
    length: int | None

    @classmethod
    def of(
        cls, method: bytes, uri: bytes, version: bytes, fields: Headers, length: int | None
    ) -> Head:
        """Take the address apart."""
        path = _ORIGIN.sub(b"", uri, count=1) or b"/"
        return cls(method, path.partition(b"?")[0], version, fields, length)

    def one(self, name: str) -> str | None:
        """Return the value of a field that may stand there once.

        @raise Refused: it is there twice, or is not text.
        """
        values = self.fields.getRawHeaders(name.encode(), [])
        if len(values) > 1:
            raise malformed(f"two fields {name}")
        try:
            return values[0].decode("utf-8") if values else None
        except UnicodeDecodeError as error:
            raise malformed(f"field {name} is not UTF-8") from error

    @property
    def expects(self) -> bool:
        """Whether the client waits for C{100 Continue}."""
        values = self.fields.getRawHeaders(b"expect", [])
        return self.version == b"HTTP/1.1" and b"100-continue" in [v.lower() for v in values]

    @property
    def as_json(self) -> bool:
        """Whether the client wants a result for each recipient."""
        return any(
            each.partition(b";")[0].strip().lower() == b"application/json"
            for value in self.fields.getRawHeaders(b"accept", [])
            for each in value.split(b",")
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What a client wants to be done with the body.

    @ivar sender: the reverse-path.
    @ivar recipients: at least one.
    @ivar ehlo: what the client calls itself.
    @ivar key: its C{Idempotency-Key}.
    """

    sender: Address
    recipients: tuple[Recipient, ...]
    ehlo: str | None
    key: str | None


def check(head: Head, limits: Limits) -> None:
    """Check that a request is one for a message.

    @raise Refused: it is not.
    """
    if head.version == b"HTTP/1.1" and len(head.fields.getRawHeaders(b"host", [])) != 1:
        raise malformed("not one field Host")
    if head.fields.getRawHeaders(b"transfer-encoding", [b"chunked"])[0].lower() != b"chunked":
        raise malformed("unknown Transfer-Encoding")
    if head.path not in PATHS:
        raise refusal(404, "554 5.1.2 there is nothing here")
    if head.method != b"POST":
        raise disallowed("POST")
    kind = (head.one("Content-Type") or "message/rfc822").partition(";")[0].strip().lower()
    if kind != "message/rfc822":
        raise refusal(415, "554 5.6.1 only message/rfc822 is taken")
    if (head.one("Content-Encoding") or "identity").lower() != "identity":
        raise refusal(415, "554 5.6.1 no Content-Encoding is taken")
    if head.length is not None and head.length > limits.message:
        raise refusal(413, "552 5.3.4 message too large")
    framed = head.fields.hasHeader(b"content-length") or head.fields.hasHeader(b"transfer-encoding")
    if not framed:
        raise malformed("Content-Length is missing")


def order(head: Head, limits: Limits) -> Order:
    """Return what a request orders.

    @raise Refused: it is malformed.
    """
    recipients = tuple(_recipients(head, limits))
    if not recipients:
        raise malformed("no X-Envelope-Recipient", "5.1.3")
    sender = head.one("X-Envelope-Sender")
    if sender is None:
        raise malformed("no X-Envelope-Sender; an empty one is the null sender", "5.1.7")
    ehlo, key = head.one("X-Ehlo"), head.one("Idempotency-Key")
    if ehlo is not None and not _EHLO.match(ehlo):
        raise malformed("bad X-Ehlo")
    if key is not None and not _KEY.match(key):
        raise malformed("bad Idempotency-Key")
    try:
        return Order(_address(sender), recipients, ehlo, key)
    except ValueError as error:
        raise malformed("bad X-Envelope-Sender", "5.1.7") from error


def malformed(what: str, enhanced: str = "5.5.4") -> Refused:
    """Return what is raised for a malformed request."""
    return refusal(400, f"501 {enhanced} {what}")


def disallowed(methods: str) -> Refused:
    """Return what is raised for a method that is none of some."""
    answer = refusal(405, "502 5.5.1 method not allowed").answer
    return Refused(answer.with_header("Allow", methods))


def _recipients(head: Head, limits: Limits) -> Iterator[Recipient]:
    """Yield them; a proxy may have put several fields into one (RFC 9110 5.3)."""
    count = 0
    for value in head.fields.getRawHeaders(b"x-envelope-recipient", []):
        for text in _SEPARATOR.split(value.decode("latin-1")):
            count += 1
            if count > limits.recipients:
                raise refusal(400, "552 5.5.3 too many recipients")
            try:
                yield Recipient(_address(text.strip()))
            except ValueError as error:
                raise malformed("bad X-Envelope-Recipient", "5.1.3") from error


def _address(text: str) -> Address:
    """Return an address in base64. Raises ValueError."""
    try:
        return Address(b64decode(text.encode("ascii"), validate=True))
    except (NotBase64, UnicodeEncodeError) as error:
        raise ValueError("not base64") from error
