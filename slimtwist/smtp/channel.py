# -*- test-case-name: tests.smtp.test_channel -*-
"""The client's end of a connection: commands out, replies in, strictly one to one.

A L{Channel} knows how many replies are owed and for how long.  It hands them over in order, a
flight of commands at a time, and is broken for good by anything else: an extra or early reply,
octets that are no reply, a wait that passed, the end of the connection, a driver that stops
waiting.  What that means for a message is for its driver to say.

Sources: RFC 2920 3.1 (one reply for each command, in order), RFC 3207 4.2 and 5 (what came before
TLS is forgotten), RFC 5321 4.5.3.2 (a timeout for each command).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import (
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.deadline import Deadline
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionLost,
    ProtocolViolation,
    ReplyTimeout,
    TLSFailed,
    TransientRelayError,
)
from slimtwist.limits import Limits, Timeouts
from slimtwist.smtp.tls import explain
from slimtwist.smtp.wire import ReplyReader


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a channel is broken.

    @ivar kind: the error that it leads to.
    @ivar detail: for its text.
    @ivar reply: what the peer itself said of it: a 421, or a refusal in the middle of a message.
    @ivar extra: a refusal that came together with the last reply that was owed, and nothing behind
        it: for a driver that knows what else than that reply it can be about.
    """

    kind: type[TransientRelayError]
    detail: str
    reply: bytes | None = None
    extra: bytes | None = None


class Broken(Exception):
    """The channel is of no more use; C{Channel.trouble} says why."""


class _Flight:
    """Commands that went out together: the replies they are owed, and those that came."""

    __slots__ = ("done", "replies", "waits")

    def __init__(self, waits: Sequence[float], cancel: Callable[[object], None]) -> None:
        self.waits = waits
        self.replies: list[bytes] = []
        self.done: Deferred[list[bytes]] = Deferred(cancel)


