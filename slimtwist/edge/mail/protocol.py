# -*- test-case-name: tests.edge.mail.test_protocol -*-
"""Servers of twisted.mail that say what the next hop has said.

Those of C{twisted.mail.smtp} say 250 when all receivers of a message are content, and 550 when one
is not.  L{TrueReplies} makes of such a server one that gives the very reply: a failure that will
pass is 4yz, and the client tries again.

Sources: RFC 5321 3.3 (end of data), 4.2 (replies).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.mail.interfaces import IMessageSMTP
from twisted.mail.smtp import SMTP, Address, SMTPFactory, User
from twisted.python.failure import Failure

from slimtwist.edge.mail.asking import Asking, asking
from slimtwist.edge.mail.refused import Refused, reply_of
from slimtwist.edge.mail.serial import Serial
from slimtwist.edge.mail.transaction import RelayMessage
from slimtwist.edge.replies import INTERNAL, ONE_RECIPIENT
from slimtwist.reply import Reply

_TAKEN: Final = Reply.parse("250 2.0.0 taken")
_INTERNAL: Final = Reply.received(INTERNAL)

_Factory = TypeVar("_Factory", bound=SMTPFactory)
_Place = Callable[[], IMessageSMTP]


class TrueReplies(Serial):
    """A server of C{twisted.mail.smtp} that gives true replies, one by one.

    Mixed in before another subclass of C{SMTP}, as L{with_true_replies} does.
    """

    _log = Logger()

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - each server has its own
        """Begin as the server that this is mixed into."""
        super().__init__(*args, **kwargs)
        self._messages: list[IMessageSMTP] = []
        self._admitted = 0
        self._alone = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the messages that nobody waits for them."""
        for message in list(self._messages):
            if isinstance(message, RelayMessage):  # others may not bear to be told after their end
                message.connectionLost()
        super().connectionLost(reason)

    def drop(self) -> None:
        """Forget the message that is coming."""
        self._disconnect(self._messages)

    def validateFrom(self, helo: tuple[bytes | None, bytes], origin: Address) -> Any:  # noqa: ANN401
        """Begin a transaction. See C{SMTP.validateFrom}."""
        self._admitted, self._alone = 0, False
        self._messages = []
        return super().validateFrom(helo, origin)

    def validateTo(self, user: User) -> Deferred[_Place]:
        """Return what makes a recipient's message. See C{SMTP.validateTo}.

        @return: fails with L{Refused} if his reply could not be told from another's.
        """
        if self._alone:
            raise Refused.address(ONE_RECIPIENT)
        with asking(user) as word:
            place: Deferred[_Place] = maybeDeferred(super().validateTo, user)
        return place.addCallback(self._admit, word)

    def receivedHeader(
        self, helo: tuple[bytes | None, bytes], origin: Address, recipients: list[User]
    ) -> bytes:
        """Return the server's trace field, for who does not make his own."""
        if self._messages and isinstance(self._messages[-1], RelayMessage):
            return b""
        field: bytes = super().receivedHeader(helo, origin, recipients)
        return field

    def _admit(self, place: _Place, word: Asking) -> _Place:
        alone = word.alone or getattr(place, "alone", False)
        if alone and self._admitted:
            raise Refused.address(ONE_RECIPIENT)
        self._admitted += 1
        self._alone = alone
        return partial(self._receiver, place)

    def _receiver(self, place: _Place) -> IMessageSMTP:
        message = place()
        if isinstance(message, RelayMessage):
            message.join()
        self._messages.append(message)
        return message

    def _messageHandled(self, results: list[tuple[bool, object]]) -> None:
        """Answer the end of data. C{SMTP} calls this with what the messages have led to."""
        self._messages = []
        if not self._gone:
            self.say(max(self._replies(results), key=_weight, default=_TAKEN).encode())

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
