# -*- test-case-name: tests.edge.test_session -*-
"""Tests of sessions: greeting, order of replies, what is not borne."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from slimtwist.address import Address, Recipient
from slimtwist.edge.auth import portal
from slimtwist.edge.options import EdgeOptions
from slimtwist.envelope import Client
from slimtwist.limits import Limits
from slimtwist.reply import Reply
from slimtwist.testing import Wire
from tests.edge.world import STRANGER, EdgeTestCase
from tests.events import Events

MESSAGE = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n"


class SlowPolicy:
    """A policy that answers when a test says."""

    def __init__(self) -> None:
        self.waiting: list[Deferred[Reply | None]] = []

    def refusal(
        self, client: Client, sender: Address, recipient: Recipient
    ) -> Deferred[Reply | None]:
        """Wait."""
        self.waiting.append(Deferred())
        return self.waiting[-1]


class Greetings(EdgeTestCase):
    """The beginning of a session."""

    def test_greeting(self) -> None:
        """The edge speaks first, and says its name and protocol (RFC 5321 3.1)."""
        self.edge()
        visitor = self.visit(greeting=False)
        self.assertEqual(visitor.replies(), ["220 relay.example ESMTP ready"])

    def test_lmtp(self) -> None:
        """LMTP is said where it is spoken (RFC 2033 4.1)."""
        self.edge(EdgeOptions(lmtp=True))
        self.assertEqual(self.visit(greeting=False).replies(), ["220 relay.example LMTP ready"])

    def test_early_talker(self) -> None:
        """Who talks before the greeting is refused, and nothing of it done (ING-11)."""
        self.edge(EdgeOptions(greeting_delay=5.0))
        visitor = self.visit(greeting=False)
        self.assertEqual(self.say(visitor, b"EHLO x\r\n" + MESSAGE), [])
        self.reactor.advance(5)
        self.assertEqual(visitor.replies(), ["554 5.7.0 wait for the greeting"])
        self.assertIsNotNone(visitor.lost)
        self.assertEqual(self.hop.messages, [])
        self.assert_nothing_left()

    def test_patient(self) -> None:
        """Who waits for it is greeted (ING-11)."""
        self.edge(EdgeOptions(greeting_delay=5.0))
        visitor = self.visit(greeting=False)
        self.reactor.advance(5)
        self.assertEqual(len(visitor.replies()), 1)
        self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["250 2.0.0"])


class Order(EdgeTestCase):
    """Replies come in the order of commands."""

    def test_pipelined(self) -> None:
        """All commands in one segment have their replies in one, in order (ING-21)."""
        self.edge()
        visitor = self.visit()
        wire = self.reactor.network.wires[-1]
        arrivals: list[object] = []
        wire.down.observer = lambda _, octets: arrivals.append(octets)
        said = b"EHLO x\r\n" + MESSAGE + MESSAGE + b"RSET\r\nQUIT\r\n"
        codes = self.codes(visitor, said)
        message = ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
        self.assertEqual(codes, ["250", *message, *message, "250 2.0.0", "221 2.0.0"])
        self.assertLess(len(arrivals), 6)

    def test_split(self) -> None:
        """The same replies come when the octets do so one by one (ING-21)."""
        for lmtp in (False, True):
            self.setUp()
            self.edge(EdgeOptions(lmtp=lmtp))
            said = b"LHLO x\r\n" if lmtp else b"EHLO x\r\n"
            said += MESSAGE + b"NOOP\r\nmail from:<>\r\nRCPT TO:<a@b>\r\nRCPT TO:<c@d>\r\n"
            said += b"BDAT 6\r\nDATA\r\nBDAT 10 LAST\r\n..\r\n.\r\na\r" + b"\nXXXX\r\nVRFY x\r\n"
            said += b"DATA\r\n" + b"x" * 3000 + b"\r\nQUIT\r\n"
            whole = self.say(self.visit(), said)
            self.reactor.network.on_wire = _split
            self.assertEqual(self.say(self.visit(), said), whole)
            bodies = [octets.rpartition(b"+0000\r\n")[2] for octets in self.hop.messages]
            self.assertEqual(len(bodies), 4)
            self.assertEqual(bodies[:2], bodies[2:])

    def test_slow_delivery(self) -> None:
        """No command behind a message is looked at before its reply is known (SMI-14, ING-21)."""
        self.edge()
        self.hop.slow = True
        visitor = self.visit()
        replies = self.codes(visitor, b"EHLO x\r\n" + MESSAGE + MESSAGE + b"NOOP\r\n")
        self.assertEqual(replies[-1], "354")
        self.assertEqual(len(self.hop.envelopes), 1)
        self.assertEqual(self.codes(visitor, b"QUIT\r\n"), [])
        self.hop.answer("450 4.2.1 busy")
        self.reactor.flush()
        self.assertEqual(visitor.replies()[:1], ["450 4.2.1 busy"])
        self.assertEqual(len(self.hop.envelopes), 2)
        self.hop.answer()
        self.reactor.flush()
        self.assertEqual([r[:9] for r in visitor.replies()], ["250 2.0.0"] * 2 + ["221 2.0.0"])

    def test_slow_policy(self) -> None:
        """The same holds while a recipient is judged (ING-21)."""
        policy = SlowPolicy()
        self.edge(EdgeOptions(access=policy, lmtp=True))
        visitor = self.visit()
        said = b"LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\n"
        self.assertEqual(self.codes(visitor, said), ["250", "250 2.1.0"])
        self.assertEqual(len(policy.waiting), 1)
        policy.waiting.pop().callback(Reply.parse("450 4.7.1 greylisted"))
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["450 4.7.1 greylisted"])
        policy.waiting.pop().callback(None)
        self.reactor.flush()
        self.assertEqual([reply[:3] for reply in visitor.replies()], ["250", "354"])

    def test_failing_policy(self) -> None:
        """A policy that fails, or never answers, defers the recipient (OS-15, L7)."""
        policy = SlowPolicy()
        self.edge(EdgeOptions(access=policy))
        visitor = self.visit()
        self.say(visitor, b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        policy.waiting.pop().errback(ZeroDivisionError())
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["451 4.3.0 internal error"])
        self.assertEqual(self.say(visitor, b"RCPT TO:<c@d>\r\n"), [])
        self.reactor.advance(300)
        self.assertEqual(visitor.replies(), ["451 4.3.0 internal error"])
        self.assertEqual(len(self.flushLoggedErrors()), 2)
        self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["250 2.0.0"])

    def test_time_after_a_judgement(self) -> None:
        """After a recipient was refused, late, the next command has its time only (ING-13)."""
        policy = SlowPolicy()
        self.edge(EdgeOptions(access=policy))
        visitor = self.visit()
        self.say(visitor, b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n")
        policy.waiting.pop().callback(Reply.parse("550 5.7.1 no"))
        self.reactor.advance(299)
        self.assertIsNone(visitor.lost)
        self.reactor.advance(1)
        self.assertIsNotNone(visitor.lost)


def _split(wire: Wire) -> None:
    wire.up.segment = lambda octets: [octets[i : i + 1] for i in range(len(octets))]


class Unbearable(EdgeTestCase):
    """Clients that are refused, and cut off in the end."""

    def test_bad_lines(self) -> None:
        """Controls and 8-bit octets are 501, unknown words 500; the session lives (ING-03)."""
        self.edge()
        visitor = self.visit()
        for line in (
            b"NOOP \0",
            b"NOOP \x1b[2J",
            b"NO\x7fOP",
            b"EHLO \xc3\xbc",
            b"\xffOOP",
            b"\tNOOP",
        ):
            self.assertEqual(self.codes(visitor, line + b"\r\n"), ["501 5.5.2"], line)
        for line in (b"", b"FOO", b"NOOPX", b"MAILFROM:<a@b>", b" NOOP"):
            self.assertEqual(self.codes(visitor, line + b"\r\n"), ["500 5.5.2"], line)
        self.assertEqual(self.codes(visitor, b"nOOp  \r\n"), ["250 2.0.0"])

    def test_bare_newlines(self) -> None:
        """A command with CR or LF alone ends the session, whatever is behind it (ING-02)."""
        self.edge()
        for line in (b"NOOP\n", b"NOOP\rMAIL FROM:<evil@x>\r\n", b"EHLO x\nMAIL FROM:<a@b>\r\n"):
            visitor = self.visit()
            self.assertEqual(self.codes(visitor, line), ["500 5.5.2"])
            self.assertIsNotNone(visitor.lost)

    def test_long_line(self) -> None:
        """A line too long is 500; with 64 KiB of it the session ends (ING-01)."""
        self.edge()
        visitor = self.visit()
        self.assertEqual(self.codes(visitor, b"NOOP " + b"x" * 2041 + b"\r\n"), ["250 2.0.0"])
        for size in (2042, 3000, 65000):
            codes = self.codes(visitor, b"NOOP " + b"x" * size + b"\r\nNOOP\r\n")
            self.assertEqual(codes, ["500 5.5.6", "250 2.0.0"])
        self.assertEqual(self.codes(visitor, b"x" * 100_000), ["500 5.5.6"])
        self.assertIsNotNone(visitor.lost)

    def test_long_line_with_auth(self) -> None:
        """Where AUTH is offered its lines may be longer, but no others (ING-01)."""
        self.edge(EdgeOptions(portal=portal([])))
        visitor = self.visit()
        self.assertEqual(self.codes(visitor, b"NOOP " + b"x" * 3000 + b"\r\n"), ["500 5.5.6"])
        self.assertEqual(self.codes(visitor, b"AUTH " + b"x" * 3000 + b"\r\n"), ["503 5.5.1"])
        self.assertEqual(self.codes(visitor, b"AUTH " + b"x" * 13000 + b"\r\n"), ["500 5.5.6"])

    def test_foreign(self) -> None:
        """Browsers and TLS clients get one reply and are cut off (TLS-25)."""
        self.edge()
        hello = b"\x16\x03\x01\x02\x00\x01\x00\r\nNOOP\r\n"
        for octets in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"post /\r\n" + MESSAGE, hello):
            visitor = self.visit()
            self.assertEqual(self.codes(visitor, octets), ["421 4.7.0"])
            self.assertIsNotNone(visitor.lost)

    def test_errors(self) -> None:
        """The 20th error is the last (ING-07)."""
        self.edge()
        visitor = self.visit()
        codes = self.codes(visitor, b"FOO\r\n" * 25)
        self.assertEqual(codes, ["500 5.5.2"] * 19 + ["421 4.7.0"])
        self.assertIsNotNone(visitor.lost)

    def test_errors_of_strangers(self) -> None:
        """Who tries one recipient after the other is cut off as well (ING-07, ING-27)."""
        self.edge()
        visitor = self.visit(STRANGER)
        said = b"EHLO x\r\nMAIL FROM:<a@b>\r\n" + b"RCPT TO:<x@any.example>\r\n" * 25
        codes = self.codes(visitor, said)[2:]
        self.assertEqual(codes, ["550 5.7.1"] * 19 + ["421 4.7.0"])

    def test_obedience_is_no_error(self) -> None:
        """Recipients put off, and refusals by the next hop, do not count (ING-24)."""
        self.edge()
        self.hop.answers = ["550 5.7.1 no"]
        visitor = self.visit()
        self.say(visitor, b"EHLO x\r\n")
        for _ in range(30):
            said = MESSAGE.replace(b"DATA", b"RCPT TO:<e@f>\r\n" * 30 + b"DATA", 1)
            self.assertEqual(self.codes(visitor, said)[-2:], ["354", "550 5.7.1"])

    def test_message_forgives(self) -> None:
        """A message brought to its end wipes out earlier errors and junk (ING-07, ING-08)."""
        self.edge(EdgeOptions(limits=Limits(errors=3, junk=3)))
        visitor = self.visit()
        self.say(visitor, b"EHLO x\r\n")
        for _ in range(5):
            codes = self.codes(visitor, b"FOO\r\nFOO\r\nNOOP\r\nNOOP\r\n" + MESSAGE)
            self.assertEqual(codes[-1], "250 2.0.0")

    def test_junk(self) -> None:
        """A hundred commands that bring no message forward are borne, not more (ING-08)."""
        self.edge()
        for line in (b"NOOP\r\n", b"RSET\r\n", b"HELP\r\n", b"VRFY x\r\n", b"EHLO x\r\n"):
            visitor = self.visit()
            codes = self.codes(visitor, line * 105)
            self.assertEqual(len(codes), 101)
            self.assertEqual(codes[-2:], [codes[0], "421 4.7.0"])
            self.assertIsNotNone(visitor.lost)

    def test_log(self) -> None:
        """Refused clients leave no more than debugging events, and no text of theirs in them."""
        self.edge()
        events = Events.of(self)
        self.say(self.visit(), b"FOO secret\r\n")
        (event,) = [each for each in events if "was refused" in each.get("log_format", "")]
        self.assertEqual(event["log_level"].name, "debug")
        self.assertNotIn("secret", repr(event))


class Ends(EdgeTestCase):
    """How a session ends."""

    def test_quit(self) -> None:
        """QUIT is answered, and nothing behind it."""
        self.edge()
        visitor = self.visit()
        self.assertEqual(self.codes(visitor, b"QUIT\r\nNOOP\r\n"), ["221 2.0.0"])
        self.assertIsNotNone(visitor.lost)
        self.assert_nothing_left()

    def test_cut_anywhere(self) -> None:
        """A reset after any octet logs no error and leaves nothing (ING-17, OS-14)."""
        self.edge()
        said = b"EHLO x\r\n" + MESSAGE + MESSAGE.replace(b"DATA\r\n", b"BDAT 9\r\n")
        for size in range(len(said)):
            visitor = self.visit()
            visitor.transport.write(said[:size])
            self.reactor.flush()
            visitor.transport.abortConnection()
            self.reactor.flush()
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assert_nothing_left()

    def test_client_gone(self) -> None:
        """A delivery goes on when its client leaves before the reply (ING-18)."""
        self.edge()
        self.hop.slow = True
        events = Events.of(self)
        visitor = self.visit()
        self.say(visitor, b"EHLO x\r\n" + MESSAGE)
        visitor.transport.abortConnection()
        self.reactor.flush()
        self.assertEqual(self.hop.cancelled, 0)
        self.hop.answer()
        self.assertEqual([e["client_gone"] for e in events.attempts], [True])
        self.assert_nothing_left()
