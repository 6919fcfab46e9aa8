# -*- test-case-name: tests.relay.http.test_result -*-
"""What an HTTP response means for the recipients of a message.

An SMTP reply in the response decides, if it is believable there; else the status does, by
L{STATUSES}.  A body that gives a result for each recipient goes before both.

Sources: RFC 9110 15 (status codes), 10.2.3 (Retry-After), RFC 6585 4 (429), RFC 8470 5.2 (425).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
_LATER: Final = Reply.parse("451 4.7.0 HTTP")
_DAY: Final = 86400.0
_JSON: Final = re.compile(r"application/json\s*(?:;|\Z)", re.ASCII | re.IGNORECASE)
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
    @ivar early: whether it came before the whole request had left.
    """

    status: int
    phrase: str
    headers: Mapping[str, Sequence[str]]
    body: bytes = b""
    early: bool = False

    def one(self, name: str) -> str | None:
        """Return the value of a field that stands in the response once."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else None

    @property
    def good(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the responses of a service mean.

    @ivar host: the service, for people.
    @ivar statuses: L{STATUSES}, or another such table.
    @raise ValueError: the table has no entry for a class of statuses, or one that is no reply.
    """

    host: str
    statuses: Mapping[int, str] = field(default_factory=lambda: STATUSES)

    def __post_init__(self) -> None:
        """Check the table."""
        for status, text in self.statuses.items():
            reply = Reply.parse(text)
            if 300 <= reply.code < 400 or (reply.positive and status // 100 != 2):
                raise ValueError(f"{text!r} is nothing that status {status} can mean")
        if missing := {200, 300, 400, 500} - self.statuses.keys():
            raise ValueError(f"the table of statuses has no entry for {min(missing)}")

    def outcomes(self, response: Response, count: int, now: float) -> tuple[Outcome, ...]:
        """Return the outcome of each recipient.

        @param count: how many there are.
        @param now: seconds since 1970.
        """
        wait = _retry_after(response.one("retry-after"), now)
        found = self._from_body(response, count) or (self._one(response, wait),) * count
        if response.early and any(each.verdict is Verdict.DELIVERED for each in found):
            found = (self._fault("success before the message was sent", ambiguous=False),) * count
        return tuple(
            replace(each, retry_after=wait) if each.verdict is Verdict.DEFERRED else each
            for each in found
        )

    def _one(self, response: Response, wait: float | None) -> Outcome:
        """Return what holds for all."""
        if not 200 <= response.status < 600:
            return self._fault(f"HTTP {response.status}", ambiguous=not response.early)
        said = SmtpReply.parse(response.one("x-smtp-reply") or "")
        if said is None:
            return self._outcome(self._by_status(response, wait))
        if said.reply.positive and not response.good:
            detail = f"HTTP {response.status} with {said.reply}"
            return self._fault(detail, ambiguous=not response.early)
        reply = said.reply
        if reply.permanent and self._is_configuration(response.status):
            reply = reply.softened(f"HTTP {response.status}")
        return self._outcome(reply, None if reply.positive else said.command)

    def _is_configuration(self, status: int) -> bool:
        """Tell whether a fault is ours to mend, and the sender is spared."""
        return status in CONFIGURATION and self.statuses.get(status, "5").startswith("4")

    def _by_status(self, response: Response, wait: float | None) -> Reply:
        status = response.status
        text = self.statuses.get(status) or self.statuses[status // 100 * 100]
        reply = Reply.parse(text)
        if wait is not None and 400 <= status < 500 and reply.permanent:
            reply = _LATER
        return reply.with_text(f"{reply.text} {status} {response.phrase}".rstrip()[:500])

    def _from_body(self, response: Response, count: int) -> tuple[Outcome, ...]:
        """Read C{{"results": [{"code": 250, "message": "2.0.0 ok", "command": "RCPT"}, ...]}}."""
        if not _JSON.match(response.one("content-type") or "") or response.status // 100 in (1, 3):
            return ()
        try:
            results = json.loads(response.body)["results"]
            if len(results) != count:
                return ()
            found = tuple(self._result(result) for result in results)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return ()
        if not response.good and all(each.verdict is Verdict.DELIVERED for each in found):
            detail = f"HTTP {response.status} with {found[0].reply}"
            return (self._fault(detail, ambiguous=not response.early),) * count
        return found

    def _result(self, result: Mapping[str, Any]) -> Outcome:
        code, message = result["code"], str(result.get("message", ""))
        if type(code) is not int or not (200 <= code < 300 or 400 <= code < 600):
            raise ValueError(f"{code!r} is no final reply")
        reply = Reply.received(f"{code} {printable(message)}".encode())
        command = printable(str(result.get("command") or ""))[:40]
        return self._outcome(reply, command or None)

    def _outcome(self, reply: Reply, command: str | None = None) -> Outcome:
        return Outcome.of(reply, host=self.host, command=command or "end of data")

    def _fault(self, detail: str, *, ambiguous: bool) -> Outcome:
        return fault_outcome(
            "protocol", detail, command="end of data", host=self.host, ambiguous=ambiguous
        )


def _retry_after(text: str | None, now: float) -> float | None:
    """Return seconds, of which both forms of RFC 9110 10.2.3 tell."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return min(float(text[:10]), _DAY)
    try:
        return min(max(parsedate_to_datetime(text).timestamp() - now, 0.0), _DAY)
    except (ValueError, OverflowError):
        return None
