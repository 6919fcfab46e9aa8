# -*- test-case-name: tests.edge.http.test_request -*-
"""One HTTP request: judged by its header, then read, submitted and answered.

Nothing of a body is read before the client is known and its message is welcome.

Sources: RFC 9110 10.1.1 (Expect), 15.5 (client errors).
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import http

from slimtwist.edge.channel import ClientGone
from slimtwist.edge.http import header
from slimtwist.edge.http.answer import Answer, Refused, refused
from slimtwist.edge.http.channel import HttpChannel
from slimtwist.edge.http.delivery import Delivery
from slimtwist.edge.http.header import HEALTH, Head
from slimtwist.edge.http.intake import Intake
from slimtwist.edge.http.repeats import Repeats
from slimtwist.edge.http.visitor import Visitor
from slimtwist.edge.replies import INTERNAL, STOPPING
from slimtwist.edge.setting import Setting

_T = TypeVar("_T")

_HEALTHY = Answer(200, body=b"ok\n")


class HttpRequest(http.Request):
    """One request."""

    _logger = Logger()

    def __init__(self, channel: HttpChannel, setting: Setting, repeats: Repeats) -> None:
        """Begin before the header is complete."""
        super().__init__(channel, queued=False)
        self._channel: HttpChannel = channel
        self._setting = setting
        self._repeats = repeats
        self._head: Head | None = None
        self._intake: Intake | None = None
        self._held: list[bytes] = []
        self._received = False  # the whole request is here
        self._gone = False
        self._pending: Deferred[Any] | None = None

    @property
    def answering(self) -> bool:
        """Whether any of the response was written."""
        return bool(self.startedWriting)

    # What the channel calls.

    def begin(self, head: Head) -> None:
        """Take note of the header, and begin to answer."""
        self.method, self.uri, self.clientproto = head.method, head.path, head.version
        self._head = head
        self._channel.pace.none()
        Deferred.fromCoroutine(self._serve(head)).addErrback(self._broken)

    def handleContentChunk(self, data: bytes) -> None:
        """Take octets of the body; those that come before they are wanted are kept, but no more."""
        self._channel.pace.came(len(data))
        if self.answering:
            return
        if self._intake is not None:
            self._intake.take(data)
        else:
            self._held.append(data)
            # Who is not read at all cannot be seen to leave.
            if sum(map(len, self._held)) > self._setting.options.limits.unsent:
                self._channel.hold()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take note that nothing follows."""
        self._received = True
        if self.answering:
            self._end()
        elif self._intake is not None:
            self._intake.end()

    def connectionLost(self, reason: Failure) -> None:
        """Let the answering end: there is nobody to hear it."""
        self._gone = True
        super().connectionLost(reason)
        if self._intake is not None:
            self._intake.abandon()
        if self._pending is not None:
            self._pending.cancel()

    # Answering.

    async def settled(self, result: Deferred[_T]) -> _T:
        """Wait for something, which is cancelled when the client leaves.

        @raise ClientGone: it did.
        """
        self._pending = result
        try:
            return await result
        except CancelledError:
            if self._gone:
                raise ClientGone from None
            raise
        finally:
            self._pending = None
            if self._gone:
                raise ClientGone

    async def _serve(self, head: Head) -> None:
        try:
            answer = await self._answer(head)
        except Refused as refusal:
            answer = refusal.answer
        except ClientGone:
            return
        self._respond(answer)

    async def _answer(self, head: Head) -> Answer:
        if self._channel.stopping:
            raise refused(STOPPING)
        if head.path == HEALTH:
            if head.method not in (b"GET", b"HEAD"):
                raise header.disallowed("GET, HEAD")
            return _HEALTHY
        options = self._setting.options
        header.check(head, options.limits)
        order = header.order(head, options.limits)
        visitor = Visitor(self._setting, self._channel.transport, self.settled)
        client = await visitor.client(head, order)
        try:
            delivery = Delivery(self._setting, self._repeats, client, order, self.settled)
            await delivery.judge()
            if delivery.welcome:
                intake = await self._take(head, delivery.mark)
                self._channel.pace.none()
                await delivery.submit(intake.finish(), intake.digest)
            return delivery.answer(as_json=head.as_json)
        finally:
            visitor.leave()

    async def _take(self, head: Head, mark: bytes | None) -> Intake:
        """Return the body, when it is complete or of no use."""
        intake = self._intake = Intake(self._setting, mark)
        held, self._held = self._held, []
        for octets in held:
            intake.take(octets)
        if self._received:
            intake.end()
        else:
            self._channel.go_on(encourage=head.expects and not held)
        await self.settled(intake.over)
        return intake

    def _respond(self, answer: Answer) -> None:
        """Write the response; what is left of the body is passed over, for a short time."""
        if self._gone:
            return
        self._held.clear()
        head = self._head
        unread = not self._received and head is not None and head.length != 0
        if unread or self._channel.stopping:
            self._channel.persistent = 0
        if not self._channel.persistent:
            self.responseHeaders.setRawHeaders(b"Connection", [b"close"])
        date = http.datetimeToString(self._setting.runtime.reactor.seconds())
        self.responseHeaders.setRawHeaders(b"Date", [date])
        for name, value in answer.fields():
            self.responseHeaders.addRawHeader(name, value)
        self.setResponseCode(answer.status)
        self.write(answer.body)
        if self._received:
            self._end()
        elif unread:
            self._channel.pace.farewell()
            self._channel.go_on_passing()

    def _end(self) -> None:
        self.finish()

    def _broken(self, failure: Failure) -> None:
        self._logger.failure("a request failed", failure)
        if self._gone or self.answering:
            self._channel.close(None)
        else:
            self._respond(refused(INTERNAL).answer)
