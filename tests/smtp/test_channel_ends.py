# -*- test-case-name: tests.smtp.test_channel_ends -*-
"""The client's end of a connection: closing and cancelling it, bodies, and TLS."""

from __future__ import annotations

from collections.abc import Iterator

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from slimtwist.errors import (
    AttemptCancelled,
    ConnectionLost,
    ProtocolViolation,
    TLSFailed,
)
from slimtwist.smtp.channel import Broken, Channel
from slimtwist.testing import (
    Close,
    Cut,
    Deafen,
    Ended,
    Handshake,
    Reset,
    Send,
    Stall,
    StartTls,
    Wait,
)
from tests.smtp.channels import ChannelCase


@implementer(IOpenSSLClientConnectionCreator)
class NoContext:
    """A TLS context of anybody's that cannot make a connection."""

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N803
        """Raise."""
        raise ZeroDivisionError


class CloseTests(ChannelCase):
    """Ending it from here."""

    def test_at_once(self) -> None:
        """Closed, the connection is gone, and whoever waits is told."""
        channel = self.connect("C: A", Ended())
        results = self.sent(channel, b"A\r\n", 10)
        self.reactor.flush()
        channel.close()
        self.assertEqual(results, [[]])
        self.check_kind(channel, ConnectionLost, "closed here")
        self.peer.verify()

    def test_farewell(self) -> None:
        """With a farewell, the host may answer or end; nobody waits for it."""
        for answer in (["S: 221 bye"], [Close()], [Send(b"2")], [Send(b"what\r\n")], [Reset()]):
            channel = self.connect("C: QUIT", *answer, Ended())
            channel.close(b"QUIT\r\n")
            self.assertFalse(channel.quiet())
            self.reactor.flush()
            self.assertEqual(self.closed, [0])
            self.check_kind(channel, ConnectionLost)
            self.peer.verify()

    def test_farewell_unanswered(self) -> None:
        """PEER-35: a host that does not react has 5 s."""
        channel = self.connect("C: QUIT", Stall())
        channel.close(b"QUIT\r\n")
        self.reactor.advance(20)
        self.assertEqual(self.closed, [5])
        self.check_kind(channel, ConnectionLost)

    def test_farewell_unread(self) -> None:
        """Nor has one that does not even read it."""
        channel = self.connect(Stall())
        self.wire.up.window = 0
        channel.close(b"QUIT\r\n")
        self.reactor.advance(20)
        self.assertEqual(self.closed, [5])
        self.check_kind(channel, ConnectionLost)

    def test_nothing_after_a_farewell(self) -> None:
        """No command follows a farewell."""
        channel = self.connect("C: QUIT", Stall())
        channel.close(b"QUIT\r\n")
        self.assertEqual(self.sent(channel, b"A\r\n", 10), [[]])
        self.trouble(channel)
        self.peer.verify()

    def test_no_farewell_in_trouble(self) -> None:
        """Nothing is said to a host that cannot be trusted."""
        channel = self.connect(Send(b"what\r\n"), Ended())
        self.reactor.flush()
        channel.close(b"QUIT\r\n")
        self.check_kind(channel, ProtocolViolation)
        self.peer.verify()

    def test_twice(self) -> None:
        """It may be closed again, at any time."""
        channel = self.connect("C: QUIT", Ended())
        channel.close(b"QUIT\r\n")
        channel.close(b"QUIT\r\n")
        self.reactor.advance(10)
        channel.close()
        channel.close(b"QUIT\r\n")
        self.check_kind(channel, ConnectionLost, "closed here")
        self.peer.verify()

    def test_by_a_driver(self) -> None:
        """A driver may close it in the moment in which it is told, whatever the cause."""
        for steps in ([Close()], [Send(b"250 a\r\n250 b\r\n")], [Send(b"421 x\r\n")], ["S: 250 a"]):
            channel = self.connect("C: A", *steps)
            flight = channel.send(b"A\r\n", (5,))
            flight.addCallback(lambda _: b"QUIT\r\n").addCallback(channel.close)
            self.reactor.flush()
            self.trouble(channel)


