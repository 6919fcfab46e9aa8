# -*- test-case-name: tests.smtp.test_channel -*-
"""The client's end of a connection: one reply for each command, each in its time."""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHandshakeListener,
    IPushProducer,
)
from zope.interface.verify import verifyObject

from slimtwist.errors import (
    ConnectionLost,
    ProtocolViolation,
    ReplyTimeout,
)
from slimtwist.smtp.channel import Broken
from slimtwist.testing import (
    Call,
    Close,
    Ended,
    HalfClose,
    Reset,
    Send,
    Stall,
    Wait,
    drip,
)
from tests.smtp.channels import ChannelCase, Steps

#: What a host gets of three commands.
THREE: list[Steps] = ["C: A", "C: B", "C: C"]


class FlightTests(ChannelCase):
    """Commands go out together; replies come back in order."""

    def test_interfaces(self) -> None:
        """It listens to handshakes, and is paused like a producer."""
        channel = self.connect(Stall())
        verifyObject(IHandshakeListener, channel)
        verifyObject(IPushProducer, channel)

    def test_one_write(self) -> None:
        """RFC 2920: a flight is one write, and its replies come as they were sent."""
        channel = self.connect(*THREE, Send(b"250-a\r\n250 b\r\n550\r\n354 \xff\r\n"), Stall())
        writes: list[object] = []
        self.wire.up.observer = lambda _, octets: writes.append(octets)
        results = self.sent(channel, b"A\r\nB\r\nC\r\n", 1, 1, 1)
        self.reactor.flush()
        self.assertEqual(results, [[b"250-a\r\n250 b", b"550", b"354 \xff"]])
        self.assertEqual(writes, [b"A\r\nB\r\nC\r\n"])
        self.assertTrue(channel.quiet())

    def test_two_flights(self) -> None:
        """A second flight may go out before the first is answered; each gets its own."""
        channel = self.connect(*THREE, Send(b"201\r\n202\r\n203\r\n"), Stall())
        results = [self.sent(channel, b"A\r\nB\r\n", 1, 1), self.sent(channel, b"C\r\n", 1)]
        self.reactor.flush()
        self.assertEqual(results, [[[b"201", b"202"]], [[b"203"]]])

    def test_nothing_sent(self) -> None:
        """A reply can be owed without a command, as the greeting is."""
        channel = self.connect(Wait(1), "S: 220 hi", Stall())
        results = self.sent(channel, b"", 5)
        self.reactor.advance(2)
        self.assertEqual(results, [[b"220 hi"]])

    def test_command(self) -> None:
        """One command, one reply; or L{Broken}."""
        channel = self.connect("C: A", "S: 250 ok", "C: B", Close())
        reply = self.reactor.wait(Deferred.fromCoroutine(channel.command(b"A\r\n", 5)))
        self.assertEqual(reply, b"250 ok")
        with self.assertRaises(Broken):
            self.reactor.wait(Deferred.fromCoroutine(channel.command(b"B\r\n", 5)))

    def test_small_writes(self) -> None:
        """TCP_NODELAY is set: a command does not wait for an acknowledgement."""
        self.connect(Stall())
        option = self.wire.client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        self.assertTrue(option)


