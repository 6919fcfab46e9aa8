# -*- test-case-name: tests.edge.test_transaction -*-
"""A queue that says what a test says, and clients that have said hello."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from slimtwist.content import Content, ContentWriter
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IMessageSink, IQueue
from slimtwist.reply import Reply
from tests.edge.world import EdgeTestCase, Visitor

MAIL = b"MAIL FROM:<a@b>\r\n"


class Sink(ContentWriter):
    """A sink that knows how it ended."""

    ends = ""

    def finish(self) -> Content:
        """Note it."""
        self.ends += "finished "
        return super().finish()

    def abandon(self) -> None:
        """Note it."""
        self.ends += "abandoned "
        super().abandon()


@implementer(IQueue)
class Spool:
    """A queue that promises for all recipients at once, or is in trouble."""

    single = False

    def __init__(self, *replies: str, error: Exception | None = None) -> None:
        self.replies = [Reply.parse(text) for text in replies]
        self.error = error
        self.sink_error: OSError | None = None
        self.envelopes: list[Envelope] = []
        self.sinks: list[Sink] = []

    def sink(self) -> IMessageSink:
        """Return a sink."""
        if self.sink_error is not None:
            raise self.sink_error
        self.sinks.append(Sink())
        return self.sinks[-1]

    def submit(self, envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Keep the message."""
        self.envelopes.append(envelope)
        if isinstance(self.error, ZeroDivisionError):
            raise self.error
        return succeed(self.replies) if self.error is None else fail(self.error)

    def stop(self) -> Deferred[None]:
        """Do nothing."""
        return succeed(None)


class TransactionTestCase(EdgeTestCase):
    """Has a client that said hello."""

    def met(self, ip: str = "127.0.0.1") -> Visitor:
        """Return one."""
        visitor = self.visit(ip)
        self.say(visitor, b"LHLO x\r\n" if self.options.lmtp else b"EHLO x\r\n")
        return visitor

    def send(self, visitor: Visitor, *recipients: bytes, body: bytes = b"x\r\n") -> list[str]:
        """Send a message, and return the replies from the first to RCPT on."""
        said = MAIL + b"".join(b"RCPT TO:<%b>\r\n" % each for each in recipients or [b"c@d"])
        return self.say(visitor, said + b"DATA\r\n" + body + b".\r\n")[1:]
