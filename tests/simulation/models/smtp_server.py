# -*- test-case-name: tests.simulation.test_simulation -*-
"""A strict SMTP or LMTP server: the next hop.

Whatever a client does that RFC 5321, 2920, 3207, 4954, 3030, 1870 or 2033 does not allow is written
into the ledger as a violation.  It stores a message for each recipient that it accepted, at the
moment in which it decides to say so.  What it says instead of the right reply is the plan's.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from tests.simulation.ledger import Ledger, Said, Stored, message_name
from tests.simulation.models.odd import Step, odd
from tests.simulation.plan import Settings
from tests.simulation.table import kind_of

_PATH: Final = re.compile(rb'(FROM|TO):<((?:"(?:[^"\\]|\\.)*"|[^"<> ])*)>((?: [^ ]+)*)\Z')
#: The keyword without which a parameter may not be sent.
_NEEDS: Final = {b"SIZE": "SIZE", b"BODY": "8BITMIME", b"SMTPUTF8": "SMTPUTF8"}
#: RFC 2920 3.1: these must be the last of a group.
_LAST: Final = frozenset({b"EHLO", b"HELO", b"LHLO", b"STARTTLS", b"AUTH", b"DATA", b"QUIT"})
_LONGEST: Final = 2048
CREDENTIALS: Final = (b"relay", b"secret")

Chooser = Callable[[str, str], str | None]


class SmtpServer(Factory):
    """The host.

    @ivar ledger: what is written down.
    @ivar settings: what it offers.
    @ivar name: of the host, where there are several.
    @ivar choose: returns the name of an odd reply for a point of the dialogue and whom it is about.
    """

    noisy = False
    lmtp = False
    name = ""

    def __init__(
        self, clock: IReactorTime, ledger: Ledger, settings: Settings, choose: Chooser
    ) -> None:
        self.clock = clock
        self.ledger = ledger
        self.settings = settings
        self.choose = choose
        self.connections = 0

    def buildProtocol(self, addr: object) -> _Conversation:
        """Return a conversation."""
        self.connections += 1
        return _Conversation(self, self.connections - 1)


class _Conversation(Protocol):
    """One connection."""

    transport: Any

    def __init__(self, host: SmtpServer, number: int) -> None:
        self._host = host
        self._ledger = host.ledger
        self._number = number
        self._label = f"{host.name} {number}".strip()
        self._address = ""
        self._in = b""
        self._out: deque[Step | Callable[[], None]] = deque()
        self._timer: Any = None
        self._over = False
        self._tls = False
        self._user = False
        self._take: Callable[[], bool] = self._command
        self._forget_all()

    def _forget_all(self) -> None:
        self._offered: set[str] = set()
        self._met = False
        self._may_helo = False
        self._reset()

    def _reset(self) -> None:
        self._sender: str | None = None
        self._size: int | None = None
        self._accepted: list[str] = []
        self._refused_sender = ""
        self._text = b""
        self._early: Said | None = None

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Greet."""
        self._address = self.transport.getHost().host if self._host.name else ""
        self._say("greeting", self._label, b"220 mx.example ESMTP %b\r\n")

    def dataReceived(self, data: bytes) -> None:
        """Take octets."""
        if self._over:
            return
        self._in += data
        self._go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Say no more."""
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # Saying things, one step after the other.

    def _say(self, stage: str, subject: str, right: bytes, about: tuple[str, ...] = ()) -> Said:
        """Say the right reply, or what the plan has in its place; C{%b} is where the token goes."""
        token = self._ledger.next_token()
        mark = b"#%d#" % token
        right = right.replace(b"%b", mark)
        name = self._host.choose(stage, subject)
        reply = odd(name or "slow", stage, mark, right)
        kind = reply.kind if name else kind_of(stage, int(right[:3]))
        steps: tuple[Step, ...] = reply.steps if name else (right,)
        sender = self._sender if self._sender is not None else self._refused_sender
        now, code = self._host.clock.seconds(), reply.code if name else int(right[:3])
        said = Said(token, self._number, stage, kind, now, sender or "", about, code, bool(name))
        said.host, said.extra = self._address, bool(name) and reply.extra
        self._ledger.say(said)
        self._out.extend(steps)
        self._out.append(lambda: setattr(said, "complete", True))
        if name and reply.code == 421:
            self._out.append("fin")
        self._pump()
        return said

    def _pump(self) -> None:
        while self._out and not self._over and self._timer is None:
            step = self._out.popleft()
            if isinstance(step, bytes):
                self.transport.write(step)
            elif isinstance(step, float):
                self._timer = self._host.clock.callLater(step, self._waited)
            elif callable(step):
                step()
            else:
                self._end(step)

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
        while not (self._over or self._out) and self._take():
            pass

    def _wrong(self, what: str) -> None:
        self._ledger.wrong("peer", f"connection {self._label}: {what}")

    def _command(self) -> bool:
        line, end, rest = self._in.partition(b"\r\n")
        if not end:
            if len(line) > _LONGEST:
                self._wrong("an endless command")
                self._end("rst")
            return False
        self._in = rest
        if b"\r" in line or b"\n" in line or len(line) > _LONGEST:
            self._wrong(f"no command line: {line[:60]!r}")
        verb, _, argument = line.partition(b" ")
        if rest and (verb in _LAST or "PIPELINING" not in self._offered):
            self._wrong(f"{verb!r} is followed by {rest[:30]!r} before its reply")
        act = getattr(self, f"_{verb.decode('latin-1').lower()}", None)
        if act is None or not verb.isupper() or verb not in _VERBS:
            self._wrong(f"an unknown command {line[:60]!r}")
            self._say("unknown", "", b"500 5.5.2 what %b\r\n")
        else:
            act(argument)
        return True

    def _ehlo(self, argument: bytes) -> None:
        if not re.fullmatch(rb"[-A-Za-z0-9.]+", argument):
            self._wrong(f"EHLO {argument!r}")
        self._reset()
        settings = self._host.settings
        lines = [*settings.offers]
        if settings.starttls and not self._tls:
            lines = [*(settings.clear or lines), "STARTTLS"]
        if settings.login:
            lines.append("AUTH PLAIN")
        texts = [b"mx.example %b", *(each.encode() for each in lines)]
        right = b"".join(b"250-%s\r\n" % each for each in texts[:-1]) + b"250 %s\r\n" % texts[-1]
        said = self._say("EHLO", self._label, right)
        self._met = said.kind == "yes"
        self._may_helo = said.kind == "permanent"
        self._offered = {each.split()[0] for each in lines} if self._met else set()

    def _lhlo(self, argument: bytes) -> None:
        if not self._host.lmtp:
            self._wrong("LHLO to an SMTP server")
        self._ehlo(argument)

    def _helo(self, argument: bytes) -> None:
        if not self._may_helo:
            self._wrong("HELO though EHLO was not refused")
        self._reset()
        said = self._say("EHLO", f"helo {self._label}", b"250 mx.example %b\r\n")
        self._met = said.kind == "yes"
        self._offered = set()

    def _starttls(self, argument: bytes) -> None:
        if "STARTTLS" not in self._offered or argument:
            self._wrong("STARTTLS was not offered")
        said = self._say("STARTTLS", self._label, b"220 2.0.0 go %b\r\n")
        if said.kind == "yes":
            self._out.append(self._begin_tls)
            self._pump()

    def _begin_tls(self) -> None:
        self._forget_all()
        self._tls = True
        self.transport.startTLS(None)

    def _auth(self, argument: bytes) -> None:
        if "AUTH" not in self._offered or self._user:
            self._wrong("AUTH was not offered")
        if not self._tls:
            self._wrong("L9: credentials in clear")
        mechanism, _, initial = argument.partition(b" ")
        try:
            _, user, password = b64decode(initial, validate=True).split(b"\0")
        except (Error, ValueError):
            user = password = b""
        if mechanism != b"PLAIN" or (user, password) != CREDENTIALS:
            self._wrong(f"AUTH {mechanism!r} with wrong credentials")
        said = self._say("AUTH", self._label, b"235 2.7.0 welcome %b\r\n")
        self._user = said.kind == "yes"

    def _mail(self, argument: bytes) -> None:
        self._check_ready("MAIL")
        if self._sender is not None:
            self._wrong("MAIL inside a transaction")
        sender, parameters = self._path(b"FROM", argument)
        self._reset()
        self._refused_sender = sender
        for name, value in parameters.items():
            if _NEEDS.get(name) not in self._offered:
                self._wrong(f"MAIL with {name!r}, which was not offered")
            elif name == b"SIZE":
                self._size = int(value)
            elif name == b"BODY" and value not in (b"7BIT", b"8BITMIME"):
                self._wrong(f"BODY={value!r}")
        said = self._say("MAIL", message_name(sender), b"250 2.1.0 ok %b\r\n")
        if said.kind == "yes":
            self._sender = sender

    def _rcpt(self, argument: bytes) -> None:
        recipient, parameters = self._path(b"TO", argument)
        if parameters:
            self._wrong(f"RCPT with {parameters!r}, which was not offered")
        taken = self._sender is not None
        right = b"250 2.1.5 ok %b\r\n" if taken else b"503 5.5.1 MAIL first %b\r\n"
        if not (taken or "PIPELINING" in self._offered):
            self._wrong("RCPT though MAIL was refused")
        subject = recipient.partition("@")[0].strip('"') if taken else ""
        said = self._say("RCPT", subject, right, (recipient,))
        if said.kind == "yes" and taken:
            self._accepted.append(recipient)

    def _path(self, word: bytes, argument: bytes) -> tuple[str, dict[bytes, bytes]]:
        found = _PATH.match(argument)
        if found is None or found[1] != word:
            self._wrong(f"a path without syntax: {argument[:60]!r}")
            return "", {}
        pairs = (each.partition(b"=") for each in found[3].split())
        return found[2].decode(), {name: value for name, _, value in pairs}

    def _check_ready(self, verb: str) -> None:
        settings = self._host.settings
        if not self._met:
            self._wrong(f"{verb} before hello")
        if settings.tls in ("encrypt", "verify") and not self._tls:
            self._wrong(f"L9: {verb} in clear")
        if settings.login and not self._user:
            self._wrong(f"{verb} without AUTH")

    def _data(self, argument: bytes) -> None:
        name = self._message
        if self._accepted:
            said = self._say("DATA", name, b"354 go ahead %b\r\n")
        else:
            if "PIPELINING" not in self._offered:
                self._wrong("DATA for nobody")
            said = self._say("DATA", name, b"554 5.5.1 no valid recipients %b\r\n")
        if said.kind == "yes":
            self._take = self._body
            self._interrupt("354")

    @property
    def _message(self) -> str:
        """The name of the message of which this transaction is."""
        return message_name(self._accepted[0] if self._accepted else self._sender or "")

    def _body(self) -> bool:
        """Take a message that ends with a dot (RFC 5321 4.5.2)."""
        self._text, self._in = self._text + self._in, b""
        if self._text == b".\r\n" or self._text.startswith(b".\r\n"):
            end, length = 0, 3
        else:
            end, length = self._text.find(b"\r\n.\r\n") + 2, 3
            if end < 2:
                return self._interrupt() if self._text else False
        whole, self._in = self._text[:end], self._text[end + length :]
        self._take = self._command
        self._store(b"\r\n".join(self._plain(each) for each in whole.split(b"\r\n")))
        return True

    def _interrupt(self, where: str = "body") -> bool:
        """Say something in the middle of the message, or behind 354, if the plan wants that."""
        said = self._early is not None  # it has said all that it has to say
        name = None if said else self._host.choose(where, self._message)
        if name is not None:
            token = self._ledger.next_token()
            reply = odd(name, "body", b"#%d#" % token, b"250 2.0.0 early #%d#\r\n" % token)
            now, sender = self._host.clock.seconds(), self._sender or ""
            self._early = Said(token, self._number, "body", reply.kind, now, sender)
            self._early.host, self._early.extra = self._address, where == "354"
            self._ledger.say(self._early)
            self._out.extend(reply.steps)
            self._pump()
        return False

    def _plain(self, line: bytes) -> bytes:
        if b"\r" in line or b"\n" in line:
            self._wrong(f"CR or LF alone in a message: {line[:60]!r}")
        if line.startswith(b"."):
            if not line.startswith(b".."):
                self._wrong(f"a dot that was not doubled: {line[:60]!r}")
            return line[1:]
        return line

    def _bdat(self, argument: bytes) -> None:
        size, _, last = argument.partition(b" ")
        if "CHUNKING" not in self._offered or not size.isdigit() or last not in (b"", b"LAST"):
            self._wrong(f"BDAT {argument!r}")
        left = int(size)

        def chunk() -> bool:
            if len(self._in) < left:
                return False
            self._text, self._in = self._text + self._in[:left], self._in[left:]
            self._take = self._command
            if last:
                self._store(self._text)
            else:
                self._say("chunk", self._message, b"250 2.0.0 ok %b\r\n")
            return True

        self._take = chunk

    def _store(self, octets: bytes) -> None:
        """Decide about a message, keep it for whom it is accepted, and say so."""
        if self._early is not None:  # it was said before
            if self._early.kind == "yes":
                self._keep(octets, self._accepted, self._early)
            self._end("mute")
            return
        if octets and not self._accepted:  # RFC 2920 3.1
            self._wrong(f"a message for nobody: {octets[:60]!r}")
        if self._accepted and self._size is not None and self._size != len(octets):
            self._wrong(f"SIZE={self._size}, and there are {len(octets)} octets")
        groups = [tuple(self._accepted)]
        if self._host.lmtp:  # RFC 2033 4.2: a reply for each, and none for nobody
            groups = [(each,) for each in self._accepted]
        for group in groups:
            subject = group[0].partition("@")[0] if self._host.lmtp else self._message
            said = self._say("end of data", subject, b"250 2.0.0 taken %b\r\n", group)
            doubtful = said.kind in ("violation", "silence", "lost") and said.token % 2
            if said.kind == "yes" or doubtful:
                self._keep(octets, group, said)
        self._reset()

    def _keep(self, octets: bytes, recipients: Sequence[str], said: Said) -> None:
        for each in recipients:
            stored = Stored(self._sender or "", each, octets, said.token)
            self._ledger.stored.append(stored)

    def _rset(self, argument: bytes) -> None:
        self._reset()
        self._say("RSET", self._label, b"250 2.0.0 ok %b\r\n")

    def _noop(self, argument: bytes) -> None:
        self._say("NOOP", self._label, b"250 2.0.0 ok %b\r\n")

    def _quit(self, argument: bytes) -> None:
        self._say("QUIT", self._label, b"221 2.0.0 bye %b\r\n")
        self._out.append("fin")
        self._pump()


_VERBS: Final = frozenset(
    b"EHLO HELO LHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT".split()
)