class OrderTests(ChannelCase):
    """L12: early, extra and missing replies are faults, never answers to something else."""

    def test_extra(self) -> None:
        """PEER-17: an extra reply breaks the channel; what was owed is still handed over."""
        channel = self.connect("C: A", Send(b"250 a\r\n250 b\r\n"), Ended())
        results = self.sent(channel, b"A\r\n", 1)
        self.reactor.flush()
        self.assertEqual(results, [[b"250 a"]])
        self.check_kind(channel, ProtocolViolation, "unexpected reply '250 b'")
        self.peer.verify()

    def test_extra_to_a_flight(self) -> None:
        """So it is behind the replies to a group."""
        channel = self.connect(*THREE, Send(b"250 a\r\n250 b\r\n250 c\r\n354 d\r\n"), Ended())
        results = self.sent(channel, b"A\r\nB\r\nC\r\n", 1, 1, 1)
        self.reactor.flush()
        self.assertEqual(results, [[b"250 a", b"250 b", b"250 c"]])
        self.check_kind(channel, ProtocolViolation)

    def test_part_of_an_extra(self) -> None:
        """PEER-17: where segments cut an extra reply it is one too many, too; behind 354 a refusal
        of the message may begin.
        """
        for last, broken in ((b"250 c", True), (b"452 c", True), (b"354 c", False)):
            said = b"250 a\r\n250 b\r\n" + last + b"\r\n55"
            channel = self.connect(*THREE, Send(said), Stall())
            results = self.sent(channel, b"A\r\nB\r\nC\r\n", 1, 1, 1)
            self.reactor.flush()
            self.assertEqual(results, [[b"250 a", b"250 b", last]])
            self.assertEqual(channel.trouble is not None, broken, last)
        channel = self.connect(*THREE, Send(b"250 a\r\n250 b\r\n35"), Stall())
        self.sent(channel, b"A\r\nB\r\nC\r\n", 1, 1, 1)
        self.assertIsNone(channel.trouble)

    def test_refusal(self) -> None:
        """PEER-17: a refusal alone behind the last reply is kept, for a driver that knows why."""
        for octets, kept in (
            (b"354 a\r\n550 b\r\n", b"550 b"),
            (b"354 a\r\n450-b\r\n450 c\r\n", b"450-b\r\n450 c"),
            (b"354 a\r\n250 b\r\n", None),
            (b"354 a\r\n550 b\r\n550 c\r\n", None),
            (b"354 a\r\n550 b\r\n5", None),
            (b"354 a\r\n550 b\r\n550-c\r\n", None),
        ):
            channel = self.connect("C: A", Send(octets), Ended())
            results = self.sent(channel, b"A\r\n", 1)
            self.reactor.flush()
            self.assertEqual(results, [[b"354 a"]])
            self.assertEqual(self.trouble(channel).extra, kept)
            self.assertIsNone(self.trouble(channel).reply)
        channel = self.connect(Send(b"550 x\r\n"), Ended())
        self.assertIsNone(self.trouble(channel).extra)

    def test_resumed_driver(self) -> None:
        """PEER-17: what a driver sends when it resumes does not make an early reply its answer."""
        channel = self.connect("C: A", Send(b"250 a\r\n250 b\r\n"), Ended())
        later: list[list[bytes]] = []

        def resume(_: list[bytes]) -> None:
            channel.send(b"B\r\n", (1,)).addCallback(later.append)

        channel.send(b"A\r\n", (1,)).addCallback(resume)
        self.reactor.flush()
        self.assertEqual(later, [[]])
        self.check_kind(channel, ProtocolViolation)
        self.assertEqual(bytes(self.wire.up.tape), b"A\r\n")

    def test_before_any_command(self) -> None:
        """PEER-16: what comes when nothing is owed breaks it at once, whole or not."""
        for octets, detail in (
            (b"250 x\r\n", "unexpected reply '250 x'"),
            (b"\r\n", "no reply code"),
            (b"x" * 9000, "too long"),
        ):
            channel = self.connect(Send(octets), Ended())
            self.reactor.flush()
            self.check_kind(channel, ProtocolViolation, detail)

    def test_fragment(self) -> None:
        """PEER-16: a fragment breaks it when the next command is to be sent, which is not sent."""
        for octets in (b"2", b"250-x\r\n", b"250-x\r\n25"):
            channel = self.connect(Send(octets), Ended())
            self.reactor.flush()
            self.assertIsNone(channel.trouble)
            self.assertEqual(self.sent(channel, b"A\r\n", 1), [[]])
            self.check_kind(channel, ProtocolViolation, "before the command was sent")
            self.assertEqual(bytes(self.wire.up.tape), b"")
            self.peer.verify()

    def test_fragment_while_owed(self) -> None:
        """A part of an owed reply is no fault."""
        channel = self.connect("C: A", Send(b"250-a\r\n2"), Wait(1), Send(b"50 b\r\n"), Stall())
        results = self.sent(channel, b"A\r\n", 5)
        self.reactor.advance(0.5)
        self.assertTrue(channel.quiet())
        self.reactor.advance(1)
        self.assertEqual(results, [[b"250-a\r\n250 b"]])

    def test_missing(self) -> None:
        """PEER-18: a reply that is missing ends at its deadline, with those that came."""
        channel = self.connect(*THREE, "S: 250 a", Stall())
        results = self.sent(channel, b"A\r\nB\r\nC\r\n", 10, 20, 30)
        self.reactor.advance(19)
        self.assertEqual(results, [])
        self.reactor.advance(1)
        self.assertEqual(results, [[b"250 a"]])
        self.check_kind(channel, ReplyTimeout, "no answer in time")

    def test_no_reply(self) -> None:
        """PEER-10: octets that are no reply break it; replies before them count."""
        channel = self.connect(*THREE, Send(b"250 a\r\nwhat\r\n250 c\r\n"), Ended())
        results = self.sent(channel, b"A\r\nB\r\nC\r\n", 1, 1, 1)
        self.reactor.flush()
        self.assertEqual(results, [[b"250 a"]])
        self.check_kind(channel, ProtocolViolation, "no reply code in 'what'")

    def test_after_trouble(self) -> None:
        """Whatever is sent then goes nowhere, and nothing that still comes is heard."""
        channel = self.connect("C: A", Send(b"what\r\n"), Ended())
        self.sent(channel, b"A\r\n", 1)
        self.reactor.flush()
        self.assertEqual(self.sent(channel, b"B\r\n", 1), [[]])
        first = self.trouble(channel)
        channel.dataReceived(b"250 late\r\n")
        self.assertIs(channel.trouble, first)


