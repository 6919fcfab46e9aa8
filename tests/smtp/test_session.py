# -*- test-case-name: tests.smtp.test_session -*-
"""From a connection to a session: greeting and EHLO as hosts may hold them.

STARTTLS is in L{tests.smtp.test_session_starttls}, AUTH in L{tests.smtp.test_session_auth}; faults
at every moment are in L{tests.smtp.test_session_moments}.
"""

from __future__ import annotations

from slimtwist.errors import (
    ConnectionLost,
    PermanentRelayError,
    ProtocolViolation,
    ReplyTimeout,
    TransientRelayError,
)
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Verdict
from slimtwist.smtp.extensions import Extensions
from slimtwist.testing import (
    Close,
    Ended,
    HalfClose,
    Reset,
    Send,
    Stall,
    Wait,
    drip,
)
from tests.smtp.dialogues import BYE, GREETING, HOST, PASSWORD, SessionCase, World, ehlo, policy

#: Replies that no server may begin with (PEER-10).
NO_REPLIES = [
    b"25",
    b"2500 x",
    b"099 x",
    b"199 x",
    b"600 x",
    b"850 RUBBISH",
    b"-1 x",
    b" 25",
    b"+25 x",
    b"2_0 x",
    b"abc",
    b"",
    b"\0",
    b"220\tx",
]