class CancelTests(ChannelCase):
    """OS-14: whoever stops waiting ends the connection."""

    def test_flight(self) -> None:
        """Cancelling a flight ends all flights."""
        channel = self.connect("C: A", "C: B", Ended())
        first = channel.send(b"A\r\n", (10,))
        second = self.sent(channel, b"B\r\n", 10)
        self.reactor.flush()
        first.cancel()
        self.assertEqual(self.successResultOf(first), [])
        self.assertEqual(second, [[]])
        self.check_kind(channel, AttemptCancelled)

    def test_late(self) -> None:
        """Cancelling what has fired does nothing."""
        channel = self.connect("C: A", "S: 250 a", Stall())
        flight = channel.send(b"A\r\n", (10,))
        self.reactor.flush()
        flight.cancel()
        self.assertIsNone(channel.trouble)

    def test_handshake(self) -> None:
        """Cancelling a handshake ends the connection."""
        channel = self.connect(Stall())
        starting = Deferred.fromCoroutine(channel.start_tls(None, 60))
        self.reactor.flush()
        starting.cancel()
        self.failureResultOf(starting, Broken)
        self.check_kind(channel, AttemptCancelled)

    def test_body(self) -> None:
        """Cancelling a body ends the connection before more of it is sent."""
        channel = self.connect(Stall())
        self.wire.up.window = 0
        taken: list[int] = []

        def blocks() -> Iterator[bytes]:
            for number in range(9):
                taken.append(number)
                yield b"x" * 100

        sending = Deferred.fromCoroutine(channel.send_body(blocks()))
        self.reactor.flush()
        sending.cancel()
        self.failureResultOf(sending, Broken)
        self.check_kind(channel, AttemptCancelled)
        self.assertLessEqual(len(taken), 2)
        self.assertEqual(bytes(self.wire.up.tape), b"")


class BodyTests(ChannelCase):
    """Octets that are owed no reply: see L{tests.smtp.test_transaction_body} for messages."""

    def sending(self, channel: Channel, *blocks: bytes) -> Deferred[None]:
        """Begin to send a body."""
        sending = Deferred.fromCoroutine(channel.send_body(iter(blocks)))
        self.reactor.flush()
        return sending

    def test_leaves(self) -> None:
        """It returns when the last octet has left our buffers, in plaintext and inside TLS."""
        for secure in (False, True):
            channel = self.connect(*([StartTls()] if secure else []), Stall())
            if secure:
                self.reactor.wait(Deferred.fromCoroutine(channel.start_tls(None, 60)))
            self.wire.up.window = 0
            sending = self.sending(channel, b"12345", b"6789")
            self.reactor.advance(1)
            self.assertNoResult(sending)
            self.wire.up.window = 60000
            self.reactor.advance(1)
            self.successResultOf(sending)
            self.assertTrue(channel.quiet())
            self.assertEqual(self.reactor.producers(), [])
            self.assertIn(b"6789", bytes(self.wire.up.tape))

    def test_back_pressure(self) -> None:
        """L6: a block is asked for when those before it have left."""
        channel = self.connect(Deafen(), Stall())
        self.wire.up.window = 0
        taken: list[int] = []

        def blocks() -> Iterator[bytes]:
            for number in range(5):
                taken.append(number)
                yield b"x" * 100

        sending = Deferred.fromCoroutine(channel.send_body(blocks()))
        for number in range(5):
            self.reactor.advance(1)
            self.assertEqual(len(taken), number + 1)
            self.wire.up.window += 100
        self.reactor.advance(1)
        self.successResultOf(sending)

    def test_refused(self) -> None:
        """PEER-28: a refusal before the end is kept, and breaks it."""
        channel = self.connect(Wait(1), Send(b"552 5.3.4 too large\r\n"), Ended())
        self.wire.up.window = 0
        sending = self.sending(channel, b"x" * 100)
        self.reactor.advance(2)
        self.failureResultOf(sending, Broken)
        self.assertEqual(self.trouble(channel).reply, b"552 5.3.4 too large")

    def test_accepted_early(self) -> None:
        """PEER-27: a success before the end is none."""
        channel = self.connect(Wait(1), Send(b"250 ok\r\n"), Ended())
        self.wire.up.window = 0
        sending = self.sending(channel, b"x" * 100)
        self.reactor.advance(2)
        self.failureResultOf(sending, Broken)
        self.check_kind(channel, ProtocolViolation, "unexpected reply '250 ok'")
        assert channel.trouble is not None
        self.assertIsNone(channel.trouble.reply)

    def test_ends(self) -> None:
        """An end of the connection breaks it, and leaves no producer."""
        for how in Cut:
            channel = self.connect(Stall())
            self.wire.up.window = 0
            sending = self.sending(channel, b"x" * 100)
            self.wire.cut(how)
            self.reactor.advance(1)
            self.failureResultOf(sending, Broken)
            self.check_kind(channel, ConnectionLost)

    def test_ended_before(self) -> None:
        """On a channel that is over, nothing is sent."""
        channel = self.connect(Close())
        self.reactor.flush()
        self.failureResultOf(self.sending(channel, b"x"), Broken)
        self.check_kind(channel, ConnectionLost)

    def test_unreadable(self) -> None:
        """What the blocks raise is raised, and no producer is left; the channel still works."""
        channel = self.connect(Stall())

        def blocks() -> Iterator[bytes]:
            yield b"x"
            raise OSError("disk")

        sending = Deferred.fromCoroutine(channel.send_body(blocks()))
        self.reactor.flush()
        self.failureResultOf(sending, OSError)
        self.assertEqual(self.reactor.producers(), [])
        self.assertTrue(channel.quiet())


