# -*- test-case-name: tests.simulation.test_simulation -*-
"""A strict client that posts messages to the HTTP edge.

It sends what RFC 9110 and 9112 allow, one request after the other or several at once, with a length
or in chunks, and writes down what it was told of each recipient.  A request that had no answer, or
one that asks to come again, comes again with the same C{Idempotency-Key} if the client has keys.

Sources: RFC 9112 (syntax), the form of python-slimta's HTTP edge.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.ledger import Told
from tests.simulation.models.client import CREDENTIALS, Job, Reply, Submitter
from tests.simulation.octets import octets

_PATIENCE: Final = 620.0
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([1-5][0-9]{2}) [\x20-\x7e]*\Z")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x20-\x7e]+)\Z")
_REPLY: Final = re.compile(r'([245][0-9]{2}); message="((?:[^"\\]|\\.)*)"\Z')
_LONGEST: Final = 100_000
#: The hundred of a reply -> statuses that go with it.
_AGREEING: Final = {
    2: (200, 204),
    4: (503, 408),
    5: (400, 401, 403, 404, 405, 413, 415, 422, 500),
}


class Poster(Submitter):
    """A client, over as many connections as it needs."""

    def conversation(self) -> Protocol:
        """Return what goes on over one connection."""
        return _Conversation(self)


class _Request:
    """A message on its way."""

    def __init__(self, owner: Poster, job: Job) -> None:
        message, client = job.message, owner.plan
        again = client.keyed and job.asked == job.left
        job.turns += not again
        job.asked = job.left[:]
        job.tries -= 1
        self.job = job
        self.positions = job.left[:]
        self.sender = "" if message.null else f"m{message.number}t{job.turns}@s.example"
        self.key = f"key-{client.number}-{message.number}-{job.turns}" if client.keyed else ""
        self.as_json = client.json

    def octets(self, owner: Poster) -> bytes:
        client, message = owner.plan, self.job.message
        lines = [
            b"POST /messages HTTP/1.1",
            b"Host: relay.example",
            b"Content-Type: message/rfc822",
            b"X-Ehlo: client.example",
            b"X-Envelope-Sender: " + b64encode(self.sender.encode()),
        ]
        named = [b64encode(message.recipients[each].encode()) for each in self.positions]
        if client.pipelined:  # as a proxy may write them
            named = [b", ".join(named)]
        lines += [b"X-Envelope-Recipient: " + each for each in named]
        if self.key:
            lines.append(b'Idempotency-Key: "%b"' % self.key.encode())
        if self.as_json:
            lines.append(b"Accept: text/html;q=0.1, application/json")
        if client.login:
            lines.append(b"Authorization: Basic " + b64encode(b":".join(CREDENTIALS)))
        body = octets(message)
        if client.chunk:
            lines.append(b"Transfer-Encoding: chunked")
            body = _chunked(body, max(client.chunk, len(body) // 20))
        else:
            lines.append(b"Content-Length: %d" % len(body))
        return b"\r\n".join([*lines, b"", body])


def _chunked(body: bytes, size: int) -> bytes:
    pieces = [body[i : i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces) + b"0\r\n\r\n"


class _Conversation(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, owner: Poster) -> None:
        self._owner = owner
        self._in = b""
        self._waiting: deque[_Request] = deque()
        self._over = False
        self._timer: Any = None

    def connectionMade(self) -> None:
        """Post the first message, or all."""
        self.transport.setTcpNoDelay(True)
        self._timer = self._owner.reactor.callLater(_PATIENCE, self.transport.abortConnection)
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note that what was asked has no answer."""
        if self._timer.active():
            self._timer.cancel()
        for each in self._waiting:
            self._note(each, [(0, "connection lost")] * len(each.positions))
        self._owner.ended()

    def dataReceived(self, data: bytes) -> None:
        """Read responses."""
        self._in += data
        if len(self._in) > _LONGEST:
            self._wrong("an endless response")
            self.transport.abortConnection()
            return
        while self._response():
            pass

    def _wrong(self, what: str) -> None:
        self._owner.ledger.wrong("client", what)

    def _go_on(self) -> None:
        """Post what is to be posted; end when there is nothing more."""
        busy = {id(each.job) for each in self._waiting}
        ready = [j for j in self._owner.jobs if j.left and j.tries > 0 and id(j) not in busy]
        if not self._owner.plan.pipelined:
            ready = ready[: not self._waiting]
        for job in ready:
            request = _Request(self._owner, job)
            self._waiting.append(request)
            self.transport.write(request.octets(self._owner))
        if not self._waiting:
            self._over = True
            self.transport.loseConnection()

    # Responses.

    def _response(self) -> bool:
        head, end, rest = self._in.partition(b"\r\n\r\n")
        if not end or self._over:
            return False
        line, *lines = head.split(b"\r\n")
        found = _STATUS.match(line)
        fields = self._fields(lines)
        if found is None:
            self._wrong(f"no status line: {line[:80]!r}")
            self.transport.abortConnection()
            return False
        status = int(found[1])
        length = int(fields.get("content-length", "0"))
        if status in (100, 204):
            if length:
                self._wrong(f"{status} with a body")
            length = 0
        elif "content-length" not in fields:
            self._wrong(f"{line!r} without a length")
        if len(rest) < length:
            return False
        self._in = rest[length:]
        if status != 100:
            self._take(status, fields, rest[:length])
        return True

    def _fields(self, lines: Sequence[bytes]) -> dict[str, str]:
        fields: dict[str, str] = {}
        for each in lines:
            found = _FIELD.match(each)
            name = found[1].decode().lower() if found else ""
            if found is None or name in fields:
                self._wrong(f"no field, or one too many: {each[:80]!r}")
            else:
                fields[name] = found[2].decode()
        return fields

    def _take(self, status: int, fields: dict[str, str], body: bytes) -> None:
        self._over = fields.get("connection") == "close"
        if not self._waiting:
            # Whoever is sent away hears it without having asked.
            if not (self._over and status in (408, 503)):
                self._wrong(f"an answer that was not asked for: {status}")
            self.transport.loseConnection()
            return
        request = self._waiting.popleft()
        self._note(request, self._replies(request, status, fields, body))
        self._timer.reset(_PATIENCE)
        if self._over:
            self.transport.loseConnection()
        else:
            self._go_on()

    def _replies(
        self, request: _Request, status: int, fields: dict[str, str], body: bytes
    ) -> list[Reply]:
        """Return what was said of each recipient."""
        found = _REPLY.match(fields.get("x-smtp-reply", ""))
        if found is None:
            self._wrong(f"{status} with X-Smtp-Reply: {fields.get('x-smtp-reply')!r}")
            return [(0, "")] * len(request.positions)
        code = int(found[1])
        if status not in _AGREEING[code // 100]:
            self._wrong(f"{status} with {found[0]}")
        if (status == 503) != ("retry-after" in fields):
            self._wrong(f"{status} with {fields}")
        replies = [(code, re.sub(r"\\(.)", r"\1", found[2]))] * len(request.positions)
        if fields.get("content-type") == "application/json":
            return self._results(request, code, body)
        if request.as_json and status == 200:
            self._wrong("JSON was asked for")
        return replies

    def _results(self, request: _Request, code: int, body: bytes) -> list[Reply]:
        results = json.loads(body)["results"]
        names = [request.job.message.recipients[each] for each in request.positions]
        if [each["recipient"] for each in results] != names:
            self._wrong(f"results of others: {body[:200]!r}")
        replies = [(each["code"], each["message"]) for each in results]
        if code // 100 != 4 and {each // 100 for each, _ in replies} != {code // 100}:
            self._wrong(f"{code} does not hold for all: {body[:200]!r}")
        return replies

    def _note(self, request: _Request, replies: Sequence[Reply]) -> None:
        job, ledger = request.job, self._owner.ledger
        for position, (code, text) in zip(request.positions, replies, strict=False):
            recipient = job.message.recipients[position]
            told = Told(job.message.number, position, request.sender, recipient, code, text)
            ledger.told.append(told)
            if code // 100 == 2 and not self._known(request, recipient):
                ledger.wrong("L1", f"told {code} of {recipient} before anybody could know")
            if code // 100 in (2, 5) and position in job.left:
                job.left.remove(position)

    def _known(self, request: _Request, recipient: str) -> bool:
        """Tell whether an attempt with a message has ended."""
        return any(
            each.outcomes is not None and each.sender == request.sender
            for each in self._owner.ledger.attempts
            if recipient in each.recipients
        )
