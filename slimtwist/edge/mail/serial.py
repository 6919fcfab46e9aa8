# -*- test-case-name: tests.edge.mail.test_serial -*-
"""Servers of twisted.mail that answer each command before they look at the next one.

So a client that does not wait for replies can tell which is for what, however long an answer
takes; and a server can be stopped between two messages.  What a client sends meanwhile is kept, up
to a bound.  A line that is too long is not kept, and never taken for anything but a part of what
it stands in.

Sources: RFC 5321 4.5.3.1 (sizes), 4.2.4.2 (421); RFC 2920 (pipelining); RFC 3207 4.2 (STARTTLS).
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, Protocol

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail.imap4 import IllegalClientResponse
from twisted.mail.smtp import COMMAND, DATA, ESMTP, SMTP
from twisted.python.failure import Failure

from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.replies import (
    BAD_AUTH,
    BARE_NEWLINE,
    INJECTION,
    LINE_TOO_LONG,
    MISSING_ARGUMENT,
    STOPPING,
)

#: Octets that may wait for the reply to a command before no more are read.
_UNREAD: Final = 65536


class Noted(Protocol):
    """Hears of clients."""

    def __call__(self, server: Any, /, *, here: bool) -> None:  # noqa: ANN401 - any that is a Serial
        """Take note of a server's client."""


class Serial(SMTP):
    """A server of C{twisted.mail.smtp} that does one thing after the other.

    Mixed in before another subclass of C{SMTP}.

    @ivar noted: is called when a client is C{here}, and when it is not any more.
    """

    _log = Logger()
    transport: Any  # a stream that can be paused: TCP, a UNIX socket, TLS
    noted: Noted | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - each server has its own
        """Begin as the server that this is mixed into."""
        super().__init__(*args, **kwargs)
        self._lines: deque[bytes | None] = deque()  # None for one that was too long
        self._tail = b""
        self._cut = False  # the beginning of the line that has not ended was not kept
        self._waiting = 0
        self._awaited = False  # the reply to what was looked at last
        self._going = self._paused = self._stopping = self._gone = False

    @property
    def unread(self) -> int:
        """How many octets are kept until their turn comes."""
        return self._waiting + len(self._tail)

    def connectionMade(self) -> None:
        """Greet the client."""
        super().connectionMade()
        if self.noted is not None:
            self.noted(self, here=True)

    def dataReceived(self, data: bytes) -> None:
        """Take octets; what follows a command waits for the reply to it."""
        *lines, tail = (self._tail + data).split(b"\r\n")
        for line in lines:
            self._add(None if self._cut or len(line) > self.MAX_LENGTH else line)
            self._cut = False
        if len(tail) > self.MAX_LENGTH:
            self._cut, tail = True, tail[-1:]  # which may be half a line's end
        self._tail = tail
        self._go_on()
        if self.unread > _UNREAD and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def lookupMethod(self, command: bytes | str) -> Any:  # noqa: ANN401 - each has its own
        """Return what a command calls; what is not ASCII is none, and no mistake of ours."""
        return super().lookupMethod(command) if command.isascii() else None

    def sendLine(self, line: bytes) -> None:
        """Send a line of a reply; after the last one, the next command has its turn.

        With 421 the connection ends, as it says, and so it does when a message held a CR or LF
        alone: such a client may count its messages otherwise than we do.
        """
        if self._gone or self.transport.disconnecting:
            return
        super().sendLine(line)
        if line.startswith(b"421 ") or line == BARE_NEWLINE.rstrip():
            self.transport.loseConnection()
        if line[3:4] != b"-":
            self._awaited = False
            self._go_on()

    def say(self, reply: bytes) -> None:
        """Send a reply.

        @param reply: as it goes over the wire.
        """
        for line in reply.removesuffix(b"\r\n").split(b"\r\n"):
            self.sendLine(line)

    def stop(self) -> None:
        """Send the client away, at once or after the message that is under way."""
        self._stopping = True
        self._go_on()

    def dismiss(self) -> None:
        """Send the client away, whatever is under way."""
        self.say(STOPPING)

    def timeoutConnection(self) -> None:
        """End the connection, unless it is the client who waits."""
        if self._awaited:
            self.setTimeout(self.timeout)
        else:
            super().timeoutConnection()

    def do_EHLO(self, rest: bytes) -> None:
        """Greet a client; one of a UNIX socket has no address to be greeted by."""
        if not isinstance(self, ESMTP):
            self.do_UNKNOWN(rest)
        elif hasattr(self.transport.getPeer(), "host"):
            super().do_EHLO(rest)  # type: ignore[misc] # of ESMTP
        else:
            self._helo, self._from, self._to = (rest, b"localhost"), None, []
            self.sendCode(250, self.host + b" Hello\n" + self.listExtensions())

    def ext_STARTTLS(self, rest: bytes) -> None:
        """Go on in TLS; what came in the clear must not be taken for what came in TLS."""
        if self._lines or self._tail:
            self.say(INJECTION)
            self.transport.loseConnection()
        else:
            super().ext_STARTTLS(rest)  # type: ignore[misc] # of ESMTP; no other looks for it

    def ext_AUTH(self, rest: bytes) -> None:
        """Let the client log in, if it says how."""
        if rest.strip():
            super().ext_AUTH(rest)  # type: ignore[misc] # of ESMTP; no other looks for it
        else:
            self.say(MISSING_ARGUMENT)

    def state_AUTH(self, response: bytes | None) -> None:
        """Take a step of a login; a response that its mechanism cannot read is refused."""
        try:
            super().state_AUTH(response)  # type: ignore[misc] # likewise
        except (IllegalClientResponse, ValueError):  # PLAIN and CRAM-MD5 of Twisted raise these
            self.mode = COMMAND
            self.say(BAD_AUTH)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget what was not looked at."""
        self._gone = True
        self._lines.clear()
        self.left()
        super().connectionLost(reason)
        if self.noted is not None:
            self.noted(self, here=False)

    @property
    def _idle(self) -> bool:
        return self.mode != DATA and self._from is None

    def _add(self, line: bytes | None) -> None:
        self._lines.append(line)
        self._waiting += len(line or b"") + 2

    def _go_on(self) -> None:
        if self._going:
            return
        self._going = True
        try:
            self._work()
        except Exception:  # noqa: BLE001 - a server may be anybody's code
            self._log.failure("a server of twisted.mail failed")
            self.transport.loseConnection()
        finally:
            self._going = False
        if self._paused and not self._awaited:
            self._paused = False
            self.transport.resumeProducing()

    def _work(self) -> None:
        while not (self._awaited or self._gone or self.transport.disconnecting):
            if self._stopping and self._idle:
                self.dismiss()
            elif self._lines:
                line = self._lines.popleft()
                self._waiting -= len(line or b"") + 2
                self._take(line)
            else:
                break

    def _take(self, line: bytes | None) -> None:
        if line is None:
            self._pass_over()
        else:
            self._awaited = self.mode != DATA or line == b"."
            self.lineReceived(line)

    def _pass_over(self) -> None:
        """Refuse what a line that was too long stands in."""
        if self.mode != DATA:
            self._awaited = True
            self.lineLengthExceeded(b"")
        elif self.datafailed is None:
            self.datafailed = Refused.message(LINE_TOO_LONG)  # to be said at the end of data
            self.drop()

    def drop(self) -> None:
        """Forget the message that is coming."""

    def left(self) -> None:
        """Take note that the client has gone, before anybody else hears of it."""
