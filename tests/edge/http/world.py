# -*- test-case-name: tests.edge.http -*-
"""An HTTP edge before a next hop, and clients that send octets, in memory."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from slimtwist.edge.access import Access
from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.edge.options import EdgeOptions
from slimtwist.interfaces import IQueue
from slimtwist.queue.direct import DirectQueue
from tests.edge.world import EdgeTestCase, Visitor

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


@dataclass(frozen=True)
class Heard:
    """A response."""

    status: int
    fields: dict[str, str]
    body: bytes

    @property
    def reply(self) -> str:
        """The SMTP reply."""
        return self.fields["x-smtp-reply"]

    @property
    def results(self) -> list[tuple[str, int, str]]:
        """The result of each recipient."""
        found: list[dict[str, Any]] = json.loads(self.body)["results"]
        return [(each["recipient"], each["code"], each["message"]) for each in found]


def responses(octets: bytes) -> list[Heard]:
    """Return the responses in octets that hold nothing else."""
    found = []
    while octets:
        head, blank, rest = octets.partition(b"\r\n\r\n")
        assert blank, octets
        first, *lines = head.decode().split("\r\n")
        fields = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(fields.get("content-length", 0))
        found.append(Heard(int(first.split()[1]), fields, rest[:size]))
        octets = rest[size:]
    return found


def b64(text: str) -> str:
    """Return text as the fields have it."""
    return b64encode(text.encode()).decode()


def post(
    *fields: str,
    sender: str | None = "a@example.org",
    recipients: Sequence[str] = ("b@example.net",),
    body: bytes = MESSAGE,
    first: str = "POST /messages/ HTTP/1.1",
    kind: str | None = "message/rfc822",
    length: int | str | None = -1,
) -> bytes:
    """Return a request; C{None} leaves a part out."""
    lines = [first, "Host: edge.example", *fields]
    if kind is not None:
        lines.append(f"Content-Type: {kind}")
    if sender is not None:
        lines.append(f"X-Envelope-Sender: {b64(sender)}".rstrip())
    lines += [f"X-Envelope-Recipient: {b64(each)}" for each in recipients]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


class HttpEdgeCase(EdgeTestCase):
    """Has an edge, and clients of it."""

    factory: HttpEdgeFactory  # type: ignore[assignment]

    def edge(self, options: EdgeOptions | None = None, queue: IQueue | None = None) -> None:
        """Let an edge listen; strangers may write to C{accepted.example} only."""
        self.options = options = options or EdgeOptions(
            access=Access.parse(accept=["accepted.example"])
        )
        self.queue = queue or DirectQueue(
            self.runtime, self.hop, limits=options.limits, timeouts=options.timeouts
        )
        self.factory = HttpEdgeFactory(self.runtime, self.queue, options)
        self.port = self.reactor.listenTCP(25, self.factory, interface="0.0.0.0")
        self.reactor.listenUNIX("/run/edge", self.factory)

    def client(self, ip: str = "127.0.0.1") -> Visitor:
        """Return a client from an address."""
        return self.visit(ip, greeting=False)

    def _arrive(self, connected: Any, *, greeting: bool) -> Visitor:  # noqa: ANN401
        visitor: Visitor = self.reactor.wait(connected)
        self.reactor.flush()
        return visitor

    def ask(self, visitor: Visitor, octets: bytes) -> list[Heard]:
        """Send octets, and return the responses that have come since."""
        visitor.transport.write(octets)
        self.reactor.flush()
        return self.heard(visitor)

    def heard(self, visitor: Visitor) -> list[Heard]:
        """Return the responses that have come since."""
        octets = bytes(visitor.octets)
        visitor.octets.clear()
        return responses(octets)

    def one(self, octets: bytes, ip: str = "127.0.0.1") -> Heard:
        """Return the only response to the only request of a client."""
        [heard] = self.ask(self.client(ip), octets)
        return heard
