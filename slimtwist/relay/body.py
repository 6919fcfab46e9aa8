# -*- test-case-name: tests.relay.test_body -*-
"""A message as the body of an HTTP request: read in blocks, at the pace of the connection."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from slimtwist.content import Content


@implementer(IBodyProducer)
class ContentBody:
    """Writes a content to one connection.

    @ivar length: its octets, for Content-Length.
    @ivar started: whether any of the request may have been written.
    @ivar finished: whether all of it was.
    """

    def __init__(self, content: Content) -> None:
        """Prepare to be given to an agent, for one request."""
        self.length = content.size
        self.started = False
        self.finished = False
        self._blocks: Iterator[bytes] = content.blocks()
        self._paused = False
        self._consumer: IConsumer | None = None
        self._done: Deferred[None] = Deferred()

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin to write. Fires when all is written; fails when the content cannot be read."""
        self.started = True
        self._consumer = consumer
        self._go_on()
        return self._done

    def pauseProducing(self) -> None:
        """Write nothing for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on writing."""
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        """Write nothing more."""
        self._consumer = None

    def _go_on(self) -> None:
        while self._consumer is not None and not self._paused:
            try:
                block = next(self._blocks, None)
            except OSError:
                self._consumer = None
                self._done.errback(Failure())
                return
            if block is None:
                self._consumer = None
                self.finished = True
                self._done.callback(None)
                return
            self._consumer.write(block)
