# -*- test-case-name: slimtwist_skeleton.test.test_relay -*-
"""The dialogue: a message goes out, and a reply comes back for each recipient.

No reply counts before the message has left. When the dialogue ends too early, what was said holds,
and all others are deferred. Whether the server may have their message all the same is told: it may
once it was given the last octet.
"""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionLost,
    ProtocolViolation,
    TransientRelayError,
)
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply


@implementer(IPullProducer)
class Post(LineOnlyReceiver):
    """Posts one message.

    @ivar report: fires when all is known that will be; who cancels it gives up.
    """

    transport: Any
    MAX_LENGTH = 2048  # a server cannot make us keep more

    def __init__(self, envelope: Envelope, host: str) -> None:
        """Be ready to post a message.

        @param host: what outcomes name as who has decided.
        """
        self.report: Deferred[Report] = Deferred(lambda _: self.give_up(AttemptCancelled))
        self._head = {
            "sender": str(envelope.sender),
            "recipients": [str(each.address) for each in envelope.recipients],
            "octets": envelope.content.size,
        }
        self._blocks = envelope.content.blocks()
        self._count = len(envelope.recipients)
        self._host = host
        self._outcomes: list[Outcome] = []
        self._sent = False

    def connectionMade(self) -> None:
        """Begin."""
        self.transport.write(json.dumps(self._head).encode() + b"\r\n")
        # From here on the transport asks for a block when it has room for one.
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Send the next block."""
        try:
            block = next(self._blocks, b"")
        except OSError as error:
            self._end(TransientRelayError.at(f"the message cannot be read: {error}"))
            return
        if block:
            self.transport.write(block)
        else:  # the transport asks when nothing is left to be sent
            self._sent = True
            self.transport.unregisterProducer()

    def stopProducing(self) -> None:
        """Send no more: the connection is lost."""
        self._blocks = iter(())

    def lineReceived(self, line: bytes) -> None:
        """Take a reply."""
        if not self._sent:
            self.give_up(ProtocolViolation, "a reply before the message")
            return
        try:
            self._outcomes.append(Outcome.of(Reply.parse(line.decode()), host=self._host))
        except ValueError as error:
            self.give_up(ProtocolViolation, str(error))
        if len(self._outcomes) == self._count:
            self._end(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End with what is known."""
        self.give_up(ConnectionLost, reason.getErrorMessage())

    def give_up(self, kind: type[TransientRelayError], why: str = "") -> None:
        """End with what is known; for all others it is this error."""
        self._end(kind.at(why, host=self._host, ambiguous=self._sent))

    def close(self) -> None:
        """Leave nothing behind."""
        self.transport.abortConnection()

    def _end(self, error: TransientRelayError | None) -> None:
        if self.report.called:
            return
        missing = self._count - len(self._outcomes)
        others = [error.outcome] * missing if error is not None else []
        self.report.callback(Report((*self._outcomes, *others)))