class GreetingTests(SessionCase):
    """What a host says first."""

    def test_forms(self) -> None:
        """PEER-43, PEER-09: greetings of all legal forms, and LF alone, begin a session."""
        fifty = b"".join(b"220-line %d\r\n" % number for number in range(50))
        for greeting in (
            b"220\r\n",
            b"220 \r\n",
            b"220 x\n",
            b"220-\n220\n",
            fifty + b"220 end\r\n",
        ):
            self.session(Send(greeting), *ehlo())

    def test_text(self) -> None:
        """PEER-15: 8-bit octets, NUL and ESC in its text do not matter."""
        self.session(Send(b"220 \xe9\xff\0\x1b[2J\x85 \r x\r\n"), *ehlo())

    def test_no_reply(self) -> None:
        """PEER-10, PEER-43: what is no reply, a blank line among it, is a protocol error."""
        for line in NO_REPLIES:
            outcome = self.deferred(ProtocolViolation, "greeting", Send(line + b"\r\n"), Ended())
            self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.5.0"), line)

    def test_other_protocols(self) -> None:
        """PEER-48: so is what servers of other protocols say."""
        for line in (
            b"HTTP/1.1 400 Bad Request\r\n",
            b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
            b"* OK [CAPABILITY IMAP4rev1] ready\r\n",
            b"+OK POP3 ready\r\n",
            b"\x15\x03\x01\x00\x02\x02\n",
            b"502 \r\n\r\n",
        ):
            self.deferred(ProtocolViolation, "greeting", Send(line), Ended())

    def test_wrong_code(self) -> None:
        """PEER-11, PEER-32: a 2yz or 3yz other than 220 is a protocol error, quoted in the text."""
        for code in ("200", "221", "235", "250", "251", "299", "300", "334", "354", "399"):
            outcome = self.deferred(ProtocolViolation, "greeting", f"S: {code} hello", Ended())
            self.assertIn(f"'{code} hello' in reply to greeting", outcome.reply.text)

    def test_differing_codes(self) -> None:
        """PEER-12: lines with different codes are a protocol error."""
        for first, last in (("220", "250"), ("554", "220"), ("220", "554")):
            self.deferred(
                ProtocolViolation,
                "greeting",
                f"S: {first}-mx",
                Send(f"{last} x\r\n".encode()),
                Ended(),
            )

    def test_too_much(self) -> None:
        """PEER-13, PEER-14, L6: endless lines and endless continuations end at their bounds."""
        limits = Limits(reply_line=500, reply_octets=5000, reply_lines=20)
        for octets, bound in ((b"220-x\r\n", 20 * 7), (b"220-" + b"x" * 96, 500)):
            world = World([Send(octets * 1000), Stall()], limits=limits)
            world.reactor.network.on_wire = lambda wire: setattr(wire.down, "window", 100)
            self.assertIs(type(world.error()), ProtocolViolation)
            self.assertLess(world.reactor.network.wires[0].down.arrived, bound + 300)
            world.reactor.advance(10)
            self.assertEqual(world.left(), "")

    def test_transient_refusal(self) -> None:
        """PEER-07: a 4yz is the outcome, with its codes and text; the host hears QUIT."""
        for code in (400, 432, 450, 451, 452, 454, 499):
            outcome = self.deferred(
                TransientRelayError, "greeting", f"S: {code} 4.7.1 not now", *BYE
            )
            self.assertEqual(str(outcome.reply), f"{code} 4.7.1 not now")

    def test_permanent_refusal(self) -> None:
        """PEER-08: a 5yz defers, and is quoted; it is about the session, not about a message."""
        for code in (*range(500, 505), 530, 535, *range(550, 557), 571, 599):
            outcome = self.deferred(
                TransientRelayError, "greeting", f"S: {code} 5.7.1 go away", *BYE
            )
            self.assertEqual(
                str(outcome.reply), f"451 4.7.1 greeting refused: {code} 5.7.1 go away"
            )

    def test_no_mail_here(self) -> None:
        """PEER-08, RFC 7504: only 521 fails the message for good."""
        error = self.error("S: 521 5.3.2 no mail here", *BYE)
        self.assertIs(type(error), PermanentRelayError)
        self.assertIs(error.outcome.verdict, Verdict.FAILED)
        self.assertEqual(str(error.outcome.reply), "521 5.3.2 no mail here")
        self.assertEqual(error.outcome.command, "greeting")

    def test_refused_and_waits(self) -> None:
        """PEER-44: after a 554 that is followed by nothing we say QUIT, and wait 5 s at most."""
        world = World(["S: 554 no", "C: QUIT", Stall()])
        self.assertEqual(world.outcome().reply.code, 451)
        self.assertEqual(world.reactor.seconds(), 0)
        world.reactor.advance(4.9)
        self.assertNotEqual(world.left(), "")
        world.reactor.advance(0.2)
        self.assertEqual(world.left(), "")

    def test_goodbye(self) -> None:
        """PEER-06: 421 is the outcome; there is no QUIT after it, and nobody waits for the end."""
        outcome = self.deferred(ConnectionLost, "greeting", "S: 421 4.3.2 shutting down", Ended())
        self.assertEqual(str(outcome.reply), "421 4.3.2 shutting down")

    def test_silence(self) -> None:
        """PEER-01, L7: a silent host is given up after 300 s."""
        outcome = self.deferred(ReplyTimeout, "greeting", Stall())
        self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.4.2"))
        self.assertIn("no answer in time", outcome.reply.text)
        self.assertEqual(self.seconds, 300)

    def test_dripped(self) -> None:
        """PEER-02, L7: octets that drip, one in 20 s, do not make the wait longer."""
        self.deferred(ReplyTimeout, "greeting", *drip(b"220 mail.exampl", 20), Stall())
        self.assertEqual(self.seconds, 300)

    def test_tarpit(self) -> None:
        """PEER-42: a host may take 4 min 59 s for its greeting, and half a minute for a reply."""
        hello = ehlo("PIPELINING")
        self.session(Wait(299), *GREETING, hello[0], Wait(30), *hello[1:])
        self.assertEqual(self.seconds, 329)

    def test_ends(self) -> None:
        """PEER-05: an end of the connection, by FIN, half-close or RST, defers with 4.4.2."""
        for octets in (b"", b"220 mx", b"220-mx\r\n", b"554"):
            for step in (Close(), HalfClose(), Reset()):
                outcome = self.deferred(ConnectionLost, "greeting", Send(octets), step)
                self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.4.2"))

    def test_refused_and_gone(self) -> None:
        """L11: a refusal counts, although the host hangs up in the same moment."""
        for step in (Close(), HalfClose(), Reset()):
            world = World(["S: 450 4.7.1 greylisted", step])
            self.assertEqual(str(world.outcome().reply), "450 4.7.1 greylisted")
            world.reactor.advance(10)
            self.assertEqual(world.left(), "")


