# -*- test-case-name: tests.relay.http.test_relay -*-
"""A message as the body of an HTTP request: read in blocks, at the pace of the connection.

It has been produced when the last octet has left our buffers, and not before: what is lost until
then was never a whole request, and what the service says before is no answer to it.

Sources: RFC 9110 10.1.1 (Expect).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from slimtwist.content import Content

#: A message of more octets waits until the service has said that it wants it.
LARGE: Final = 1 << 20
#: Seconds after which it is sent all the same: not every service knows what it is asked.
_PATIENCE: Final = 2.0


class Watched(Protocol):
    """The connection below."""

    def watch(self) -> None:
        """Pause the producer as soon as anything waits in our buffers."""

    def unwatch(self) -> None:
        """Pause it again when much waits."""


@implementer(IBodyProducer)
class ContentBody:
    """Writes a content to one connection.

    @ivar length: its octets, for Content-Length.
    @ivar expects: whether it waits for C{100 Continue}.
    @ivar finished: whether the whole request has left.
    @ivar complaint: why what came over the connection is no response; empty if nothing is wrong.
    """

    def __init__(self, content: Content, clock: IReactorTime) -> None:
        """Prepare to be given to an agent, for one request."""
        self.length = content.size
        self.expects = content.size > LARGE
        self.finished = False
        self.complaint = ""
        self._clock = clock
        self._blocks: Iterator[bytes] = content.blocks()
        self._unwritten = content.size
        self._paused = False
        self._link: Watched | None = None
        self._consumer: IConsumer | None = None
        self._wait: IDelayedCall | None = None
        self._done: Deferred[None] = Deferred(lambda _: self.stopProducing())

    def over(self, link: Watched) -> None:
        """Learn over which connection it will go."""
        self._link = link

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """Begin to write. Fires when all has left; fails when the content cannot be read."""
        self._consumer = consumer
        if self.expects:
            self._wait = self._clock.callLater(_PATIENCE, self.encourage)
        else:
            self._go_on()
        return self._done

    def encourage(self) -> None:
        """Wait no longer for C{100 Continue}."""
        if self._wait is not None:
            if self._wait.active():
                self._wait.cancel()
            self._wait = None
            self._go_on()

    def pauseProducing(self) -> None:
        """Write nothing for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Go on writing."""
        self._paused = False
        if not self._unwritten:
            self._look()  # all has left
        elif self._wait is None:
            self._go_on()

    def stopProducing(self) -> None:
        """Write nothing more."""
        self._consumer = None
        if self._wait is not None and self._wait.active():
            self._wait.cancel()
        self._wait = None

    def _go_on(self) -> None:
        while self._consumer is not None and not self._paused:
            if not self._unwritten:
                # Twisted's TLS keeps a small write back until the reactor's next turn.
                self._clock.callLater(0, self._look)
                return
            try:
                block = next(self._blocks, b"")
            except OSError:
                self.stopProducing()
                self._done.errback(Failure())
                return
            self._write(self._consumer, block)

    def _write(self, consumer: IConsumer, block: bytes) -> None:
        self._unwritten -= len(block)
        if not self._unwritten and self._link is not None:
            self._link.watch()
        consumer.write(block)

    def _look(self) -> None:
        if self._consumer is None or self._paused or self.finished:
            return
        self.finished = True
        if self._link is not None:
            self._link.unwatch()
        self._done.callback(None)
