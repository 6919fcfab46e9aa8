# -*- test-case-name: tests.edge.test_channel -*-
"""Tests of a client's octets: their bounds, and time."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions

from slimtwist.edge.channel import Channel
from slimtwist.edge.options import EdgeOptions
from slimtwist.limits import Limits, Timeouts
from tests.edge.test_session import SlowPolicy
from tests.edge.world import EdgeTestCase, Visitor

READY = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
PATIENT = Limits(junk=10**9)


class Time(EdgeTestCase):
    """Clients that take their time (ING-13, L7)."""

    def setUp(self) -> None:
        """Have an edge."""
        super().setUp()
        self.edge(EdgeOptions(limits=PATIENT))

    def drip(self, visitor: Visitor, octets: bytes, every: float) -> float:
        """Send octets one by one until the client is cut off; return how long that took."""
        began = self.reactor.seconds()
        for i in range(len(octets)):
            visitor.transport.write(octets[i : i + 1])
            self.reactor.advance(every)
            if visitor.lost is not None:
                return self.reactor.seconds() - began
        raise AssertionError("it was never cut off")

    def assert_timed_out(self, visitor: Visitor) -> None:
        """Check that the last reply says so, and that nothing is left."""
        self.assertEqual(visitor.replies()[-1], "421 4.4.2 timed out")
        self.assert_nothing_left()

    def test_silent(self) -> None:
        """Who says nothing is cut off after five minutes."""
        visitor = self.visit()
        self.reactor.advance(299)
        self.assertIsNone(visitor.lost)
        self.reactor.advance(1)
        self.assertIsNotNone(visitor.lost)
        self.assert_timed_out(visitor)

    def test_silent_later(self) -> None:
        """Each command that brings a message forward gives five minutes more."""
        visitor = self.visit()
        for command in (b"EHLO x\r\nMAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n"):
            self.assertTrue(self.say(visitor, command))
            self.reactor.advance(299)
            self.assertIsNone(visitor.lost)
        self.reactor.advance(1)
        self.assert_timed_out(visitor)

    def test_dripping_command(self) -> None:
        """Octets that make no command give none (ING-13)."""
        visitor = self.visit()
        self.assertLessEqual(self.drip(visitor, b"NOOP " + b"x" * 100, 30), 300)
        self.assert_timed_out(visitor)

    def test_dripping_junk(self) -> None:
        """Commands that bring no message forward give none (ING-13)."""
        visitor = self.visit()
        began = self.reactor.seconds()
        while visitor.lost is None:
            visitor.transport.write(b"NOOP\r\nRSET\r\n")
            self.reactor.advance(60)
        self.assertEqual(self.reactor.seconds() - began, 300)
        self.assert_timed_out(visitor)

    def test_dripping_body(self) -> None:
        """A message that comes at less than its pace is cut off after 90 seconds (ING-13)."""
        for begin in (b"DATA\r\n", b"BDAT 99999\r\n"):
            visitor = self.visit()
            self.say(visitor, READY + begin)
            self.assertEqual(self.drip(visitor, b"x" * 1000, 1), 90)
            self.assertEqual(visitor.replies()[-1], "421 4.4.2 timed out")

    def test_stalling_body(self) -> None:
        """A burst buys no more time than a minute (ING-13)."""
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\n" + b"x\r\n" * 100_000)
        self.reactor.advance(89)
        self.assertIsNone(visitor.lost)
        self.reactor.advance(1)
        self.assert_timed_out(visitor)

    def test_slow_body(self) -> None:
        """A message that keeps its pace is taken (ING-13)."""
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\n")
        for _ in range(60):
            visitor.transport.write(b"x" * 1098 + b"\r\n")
            self.reactor.advance(10)
        self.assertEqual(self.codes(visitor, b".\r\nNOOP\r\n"), ["250 2.0.0", "250 2.0.0"])
        self.assertEqual(len(self.hop.messages), 1)

    def test_endless_message(self) -> None:
        """No message takes longer than half an hour, whatever its pace (ING-13)."""
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\n")
        octets = (b"x" * 98 + b"\r\n") * 20
        self.assertAlmostEqual(self.drip_blocks(visitor, octets, 10), 1800, delta=10)
        self.assert_timed_out(visitor)

    def drip_blocks(self, visitor: Visitor, octets: bytes, every: float) -> float:
        """Send the same octets over and over until the client is cut off."""
        began = self.reactor.seconds()
        while visitor.lost is None:
            visitor.transport.write(octets)
            self.reactor.advance(every)
        return self.reactor.seconds() - began

    def test_endless_recipients(self) -> None:
        """Nor is it begun for longer (ING-13)."""
        self.setUp_lmtp()
        visitor = self.visit()
        self.say(visitor, b"LHLO x\r\nMAIL FROM:<a@b>\r\n")
        self.assertAlmostEqual(self.drip_blocks(visitor, b"RCPT TO:<a@b>\r\n", 60), 1800, delta=60)
        self.assert_timed_out(visitor)

    def setUp_lmtp(self) -> None:
        """Have an edge that takes many recipients."""
        EdgeTestCase.setUp(self)
        self.edge(EdgeOptions(lmtp=True))

    def test_unwanted_chunk(self) -> None:
        """A chunk that nobody wants is not read for longer either (SMI-22, L7)."""
        visitor = self.visit()
        self.assertEqual(self.say(visitor, b"BDAT 9999999999999999999\r\n"), [])
        self.assertAlmostEqual(self.drip_blocks(visitor, b"x" * 2000, 10), 1800, delta=10)
        self.assert_timed_out(visitor)

    def test_next_message(self) -> None:
        """Each message has its half hour."""
        visitor = self.visit()
        for _ in range(20):
            codes = self.codes(visitor, READY + b"DATA\r\nx\r\n.\r\n")
            self.assertEqual(codes[-1], "250 2.0.0")
            self.reactor.advance(290)
        self.assertIsNone(visitor.lost)

    def test_slow_delivery(self) -> None:
        """While we are the ones who take time, the client is not cut off."""
        self.hop.slow = True
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\nx\r\n.\r\n")
        self.reactor.advance(569)
        self.hop.answer()
        self.reactor.advance(299)
        self.assertEqual(visitor.replies(), ["250 2.0.0 taken"])
        self.assertIsNone(visitor.lost)
        self.reactor.advance(1)
        self.assert_timed_out(visitor)

    def test_very_slow_delivery(self) -> None:
        """The half hour of a message ends with its last octet."""
        EdgeTestCase.setUp(self)
        self.hop.slow = True
        self.edge(EdgeOptions(timeouts=Timeouts(direct=4000)))
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\nx\r\n.\r\n")
        self.reactor.advance(3999)
        self.assertIsNone(visitor.lost)
        self.hop.answer()
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["250 2.0.0 taken"])

    def test_after_refusals(self) -> None:
        """After a refusal the next command has its time, no less and no more."""
        visitor = self.visit()
        self.assertEqual(self.say(visitor, b"BDAT 10\r\nhello"), [])
        self.assertEqual(self.codes(visitor, b"world"), ["503 5.5.1"])
        self.reactor.advance(299)
        self.assertIsNone(visitor.lost)
        self.reactor.advance(1)
        self.assert_timed_out(visitor)

    def test_after_a_stall(self) -> None:
        """A command that came in time counts, though we were late to read it (OS-13)."""
        visitor = self.visit()
        self.say(visitor, READY)
        visitor.transport.write(b"DATA\r\n")
        _let_kernels_talk(visitor)
        self.reactor.clock.move_to(self.reactor.seconds() + 400)
        self.reactor.flush()
        self.assertEqual([reply[:3] for reply in visitor.replies()], ["354"])

    def test_settings(self) -> None:
        """Waits can be set."""
        EdgeTestCase.setUp(self)
        self.edge(EdgeOptions(timeouts=Timeouts(command=7)))
        visitor = self.visit()
        self.reactor.advance(7)
        self.assert_timed_out(visitor)

    def test_deaf(self) -> None:
        """Who does not even read its last reply is not waited for."""
        visitor = self.visit()
        self.reactor.network.wires[-1].down.window = 0
        self.say(visitor, b"QUIT\r\n")
        self.assertIsNone(visitor.lost)
        self.reactor.advance(5)
        self.assertIsNotNone(visitor.lost)
        self.assert_nothing_left()


def _let_kernels_talk(visitor: Visitor) -> None:
    """Let octets arrive at the other end's kernel, and nobody read them there."""
    visitor.transport.doWrite()