class EhloTests(SessionCase):
    """EHLO, and HELO for those who do not know it."""

    def test_extensions(self) -> None:
        """The reply's keywords are what the host can do."""
        session = self.session(*GREETING, *ehlo("PIPELINING", "SIZE 5"))
        self.assertEqual(
            session.extensions, Extensions(pipelining=True, size=5, declares_size=True)
        )
        self.assertEqual((session.tls, session.verified), (None, False))

    def test_name(self) -> None:
        """C{ehlo_as} may be a callable of the host's name."""
        self.session(
            *GREETING, f"C: EHLO to-{HOST}", f"S: 250 {HOST}", ehlo_as=lambda host: f"to-{host}"
        )

    def test_odd_replies(self) -> None:
        """PEER-09, PEER-37: a positive reply without keywords, or without text, is one."""
        for reply in (b"250\r\n", b"250 \r\n", b"250-\r\n250\r\n", b"250-mx\r\n250-\r\n250 \r\n"):
            session = self.session(*GREETING, "C: EHLO ...", Send(reply))
            self.assertEqual(session.extensions, Extensions())

    def test_bounds(self) -> None:
        """PEER-37: 254 keywords are read; a thousand, or a line of 10 KiB, are a protocol error."""
        others = [f"X{number}" for number in range(1000)]
        self.assertTrue(self.session(*GREETING, *ehlo(*others[:254], "DSN")).extensions.dsn)
        for keywords in (others, ["X" * 10240]):
            hello = [step for step in ehlo(*keywords) if isinstance(step, str)]
            lines = "".join(f"{step[3:]}\r\n" for step in hello[1:])
            self.deferred(
                ProtocolViolation, "EHLO", *GREETING, hello[0], Send(lines.encode()), Ended()
            )

    def test_helo(self) -> None:
        """PEER-08: a host that refuses EHLO is asked by HELO, and then offers nothing."""
        for code in (500, 501, 502, 504, 521, 550, 554):
            session = self.session(
                *GREETING,
                "C: EHLO ...",
                f"S: {code} 5.5.1 unknown",
                "C: HELO client.example.org",
                Send(b"250-mx\r\n250-STARTTLS\r\n250 PIPELINING\r\n"),
            )
            self.assertEqual(session.extensions, Extensions())

    def test_helo_refused(self) -> None:
        """A refusal of HELO too is the outcome, softened."""
        outcome = self.deferred(
            TransientRelayError,
            "EHLO",
            *GREETING,
            "C: EHLO ...",
            "S: 502 what",
            "C: HELO ...",
            "S: 550 5.7.1 who are you",
            *BYE,
        )
        self.assertEqual(str(outcome.reply), "451 4.7.1 EHLO refused: 550 5.7.1 who are you")

    def test_no_helo_where_more_is_needed(self) -> None:
        """TLS-22: HELO brings neither TLS nor AUTH; where these are wanted it is not tried."""
        for options in (
            {"tls": policy("encrypt")},
            {"tls": policy("verify")},
            {"credentials": PASSWORD},
            {"credentials": PASSWORD, "auth_insecure": True, "tls": policy("none")},
        ):
            outcome = self.deferred(
                TransientRelayError,
                "EHLO",
                *GREETING,
                "C: EHLO ...",
                "S: 500 5.5.1 unknown",
                *BYE,
                **options,
            )
            self.assertEqual(str(outcome.reply), "451 4.5.1 EHLO refused: 500 5.5.1 unknown")

    def test_transient_refusal(self) -> None:
        """PEER-07: a 4yz is no reason for HELO; it is the outcome."""
        for code in (400, 432, 450, 451, 452, 454, 499):
            outcome = self.deferred(
                TransientRelayError, "EHLO", *GREETING, "C: EHLO ...", f"S: {code} busy", *BYE
            )
            self.assertEqual(str(outcome.reply), f"{code} 4.0.0 busy")

    def test_goodbye(self) -> None:
        """PEER-06: 421 is the outcome."""
        outcome = self.deferred(
            ConnectionLost, "EHLO", *GREETING, "C: EHLO ...", "S: 421 bye", Ended()
        )
        self.assertEqual(str(outcome.reply), "421 4.0.0 bye")

    def test_wrong_code(self) -> None:
        """PEER-11: a 2yz or 3yz other than 250 is a protocol error."""
        for code in (220, 251, 252, 299, 334, 354, 355):
            self.deferred(
                ProtocolViolation, "EHLO", *GREETING, "C: EHLO ...", f"S: {code} mx", Ended()
            )

    def test_no_reply(self) -> None:
        """PEER-10, PEER-12: what is no reply is a protocol error."""
        for reply in [*(line + b"\r\n" for line in NO_REPLIES), b"250-mx\r\n550 x\r\n"]:
            self.deferred(ProtocolViolation, "EHLO", *GREETING, "C: EHLO ...", Send(reply), Ended())

    def test_silence(self) -> None:
        """PEER-01, PEER-18, L7: a reply that does not come is waited for 300 s."""
        self.deferred(ReplyTimeout, "EHLO", *GREETING, "C: EHLO ...", Stall())
        self.assertEqual(self.seconds, 300)

    def test_endless(self) -> None:
        """PEER-02, L7: lines that come one after another do not make the wait longer."""
        lines = [step for _ in range(20) for step in (Send(b"250-more\r\n"), Wait(20))]
        self.deferred(ReplyTimeout, "EHLO", *GREETING, "C: EHLO ...", *lines[:-10], Stall())
        self.assertEqual(self.seconds, 300)

    def test_waits_apart(self) -> None:
        """L7: each reply has a wait of its own, from the settings."""
        timeouts = Timeouts(greeting=10, ehlo=20)
        for steps, seconds in (([], 10), ([Wait(9), *GREETING, "C: EHLO ..."], 29)):
            self.error(*steps, Stall(), timeouts=timeouts)
            self.assertEqual(self.seconds, seconds)

    def test_ends(self) -> None:
        """PEER-05: an end of the connection defers with 4.4.2."""
        for octets in (b"", b"250-mx\r\n", b"25"):
            for step in (Close(), HalfClose(), Reset()):
                outcome = self.deferred(
                    ConnectionLost, "EHLO", *GREETING, "C: EHLO ...", Send(octets), step
                )
                self.assertEqual(outcome.reply.enhanced, "4.4.2")


