# -*- test-case-name: tests.relay.test_httpresult -*-
"""What an HTTP response means for the recipients of a message.

An SMTP reply in the response decides, if it is believable there; else the status does, by
L{STATUSES}.  A body that gives a result for each recipient goes before both.

Sources: RFC 9110 15 (status codes), 10.2.3 (Retry-After), RFC 6585 4 (429), RFC 8470 5.2 (425).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, Final

from slimtwist.errors import fault_outcome
from slimtwist.outcome import Outcome, Verdict
from slimtwist.reply import Reply, printable
from slimtwist.smtpreply import SmtpReply

#: Status, or its hundred -> the reply that it stands for where there is no SMTP reply. The text of
#: the status follows.
STATUSES: Final[Mapping[int, str]] = MappingProxyType(
    {
        200: "250 2.0.0 HTTP",
        300: "451 4.5.0 redirect not allowed: HTTP",
        400: "550 5.0.0 HTTP",
        408: "451 4.4.2 HTTP",
        413: "552 5.3.4 HTTP",
        421: "451 4.3.2 HTTP",
        425: "451 4.3.2 HTTP",
        429: "451 4.7.0 HTTP",
        500: "451 4.3.0 HTTP",
    }
)
#: Faults of configuration: of the address, of the credentials.
CONFIGURATION: Final = (401, 403, 404, 405, 407, 410)
#: What these mean to an operator who would rather defer mail than lose it.
SPARED: Final[Mapping[int, str]] = MappingProxyType(
    {**STATUSES, **dict.fromkeys(CONFIGURATION, "451 4.3.5 HTTP")}
)


@dataclass(frozen=True, slots=True)
class Response:
    """A response, read.

    @ivar status: the status code.
    @ivar phrase: the text beside it.
    @ivar headers: values by lower-case name.
    @ivar body: its first octets.
    """

    status: int
    phrase: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = b""

    def one(self, name: str) -> str | None:
        """Return the value of a field that stands in the response once."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else None


def outcomes(
    response: Response, count: int, *, statuses: Mapping[int, str], host: str, now: float
) -> tuple[Outcome, ...]:
    """Return the outcome of each recipient.

    @param count: how many there are.
    @param statuses: L{STATUSES}, or another such table.
    @param host: who answered.
    @param now: seconds since 1970.
    """
    wait = _retry_after(response.one("retry-after"), now)
    each = _from_body(response, count, host)
    found = each or (_from_response(response, statuses, host, wait),) * count
    return tuple(
        replace(one, retry_after=wait) if one.verdict is Verdict.DEFERRED else one for one in found
    )


def _from_response(
    response: Response, statuses: Mapping[int, str], host: str, wait: float | None
) -> Outcome:
    said = SmtpReply.parse(response.one("x-smtp-reply") or "")
    if said is None:
        return Outcome.of(_by_status(response, statuses, wait), host=host, command="end of data")
    if not said.reply.positive:
        return Outcome.of(said.reply, host=host, command=said.command or "end of data")
    if 200 <= response.status < 300:
        return Outcome.of(said.reply, host=host, command="end of data")
    detail = f"HTTP {response.status} with {said.reply}"
    return fault_outcome("protocol", detail, command="end of data", host=host, ambiguous=True)


def _by_status(response: Response, statuses: Mapping[int, str], wait: float | None) -> Reply:
    status = response.status
    text = statuses.get(status) or statuses.get(status // 100 * 100)
    if text is None or not 200 <= status < 600:
        text = "451 4.5.0 HTTP"
    if wait is not None and 400 <= status < 500:
        text = statuses.get(429, "451 4.7.0 HTTP")
    reply = Reply.parse(text)
    return reply.with_text(printable(f"{reply.text} {status} {response.phrase}".rstrip())[:500])


def _from_body(response: Response, count: int, host: str) -> tuple[Outcome, ...]:
    """Read C{{"results": [{"code": 250, "message": "2.0.0 ok", "command": "RCPT"}, ...]}}."""
    if not (response.one("content-type") or "").startswith("application/json"):
        return ()
    try:
        results = json.loads(response.body)["results"]
        if len(results) != count:
            return ()
        return tuple(_result(result, host) for result in results)
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()


def _result(result: Mapping[str, Any], host: str) -> Outcome:
    code, message = result["code"], str(result.get("message", ""))
    if not isinstance(code, int) or not (200 <= code < 300 or 400 <= code < 600):
        raise ValueError(f"{code!r} is no final reply")
    reply = Reply.received(f"{code} {printable(message)}".encode())
    return Outcome.of(reply, host=host, command=printable(str(result.get("command") or "")) or None)


def _retry_after(text: str | None, now: float) -> float | None:
    """Return seconds, of which both forms of RFC 9110 10.2.3 tell."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), 86400.0)
    try:
        return min(max(parsedate_to_datetime(text).timestamp() - now, 0.0), 86400.0)
    except ValueError:
        return None