class Bounds(EdgeTestCase):
    """Clients that send too much, or read too little (L6)."""

    def setUp(self) -> None:
        """Have an edge that bears any number of commands."""
        super().setUp()
        self.edge(EdgeOptions(limits=PATIENT))

    def test_replies_unread(self) -> None:
        """When 64 KiB of replies are unread no more commands are, until the deadline (ING-15)."""
        visitor = self.visit()
        wire = self.reactor.network.wires[-1]
        wire.up.record = wire.down.record = False
        wire.down.window = 0
        visitor.transport.write(b"NOOP\r\n" * 500_000)
        self.reactor.flush()
        # What was taken: a buffer of replies, one of commands, one read, one kernel's.
        self.assertLess(wire.up.sent, 6 * 65536)
        self.reactor.advance(310)
        self.assertIsNotNone(visitor.lost)
        visitor.transport.abortConnection()
        self.assert_nothing_left()

    def test_replies_read_again(self) -> None:
        """When they are read at last it goes on, and no reply is missing (ING-15)."""
        visitor = self.visit()
        wire = self.reactor.network.wires[-1]
        wire.down.window = 0
        visitor.transport.write(b"NOOP\r\n" * 100_000)
        self.reactor.advance(100)
        wire.down.window = 65536
        self.reactor.flush()
        self.assertEqual(len(visitor.replies()), 100_000)

    def test_body_behind_unread_replies(self) -> None:
        """A message that was held up by unread replies comes in afterwards (ING-15)."""
        visitor = self.visit()
        wire = self.reactor.network.wires[-1]
        wire.down.window = 0
        said = b"NOOP\r\n" * 5000 + READY + b"DATA\r\n" + b"x\r\n" * 100_000 + b".\r\n"
        visitor.transport.write(said)
        self.reactor.advance(20)
        wire.down.window = 65536
        self.reactor.flush()
        self.assertEqual(visitor.replies()[-1], "250 2.0.0 taken")

    def test_commands_behind_a_delivery(self) -> None:
        """While a message is delivered, little of what follows is read (ING-15, L6)."""
        self.hop.slow = True
        visitor = self.visit()
        wire = self.reactor.network.wires[-1]
        wire.up.record = False
        visitor.transport.write(READY + b"DATA\r\nx\r\n.\r\n" + b"NOOP\r\n" * 100_000)
        self.reactor.flush()
        self.assertLess(wire.up.sent, 4 * 65536)
        self.hop.answer()
        self.reactor.flush()
        self.assertEqual(len(visitor.replies()), 5 + 100_000)

    def test_blocks(self) -> None:
        """A message comes in blocks, not in lines."""
        writes: list[int] = []
        sink = self.queue.sink

        def counting() -> object:
            made = sink()
            write = made.write
            made.write = lambda octets: writes.append(len(octets)) or write(octets)  # type: ignore[method-assign, func-returns-value]
            return made

        self.queue.sink = counting  # type: ignore[method-assign, assignment]
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\n" + b"x\r\n" * 100_000 + b".\r\n")
        self.assertEqual(sum(writes), 300_000)
        self.assertLess(len(writes), 20)


