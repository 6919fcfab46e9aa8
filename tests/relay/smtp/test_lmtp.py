# -*- test-case-name: tests.relay.smtp.test_lmtp -*-
"""The relay to an LMTP server: a reply for each recipient, and what becomes of the connection.

What is the same as to a smart host is in L{tests.relay.smtp.test_static}, and there the contract.
Sources: RFC 2033.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError
from slimtwist.limits import Timeouts
from slimtwist.outcome import Outcome, Report
from slimtwist.relay.smtp.static import StaticLmtpRelay
from slimtwist.testing import Close, FakeSmarthost, MemoryReactor, Silence, Stall, Wait
from tests.smtp.talks import HOST, envelope, many, runtime

DELIVERED = "250 2.0.0 taken"


class LmtpTests(SynchronousTestCase):
    """Messages to several recipients."""

    def setUp(self) -> None:
        """Have a network."""
        self.reactor = MemoryReactor()

    def make(self, replies: Any = None, **options: Any) -> StaticLmtpRelay:  # noqa: ANN401 - rules
        """Start a server that answers so; return a relay to it."""
        self.server = FakeSmarthost(replies, lhlo=True)
        self.reactor.add_host(HOST, self.server, 24)
        self.relay = StaticLmtpRelay(HOST, runtime=runtime(self.reactor), tls="none", **options)
        return self.relay

    def begin(self, message: Envelope) -> Deferred[Report]:
        """Begin an attempt."""
        return self.relay.attempt(message, 0)

    def told(self, message: Envelope) -> list[str]:
        """Make an attempt; return the replies, ambiguous ones with a question mark."""
        return [_short(each) for each in self.reactor.wait(self.begin(message))]

    def tearDown(self) -> None:
        """Nothing stays, and the server was spoken to as it must be."""
        self.reactor.wait(self.relay.stop())
        self.assertFalse(self.reactor.leftovers().connections)
        self.server.verify()

    def test_lhlo(self) -> None:
        """It says LHLO, never EHLO or HELO (RFC 2033 4.1), also when LHLO is refused."""
        self.make()
        self.assertEqual([DELIVERED], self.told(envelope()))
        self.assertIn("C: LHLO client.example", self.server.transcript)
        self.reactor = MemoryReactor()
        self.make({"LHLO": "500 5.5.1 what?"})
        self.assertRaises(TransientRelayError, self.told, envelope())
        said = [line for line in self.server.transcript if line.startswith("C: ")]
        self.assertEqual("C: LHLO client.example", said[0])
        self.assertEqual([], [line for line in said if line.startswith(("C: EHLO", "C: HELO"))])

    def test_mixed(self) -> None:
        """Replies belong to recipients in their order, also to equal ones (LMTP-01, LMTP-04)."""
        self.make({".": ["250 2.1.5 a", "450 4.2.1 b", "550 5.2.1 c", "250 2.1.5 d"]})
        found = self.told(envelope("x@y.example", "X@y.example", "x@y.example", "x+1@y.example"))
        self.assertEqual(["250 2.1.5 a", "450 4.2.1 b", "550 5.2.1 c", "250 2.1.5 d"], found)

    def test_refused_before(self) -> None:
        """Who is refused at RCPT is owed no reply to the message (LMTP-05, LMTP-13)."""
        rules = {"RCPT": ["450 4.2.1 later", None, "550 5.1.1 who", None], ".": ["250 b", "452 d"]}
        self.make(rules)
        found = self.told(many(4))
        self.assertEqual(["450 4.2.1 later", "250 2.0.0 b", "550 5.1.1 who", "452 4.0.0 d"], found)
        self.assertEqual([DELIVERED] * 4, self.told(many(4)))
        self.assertEqual(1, len(self.server.sessions))

    def test_all_refused(self) -> None:
        """Are all refused, no reply to a message is waited for (LMTP-06, LMTP-07)."""
        for data in (None, "503 5.5.1 no recipients", "354 go on"):
            self.make(
                {"RCPT": "550 5.1.1 who", "DATA": data} if data else {"RCPT": "550 5.1.1 who"}
            )
            before = self.reactor.seconds()
            self.assertEqual(["550 5.1.1 who"] * 2, self.told(many(2)))
            self.assertLess(self.reactor.seconds() - before, 1)
            self.assertEqual([], self.server.messages)
            self.reactor = MemoryReactor() if data != "354 go on" else self.reactor

    def test_too_few(self) -> None:
        """Replies that came stand; who has none is deferred and ambiguous (LMTP-02, LMTP-09)."""
        for end in (Close(), Silence()):
            self.reactor = MemoryReactor()
            self.make({".": [None, ("250 2.0.0 second", end, Stall())]}, timeouts=Timeouts(final=9))
            found = self.told(many(4))
            self.assertEqual([DELIVERED, "250 2.0.0 second"], found[:2])
            self.assertTrue(all(each.startswith("451 4.4.2?") for each in found[2:]), found)
            self.reactor.wait(self.relay.stop())

    def test_too_many(self) -> None:
        """Whatever comes too much ends the connection; the outcomes stand (LMTP-03)."""
        self.make({".": [None, ("250 2.0.0 two", "250 2.0.0 three")]})
        self.assertEqual([DELIVERED, "250 2.0.0 two"], self.told(many(2)))
        self.assertEqual([DELIVERED], self.told(envelope()))
        self.assertEqual(2, len(self.server.sessions))

    def test_slow(self) -> None:
        """Each reply has a deadline of its own (LMTP-12)."""
        slow = [(Wait(60), f"250 2.0.0 {number}") for number in range(50)]
        self.make({".": slow}, timeouts=Timeouts(final=90))
        self.assertEqual([f"250 2.0.0 {number}" for number in range(50)], self.told(many(50)))
        self.assertGreater(self.reactor.seconds(), 2999)

    def test_too_slow(self) -> None:
        """One that is later ends the waiting for all that follow; those before stand (LMTP-12)."""
        slow = [(Wait(60), "250 2.0.0 one"), (Wait(100), "250 2.0.0 late")]
        self.make({".": slow}, timeouts=Timeouts(final=90))
        found = self.told(many(3))
        self.assertEqual("250 2.0.0 one", found[0])
        self.assertEqual(["451 4.4.2?"] * 2, [each[:10] for each in found[1:]])

    def test_no_sense(self) -> None:
        """A reply that none can be leaves this and all that follow open; those before stand."""
        self.make({".": [None, "354 what", None]})
        found = self.told(many(3))
        self.assertEqual(
            [DELIVERED, "451 4.5.0?", "451 4.5.0?"], [found[0], *(f[:10] for f in found[1:])]
        )

    def test_port(self) -> None:
        """The port is 24, and never 25, on which SMTP is spoken (RFC 2033 5)."""
        self.make()
        self.assertIn("localhost:24", repr(StaticLmtpRelay(runtime=runtime(self.reactor))))
        error = self.assertRaises(ValueError, StaticLmtpRelay, HOST, 25)
        self.assertIn("port=25 is for SMTP", str(error))
        self.assertRaises(ValueError, runtime(self.reactor).relay, f"lmtp:{HOST}:port=25")
        StaticLmtpRelay(HOST, 25, unix="/run/lmtp", runtime=runtime(self.reactor))


def _short(outcome: Outcome) -> str:
    reply = str(outcome.reply)
    return f"{reply[:9]}?{reply[9:]}" if outcome.ambiguous else reply