class LmtpTests(SessionCase):
    """RFC 2033 4.1: LHLO in place of EHLO, and no HELO."""

    def test_lhlo(self) -> None:
        """LHLO has the same keywords."""
        session = self.session(
            *GREETING, "C: LHLO client.example.org", "S: 250-mx", "S: 250 DSN", lmtp=True
        )
        self.assertTrue(session.extensions.dsn)

    def test_no_helo(self) -> None:
        """A refusal of LHLO is the outcome."""
        outcome = self.deferred(
            TransientRelayError, "EHLO", *GREETING, "C: LHLO ...", "S: 500 what", *BYE, lmtp=True
        )
        self.assertEqual(str(outcome.reply), "451 4.0.0 EHLO refused: 500 5.0.0 what")


class NoTrustInOrderTests(SessionCase):
    """L12: a reply belongs to one command, and nothing stands between two."""

    def test_burst(self) -> None:
        """PEER-16: replies that come before their commands are a protocol error."""
        for octets in (b"220 mx\r\n250 a\r\n250 b\r\n", b"220 mx\r\n250 a\r\n", b"220 mx\r\n2"):
            self.deferred(ProtocolViolation, "greeting", Send(octets), Ended())
            self.assertNotIn("C: EHLO client.example.org", self.said)

    def test_one_too_many(self) -> None:
        """PEER-17: a second reply in the segment of an awaited one ends the connection."""
        for octets in (
            b"250 mx\r\n250 more\r\n",
            b"250 mx\r\n2",
            b"250 mx\r\n-",
            b"250 mx\r\n\r\n",
        ):
            outcome = self.deferred(
                ProtocolViolation, "EHLO", *GREETING, "C: EHLO ...", Send(octets), Ended()
            )
            self.assertEqual(outcome.reply.enhanced, "4.5.0")

    def test_too_early(self) -> None:
        """PEER-16: what comes while nothing is awaited ends the connection."""
        world = World([*GREETING, *ehlo(), Wait(1), Send(b"250 x\r\n"), Ended()])
        session = world.session()
        self.assertTrue(session.channel.quiet())
        world.reactor.advance(1)
        self.assertFalse(session.channel.quiet())
        world.check()

    def test_goodbye_between(self) -> None:
        """PEER-06: 421 that comes while nothing is awaited is known as that."""
        world = World([*GREETING, *ehlo(), Wait(1), "S: 421 4.4.2 idle too long", Ended()])
        session = world.session()
        world.reactor.advance(1)
        self.assertEqual(str(session.trouble("MAIL").reply), "421 4.4.2 idle too long")
        world.check()

    def test_goodbye_to_starttls(self) -> None:
        """PEER-06: 421 in reply to STARTTLS is the outcome, although TLS was not required."""
        steps = [*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", "S: 421 4.3.2 closing", Ended()]
        outcome = self.deferred(ConnectionLost, "STARTTLS", *steps)
        self.assertEqual(str(outcome.reply), "421 4.3.2 closing")

    def test_refused_starttls_and_more(self) -> None:
        """PEER-17: neither is a refusal of STARTTLS with octets behind it a session."""
        steps = [*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", Send(b"454 no\r\n2"), Ended()]
        self.deferred(ProtocolViolation, "STARTTLS", *steps)
