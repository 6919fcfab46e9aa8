# -*- test-case-name: tests.edge.test_channel -*-
"""The octets of one client: commands and message bodies in, replies out.

A L{Channel} is the Twisted side of a server's dialogue.  The dialogue itself is a coroutine that
takes one command after the other, so no command is looked at before the reply to the one before is
known.  The channel gathers replies into few writes, bounds what waits in either direction, and
keeps time.

Sources: RFC 5321 4.5.3.2.7 (server time-out), RFC 2920 (pipelining).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.deadline import Deadline
from slimtwist.edge.body import Receiver
from slimtwist.edge.lines import CommandReader
from slimtwist.edge.peer import Certificate, ServerTransport
from slimtwist.edge.replies import BROKEN, TIMED_OUT
from slimtwist.limits import Limits, Timeouts

_T = TypeVar("_T")

#: Octets of replies that are gathered before they are written.
_GATHER: Final = 8192
#: Seconds over which the pace of a message is measured.
_WINDOW: Final = 60.0


class ClientGone(Exception):
    """Nobody is there to be answered: the client left, or was sent away."""


@implementer(IPushProducer)
class Channel(Protocol):
    """One connection of a client."""

    _log = Logger()
    transport: ServerTransport  # type: ignore[assignment]

    def __init__(
        self,
        clock: IReactorTime,
        limits: Limits,
        timeouts: Timeouts,
        converse: Callable[[Channel], Coroutine[Deferred[Any], Any, None]],
        ended: Callable[[Channel], object],
    ) -> None:
        """Wait to be connected.

        @param clock: keeps time.
        @param converse: the dialogue; the connection is closed when it returns.
        @param ended: is called when the connection is gone.
        """
        self._limits = limits
        self._timeouts = timeouts
        self._converse = converse
        self._ended = ended
        self._input = CommandReader()
        self._replies: list[bytes] = []
        self._unwritten = 0
        self._gather = min(_GATHER, limits.unsent)
        self._receive: Receiver | None = None
        self._received = self._required = 0
        self._wake: Deferred[None] | None = None
        self._pending: Deferred[Any] | None = None
        self._gone = False  # the dialogue has nobody to talk to
        self._closing = False
        self._blocked = False  # the client does not read our replies
        self._paused = False  # we do not read what it sends
        self._command = Deadline(clock, self._command_passed)
        self._transaction = Deadline(clock, self._time_out)

    # What the dialogue uses.

    @property
    def waiting(self) -> bool:
        """Whether the dialogue waits for a command, and has not got a part of a body."""
        return self._wake is not None and self._receive is None

    @property
    def unread(self) -> int:
        """How many octets came after the last command."""
        return len(self._input)

    def say(self, reply: bytes) -> None:
        """Send a reply, sooner or later; at the latest when a command is waited for."""
        self._replies.append(reply)
        self._unwritten += len(reply)
        if self._unwritten > self._gather:
            self.flush()

    def flush(self) -> None:
        """Write the replies that were gathered."""
        if self._replies:
            self.transport.write(b"".join(self._replies))
            self._replies.clear()
            self._unwritten = 0

    async def line(self, longest: int) -> bytes:
        """Return the next command line.

        @param longest: octets that it may have.
        @raise ClientGone: none will come.
        @raise Refusal: as L{CommandReader.line} does.
        """
        while True:
            if not self._blocked:
                line = self._input.line(longest)
                if line is not None:
                    return line
            await self._more()

    async def receive(self, receiver: Receiver) -> None:
        """Give the octets that follow to a receiver, until it has what it wants.

        @raise ClientGone: the rest will not come.
        """
        rest = receiver(self._input.rest())
        if rest is None:
            self._receive = receiver
            self._received = self._required = 0
            self._command.set(self._timeouts.body_grace)
            await self._more()
            self._command.set(self._timeouts.command)
        else:
            self._input.feed(rest)

    async def settled(self, result: Deferred[_T]) -> _T:
        """Wait for something that has no time limit here; meanwhile nothing is read but a little.

        The Deferred is cancelled when the client leaves.

        @raise ClientGone: the client left; the Deferred may have fired nevertheless.
        """
        self.flush()
        self._command.clear()
        self._pending = result
        try:
            return await result
        finally:
            self._pending = None
            self._check_presence()
            self._command.set(self._timeouts.command)

    def start_tls(self, certificate: Certificate) -> None:
        """Begin a TLS handshake."""
        self.flush()
        self.transport.startTLS(certificate)

    def allow(self, seconds: float) -> None:
        """Let the client have some time for its next command."""
        self._command.set(seconds)

    def limit_transaction(self, seconds: float | None) -> None:
        """Let a transaction have so much time, or C{None} when there is none."""
        if seconds is None:
            self._transaction.clear()
        else:
            self._transaction.set(seconds)

    def dismiss(self, reply: bytes) -> None:
        """End the dialogue wherever it is, with a last reply."""
        if not self._gone:
            self.say(reply)
            self._leave()

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Begin the dialogue."""
        transport = self.transport
        if hasattr(transport, "bufferSize"):
            transport.bufferSize = self._limits.unsent
        if ITCPTransport.providedBy(transport):
            transport.setTcpNoDelay(True)  # replies are gathered here already
        transport.registerProducer(self, True)
        self._command.set(self._timeouts.command)
        Deferred.fromCoroutine(self._converse(self)).addBoth(self._finished)

    def dataReceived(self, data: bytes) -> None:
        """Take octets."""
        if self._gone:
            return
        if self._receive is not None:
            self._received += len(data)
            rest = self._receive(data)
            if rest is None:
                return
            self._receive = None
            data = rest
        self._input.feed(data)
        if self._wake is not None and not self._blocked:
            self._resume()
        elif len(self._input) > self._limits.unsent:
            self._pause()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the dialogue, and forget everything."""
        if not reason.check(ConnectionDone):
            self._log.debug("a client was lost: {why}", why=reason.getErrorMessage())
        self._closing = True
        self._leave()
        self._command.close()
        self._transaction.close()
        self._ended(self)

    def pauseProducing(self) -> None:
        """Look at no more commands: the client does not take the replies, or TLS is not ready.

        What comes is read all the same, up to a bound: a handshake is among it.
        """
        self._blocked = True

    def resumeProducing(self) -> None:
        """Go on."""
        self._blocked = False
        if self._wake is not None and self._receive is None:
            self._resume()

    def stopProducing(self) -> None:
        """Do nothing: the connection is about to be lost."""

    # The rest.

    async def _more(self) -> None:
        """Wait for octets, or for room for replies."""
        self.flush()
        self._check_presence()
        self._wake = Deferred()
        if self._paused and (self._receive is not None or not self._blocked):
            self._paused = False
            self.transport.resumeProducing()
        await self._wake

    def _resume(self) -> None:
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.callback(None)

    def _pause(self) -> None:
        if not self._paused and not self._closing:
            self._paused = True
            self.transport.pauseProducing()

    def _check_presence(self) -> None:
        if self._gone:
            raise ClientGone

    def _leave(self) -> None:
        """Let the dialogue end: whatever it waits for will not come."""
        self._gone = True
        wake, self._wake = self._wake, None
        if wake is not None:
            wake.errback(ClientGone())
        if self._pending is not None:
            self._pending.cancel()

    def _finished(self, result: Failure | None) -> None:
        """Close the connection, since the dialogue has ended."""
        if isinstance(result, Failure) and not result.check(ClientGone):
            self._log.failure("the dialogue with a client failed", result)
            self.say(BROKEN)
        if self._closing:
            return
        self._closing = self._gone = True
        self.flush()
        self._transaction.close()
        # A client that does not read its last reply is not waited for.
        self._command.set(self._timeouts.quit)
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _command_passed(self) -> None:
        if self._closing:
            self.transport.abortConnection()
        elif self._receive is not None and self._received >= self._required:
            self._received = 0
            self._required = int(self._limits.body_rate * _WINDOW)
            self._command.set(_WINDOW)
        else:
            self._time_out()

    def _time_out(self) -> None:
        self.dismiss(TIMED_OUT)
