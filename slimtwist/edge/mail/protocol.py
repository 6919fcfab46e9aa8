# -*- test-case-name: tests.edge.mail.test_protocol -*-
"""Servers of twisted.mail that say what the next hop has said.

Those of C{twisted.mail.smtp} say 250 when all receivers of a message are content, and 550 when one
is not.  L{TrueReplies} makes of such a server one that gives the very reply: a failure that will
pass is 4yz, and the client tries again.

Sources: RFC 5321 3.3 (end of data), 4.2 (replies).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.mail.interfaces import IMessageSMTP
from twisted.mail.smtp import COMMAND, SMTP, Address, SMTPFactory, SMTPServerError, User
from twisted.python.failure import Failure

from slimtwist.edge.mail.asking import Asking, asking
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.mail.serial import Serial
from slimtwist.edge.mail.transaction import RelayMessage
from slimtwist.edge.mail.verdict import meaning, verdict
from slimtwist.edge.replies import ONE_RECIPIENT

_Factory = TypeVar("_Factory", bound=SMTPFactory)
_Place = Callable[[], IMessageSMTP]


class TrueReplies(Serial):
    """A server of C{twisted.mail.smtp} that gives true replies, one by one.

    Mixed in before another subclass of C{SMTP}, as L{with_true_replies} does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - each server has its own
        """Begin as the server that this is mixed into."""
        super().__init__(*args, **kwargs)
        self._messages: list[IMessageSMTP] = []
        self._first = True  # no line of the message has come yet
        self._admitted = 0
        self._alone = False

    def left(self) -> None:
        """Tell the messages that nobody waits for them."""
        for message in list(self._messages):
            if isinstance(message, RelayMessage):  # others may not bear to be told after their end
                message.connectionLost()

    def drop(self) -> None:
        """Forget the message that is coming."""
        self._disconnect(self._messages)

    def validateFrom(self, helo: tuple[bytes | None, bytes], origin: Address) -> Any:  # noqa: ANN401
        """Begin a transaction. See C{SMTP.validateFrom}."""
        self._admitted, self._alone, self._first = 0, False, True
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

    def state_DATA(self, line: bytes) -> None:
        """Take a line of a message, or its end."""
        if line == b".":
            self._end()
        elif self.datafailed is None:
            try:
                self._give(line.removeprefix(b"."))
            except SMTPServerError as error:
                self.datafailed = error
                self.drop()

    def _give(self, line: bytes) -> None:
        # The server's trace field needs a header below it, or an empty line; ours does not.
        headless = self._first and line and b":" not in line
        self._first = False
        for message in self._messages:
            if headless and not isinstance(message, RelayMessage):
                message.lineReceived(b"")
            message.lineReceived(line)

    def _end(self) -> None:
        self.mode = COMMAND
        if self.datafailed is not None:
            self._messages = []
            self.say(meaning(Failure(self.datafailed)).encode())
            return
        ends = [maybeDeferred(message.eomReceived) for message in self._messages]
        DeferredList(ends, consumeErrors=True).addCallback(self._answer)

    def _answer(self, results: list[tuple[bool, object]]) -> None:
        self._messages = []
        self.say(verdict(results).encode())


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
