# -*- test-case-name: tests.edge.mail.test_transaction -*-
"""One message that comes through a server of twisted.mail, for all its recipients.

The server has an C{IMessage} for each recipient, and gives every line to each of them.  Those of
one L{Transaction} become one envelope: the first one takes the lines, each gets its own
recipient's reply.

Sources: RFC 5321 3.3 (transactions), 4.4 (trace).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.logger import Logger
from twisted.mail.interfaces import IMessageSMTP
from zope.interface import implementer

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.edge.mail.gathering import Gathering
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.replies import INTERNAL
from slimtwist.edge.setting import Setting
from slimtwist.envelope import Client, Envelope
from slimtwist.reply import Reply

_INTERNAL: Final = Reply.received(INTERNAL)
_CLIENT_GONE: Final = Reply.parse("451 4.4.2 the client left")


class Transaction:
    """A message, whom it is from, and for whom it comes.

    @ivar client: who hands it over.
    @ivar sender: its reverse-path.
    @ivar accepted: how many recipients were told that they are welcome.
    @ivar over: whether it takes no more recipients.
    """

    _log = Logger()

    def __init__(
        self, setting: Setting, client: Client, sender: Address, longest_line: int
    ) -> None:
        """Begin without a recipient.

        @param longest_line: octets that a line may have, without its end.
        """
        self.client = client
        self.sender = sender
        self.accepted = 0
        self.over = False
        self._setting = setting
        self._longest = longest_line
        self._recipients: list[Recipient] = []
        self._ends: dict[int, Deferred[Reply]] = {}
        self._gathering: Gathering | None = None
        self._submission: Deferred[Sequence[Reply]] | None = None
        self._finished = False

    def join(self, recipient: Recipient) -> int:
        """Return the position of a recipient for whom the message comes."""
        self._recipients.append(recipient)
        return len(self._recipients) - 1

    def take(self, line: bytes) -> None:
        """Take a line.

        @raise Refused: the message cannot be taken.
        """
        self._begun().take(line)

    def end(self, position: int) -> Deferred[Reply]:
        """Take note that a recipient has all lines; when all have them, submit the message.

        @return: fires with the reply to that recipient; fails with L{Refused} if it is negative.
        """
        if self._finished:
            return fail(Refused.message(INTERNAL))  # one came whom nobody had announced
        end = self._ends[position] = Deferred(lambda _: self.leave())
        if len(self._ends) == len(self._recipients):
            self._finished = True
            Deferred.fromCoroutine(self._finish())
        return end

    def leave(self) -> None:
        """Take note that nobody waits any more: the message is dropped, or goes its way alone."""
        if self._gathering is not None:
            self._gathering.drop()
        if self._submission is not None:
            self._submission.cancel()

    def _begun(self) -> Gathering:
        self.over = True
        if self._gathering is None:
            mark = self._setting.tracer.mark(self._recipients)
            self._gathering = Gathering(self._setting, mark, self._longest)
        return self._gathering

    async def _finish(self) -> None:
        try:
            content = self._begun().finish()
        except Refused as refused:
            replies: Sequence[Reply] = [refused.reply] * len(self._ends)
        else:
            self._gathering = None  # the queue owns the content now
            replies = await self._submit(self._envelope(content))
        for position, reply in enumerate(replies):
            end = self._ends[position]
            if reply.positive:
                end.callback(reply)
            else:
                end.errback(Refused.message(reply))

    async def _submit(self, envelope: Envelope) -> Sequence[Reply]:
        count = len(envelope.recipients)
        try:
            self._submission = self._setting.queue.submit(envelope)
            replies = await self._submission
            if len(replies) == count:
                return replies
            self._log.error("the queue gave {n} replies for {count}", n=len(replies), count=count)
        except CancelledError:
            return [_CLIENT_GONE] * count
        except Exception:  # noqa: BLE001 - a queue may be anybody's code
            self._log.failure("the queue failed")
        return [_INTERNAL] * count

    def _envelope(self, content: Content) -> Envelope:
        tracer = self._setting.tracer
        identifier = tracer.next_id()
        if self._setting.options.trace:
            content = content.under(tracer.field(self.client, identifier, self._recipients))
        return Envelope(
            self.sender,
            tuple(self._recipients),
            content,
            id=identifier,
            received=self._setting.runtime.reactor.seconds(),
            client=self.client,
        )


@implementer(IMessageSMTP)
class RelayMessage:
    """A message on its way to one recipient.

    It counts from when it is certain that the message comes: an alias makes it earlier.
    """

    def __init__(self, transaction: Transaction, recipient: Recipient) -> None:
        """Begin before the first line."""
        self._transaction = transaction
        self._recipient = recipient
        self._position: int | None = None

    def join(self) -> int:
        """Be one of those for whom the message comes; return the recipient's position."""
        if self._position is None:
            self._position = self._transaction.join(self._recipient)
        return self._position

    def lineReceived(self, line: bytes) -> None:
        """Take a line, which the others of this message are given as well.

        @raise Refused: the message cannot be taken.
        """
        if self.join() == 0:
            self._transaction.take(line)

    def eomReceived(self) -> Deferred[Reply]:
        """Take note that there are no more lines.

        @return: fires with the reply to the recipient; fails with L{Refused} if it is negative.
        """
        return self._transaction.end(self.join())

    def connectionLost(self) -> None:
        """Take note that nobody waits for a reply. May be called more than once."""
        self._transaction.leave()
