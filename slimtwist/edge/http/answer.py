# -*- test-case-name: tests.edge.http.test_request -*-
"""What an HTTP client is told: a status, an SMTP reply, and a result for each recipient.

Sources: RFC 9110 15 (status codes), 10.2.3 (Retry-After), 11.6.1 (WWW-Authenticate).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from slimtwist.address import Recipient
from slimtwist.reply import Reply
from slimtwist.smtpreply import SmtpReply

#: Seconds after which a client may try again.
RETRY_AFTER: Final = 60

_CREDENTIALS: Final = frozenset({530, 535})
_DIFFERENT: Final = Reply.parse("451 4.0.0 outcomes differ, see the result of each recipient")
_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response before it is written.

    @ivar status: the status code.
    @ivar reply: stands in C{X-Smtp-Reply}; C{None} where no mail is spoken of.
    @ivar body: its octets.
    @ivar kind: the type of the body.
    @ivar headers: further fields.
    """

    status: int
    reply: Reply | None = None
    body: bytes = b""
    kind: str = _TEXT
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, reply: Reply, status: int | None = None) -> Answer:
        """Return the answer that a reply is.

        @param status: if it is not the reply's own.
        """
        status = status or status_of(reply)
        body = b"" if status == 204 else f"{reply}\n".encode()
        return cls(status, reply, body)

    def fields(self) -> list[tuple[str, str]]:
        """Return the header fields."""
        found = list(self.headers)
        if self.reply is not None:
            found.append(("X-Smtp-Reply", SmtpReply(self.reply).format()))
        if self.status == 503:
            found.append(("Retry-After", str(RETRY_AFTER)))
        if self.status != 204:
            found += [("Content-Type", self.kind), ("Content-Length", str(len(self.body)))]
        return found

    def with_header(self, name: str, value: str) -> Answer:
        """Return it with one field more."""
        return replace(self, headers=(*self.headers, (name, value)))


class Refused(Exception):
    """A request is answered before its time.

    @ivar answer: what with.
    """

    def __init__(self, answer: Answer) -> None:
        """Raise with the answer."""
        super().__init__(answer)
        self.answer = answer


def refusal(status: int, text: str) -> Refused:
    """Return what is raised to answer with a status, and a reply in one line."""
    return Refused(Answer.of(Reply.parse(text), status))


def refused(octets: bytes, status: int | None = None) -> Refused:
    """Return what is raised to answer with one of L{slimtwist.edge.replies}."""
    return Refused(Answer.of(Reply.received(octets.rstrip()), status))


def status_of(reply: Reply) -> int:
    """Return the status that goes with a reply."""
    if reply.positive:
        return 204
    if reply.code < 500:
        return 503
    return 401 if reply.code in _CREDENTIALS else 500


def answered(recipients: Sequence[Recipient], replies: Sequence[Reply], *, as_json: bool) -> Answer:
    """Return the answer to a whole message.

    One reply stands for all only where it is true for each: where all have the same fate.  What
    differs is told in JSON, also to who has not asked for it, under a status that is no success.

    @param as_json: whether the client asked for a result for each recipient.
    """
    reply = common(replies)
    if not as_json and len(set(replies)) == 1:
        return Answer.of(reply)
    status = 200 if reply.positive else status_of(reply)
    return Answer(status, reply, _results(recipients, replies), _JSON)


def common(replies: Sequence[Reply]) -> Reply:
    """Return the reply that is true for each recipient."""
    fates = {reply.code // 100 for reply in replies}
    return replies[0] if len(fates) == 1 else _DIFFERENT


def _results(recipients: Sequence[Recipient], replies: Sequence[Reply]) -> bytes:
    results = [
        {
            "recipient": str(recipient.address),
            "code": reply.code,
            "message": " ".join(filter(None, (reply.enhanced, reply.text))),
            "command": None,
        }
        for recipient, reply in zip(recipients, replies, strict=True)
    ]
    return json.dumps({"results": results}).encode() + b"\n"
