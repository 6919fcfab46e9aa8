# -*- test-case-name: tests.edge.mail.test_protocol -*-
"""Servers of twisted.mail that say what the next hop has said.

Those of C{twisted.mail.smtp} say 250 when all receivers of a message are content, and 550 when one
is not.  L{TrueReplies} makes of such a server one that gives the very reply: a failure that will
pass is 4yz, and the client tries again.  Also, each command is answered before the next one is
looked at, so that a client that does not wait for replies can tell which is for what.

Sources: RFC 5321 3.3 (end of data), 4.2 (replies); RFC 2920 (pipelining); RFC 3207 4.2 (STARTTLS).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail.interfaces import IMessageSMTP
from twisted.mail.smtp import DATA, SMTP, Address, SMTPFactory, SMTPServerError, User
from twisted.python.failure import Failure

from slimtwist.edge.mail.refused import Refused, reply_of
from slimtwist.edge.mail.transaction import RelayMessage
from slimtwist.edge.replies import INJECTION, INTERNAL, LINE_TOO_LONG, ONE_RECIPIENT
from slimtwist.reply import Reply

_TAKEN: Final = Reply.parse("250 2.0.0 taken")
_INTERNAL: Final = Reply.received(INTERNAL)
#: Octets that wait for the reply to a command before no more are read.
_UNREAD: Final = 65536

_Factory = TypeVar("_Factory", bound=SMTPFactory)


class TrueReplies(SMTP):
    """A server of C{twisted.mail.smtp} that gives true replies, one by one.

    Mixed in before another subclass of C{SMTP}, as L{with_true_replies} does.
    """

    _log = Logger()
    transport: Any  # a stream that can be paused: TCP, a UNIX socket, TLS

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - each server has its own
        """Begin as the server that this is mixed into."""
        super().__init__(*args, **kwargs)
        self._lines: deque[bytes | None] = deque()  # None for one that was too long
        self._tail = b""
        self._cut = False  # the beginning of the current line was not kept
        self._unread = 0
        self._awaited = False  # a reply
        self._going = self._paused = self._gone = False
        self._messages: list[IMessageSMTP] = []
        self._admitted = 0
        self._alone = False

    # Octets to lines, and lines one after the other.

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
        if self._unread > _UNREAD and not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def sendLine(self, line: bytes) -> None:
        """Send a line of a reply; with the last one, the next command has its turn."""
        if self._gone:
            return
        super().sendLine(line)
        if line[3:4] != b"-":
            self._awaited = False
            self._go_on()

    def timeoutConnection(self) -> None:
        """End the connection, unless it is the client who waits."""
        if self._awaited:
            self.setTimeout(self.timeout)
        else:
            super().timeoutConnection()

    def ext_STARTTLS(self, rest: bytes) -> None:
        """Go on in TLS; what came in the clear must not be taken for what came in TLS."""
        if self._lines or self._tail:
            self._say(Reply.received(INJECTION))
            self.transport.loseConnection()
        else:
            super().ext_STARTTLS(rest)  # type: ignore[misc]  # ESMTP has it, and nobody else gets here

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget what was not looked at, and tell the messages that nobody waits for them."""
        self._gone = True
        self._lines.clear()
        for message in list(self._messages):
            if isinstance(message, RelayMessage):
                message.connectionLost()
        super().connectionLost(reason)

    def _add(self, line: bytes | None) -> None:
        self._lines.append(line)
        self._unread += len(line or b"") + 2

    def _go_on(self) -> None:
        if self._going:
            return
        self._going = True
        try:
            while self._lines and not (self._awaited or self.transport.disconnecting):
                line = self._lines.popleft()
                self._unread -= len(line or b"") + 2
                self._take(line)
        except Exception:  # noqa: BLE001 - a server may be anybody's code
            self._log.failure("a server of {kind} failed", kind=type(self).__name__)
            self.transport.loseConnection()
        finally:
            self._going = False
        if self._paused and not self._awaited:
            self._paused = False
            self.transport.resumeProducing()

    def _take(self, line: bytes | None) -> None:
        if self.mode == DATA:
            if line is None:
                self._give_up(Refused.message(LINE_TOO_LONG))
                return
            self._awaited = line == b"."
        else:
            self._awaited = True
        if line is None:
            self.lineLengthExceeded(b"")
        else:
            self.lineReceived(line)

    def _give_up(self, error: SMTPServerError) -> None:
        """Drop a message, whose octets are read to their end all the same."""
        if self.datafailed is None:
            self.datafailed = error
            self._disconnect(self._messages)

    # Recipients and messages.

    def validateFrom(self, helo: tuple[bytes | None, bytes], origin: Address) -> Any:  # noqa: ANN401
        """Begin a transaction. See C{SMTP.validateFrom}."""
        self._admitted, self._alone = 0, False
        self._messages = []
        return super().validateFrom(helo, origin)

    def validateTo(self, user: User) -> Deferred[Callable[[], IMessageSMTP]]:
        """Return what makes a recipient's message. See C{SMTP.validateTo}.

        @return: fails with L{Refused} if his reply could not be told from another's.
        """
        if self._alone:
            raise Refused.address(ONE_RECIPIENT)
        return maybeDeferred(super().validateTo, user).addCallback(self._admit)

    def receivedHeader(
        self, helo: tuple[bytes | None, bytes], origin: Address, recipients: list[User]
    ) -> bytes:
        """Return the server's trace field, for who does not make his own."""
        if self._messages and isinstance(self._messages[-1], RelayMessage):
            return b""
        field: bytes = super().receivedHeader(helo, origin, recipients)
        return field

    def _admit(self, place: Callable[[], IMessageSMTP]) -> Callable[[], IMessageSMTP]:
        alone = getattr(place, "alone", False)
        if alone and self._admitted:
            raise Refused.address(ONE_RECIPIENT)
        self._admitted += 1
        self._alone = alone
        return lambda: self._receiver(place)

    def _receiver(self, place: Callable[[], IMessageSMTP]) -> IMessageSMTP:
        message = place()
        self._messages.append(message)
        return message

    def _messageHandled(self, results: list[tuple[bool, object]]) -> None:
        """Answer the end of data. C{SMTP} calls this with what the messages have led to."""
        self._messages = []
        if not self._gone:
            self._say(max(self._replies(results), key=_weight, default=_TAKEN))

    def _replies(self, results: list[tuple[bool, object]]) -> Iterator[Reply]:
        for success, result in results:
            if isinstance(result, Failure):
                yield self._meaning(result)
            elif isinstance(result, list):  # of an alias, which stands for several
                yield from self._replies(result)
            else:
                yield result if isinstance(result, Reply) and success else _TAKEN

    def _meaning(self, failure: Failure) -> Reply:
        reply = reply_of(failure.value)
        if reply is None:
            self._log.failure("a message was not taken", failure)
        return reply or _INTERNAL

    def _say(self, reply: Reply) -> None:
        for line in reply.encode().removesuffix(b"\r\n").split(b"\r\n"):
            self.sendLine(line)


def with_true_replies(factory: _Factory) -> _Factory:
    """Let the servers that a factory makes give true replies.

    @param factory: C{twisted.mail.smtp.SMTPFactory}, or what C{MailService.getESMTPFactory}
        returns, or any other whose C{protocol} is a subclass of C{twisted.mail.smtp.SMTP}.
    @return: the same factory.
    @raise TypeError: its C{protocol} is no such class.
    """
    kind = factory.protocol
    if not (isinstance(kind, type) and issubclass(kind, SMTP)):
        raise TypeError(f"{kind!r} is no subclass of twisted.mail.smtp.SMTP")
    if not issubclass(kind, TrueReplies):
        factory.protocol = cast("type[SMTP]", type(kind.__name__, (TrueReplies, kind), {}))
    return factory


def _weight(reply: Reply) -> int:
    """Order replies for one that speaks for all: a success for one is none for the others."""
    return {2: 0, 5: 1, 4: 2}.get(reply.code // 100, 2)