class GoodbyeTests(ChannelCase):
    """PEER-06: 421, whenever it comes."""

    def test_in_a_flight(self) -> None:
        """It answers the command that it answers, and none after it."""
        channel = self.connect(*THREE, Send(b"250 a\r\n421 4.3.2 bye\r\n"), Ended())
        results = self.sent(channel, b"A\r\nB\r\nC\r\n", 1, 1, 1)
        self.reactor.flush()
        self.assertEqual(results, [[b"250 a", b"421 4.3.2 bye"]])
        self.check_kind(channel, ConnectionLost)
        assert channel.trouble is not None
        self.assertEqual(channel.trouble.reply, b"421 4.3.2 bye")

    def test_unasked(self) -> None:
        """When nothing is owed, it says why the connection ends."""
        channel = self.connect(Send(b"421-idle\r\n421 too long\r\n"), Close())
        self.reactor.flush()
        trouble = self.trouble(channel)
        self.assertIs(trouble.kind, ConnectionLost)
        self.assertEqual(trouble.reply, b"421-idle\r\n421 too long")

    def test_behind_a_reply(self) -> None:
        """So it does right behind the reply that was owed."""
        channel = self.connect("C: A", Send(b"250 a\r\n421 bye\r\n"), Close())
        results = self.sent(channel, b"A\r\n", 1)
        self.reactor.flush()
        self.assertEqual(results, [[b"250 a"]])
        self.assertEqual(self.trouble(channel).reply, b"421 bye")

    def test_then_more(self) -> None:
        """Whatever follows it is not looked at."""
        channel = self.connect("C: A", Send(b"421 bye\r\nwhat\r\n"), Ended())
        self.sent(channel, b"A\r\n", 1)
        self.reactor.flush()
        self.assertEqual(self.trouble(channel).reply, b"421 bye")


