# -*- test-case-name: tests.edge.http.test_request -*-
"""The message of a request: whom it may go to, its envelope, and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from slimtwist.content import Content
from slimtwist.edge.channel import ClientGone
from slimtwist.edge.http.answer import Answer, Refused, answered, refusal, refused
from slimtwist.edge.http.header import Order
from slimtwist.edge.http.repeats import AnotherMessage, Repeats
from slimtwist.edge.http.visitor import Settled, unproved
from slimtwist.edge.replies import INTERNAL, RELAY_DENIED
from slimtwist.edge.setting import Setting
from slimtwist.envelope import Client, Envelope
from slimtwist.reply import Reply

_INTERNAL = Reply.received(INTERNAL.rstrip())
_PROVE = Reply.parse("530 5.7.0 authentication required")


class Delivery:
    """A message, its recipients and their replies."""

    _log = Logger()

    def __init__(
        self,
        setting: Setting,
        repeats: Repeats,
        client: Client,
        order: Order,
        settled: Settled,
    ) -> None:
        """Begin with nobody judged.

        @param settled: waits, as long as the client is there.
        """
        self._setting = setting
        self._repeats = repeats
        self._client = client
        self._order = order
        self._settled = settled
        self._replies: list[Reply | None] = [None] * len(order.recipients)

    async def judge(self) -> None:
        """Ask who of the recipients is welcome.

        @raise Refused: who the client is would make the difference, and it has not said it.
        """
        for position, recipient in enumerate(self._order.recipients):
            access = self._setting.options.access
            judgement = access.refusal(self._client, self._order.sender, recipient)
            if isinstance(judgement, Deferred):
                judgement = await self._judged(judgement)
            self._replies[position] = judgement
        portal = self._setting.options.portal
        if portal is not None and self._client.auth is None and RELAY_DENIED in self._replies:
            raise unproved(portal, _PROVE)

    @property
    def welcome(self) -> bool:
        """Whether there is anybody that the message may go to."""
        return None in self._replies

    @property
    def mark(self) -> bytes | None:
        """What the message has if it was here before."""
        return self._setting.tracer.mark(self._order.recipients)

    async def submit(self, content: Content, digest: bytes) -> None:
        """Give the message to the queue, and wait for what it promises.

        @param digest: is the same for the same octets.
        @raise Refused: the key was used for another message.
        """
        envelope = self._envelope(content)
        count = len(envelope.recipients)
        try:
            replies = await self._settled(self._submitted(envelope, digest))
        except (ClientGone, Refused):
            raise
        except Exception:  # noqa: BLE001 - a queue may be anybody's code
            self._log.failure("the queue failed")
            replies = [_INTERNAL] * count
        if len(replies) != count:
            self._log.error("the queue gave {n} replies for {count}", n=len(replies), count=count)
            replies = [_INTERNAL] * count
        told = iter(replies)
        self._replies = [next(told) if reply is None else reply for reply in self._replies]

    def answer(self, *, as_json: bool) -> Answer:
        """Return the answer, when all have their replies."""
        replies = [_INTERNAL if reply is None else reply for reply in self._replies]
        return answered(self._order.recipients, replies, as_json=as_json)

    async def _judged(self, judgement: Deferred[Reply | None]) -> Reply | None:
        judgement.addTimeout(self._setting.options.timeouts.rcpt, self._setting.runtime.reactor)
        try:
            reply: Reply | None = await self._settled(judgement)
        except ClientGone:
            raise
        except Exception as error:
            self._log.failure("the access policy failed")
            raise refused(INTERNAL) from error
        return reply

    def _submitted(self, envelope: Envelope, digest: bytes) -> Deferred[Sequence[Reply]]:
        if self._order.key is None:
            return self._setting.queue.submit(envelope)
        client = self._client
        key = (client.auth, None if client.auth else client.ip, self._order.key)
        try:
            return self._repeats.submit(key, self._digest(digest), envelope)
        except AnotherMessage:
            raise refusal(422, "554 5.5.0 the Idempotency-Key stands for another message") from None

    def _digest(self, body: bytes) -> bytes:
        whole = hashlib.sha256(self._order.sender.octets)
        for position, recipient in enumerate(self._order.recipients):
            whole.update(b"\n%d" % (self._replies[position] is None) + recipient.address.octets)
        return whole.digest() + body

    def _envelope(self, content: Content) -> Envelope:
        order, tracer = self._order, self._setting.tracer
        chosen = [
            each
            for each, reply in zip(order.recipients, self._replies, strict=True)
            if reply is None
        ]
        identifier = tracer.next_id()
        if self._setting.options.trace:
            content = content.under(tracer.field(self._client, identifier, chosen))
        addresses = [order.sender, *(each.address for each in chosen)]
        return Envelope(
            order.sender,
            tuple(chosen),
            content,
            id=identifier,
            received=self._setting.runtime.reactor.seconds(),
            client=self._client,
            smtputf8=any(address.needs_smtputf8 for address in addresses),
        )
