# -*- test-case-name: tests.simulation.test_simulation -*-
"""A strict client that hands messages over by SMTP or LMTP.

It sends what RFC 5321 allows and no more, one command at a time or in groups (RFC 2920), its
messages by DATA or in chunks (RFC 3030), and writes down what it was told of each recipient.  A
server that says anything malformed, or one reply more than it owes, has violated the protocol.

The dialogue is a generator: it yields octets and how many replies they are owed, and is sent these.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Generator, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IAddress, IConnector
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure

from slimtwist.testing import MemoryReactor
from tests.simulation import plan as planned
from tests.simulation.ledger import Ledger, Told
from tests.simulation.octets import octets

Reply = tuple[int, str]
Talk = Generator[tuple[bytes, int], list[Reply], None]

_LINE: Final = re.compile(rb"([2-5][0-9][0-9])([ -])([\x20-\x7e]*)\Z")
#: Who a client says it is, and its password.
CREDENTIALS: Final = (b"client", b"secret")
#: RFC 5321 4.5.3.2.6: so long a client waits for the reply to the end of its data, and a little.
_PATIENCE: Final = 620.0
_AGAIN: Final = 7.0
_LONGEST: Final = 100_000


class Job:
    """A message and those to whom it was not delivered yet.

    @ivar turns: how many transactions there were for it.
    @ivar asked: those of whom the last one was, where a request can come again as it was.
    """

    def __init__(self, message: planned.Message) -> None:
        self.message = message
        self.left = list(range(len(message.recipients)))
        self.tries = message.tries
        self.turns = 0
        self.asked: list[int] = []


class Submitter:
    """A client, over as many connections as it needs.

    @ivar done: whether it wants nothing any more.
    """

    def __init__(
        self,
        reactor: MemoryReactor,
        address: tuple[str, int],
        ledger: Ledger,
        client: planned.Client,
        messages: Sequence[planned.Message],
    ) -> None:
        self.reactor = reactor
        self.ledger = ledger
        self.plan = client
        self.done = not messages
        self.jobs = [Job(each) for each in messages]
        self._address = address
        self._visits = 3 + sum(each.tries for each in messages)
        reactor.callLater(client.start, self._visit)

    def _visit(self) -> None:
        self._visits -= 1
        host, port = self._address
        self.reactor.connectTCP(host, port, _Factory(self), 30.0)

    def conversation(self) -> Protocol:
        """Return what goes on over one connection."""
        return _Conversation(self)

    def ended(self) -> None:
        """Take note that a connection has ended, or was never made."""
        for job in self.jobs:
            if job.tries <= 0:
                job.left.clear()
        self.jobs = [job for job in self.jobs if job.left]
        if self.jobs and self._visits > 0:
            self.reactor.callLater(_AGAIN, self._visit)
        else:
            self.done = True


class _Factory(ClientFactory[Protocol]):
    noisy = False

    def __init__(self, owner: Submitter) -> None:
        self._owner = owner

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Try again, or give up."""
        self._owner.ended()

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """Return a conversation."""
        return self._owner.conversation()


