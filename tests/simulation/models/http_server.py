# -*- test-case-name: tests.simulation.test_simulation -*-
"""A strict HTTP/1.1 service that takes messages: the next hop.

Whatever a client does that RFC 9110 and 9112 do not allow, or that is not the form of such a
request, is written into the ledger as a violation.  It stores a message for each recipient, at the
moment in which it decides to say so, and honours C{Idempotency-Key}: what it has stored under a key
it does not store again.  What it says instead of the right response is the plan's.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.ledger import Ledger, Said, Stored, message_name
from tests.simulation.models.http_odd import AFTER, ELSEWHERE, WAYS, Odd, Response, odd
from tests.simulation.models.http_request import HOST, Header
from tests.simulation.models.odd import Step
from tests.simulation.plan import Settings

_TRACE: Final = re.compile(rb"\bid ([^\s;]+)")
_LONGEST: Final = 32768
Chooser = Callable[[str, str], str | None]


@dataclass(slots=True)
class Posted:
    """A request that was heard to its end, or answered before.

    @ivar whole: whether it was heard to its end.
    @ivar said: the response.
    @ivar odd: what the response was made of.
    @ivar name: of the odd response.
    @ivar results: what was said of each recipient, where the response tells.
    """

    sender: str
    recipients: tuple[str, ...]
    began: float
    whole: bool = False
    said: Said | None = None
    odd: Odd | None = None
    name: str = ""
    results: tuple[Said, ...] = ()


class HttpService(Factory):
    """The service.

    @ivar posted: the requests, in order.
    """

    noisy = False

    def __init__(
        self, clock: IReactorTime, ledger: Ledger, settings: Settings, choose: Chooser
    ) -> None:
        self.clock = clock
        self.ledger = ledger
        self.settings = settings
        self.choose = choose
        self.connections = 0
        self.posted: list[Posted] = []
        self._kept: dict[bytes, list[str]] = {}
        self._keys: dict[tuple[bytes, tuple[str, ...]], bytes] = {}

    def buildProtocol(self, addr: object) -> _Conversation:
        """Return a conversation."""
        self.connections += 1
        return _Conversation(self, self.connections - 1)

    def keep(self, key: bytes, posted: Posted, name: str, octets: bytes, token: int) -> None:
        """Store a message for a recipient, unless that was done."""
        kept = self._kept.setdefault(key, [])
        if kept.count(name) < posted.recipients.count(name):
            kept.append(name)
            self.ledger.stored.append(Stored(posted.sender, name, octets, token))

    def note_key(self, key: bytes, posted: Posted, octets: bytes) -> None:
        """Check that a key stands for one message and its recipients, and they for one key."""
        found = _TRACE.search(octets[:1000])
        message = found[1] if found else b""
        before = self._keys.setdefault((message, posted.recipients), key)
        if before != key:
            self.ledger.wrong("peer", f"{message!r} came with the key {before!r}, and with {key!r}")
        if list(self._keys.values()).count(key) > 1:
            self.ledger.wrong("peer", f"the key {key!r} stands for several messages")


class Elsewhere(Factory):
    """Where redirects lead: whoever asks has followed one."""

    noisy = False

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def buildProtocol(self, addr: object) -> _Landing:
        """Return what welcomes them."""
        return _Landing(self.ledger)


class _Landing(Protocol):
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def dataReceived(self, data: bytes) -> None:
        self._ledger.wrong("peer", f"a redirect was followed: {data[:60]!r}")
        assert self.transport is not None
        self.transport.write(Response(200, b"Welcome", body=b"to the landing page").octets())


class _Conversation(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, service: HttpService, number: int) -> None:
        self._service = service
        self._ledger = service.ledger
        self._number = number
        self._in = b""
        self._out: deque[Step | Callable[[], None]] = deque()
        self._timer: Any = None
        self._idle: Any = None
        self._over = False
        self._take: Callable[[], bool] = self._header
        self._head: Header | None = None
        self._posted = Posted("", (), 0.0)
        self._left = 0
        self._body: list[bytes] = []

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Wait for a request."""
        self._wait()

    def dataReceived(self, data: bytes) -> None:
        """Take octets."""
        if self._over:
            return
        self._wait_no_more()
        busy = (self._out or self._timer is not None) and self._posted.name not in AFTER
        if busy and self._take == self._header:
            self._wrong(f"{data[:40]!r} came before the response was complete")
        self._in += data
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say no more."""
        self._over = True
        self._wait_no_more()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # How long a connection is kept.

    def _wait(self) -> None:
        keeps = self._service.settings.keeps
        if self._take == self._header and not self._in and self._idle is None:
            self._idle = self._service.clock.callLater(keeps, self._end, "fin")

    def _wait_no_more(self) -> None:
        if self._idle is not None and self._idle.active():
            self._idle.cancel()
        self._idle = None

    # Saying things, one step after the other.

    def _pump(self) -> None:
        while self._out and not self._over and self._timer is None:
            step = self._out.popleft()
            if isinstance(step, bytes):
                self.transport.write(step)
            elif isinstance(step, float):
                self._timer = self._service.clock.callLater(step, self._waited)
            elif callable(step):
                step()
            else:
                self._end(step)
        if not self._out and not self._over:
            self._wait()

    def _waited(self) -> None:
        self._timer = None
        self._pump()
        self._go_on()

    def _end(self, how: str) -> None:
        self._out.clear()
        self._over = True
        if how == "fin":
            self.transport.loseConnection()
        elif how == "rst":
            self.transport.abortConnection()

    # Hearing things.

    def _go_on(self) -> None:
        while not self._over and (self._take == self._rest or not self._out) and self._take():
            pass

    def _wrong(self, what: str) -> None:
        self._ledger.wrong("peer", f"connection {self._number}: {what}")

    def _header(self) -> bool:
        head, end, rest = self._in.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _LONGEST:
                self._wrong("an endless header")
                self._end("rst")
            return False
        self._in = rest
        self._head = Header(head, self._wrong, login=self._service.settings.login)
        self._begin(self._head)
        return True

    def _begin(self, head: Header) -> None:
        self._left, self._body = head.length, []
        self._posted = Posted(head.sender, head.recipients, self._service.clock.seconds())
        self._service.posted.append(self._posted)
        self._take = self._rest
        if head.expects and self._service.settings.keeps > 1:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._in) < self._left:
            name = self._service.choose("early response", self._message)
            if name is not None:
                self._say("early response", name)

    def _rest(self) -> bool:
        piece, self._in = self._in[: self._left], self._in[self._left :]
        self._left -= len(piece)
        self._body.append(piece)
        if self._left:
            return False
        self._take = self._header
        octets = b"".join(self._body)
        self._posted.whole = True
        assert self._head is not None
        key = self._head.key
        self._service.note_key(key, self._posted, octets)
        said = self._posted.said
        if said is None:
            self._decide(key, octets)
        elif said.kind == "success":  # it was said before, and has to come true
            for each in self._posted.recipients:
                self._service.keep(key, self._posted, each, octets, said.token)
        return True

    # Deciding.

    @property
    def _message(self) -> str:
        """The name of the message."""
        posted = self._posted
        return message_name(posted.recipients[0] if posted.recipients else posted.sender)

    def _decide(self, key: bytes, octets: bytes) -> None:
        """Decide about a message, keep it for whom it is accepted, and say so."""
        posted = self._posted
        said = self._say("response", self._service.choose("response", self._message))
        doubtful = said.kind in ("contradiction", "violation", "silence", "lost")
        taken = said.kind == "success" or (doubtful and said.token % 2)
        for place, name in enumerate(posted.recipients):
            if posted.results and said.kind == "success":
                taken = posted.results[place].kind == "success"
            if taken:
                self._service.keep(key, posted, name, octets, said.token)

    def _say(self, stage: str, name: str | None) -> Said:
        posted, service = self._posted, self._service
        token = self._ledger.next_token()
        now = service.clock.seconds()
        said = Said(token, self._number, stage, "success", now, posted.sender, odd=bool(name))
        posted.said = self._ledger.say(said)
        mark = b"#%d#" % token
        right = self._right(mark, whole=stage == "response")
        made = Odd("success", (right.octets(),), right.status)
        if name is not None:
            spare = service.settings.spare
            count = len(posted.recipients)
            made = odd(name, mark, right, "success", recipients=count, spare=spare)
            posted.name = name
            if name == "endless body" or name not in WAYS:
                posted.results = ()
        said.kind, said.code, posted.odd = made.kind, made.status, made
        self._out.extend(made.steps)
        self._out.append(lambda: setattr(said, "complete", True))
        self._pump()
        return said

    def _right(self, mark: bytes, *, whole: bool) -> Response:
        """Return the right response, in the form that this service has."""
        answers = self._service.settings.answers
        if answers == "status":
            return Response(204 if len(self._posted.recipients) > 1 else 200, b"OK " + mark)
        reply = (b"X-Smtp-Reply", b'250; message="2.0.0 taken %b"' % mark)
        if answers == "reply" or not whole:
            return Response(200, b"OK " + mark, (reply,), b"taken\n")
        self._posted.results = tuple(map(self._result, self._posted.recipients))
        results = [
            {
                "recipient": name,
                "code": said.code,
                "message": f"{said.code // 100}.1.5 #{said.token}#",
            }
            for name, said in zip(self._posted.recipients, self._posted.results, strict=True)
        ]
        body = json.dumps({"results": results}).encode()
        kind = (b"Content-Type", b"application/json; charset=utf-8")
        return Response(200, b"OK " + mark, (reply, kind) if mark[1] % 2 else (kind,), body)

    def _result(self, recipient: str) -> Said:
        subject = recipient.partition("@")[0]
        code = int(self._service.choose("result", subject) or 250)
        kind = {2: "success", 4: "transient", 5: "permanent"}[code // 100]
        token = self._ledger.next_token()
        now, sender = self._service.clock.seconds(), self._posted.sender
        said = Said(token, self._number, "result", kind, now, sender, (recipient,), code)
        return self._ledger.say(said)


def listen(world: Any) -> HttpService:  # noqa: ANN401 - a world, which imports scenarios
    """Let the service listen, and the place that redirects lead to."""
    service = HttpService(world.reactor, world.ledger, world.plan.settings, world.script.choose)
    world.reactor.add_host(HOST, service, 80)
    world.reactor.add_host(ELSEWHERE.decode(), Elsewhere(world.ledger), 80)
    return service