class EndTests(ChannelCase):
    """Ends of the connection."""

    def test_in_a_reply(self) -> None:
        """PEER-31: a reply that is cut by the end is none, however much of it came."""
        for octets in (b"", b"25", b"250", b"250 ok", b"250 ok\r", b"250-x\r\n", b"250-x\r\n250"):
            for step in (Close(), HalfClose(), Reset()):
                channel = self.connect("C: A", Send(octets), step)
                results = self.sent(channel, b"A\r\n", 1)
                self.reactor.flush()
                self.assertEqual(results, [[]])
                self.check_kind(channel, ConnectionLost, "the peer closed the connection")

    def test_between(self) -> None:
        """PEER-05: an end while nothing is owed is noted, and told at once."""
        channel = self.connect(Wait(3), Close())
        self.reactor.advance(5)
        self.assertEqual(self.closed, [3])
        self.check_kind(channel, ConnectionLost)

    def test_several_wait(self) -> None:
        """All who wait are told, each with what came for him."""
        channel = self.connect(*THREE, "S: 250 a", Close())
        results = [self.sent(channel, b"A\r\nB\r\n", 1, 1), self.sent(channel, b"C\r\n", 1)]
        self.reactor.flush()
        self.assertEqual(results, [[[b"250 a"]], [[]]])

    def test_whole_reply_before_the_end(self) -> None:
        """A reply that came whole counts, although the end came with it."""
        for step in (Close(), Reset()):
            channel = self.connect("C: A", Send(b"250 ok\r\n"), step)
            results = self.sent(channel, b"A\r\n", 1)
            self.reactor.flush()
            self.assertEqual(results, [[b"250 ok"]])
            self.check_kind(channel, ConnectionLost)


class WaitTests(ChannelCase):
    """L7: each reply has its own wait."""

    def test_from_the_reply_before(self) -> None:
        """It is counted from the reply before, not from the flight."""
        steps = [*THREE, Wait(9), "S: 250 a", Wait(19), "S: 250 b", Wait(29), "S: 250 c", Stall()]
        channel = self.connect(*steps)
        results = self.sent(channel, b"A\r\nB\r\nC\r\n", 10, 20, 30)
        self.reactor.advance(60)
        self.assertEqual(results, [[b"250 a", b"250 b", b"250 c"]])
        self.assertIsNone(channel.trouble)

    def test_each(self) -> None:
        """Each is its own: the third of 10, 20 and 30 s ends 30 s after the second reply."""
        channel = self.connect(*THREE, Wait(5), Send(b"250 a\r\n250 b\r\n"), Stall())
        self.sent(channel, b"A\r\nB\r\nC\r\n", 10, 20, 30)
        self.reactor.advance(34)
        self.assertIsNone(channel.trouble)
        self.reactor.advance(2)
        self.assertEqual(self.closed, [35])
        self.check_kind(channel, ReplyTimeout)

    def test_dripping(self) -> None:
        """PEER-02: octets do not make it longer, nor do lines of a reply that does not end."""
        for octets in (b"250 dripping on and on", b"250-\r\n" * 10):
            channel = self.connect("C: A", *drip(octets, 3))
            self.sent(channel, b"A\r\n", 20)
            self.reactor.advance(100)
            self.assertEqual(self.closed, [20])
            self.check_kind(channel, ReplyTimeout)

    def test_second_flight(self) -> None:
        """A flight behind another does not make the first's wait longer."""
        channel = self.connect("C: A", "C: B", Stall())
        self.sent(channel, b"A\r\n", 10)
        self.reactor.advance(5)
        self.sent(channel, b"B\r\n", 100)
        self.reactor.advance(50)
        self.assertEqual(self.closed, [10])

    def test_idle(self) -> None:
        """Between commands nothing is waited for, and no old wait ends the next."""
        channel = self.connect("C: A", "S: 250 a", "C: B", Wait(9), "S: 250 b", Stall())
        self.sent(channel, b"A\r\n", 10)
        self.reactor.advance(1000)
        self.assertIsNone(channel.trouble)
        results = self.sent(channel, b"B\r\n", 10)
        self.reactor.advance(20)
        self.assertEqual(results, [[b"250 b"]])

    def test_stalled_program(self) -> None:
        """OS-13: a reply that came in time is read, though the program was busy beyond its wait."""
        busy = Call(lambda: self.reactor.callLater(0.5, self.reactor.clock.move_to, 1000))
        channel = self.connect("C: A", busy, "S: 250 a", Stall())
        self.wire.down.latency = 1
        results = self.sent(channel, b"A\r\n", 10)
        self.reactor.advance(2000)
        self.assertEqual(results, [[b"250 a"]])
        self.assertIsNone(channel.trouble)