class TlsTests(ChannelCase):
    """Protecting it."""

    def start(self, channel: Channel) -> Deferred[None]:
        """Begin TLS."""
        return Deferred.fromCoroutine(channel.start_tls(None, 60))

    def test_secure(self) -> None:
        """Inside TLS it goes on as before."""
        channel = self.connect(StartTls(), "C: A", "S: 250 a", Stall())
        self.reactor.wait(self.start(channel))
        results = self.sent(channel, b"A\r\n", 5)
        self.reactor.flush()
        self.assertEqual(results, [[b"250 a"]])
        self.assertEqual(self.reactor.leftovers().producers, ())

    def test_not_quiet(self) -> None:
        """TLS-01, TLS-02: with octets before it, TLS is not begun."""
        for octets in (b"250 x\r\n", b"2", b"250-AUTH PLA"):
            channel = self.connect(Send(octets), Ended())
            self.reactor.flush()
            self.failureResultOf(self.start(channel), Broken)
            self.check_kind(channel, ProtocolViolation)
            self.assertEqual(bytes(self.wire.up.tape), b"")

    def test_fails(self) -> None:
        """A handshake that fails, stalls or ends is trouble of its own kind."""
        for handshake, steps, seconds in (
            (Handshake(refused_by="client"), [StartTls(), Ended()], 0),
            (Handshake(refused_by="server"), [StartTls(), Ended()], 0),
            (Handshake(hangs=True), [StartTls(), Stall()], 60),
            (Handshake(), [Stall()], 60),
            (Handshake(), [Wait(2), Close()], 2),
            (Handshake(), [Wait(1), Reset()], 1),
        ):
            channel = self.connect(*steps, handshake=handshake)
            starting = self.start(channel)
            self.reactor.advance(100)
            self.failureResultOf(starting, Broken)
            self.assertEqual(self.closed, [seconds])
            self.check_kind(channel, TLSFailed)

    def test_lost_afterwards(self) -> None:
        """An end after the handshake is a lost connection again."""
        channel = self.connect(StartTls(), Wait(5), Close())
        self.reactor.wait(self.start(channel))
        self.reactor.advance(10)
        self.check_kind(channel, ConnectionLost)

    def test_broken_afterwards(self) -> None:
        """RFC 8446 2: what breaks TLS before the host has spoken inside it breaks the handshake;
        afterwards it is the connection that is lost.
        """
        for spoken, kind in ((False, TLSFailed), (True, ConnectionLost)):
            channel = self.connect(StartTls(), "C: A", "S: 250 a", Ended())
            self.reactor.wait(self.start(channel))
            if spoken:
                self.sent(channel, b"A\r\n", 5)
                self.reactor.flush()
            self.assertTrue(channel.quiet())
            self.wire.down.send(b"no record of TLS")
            self.reactor.flush()
            self.check_kind(channel, kind, "does not speak TLS")

    def test_own_wait(self) -> None:
        """The wait of the handshake does not outlive it."""
        channel = self.connect(StartTls(), Stall())
        self.reactor.wait(self.start(channel))
        self.reactor.advance(1000)
        self.assertTrue(channel.quiet())
        self.assertIsNone(channel.trouble)

    def test_raises(self) -> None:
        """What a context raises is raised; the connection is gone when the channel is closed."""
        channel = self.connect(Stall())
        self.reactor.network.opaque = False
        starting = Deferred.fromCoroutine(channel.start_tls(NoContext(), 60))
        self.failureResultOf(starting, ZeroDivisionError)
        channel.close()
        self.reactor.advance(10)
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections), ((), ()))
        # Twisted's TLS layer is half made, and trips over that when it ends.
        self.flushLoggedErrors(AttributeError)