class _Conversation(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, owner: Submitter) -> None:
        self._owner = owner
        self._in = b""
        self._lines: list[bytes] = []
        self._replies: list[Reply] = []
        self._owed = 1
        self._timer: Any = None
        self._open: tuple[Job, list[int], str] | None = None
        self._leaving = False
        self._talk = self._dialogue()

    def connectionMade(self) -> None:
        """Wait for the greeting."""
        self.transport.setTcpNoDelay(True)
        next(self._talk)
        self._timer = self._owner.reactor.callLater(_PATIENCE, self.transport.abortConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note that what was asked has no answer."""
        self._timer.cancel() if self._timer.active() else None
        self._talk.close()
        if self._open is not None:
            job, positions, sender = self._open
            self._note(job, positions, sender, [(0, "connection lost")] * len(positions))
        self._owner.ended()

    def dataReceived(self, data: bytes) -> None:
        """Read replies."""
        *lines, self._in = (self._in + data).split(b"\r\n")
        for line in lines:
            self._line(line)
        if len(self._in) > _LONGEST:
            self._wrong("an endless line")
            self.transport.abortConnection()
        while self._owed and len(self._replies) >= self._owed:
            replies, self._replies = self._replies[: self._owed], self._replies[self._owed :]
            self._owed = 0
            self._timer.reset(_PATIENCE)
            self._step(replies)
        if not self._owed and self._replies and not self._leaving:
            self._wrong(f"replies that nothing is owed for: {self._replies}")

    def _line(self, line: bytes) -> None:
        found = _LINE.match(line)
        if found is None or (self._lines and self._lines[0][:3] != line[:3]):
            self._wrong(f"no reply: {line[:80]!r}")
            return
        self._lines.append(line)
        if found[2] == b" ":
            text = b" ".join(each[4:] for each in self._lines).decode("ascii")
            self._lines = []
            if found[1] == b"421":  # the connection ends; nothing that is owed will come
                self._leaving = True
                if self._owed:
                    self._replies += [(421, text)] * (self._owed - len(self._replies))
                return
            self._replies.append((int(found[1]), text))

    def _wrong(self, what: str) -> None:
        self._owner.ledger.wrong("client", what)

    def _step(self, replies: list[Reply]) -> None:
        try:
            said, self._owed = self._talk.send(replies)
        except StopIteration:
            self._leaving = True
            self.transport.loseConnection()
            return
        self.transport.write(said)

    # The dialogue.

    def _dialogue(self) -> Talk:
        ((code, _),) = yield b"", 1
        offers = (yield from self._hello()) if code == 220 else None
        if offers is not None and self._owner.plan.secure:
            offers = yield from self._protect(offers)
        if offers is None or (self._owner.plan.login and not (yield from self._login(offers))):
            return
        for job in self._owner.jobs:
            while job.tries > 0 and job.left and not self._leaving:
                job.tries -= 1
                yield from self._try(job)
        if not self._leaving:
            self._leaving = True
            yield b"QUIT\r\n", 1

    def _hello(self) -> Generator[tuple[bytes, int], list[Reply], list[str] | None]:
        """Return what the server offers, or nothing if it does not want to."""
        verb = b"LHLO" if self._owner.plan.entry == "lmtp" else b"EHLO"
        ((code, text),) = yield verb + b" client.example\r\n", 1
        return text.split() if code == 250 else None

    def _protect(
        self, offers: list[str]
    ) -> Generator[tuple[bytes, int], list[Reply], list[str] | None]:
        """Go on in TLS; what was said before it is forgotten (RFC 3207 4.2)."""
        if "STARTTLS" not in offers or "AUTH" in offers:
            self._wrong(f"no STARTTLS, or AUTH before it: {offers}")
        # One who injects sends a command in clear that must not be taken for one inside TLS.
        injected = b"NOOP\r\n" if self._owner.plan.injects else b""
        ((code, _),) = yield b"STARTTLS\r\n" + injected, 1
        if code != 220:
            return None
        self.transport.startTLS(None)
        inside = yield from self._hello()
        if inside is not None and "STARTTLS" in inside:
            self._wrong("STARTTLS is offered in TLS")
        return inside

    def _login(self, offers: list[str]) -> Generator[tuple[bytes, int], list[Reply], bool]:
        if "PLAIN" not in offers:
            self._wrong(f"no AUTH PLAIN in {offers}")
        token = b64encode(b"\0" + b"\0".join(CREDENTIALS))
        ((code, _),) = yield b"AUTH PLAIN " + token + b"\r\n", 1
        if code not in (235, 421):
            self._wrong(f"{code} to the right password")
        return code == 235

    def _try(self, job: Job) -> Talk:
        """Send a message once to each who is left; a server may take few at a time."""
        waiting = job.left[:]
        while waiting and not self._leaving:
            accepted: list[int] = []
            postponed: list[int] = []
            yield from self._transaction(job, waiting, accepted, postponed)
            if not accepted:
                return
            waiting = postponed

    def _transaction(
        self, job: Job, positions: list[int], accepted: list[int], postponed: list[int]
    ) -> Talk:
        message, pipelined = job.message, self._owner.plan.pipelined
        sender = "" if message.null else f"m{message.number}t{job.turns}@s.example"
        job.turns += 1
        commands = [b"MAIL FROM:<%s>\r\n" % sender.encode()]
        commands += [b"RCPT TO:<%s>\r\n" % message.recipients[i].encode() for i in positions]
        if self._owner.plan.chunk == 0:
            commands.append(b"DATA\r\n")
        replies: list[Reply] = []
        if pipelined:
            replies = yield b"".join(commands), len(commands)
        else:
            for command in commands:
                last = yield command, 1
                replies += last
                if last[0][0] >= 400 and len(replies) == 1:
                    return
        for position, (code, _) in zip(positions, replies[1:], strict=False):
            if code in (250, 251):
                accepted.append(position)
            elif code == 452:
                postponed.append(position)
        ready = replies[-1][0] == 354 if self._owner.plan.chunk == 0 else bool(accepted)
        if not ready or self._leaving:
            if replies[-1][0] < 400 and not self._leaving:
                self._wrong(f"{replies} to {commands}")
            return
        self._open = (job, accepted, sender)
        yield from self._send(job, accepted, sender)

    def _send(self, job: Job, accepted: list[int], sender: str) -> Talk:
        lmtp = self._owner.plan.entry == "lmtp"
        owed = len(accepted) if lmtp else 1
        whole = octets(job.message)
        size = self._owner.plan.chunk
        if size == 0:
            if job.message.shape == "bare":  # it hopes that the rest is taken for commands
                final = yield whole + b"\r\n.\r\n", owed
                self._open = None
                self._note(job, accepted, sender, final if lmtp else final * len(accepted))
                return
            stuffed = (b"\r\n" + whole).replace(b"\r\n.", b"\r\n..")[2:]
            end = b".\r\n" if stuffed.endswith(b"\r\n") or not stuffed else b"\r\n.\r\n"
            final = yield stuffed + end, owed
        else:
            final = yield from self._chunks(whole, max(size, len(whole) // 20), owed)
        self._open = None
        codes = final if lmtp else final * len(accepted)
        self._note(job, accepted, sender, codes)

    def _chunks(
        self, whole: bytes, size: int, owed: int
    ) -> Generator[tuple[bytes, int], list[Reply], list[Reply]]:
        while len(whole) > size:
            chunk, whole = whole[:size], whole[size:]
            (reply,) = yield b"BDAT %d\r\n%b" % (len(chunk), chunk), 1
            if reply[0] != 250:
                return [reply] * owed
        final: list[Reply] = yield b"BDAT %d LAST\r\n%b" % (len(whole), whole), owed
        return final

    def _note(self, job: Job, positions: list[int], sender: str, replies: Sequence[Reply]) -> None:
        message = job.message
        for position, (code, text) in zip(positions, replies, strict=True):
            recipient = message.recipients[position]
            told = Told(message.number, position, sender, recipient, code, text)
            self._owner.ledger.told.append(told)
            if code // 100 in (2, 5) and position in job.left:
                job.left.remove(position)
