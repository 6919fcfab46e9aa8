# -*- test-case-name: tests.edge.test_transaction -*-
"""The mail transaction of a connection: MAIL, RCPT, and DATA or BDAT.

ESMTP and LMTP differ in one point: after the end of data LMTP has a reply for each recipient.

Sources: RFC 5321 3.3 and 4.1.1, RFC 2033 4.2 (LMTP), RFC 3030 (BDAT).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from slimtwist.address import Recipient
from slimtwist.content import Content
from slimtwist.edge import commands
from slimtwist.edge.body import Body, Normalizer, counted, dotted
from slimtwist.edge.channel import Channel, ClientGone
from slimtwist.edge.commands import Mail
from slimtwist.edge.replies import (
    BARE_NEWLINE,
    CHUNK_OK,
    INTERNAL,
    MIXED_DATA,
    NESTED_MAIL,
    NO_ARGUMENT,
    NO_RECIPIENT,
    NO_SENDER,
    ONE_RECIPIENT,
    RECIPIENT_OK,
    SENDER_OK,
    SEQUENCE,
    START_INPUT,
    TOO_LARGE,
    TOO_MANY_RECIPIENTS,
    Refusal,
    storage_trouble,
)
from slimtwist.edge.setting import Setting
from slimtwist.edge.trace import TraceScan
from slimtwist.envelope import Client, Envelope
from slimtwist.reply import Reply


class Transaction:
    """What a client has said of a message so far.

    Each method that is named like a command answers it: it returns the reply, or raises a
    L{Refusal}.
    """

    _log = Logger()

    def __init__(
        self, setting: Setting, channel: Channel, client: Callable[[bool], Client]
    ) -> None:
        """Begin with nothing said.

        @param client: returns what is known of the client, for a message with or without SMTPUTF8.
        """
        self._setting = setting
        self._options = setting.options
        self._channel = channel
        self._client = client
        self._mail: Mail | None = None
        self._recipients: list[Recipient] = []
        self._body: Body | None = None
        self._normalizer: Normalizer | None = None  # of a message that comes in chunks
        self._id = ""

    @property
    def active(self) -> bool:
        """Whether a message has been begun."""
        return self._mail is not None

    def reset(self) -> None:
        """Forget everything said."""
        if self._body is not None:
            self._body.drop()
        self._mail = self._body = self._normalizer = None
        self._recipients = []
        self._channel.limit_transaction(None)

    def mail(self, argument: bytes) -> bytes:
        """Begin a message."""
        if self._mail is not None:
            raise Refusal(NESTED_MAIL)
        mail = commands.mail(
            argument, dsn=self._setting.offer.dsn, auth=self._options.portal is not None
        )
        if mail.size is not None and mail.size > self._options.limits.message:
            raise Refusal(TOO_LARGE)
        self._mail = mail
        self._channel.limit_transaction(self._options.timeouts.transaction)
        return SENDER_OK

    def rcpt(self, argument: bytes) -> bytes | Coroutine[Any, Any, bytes]:
        """Add a recipient."""
        mail = self._begun()
        if self._body is not None:
            raise Refusal(SEQUENCE)
        recipient = commands.rcpt(argument, dsn=self._setting.offer.dsn, smtputf8=mail.smtputf8)
        if len(self._recipients) >= self._setting.recipients:
            one = self._setting.offer.one_recipient
            raise Refusal(ONE_RECIPIENT if one else TOO_MANY_RECIPIENTS)
        refusal = self._options.access.refusal(self._client(mail.smtputf8), mail.sender, recipient)
        if isinstance(refusal, Deferred):
            return self._judged(refusal, recipient)
        return self._welcome(refusal, recipient)

    async def data(self, argument: bytes) -> bytes:
        """Take the message that ends with a dot."""
        if argument:
            raise Refusal(NO_ARGUMENT)
        self._check_addressed()
        if self._body is not None:
            raise Refusal(MIXED_DATA)
        body = self._begin()
        normalize = self._options.bare_newline == "normalize"
        self._channel.say(START_INPUT)
        await self._channel.receive(dotted(body, normalize=normalize))
        return await self._finish(body)

    async def bdat(self, argument: bytes) -> bytes:
        """Take a chunk of the message; whatever is wrong, its octets are read."""
        size, last = commands.chunk(argument)
        try:
            self._check_addressed()
            body = self._body or self._begin()
        except Refusal as refusal:
            await self._pass_over(size)
            if not self._recipients:
                raise
            # The chunks that follow must not become a message without its beginning.
            raise self._refused(refusal.reply, self._replies if last else 1) from refusal
        await self._channel.receive(counted(size, self._chunk_taker(body)))
        if last:
            if self._normalizer is not None:
                self._normalizer.finish()
            return await self._finish(body)
        if body.refusal is not None:
            raise self._refused(body.refusal, replies=1)
        return CHUNK_OK

    async def _pass_over(self, size: int) -> None:
        if not self.active:
            self._channel.limit_transaction(self._options.timeouts.transaction)
        await self._channel.receive(counted(size, len))
        if not self.active:
            self._channel.limit_transaction(None)

    def _begun(self) -> Mail:
        if self._mail is None:
            raise Refusal(NO_SENDER)
        return self._mail

    def _check_addressed(self) -> None:
        self._begun()
        if not self._recipients:
            raise Refusal(NO_RECIPIENT)

    async def _judged(self, judgement: Deferred[Reply | None], recipient: Recipient) -> bytes:
        judgement.addTimeout(self._options.timeouts.rcpt, self._setting.runtime.reactor)
        try:
            refusal = await self._channel.settled(judgement)
        except ClientGone:
            raise
        except Exception as error:
            self._log.failure("the access policy failed")
            raise Refusal(INTERNAL) from error
        return self._welcome(refusal, recipient)

    def _welcome(self, refusal: Reply | None, recipient: Recipient) -> bytes:
        if refusal is not None:
            raise Refusal(refusal.encode())
        self._recipients.append(recipient)
        return RECIPIENT_OK

    def _begin(self) -> Body:
        tracer = self._setting.tracer
        try:
            sink = self._setting.queue.sink()
        except OSError as error:
            raise Refusal(storage_trouble(error)) from error
        self._id = tracer.next_id()
        scan = TraceScan(tracer.mark(self._recipients))
        self._body = Body(sink, self._options.limits, scan)
        return self._body

    def _chunk_taker(self, body: Body) -> Callable[[bytes], None]:
        if self._options.bare_newline != "normalize":
            return body.take
        if self._normalizer is None:
            self._normalizer = Normalizer(body.take)
        return self._normalizer.feed

    async def _finish(self, body: Body) -> bytes:
        content = body.finish()
        if content is None:
            raise self._refused(body.refusal or INTERNAL, replies=self._replies)
        envelope = self._envelope(content)
        self._body = None  # the queue owns the content now
        self.reset()
        for reply in self._final(await self._submit(envelope)):
            if reply.code == 421:  # it says that this connection ends (RFC 5321 3.8)
                raise Refusal(reply.encode(), fatal=True)
            self._channel.say(reply.encode())
        return b""

    @property
    def _replies(self) -> int:
        return len(self._recipients) if self._options.lmtp else 1

    def _refused(self, reply: bytes, replies: int) -> Refusal:
        """Give up the message; all replies but the last are said."""
        self.reset()
        for _ in range(replies - 1):
            self._channel.say(reply)
        return Refusal(reply, fatal=reply is BARE_NEWLINE)

    def _envelope(self, content: Content) -> Envelope:
        mail = self._begun()
        client = self._client(mail.smtputf8)
        if self._options.trace:
            field = self._setting.tracer.field(client, self._id, self._recipients)
            content = content.under(field)
        return Envelope(
            mail.sender,
            tuple(self._recipients),
            content,
            id=self._id,
            received=self._setting.runtime.reactor.seconds(),
            client=client,
            body=mail.body,
            smtputf8=mail.smtputf8,
            ret=mail.ret,
            envid=mail.envid,
        )

    async def _submit(self, envelope: Envelope) -> Sequence[Reply]:
        count = len(envelope.recipients)
        try:
            replies = await self._channel.settled(self._setting.queue.submit(envelope))
            if len(replies) == count:
                return replies
            self._log.error("the queue gave {n} replies for {count}", n=len(replies), count=count)
        except ClientGone:
            raise
        except Exception:  # noqa: BLE001 - a queue may be anybody's code
            self._log.failure("the queue failed")
        return [Reply.received(INTERNAL)] * count

    def _final(self, replies: Sequence[Reply]) -> Sequence[Reply]:
        """Return the replies to the end of data."""
        if not self._options.lmtp:
            return [max(replies, key=_weight)]
        if len(replies) == 1:
            return replies
        # 421 would tell the client not to wait for the replies that follow.
        return [replace(each, code=451) if each.code == 421 else each for each in replies]


def _weight(reply: Reply) -> int:
    """Order replies for one that speaks for all: a success for one is none for the others."""
    return {2: 0, 5: 1, 4: 2}.get(reply.code // 100, 2)