class Unread(EdgeTestCase):
    """What is done for a client that does not read (ING-15)."""

    def test_messages(self) -> None:
        """Nothing more is done for it, though its commands were read already."""
        for limits, most in [(Limits(), 1000), (Limits(unsent=1000), 40)]:
            self.setUp()
            self.edge(EdgeOptions(limits=limits))
            visitor = self.visit()
            self.say(visitor, b"EHLO x\r\n")
            wire = self.reactor.network.wires[-1]
            wire.down.window = 0
            message = READY.partition(b"\r\n")[2] + b"DATA\r\nx\r\n.\r\n"
            visitor.transport.write(message * 1400)
            self.reactor.flush()
            self.assertLess(len(self.hop.messages), most)
            wire.down.window = 65536
            self.reactor.flush()
            self.assertEqual(len(self.hop.messages), 1400)
            self.assertEqual(len(visitor.replies()), 5600)

    def test_body_behind_its_own_reply(self) -> None:
        """A body is whole, whenever in it the replies before it are read."""
        self.edge(EdgeOptions(limits=Limits(unsent=20)))
        for begin, end in [(b"DATA\r\n", b".\r\n"), (b"NOOP\r\nBDAT 30000 LAST\r\n", b"")]:
            visitor = self.visit()
            self.say(visitor, READY)
            wire = self.reactor.network.wires[-1]
            wire.down.window = 0
            visitor.transport.write(begin + b"x\r\n" * 5000)
            self.reactor.advance(20)
            wire.down.window = 65536
            self.reactor.flush()
            visitor.transport.write(b"x\r\n" * 5000 + end)
            self.reactor.flush()
            self.assertEqual(visitor.replies()[-1], "250 2.0.0 taken")
            self.assertTrue(self.hop.messages[-1].endswith(b"+0000\r\n" + b"x\r\n" * 10_000))

    def test_body_behind_a_judgement(self) -> None:
        """A body that was held up before, by something else, is not held up for ever."""
        policy = SlowPolicy()
        self.edge(EdgeOptions(access=policy, limits=Limits(unsent=20)))
        visitor = self.visit()
        self.say(visitor, READY)
        wire = self.reactor.network.wires[-1]
        wire.down.window = 0
        visitor.transport.write(b"DATA\r\n" + b"x\r\n" * 1000 + b".\r\n")
        self.reactor.flush()
        policy.waiting.pop().callback(None)
        self.reactor.flush()
        wire.down.window = 65536
        self.reactor.flush()
        self.assertEqual(visitor.replies()[-1], "250 2.0.0 taken")

    def test_after_the_last_reply(self) -> None:
        """Who was cut off in TLS, and does not read, is not listened to any more."""
        self.edge(EdgeOptions(certificate=CertificateOptions()))
        visitor = self.visit()
        wire = self.reactor.network.wires[-1]
        self.say(visitor, b"EHLO x\r\nSTARTTLS\r\n")
        visitor.transport.startTLS(CertificateOptions())
        self.say(visitor, READY + b"DATA\r\n" + b"x\r\n" * 50_000)
        wire.down.window = 0
        self.reactor.advance(92)
        self.assertIsNone(visitor.lost)
        visitor.transport.write(b"x\r\n" * 50_000 + b".\r\nNOOP\r\n")
        self.reactor.advance(10)
        self.assertEqual((self.hop.messages, self.flushLoggedErrors()), ([], []))
        visitor.transport.abortConnection()
        self.assert_nothing_left()


class Faults(EdgeTestCase):
    """Faults of our own."""

    def test_dialogue_fails(self) -> None:
        """An error in the dialogue is told as 421, logged, and ends the connection (OS-15)."""
        gone: list[Channel] = []

        async def converse(channel: Channel) -> None:
            await channel.line(100)
            raise ZeroDivisionError

        def build() -> Channel:
            return Channel(self.reactor, Limits(), Timeouts(), converse, gone.append)

        self.reactor.listenTCP(25, Factory.forProtocol(build), interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", 25)
        connected: Deferred[Visitor] = endpoint.connect(Factory.forProtocol(Visitor))  # type: ignore[assignment]
        visitor = self.reactor.wait(connected)
        self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["421 4.3.0"])
        self.assertIsNotNone(visitor.lost)
        self.assertEqual(len(gone), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.reactor.leftovers().timers, ())