@implementer(IPushProducer, IHandshakeListener)
class Channel(Protocol):
    """A client's SMTP or LMTP connection.

    @ivar clock: measures the waits.
    @ivar trouble: why it is broken; C{None} while it is not.
    @ivar on_close: called once, when the connection has ended.
    """

    transport: Any

    def __init__(self, clock: IReactorTime, limits: Limits, timeouts: Timeouts) -> None:
        """Make a channel, to be connected by an endpoint."""
        self.clock = clock
        self._limits = limits
        self._timeouts = timeouts
        self._reader = ReplyReader(limits)
        self._flights: deque[_Flight] = deque()
        self._owed = 0
        self._deadline = Deadline(clock, self._too_late)
        self._paused = False
        self._left: Deferred[None] | None = None  # waits for written octets to leave
        self._handshake: Deferred[None] | None = None
        self._connected = True
        self._secure = False
        self._unproved = False  # TLS inside which the peer has not said anything yet
        self.trouble: Trouble | None = None
        self.on_close: Callable[[], None] = lambda: None

    # What drivers do

    def send(self, octets: bytes, waits: Sequence[float]) -> Deferred[list[bytes]]:
        """Send a flight of commands.

        @param octets: whole commands.
        @param waits: for each command the seconds that its reply may take, counted from the reply
            before it.
        @return: fires with the replies, as the peer sent them; with fewer when the channel broke.
            Cancelling it breaks the channel.
        """
        if not self.quiet():
            return succeed([])
        flight = _Flight(waits, self._abandon)
        self._flights.append(flight)
        if not self._owed:
            self._deadline.set(waits[0])
        self._owed += len(waits)
        if octets:
            self.transport.write(octets)
        return flight.done

    async def command(self, octets: bytes, wait: float) -> bytes:
        """Send one command, or none, and return its reply. Raises L{Broken}."""
        if replies := await self.send(octets, (wait,)):
            return replies[0]
        raise Broken

    async def send_body(self, blocks: Iterable[bytes]) -> None:
        """Send octets that are owed no reply, each block when all before it has left our buffers.

        Returns when the last has left: what the peer says before that cannot be its answer.

        @raise Broken: before that the peer spoke, was gone, or was too slow.
        """
        start, sent = self.clock.seconds(), 0
        self.transport.registerProducer(self, True)
        try:
            for block in blocks:
                # What broke us is not clean either, and nobody wakes us twice.
                if not (self.trouble or self._reader.clean):
                    await self._wait(self._timeouts.progress)  # until it has said it, and broken us
                if self.trouble:
                    break
                self._write_watched(block)
                sent += len(block)
                ahead = start + sent / self._limits.send_rate - self.clock.seconds()
                await self._leave(min(ahead, 0) + self._timeouts.progress)
        finally:
            if self._connected:
                self.transport.unregisterProducer()
        if self.trouble:
            raise Broken

    async def start_tls(self, creator: object, wait: float) -> None:
        """Protect the connection; what was read before is forgotten.

        @param creator: an C{twisted.internet.interfaces.IOpenSSLClientConnectionCreator}.
        @raise Broken: octets were there already (RFC 3207 5), or the handshake failed.
        """
        if not self.quiet():
            raise Broken
        self._handshake = Deferred(self._abandon)
        self._deadline.set(wait)
        self._secure = self._unproved = True
        self.transport.startTLS(creator)
        await self._handshake
        self._handshake = None
        if self.trouble:
            raise Broken

    def quiet(self) -> bool:
        """Tell whether the channel works, and the peer is not in the middle of saying something.

        Octets that nothing is owed for break it: they could be taken for the next reply.
        """
        if not self._owed and not self._reader.clean:
            self._break(Trouble(ProtocolViolation, "octets came before the command was sent"))
        return self.trouble is None

    def close(self, farewell: bytes = b"") -> None:
        """Let nothing further be done with the channel.

        @param farewell: written before the connection ends, its reply not waited for longer than
            L{Timeouts.quit}; without it the connection ends at once.
        """
        if farewell and self.trouble is None:
            self.trouble = Trouble(ConnectionLost, "closed here")
            self.transport.write(farewell)
            self._deadline.set(self._timeouts.quit)
        else:
            self._break(Trouble(ConnectionLost, "closed here"))

    # What the transport does

    def connectionMade(self) -> None:
        """Ask for small writes to leave at once."""
        self._buffer_size = getattr(self.transport, "bufferSize", 0)
        if hasattr(self.transport, "setTcpNoDelay"):  # not on UNIX sockets
            self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        """Match replies to what is owed."""
        if self.trouble:
            self.transport.abortConnection()  # an answer to a farewell, or too late
            return
        self._unproved = False
        replies = self._reader.feed(data)
        # Judged before any is handed over: a driver resumes at once, and what it sends next would
        # make an early reply look expected.
        owed, extra = replies[: self._owed], replies[self._owed :]
        trouble = self._judge(owed, extra)
        done = self._assign(owed)
        if trouble:
            self.trouble = trouble
        for flight in done:
            flight.done.callback(flight.replies)
        if trouble:
            self._end()

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        """Tell everybody who waits."""
        self._connected = False
        self._deadline.close()
        # RFC 8446 2: in TLS 1.3 our handshake is over before the peer has judged it.
        broken = self._handshake or (self._unproved and reason.check(SSL.Error))
        self._break(Trouble(TLSFailed if broken else ConnectionLost, explain(reason)))
        self.on_close()

    def handshakeCompleted(self) -> None:
        """Go on with the session, inside TLS."""
        if self._handshake is not None and not self._handshake.called:
            self._deadline.clear()
            self._handshake.callback(None)

    def pauseProducing(self) -> None:
        """Note that written octets wait in our buffers."""
        self._paused = True
        self.transport.bufferSize = self._buffer_size

    def resumeProducing(self) -> None:
        """Note that all written octets have left."""
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:
        """Do nothing: the end of the connection is told apart."""

    # How

    def _judge(self, owed: list[bytes], extra: list[bytes]) -> Trouble | None:
        """Say what is wrong with replies, if anything is."""
        goodbye = next((reply for reply in owed if reply.startswith(b"421")), None)
        if goodbye:
            return Trouble(ConnectionLost, "the host said goodbye", goodbye)
        if self._reader.fault:
            return Trouble(ProtocolViolation, self._reader.fault)
        if not extra:
            return self._judge_rest(owed)
        first = extra[0]
        if first.startswith(b"421"):
            return Trouble(ConnectionLost, "the host said goodbye", first)
        if self._left is not None and first[:1] in b"45":
            return Trouble(ProtocolViolation, "refused before its end", first)
        alone = bool(owed) and len(extra) == 1 and self._reader.clean
        detail = f"unexpected reply {ascii(first[:40])[1:]}"
        refusal = first if alone and first[:1] in b"45" else None
        return Trouble(ProtocolViolation, detail, extra=refusal)

    def _judge_rest(self, owed: list[bytes]) -> Trouble | None:
        """Say what is wrong with octets behind the last reply that is owed, if there are any.

        They are one reply too many, though it is not complete; replies may have moved.  Behind 354
        it may become a refusal of the message, and is waited for.
        """
        last = owed[-1] if owed and len(owed) == self._owed else b"354"
        if self._reader.clean or last.startswith(b"354"):
            return None
        return Trouble(ProtocolViolation, "octets behind the last reply")

    def _assign(self, replies: list[bytes]) -> list[_Flight]:
        """Put replies to their commands, and return the flights that are complete."""
        done = []
        self._owed -= len(replies)
        for reply in replies:
            flight = self._flights[0]
            flight.replies.append(reply)
            if len(flight.replies) == len(flight.waits):
                done.append(self._flights.popleft())
        if replies and self._flights:
            first = self._flights[0]
            self._deadline.set(first.waits[len(first.replies)])
        elif replies:
            self._deadline.clear()
        return done

    def _write_watched(self, octets: bytes) -> None:
        """Write so that we are paused until it has left, however little it is.

        A transport pauses its producer when it holds more than C{bufferSize}, which is also what it
        reads at a time; so it cannot be 0, a single octet goes unseen, and it is not kept for long.
        """
        self.transport.bufferSize = 1
        self.transport.write(octets)
        if not self._secure:
            self.transport.bufferSize = self._buffer_size

    def _leave(self, wait: float) -> Deferred[None]:
        """Fire when all written octets have left."""
        if self.trouble or not (self._paused or self._secure):
            return succeed(None)
        if not self._paused:
            # Twisted's TLS keeps a small write back until the reactor's next turn.
            self.clock.callLater(0, self._look)
        return self._wait(wait)

    def _look(self) -> None:
        self.transport.bufferSize = self._buffer_size
        if self._paused:
            return
        if getattr(self.transport, "disconnecting", False):
            # Twisted drops what is written after the peer's close_notify (RFC 8446 6.1).
            self._break(Trouble(ConnectionLost, "the peer closed the connection"))
        self._go_on()

    def _wait(self, wait: float) -> Deferred[None]:
        self._left = Deferred(self._abandon)
        self._deadline.set(max(wait, 0))
        return self._left

    def _go_on(self) -> None:
        left, self._left = self._left, None
        if left is not None and not left.called:
            self._deadline.clear()
            left.callback(None)

    def _too_late(self) -> None:
        if self.trouble:
            self.transport.abortConnection()
            return
        self._break(Trouble(TLSFailed if self._handshake else ReplyTimeout, "no answer in time"))

    def _abandon(self, _: object) -> None:
        self._break(Trouble(AttemptCancelled, ""))

    def _break(self, trouble: Trouble) -> None:
        if self.trouble is None:
            self.trouble = trouble
            self._end()

    def _end(self) -> None:
        """Close, and let everybody who waits see why."""
        self._deadline.close()
        if self._connected:
            self.transport.abortConnection()
        self._owed = 0
        while self._flights:
            flight = self._flights.popleft()
            flight.done.callback(flight.replies)
        self._go_on()
        if self._handshake is not None and not self._handshake.called:
            self._handshake.callback(None)
