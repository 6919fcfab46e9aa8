# -*- test-case-name: tests.smtp.test_transaction_body -*-
"""Tests of one mail transaction: the message, its end, and the replies that decide.

What comes before it is in L{tests.smtp.test_transaction}.
"""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist import content as content_module
from slimtwist.content import BareNewline, Content
from slimtwist.envelope import Envelope
from slimtwist.outcome import Verdict
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.smtp.transaction import Transaction
from slimtwist.testing import Body, Close, Cut, Ended, Octets, Reset, Send, Stall, Wait, drip
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.talks import TEXT, USUAL, Talk, envelope, group, many, torn
from tests.smtp.test_transaction import Played, told

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED
#: A message that takes its time.
LONG = b"x\r\n" * 100_000
READY = ["S: 250 ok", "S: 250 ok", "S: 354 go"]


class Sent:
    """A transaction with a strict host.

    @ivar host: it.
    @ivar talk: the session.
    @ivar wire: between them.
    @ivar transaction: not begun.
    """

    def __init__(
        self, message: Envelope, host: FakeSmarthost | None = None, **options: Any
    ) -> None:
        """Connect."""
        self.host = host or FakeSmarthost(lhlo=options.get("lmtp", False))
        self.talk = Talk(self.host, **options)
        self.wire = self.talk.reactor.network.wires[0]
        positions = range(len(message.recipients))
        self.transaction = Transaction(self.talk.session, message, positions)

    def run(self) -> Sent:
        """Run the transaction to its end; return self."""
        self.talk.reactor.wait(Deferred.fromCoroutine(self.transaction.run()), 10**6)
        self.talk.reactor.flush()
        return self

    def hold(self, octets: int = 0) -> Deferred[None]:
        """Begin it, and let no more than so many octets of the message leave us."""
        group_size = sum(len(line) - 1 for line in group())  # without "C: ", with CRLF
        self.wire.up.stall(self.wire.up.arrived + group_size)
        self.wire.up.window = 1
        running = Deferred.fromCoroutine(self.transaction.run())
        self.talk.reactor.flush()
        self.wire.up.window = octets
        self.talk.reactor.flush()
        return running

    @property
    def bodies(self) -> list[bytes]:
        """The messages that the host took."""
        return [message.octets for message in self.host.messages]


class OctetTests(SynchronousTestCase):
    """The octets that arrive are the octets that were sent (L8), and end where they end (L5)."""

    def bodies(self, octets: bytes) -> list[bytes]:
        """Return what a strict host takes of a message."""
        return Sent(envelope(octets=octets)).run().bodies

    def test_ends(self) -> None:
        """A line end is added only where there is none (SMO-03, SMO-05, SMO-08)."""
        for octets in (
            b".\r\n",
            b"..\r\n",
            b".a\r\n",
            b"a\r\n",
            b"a\r\n\r\n",
            b"a\r\n.\r\n",
            b"a\r\n..\r\n",
            b"\r\n",
            b"\r\n.\r\n\r\n",
        ):
            self.assertEqual(self.bodies(octets), [octets])
        for octets in (b"a", b".", b"a\r\n.", b"a\r\n..", b"a."):
            self.assertEqual(self.bodies(octets), [octets + b"\r\n"])
        self.assertEqual(self.bodies(b""), [b""])

    def test_smuggling(self) -> None:
        """No sequence ends a message early: sent as what it is, or refused when built (SMO-01)."""
        evil = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
        for end in (b"\r\n.\r\n", b"\r\n..\r\n", b"\r\n.\r\n.\r\n", b".\r\n", b"\r\n. \r\n"):
            octets = b"a" + end + evil
            self.assertEqual(self.bodies(octets), [octets])
        for end in (
            b"\n.\n",
            b"\n.\r\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\n",
            b"\r\n.\r",
            b"\r\r\n.\r\n",
        ):
            self.assertRaises(BareNewline, Content.of, b"a" + end + evil)

    def test_every_block_size(self) -> None:
        """Dots are stuffed wherever a block ends, and only at line starts (SMO-02, SMO-04)."""
        octets = b".\r\n..\r\na.\r\n.b\r\n\r\n.\r\n\r\nc.d\r\n."
        for size in range(1, len(octets) + 1):
            self.patch(content_module, "BLOCK", size)
            self.assertEqual(self.bodies(octets), [octets + b"\r\n"])

    def test_head(self) -> None:
        """What is put on top of a message is the beginning of the same octets."""
        content = Content.of(b".b\r\n").under(b"Received: x\r\n")
        message = replace(envelope(), content=content)
        self.assertEqual(Sent(message).run().bodies, [b"Received: x\r\n.b\r\n"])

    @settings(deadline=None, max_examples=300, derandomize=True)
    @given(
        st.lists(st.sampled_from([b"\r\n", b".", b"\0", b"a", b"\x80"]), max_size=64),
        st.integers(1, 70),
    )
    def test_any(self, parts: list[bytes], size: int) -> None:
        """Whatever is taken as a message, in blocks of any size, arrives as it is (SMO-07)."""
        octets = b"".join(parts)
        self.patch(content_module, "BLOCK", size)
        end = b"" if octets.endswith(b"\r\n") or not octets else b"\r\n"
        self.assertEqual(self.bodies(octets), [octets + end])

    def test_end_in_one_write(self) -> None:
        """The end of data and the line end before it leave in one piece, alone (PEER-47)."""
        for octets in (TEXT, b"a", LONG):
            sent = Sent(envelope(octets=octets))
            pieces: list[object] = []
            sent.wire.up.observer = lambda _, piece, pieces=pieces: pieces.append(piece)
            sent.run()
            if len(octets) > 1:
                self.assertEqual(pieces[-1], b"\r\n.\r\n")
            self.assertEqual(sent.bodies, [octets if len(octets) > 1 else b"a\r\n"])

    def test_unreadable(self) -> None:
        """A message that cannot be read to its end is deferred, and the host sees none (L1)."""
        for size in (0, 10, 200_000):
            message = replace(envelope(), content=torn(b"x" * size))
            sent = Sent(message).run()
            text = told(sent.transaction.outcomes[0])
            self.assertEqual(text, "451 4.3.0 internal error: OSError (DATA)")
            self.assertEqual(sent.bodies, [])
            self.assertTrue(sent.host.sessions[0].ended)
            self.assertNotIn(b"\r\n.\r\n", sent.wire.up.tape)
            self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
            left = sent.talk.reactor.leftovers()
            self.assertEqual(left.timers + left.connections + left.producers, ())


class EarlyTests(SynchronousTestCase):
    """Replies while the message is on its way."""

    def early(self, *steps: Any, octets: bytes = LONG) -> Played:
        """Return a transaction whose peer does this after the first octets of the message."""
        script = [*group(), *READY, Octets(9), *steps]
        return Played(script, envelope(octets=octets), *USUAL, whole=False)

    def test_success(self) -> None:
        """250 before the end is no success, and not ambiguous: there was no end (PEER-27)."""
        played = self.early("S: 250 taken", Stall())
        self.assertEqual(
            played.outcomes, ["451 4.5.0 protocol error: unexpected reply '250 taken' (DATA)"]
        )
        self.assertTrue(played.broken)
        self.assertNotIn(b"\r\n.\r\n", played.talk.reactor.network.wires[0].up.tape)

    def test_refusal(self) -> None:
        """A refusal is the outcome, sending ends, whatever the peer does then (PEER-28)."""
        for reply in ("550 5.7.1 spam", "452 4.3.1 no room", "421 4.3.2 closing"):
            for then in (Stall(), Close(), Reset()):
                played = self.early(f"S: {reply}", then)
                self.assertEqual(played.outcomes, [f"{reply} (DATA)"])
                self.assertTrue(played.broken)
                sent = played.talk.reactor.network.wires[0].up.tape
                self.assertLess(len(sent), 3 * 65536)
                self.assertNotIn(b"\r\n.\r\n", sent)

    def test_refusal_while_deaf(self) -> None:
        """It is heard although the peer reads nothing more, and in pieces (PEER-28)."""
        sent = Sent(envelope(octets=LONG))
        running = sent.hold()
        for octet in b"550-5.7.1 sp\r\n550 5.7.1 am\r\n":
            self.assertEqual(sent.transaction.outcomes, {})
            sent.host.sessions[0].transport.write(bytes([octet]))
            sent.talk.reactor.advance(1)
        sent.talk.reactor.wait(running, 0)
        self.assertEqual(told(sent.transaction.outcomes[0]), "550 5.7.1 sp am (DATA)")

    def test_end_of_tls(self) -> None:
        """A peer that ends TLS in the message has not taken it, and never got its end (L4)."""
        for octets in (TEXT, LONG):
            host = FakeSmarthost({"DATA": ("354 go", Close(), Stall())}, ("STARTTLS",))
            sent = Sent(envelope(octets=octets), host, tls=TlsPolicy(TlsMode.OPPORTUNISTIC)).run()
            text = "451 4.4.2 connection lost: the peer closed the connection (DATA)"
            self.assertEqual(told(sent.transaction.outcomes[0]), text)
            self.assertLess(sent.wire.up.arrived, 70_000)

    def test_half_a_reply(self) -> None:
        """Who has begun to speak before the end is heard out: there is no end for him (PEER-27)."""
        for reply, verdict in ((b"250 ok\r\n", DEFERRED), (b"550 no\r\n", FAILED)):
            for size in (2, 3, 100, 70_000):
                sent = Sent(envelope(octets=b"x" * size))
                running = sent.hold(1)
                sent.host.sessions[0].transport.write(reply[:2])
                sent.talk.reactor.advance(1)
                sent.wire.up.window = 10**6
                sent.talk.reactor.advance(100)
                self.assertEqual(sent.transaction.outcomes, {})
                sent.host.sessions[0].transport.write(reply[2:])
                sent.talk.reactor.wait(running, 1)
                outcome = sent.transaction.outcomes[0]
                self.assertEqual((outcome.verdict, outcome.ambiguous), (verdict, False), size)
                self.assertNotIn(b"\r\n.\r\n", sent.wire.up.tape)

    def test_half_a_reply_before_the_end_has_left(self) -> None:
        """What begins before the end has left, and ends after it, may be anything (L1, L4)."""
        for reply in (b"250 ok\r\n", b"550 no\r\n"):
            sent = Sent(envelope(octets=b"x" * 100))
            running = sent.hold(102)
            sent.host.sessions[0].transport.write(reply[:2])
            sent.talk.reactor.advance(1)
            self.assertEqual(sent.transaction.outcomes, {})
            sent.wire.up.window = 10**6
            sent.talk.reactor.wait(running, 1)
            outcome = sent.transaction.outcomes[0]
            self.assertEqual((outcome.verdict, outcome.ambiguous), (DEFERRED, True))

    def test_reply_before_the_end_has_left(self) -> None:
        """A whole reply before the end has left is none, and there will be no end (L1, PEER-27)."""
        for room in (0, 1, 50, 100, 101, 104):
            sent = Sent(envelope(octets=b"x" * 100))
            running = sent.hold(room)
            sent.host.sessions[0].transport.write(b"250 ok\r\n")
            sent.talk.reactor.wait(running, 1)
            sent.wire.up.window = 10**6
            sent.wire.up.resume()
            sent.talk.reactor.flush()
            outcome = sent.transaction.outcomes[0]
            self.assertEqual((outcome.verdict, outcome.ambiguous), (DEFERRED, False), room)
            self.assertEqual(sent.bodies, [])

    def test_goodbye(self) -> None:
        """A connection that ends in the message has taken nothing (L1)."""
        for end, text in ((Close(), "connection lost"), (Reset(), "connection lost")):
            played = self.early(end)
            self.assertRegex(played.outcomes[0], rf"\A451 4\.4\.2 {text}.* \(DATA\)\Z")


def _line(text: str) -> bytes:
    return text.removeprefix("C: ").encode() + b"\r\n"


class FinalTests(SynchronousTestCase):
    """The reply to the end of data."""

    def ended(self, *steps: Any, **options: Any) -> str:
        """Return the outcome when this follows the message."""
        played = Played([*group(), *READY, Body(), *steps], envelope(), *USUAL, **options)
        return played.outcomes[0]

    def test_incomplete(self) -> None:
        """Less than a whole reply says nothing: deferred, ambiguous (PEER-31, L4, OUT-07)."""
        for octets in (b"", b"2", b"25", b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n", b"550 no"):
            for end in (Close(), Reset()):
                self.assertRegex(
                    self.ended(Send(octets), Wait(1), end),
                    r"\A451 4\.4\.2 connection lost.*; the message may be delivered more than once"
                    r" \(end of data\)\?\Z",
                )

    def test_goodbye(self) -> None:
        """421 is an answer: not taken (PEER-06)."""
        self.assertEqual(self.ended("S: 421 4.3.2 bye", Close()), "421 4.3.2 bye (end of data)")

    def test_garbage(self) -> None:
        """What is no reply leaves it open whether the message was taken (L4)."""
        for octets in (b"ok\r\n", b"\r\n", b"250-a\r\n251 b\r\n", b"0" * 9000):
            self.assertRegex(
                self.ended(Send(octets), Ended()), r"\A451 4\.5\.0 .*once \(end of data\)\?\Z"
            )

    def test_extra(self) -> None:
        """What follows the reply changes nothing of it, but ends the connection (PEER-17)."""
        for extra in (b"250 more\r\n", b"550 no\r\n", b"garbage\r\n", b"2"):
            script = [*group(), *READY, Body(), Send(b"250 taken\r\n" + extra), Wait(1)]
            played = Played(script, envelope(), *USUAL)
            self.assertEqual(played.outcomes, ["250 2.0.0 taken (end of data)"])
            self.assertEqual(played.talk.session.channel.quiet(), False)

    def test_stray_success(self) -> None:
        """A reply that is there while TLS keeps the message back is no answer to it (L1)."""
        host = FakeSmarthost({"DATA": ("354 go", Wait(0), "250 taken")}, ("STARTTLS",))
        sent = Sent(envelope(), host, tls=TlsPolicy(TlsMode.OPPORTUNISTIC)).run()
        self.assertRegex(told(sent.transaction.outcomes[0]), r"\A451 4\.5\.0 .* \(DATA\)\Z")


class LmtpTests(SynchronousTestCase):
    """LMTP: a reply for each recipient who was accepted (RFC 2033 4.2)."""

    def outcomes(self, accepted: list[str], *steps: Any) -> list[str]:
        """Return the outcomes, RCPT and the end of data answered so."""
        script = [*group(*(f"r{n}@example.net" for n in range(len(accepted)))), "S: 250 ok"]
        script += [f"S: {reply}" for reply in accepted]
        played = Played(
            [*script, "S: 354 go", Body(), *steps], many(len(accepted)), *USUAL, lmtp=True
        )
        self.broken = played.broken
        self.played = played
        return played.outcomes

    def test_each_his_own(self) -> None:
        """Reply i is for accepted recipient i (LMTP-01, LMTP-05, LMTP-13)."""
        outcomes = self.outcomes(
            ["250 ok", "550 5.1.1 no", "250 ok", "450 4.2.1 busy", "250 ok"],
            "S: 250 2.0.0 first",
            "S: 450 4.2.2 full",
            "S: 550 5.7.1 never",
        )
        self.assertEqual(
            outcomes,
            [
                "250 2.0.0 first (end of data)",
                "550 5.1.1 no (RCPT)",
                "450 4.2.2 full (end of data)",
                "450 4.2.1 busy (RCPT)",
                "550 5.7.1 never (end of data)",
            ],
        )
        self.assertFalse(self.broken)

    def test_duplicates(self) -> None:
        """An address that occurs twice has two replies (LMTP-04, OUT-04)."""
        names = ("b@example.net", "b@example.net", "B@example.net", "b+t@example.net")
        script = [*group(*names), *["S: 250 ok"] * 5, "S: 354 go", Body()]
        for lmtp, final in ((True, ["250 1", "450 2", "250 3", "550 4"]), (False, ["250 1"])):
            answers = [f"S: {reply}" for reply in final]
            played = Played([*script, *answers], envelope(*names), *USUAL, lmtp=lmtp)
            codes = [outcome.reply.code for outcome in played.transaction.outcomes.values()]
            self.assertEqual(codes, [250, 450, 250, 550] if lmtp else [250] * 4)

    def test_fewer(self) -> None:
        """Replies that came stand, who got none is ambiguous (LMTP-02, LMTP-09)."""
        for end, text in (
            (Close(), "4.4.2 connection lost"),
            (Reset(), "4.4.2 connection lost"),
            (Stall(), "4.4.2 timed out"),
        ):
            for answers in (["250 1"], ["250 1", "550 2"]):
                steps = [f"S: {reply}" for reply in answers]
                outcomes = self.outcomes(["250 ok"] * 3, *steps, Wait(1), end)
                said = ["250 2.0.0 1", "550 5.0.0 2"][: len(answers)]
                self.assertEqual(
                    outcomes[: len(answers)], [f"{reply} (end of data)" for reply in said]
                )
                for outcome in outcomes[len(answers) :]:
                    self.assertRegex(outcome, rf"\A451 {text}.*once \(end of data\)\?\Z")
                self.assertTrue(self.broken)

    def test_more(self) -> None:
        """One reply too many changes no outcome, but ends the connection (LMTP-03)."""
        for octets in (b"250 1\r\n450 2\r\n250 3\r\n", b"250 1\r\n450 2\r\n2"):
            outcomes = self.outcomes(["250 ok"] * 2, Send(octets), Wait(1))
            self.assertEqual(outcomes, ["250 2.0.0 1 (end of data)", "450 4.0.0 2 (end of data)"])
            self.assertFalse(self.played.talk.session.channel.quiet())

    def test_nonsense(self) -> None:
        """From a reply that is none on, nothing is believed (L12)."""
        outcomes = self.outcomes(["250 ok"] * 3, Send(b"250 1\r\n354 go\r\n250 3\r\n"), Ended())
        self.assertEqual(outcomes[0], "250 2.0.0 1 (end of data)")
        for outcome in outcomes[1:]:
            self.assertRegex(outcome, r"\A451 4\.5\.0 .*'354 go' in reply to end of data.*\?\Z")

    def test_goodbye(self) -> None:
        """421 is one recipient's answer; those after him have none."""
        outcomes = self.outcomes(["250 ok"] * 3, Send(b"250 1\r\n421 bye\r\n"), Ended())
        self.assertEqual(outcomes[1], "421 4.0.0 bye (end of data)")
        self.assertRegex(outcomes[2], r"\A451 4\.4\.2 .*\?\Z")

    def test_slow(self) -> None:
        """Each reply has a deadline of its own (LMTP-12)."""
        replies = [step for n in range(50) for step in (Wait(60), f"S: 250 {n}")]
        outcomes = self.outcomes(["250 ok"] * 50, *replies)
        self.assertEqual(outcomes[-1], "250 2.0.0 49 (end of data)")
        outcomes = self.outcomes(["250 ok"] * 2, Wait(599), "S: 250 0", Wait(601), Ended())
        self.assertEqual(outcomes[0], "250 2.0.0 0 (end of data)")
        self.assertRegex(outcomes[1], r"\A451 4\.4\.2 timed out.*\?\Z")

    def test_all_refused(self) -> None:
        """When all are refused no reply follows the end of data: none is waited for (LMTP-06)."""
        script = [*group(), "S: 250 ok", "S: 550 5.1.1 no", "S: 354 go", "C: .", Stall()]
        played = Played(script, envelope(), *USUAL, lmtp=True)
        self.assertEqual(played.outcomes, ["550 5.1.1 no (RCPT)"])
        self.assertEqual(played.talk.reactor.seconds(), 0)


class DeadlineTests(SynchronousTestCase):
    """Every wait ends, at its own time, whatever drips (L7)."""

    def ended_after(
        self, script: list[Any], message: Envelope, **options: Any
    ) -> tuple[str, float]:
        """Return the outcome, and the seconds from the first command on."""
        keywords = USUAL[1 - options.pop("pipelining", 1) :]
        played = Played(script, message, *keywords, whole=False, **options)
        return played.outcomes[-1], played.talk.reactor.seconds()

    def test_silence(self) -> None:
        """Silence at each point ends at that point's deadline (PEER-01)."""
        waits = ((300, "MAIL"), (300, "RCPT"), (120, "DATA"), (600, "end of data"))
        for point, (seconds, command) in enumerate(waits):
            for pipelining in (True, False):
                commands = group()[: 3 if pipelining else min(point + 1, 3)]
                script = _interleaved(commands, READY[:point], pipelining=pipelining)
                script += [Body()] if point == 3 else []
                outcome, after = self.ended_after(
                    [*script, Stall()], envelope(), pipelining=pipelining
                )
                self.assertRegex(outcome, rf"\A451 4\.4\.2 timed out.* \({command}\)\??\Z")
                self.assertEqual(outcome.endswith("?"), point == 3)
                self.assertEqual(after, seconds)

    def test_dripping(self) -> None:
        """A reply of one octet every 20 seconds is none (PEER-02)."""
        outcome, after = self.ended_after(
            [*group(), *drip(b"250-" + b"x" * 100, 20), Ended()], envelope()
        )
        self.assertRegex(outcome, r"\A451 4\.4\.2 timed out.* \(MAIL\)\Z")
        self.assertEqual(after, 300)
        outcome, after = self.ended_after(
            [*group(), *READY, Body(), *drip(b"250-\r\n" * 9, 20), Ended()], envelope()
        )
        self.assertRegex(outcome, r"\A451 4\.4\.2 timed out.* \(end of data\)\?\Z")
        self.assertEqual(after, 600)

    def test_counted_from_the_reply_before(self) -> None:
        """In a group each reply has its time from the one before it on."""
        script = [*group(), Wait(299), READY[0], Wait(299), READY[1], Wait(119), READY[2]]
        outcome, after = self.ended_after([*script, Body(), "S: 250 taken"], envelope())
        self.assertEqual((outcome, after), ("250 2.0.0 taken (end of data)", 717))
        outcome, after = self.ended_after([*script[:-2], Stall()], envelope())
        self.assertEqual(after, 299 + 299 + 120)

    def test_own_times(self) -> None:
        """The times are those of the options."""
        options = {"timeouts": replace(Talk(FakeSmarthost()).session.options.timeouts, mail=7.0)}
        _, after = self.ended_after([*group(), Stall()], envelope(), **options)
        self.assertEqual(after, 7)

    def flowing(self, octets_a_second: float, octets: bytes) -> Sent:
        """Return a transaction whose message leaves at this rate."""
        sent = Sent(envelope(octets=octets))
        sent.wire.up.record = False
        sent.wire.up.window = 4096
        piece = 512
        sent.wire.up.segment = lambda taken: [
            taken[at : at + piece] for at in range(0, len(taken), piece)
        ]
        sent.wire.up.spacing = piece / octets_a_second
        return sent.run()

    def test_rate(self) -> None:
        """A message has to leave at 500 octets a second on average (laws.md)."""
        octets = b"x" * 998 + b"\r\n"
        sent = self.flowing(550, octets * 600)
        self.assertEqual(sent.transaction.outcomes[0].verdict, DELIVERED)
        self.assertGreater(sent.talk.reactor.seconds(), 1000)
        sent = self.flowing(450, octets * 2000)
        outcome = sent.transaction.outcomes[0]
        self.assertEqual(told(outcome), "451 4.4.2 timed out: no answer in time (DATA)")
        self.assertLess(sent.talk.reactor.seconds(), 2000)
        self.assertEqual(sent.bodies, [])

    def test_progress(self) -> None:
        """A message that does not move for 180 seconds is given up, and is not ambiguous."""
        for size in (1000, 200_000):
            for room in (0, 1, 999):
                self.check_stuck(Sent(envelope(octets=b"x" * size)), room)

    def test_end_that_cannot_leave(self) -> None:
        """Nothing is ambiguous while the last octet of the end is still with us (L4)."""
        for room in range(len(TEXT) - 2, len(TEXT) + 3):
            self.check_stuck(Sent(envelope()), room)
        sent = Sent(envelope())
        sent.talk.reactor.wait(sent.hold(len(TEXT) + 3))
        self.assertTrue(sent.transaction.outcomes[0].ambiguous)

    def check_stuck(self, sent: Sent, room: int) -> None:
        """Check what becomes of a message of which only some octets leave."""
        sent.talk.reactor.wait(sent.hold(room))
        text = "451 4.4.2 timed out: no answer in time (DATA)"
        self.assertEqual(told(sent.transaction.outcomes[0]), text)
        self.assertEqual(sent.talk.reactor.seconds(), 180)


def _interleaved(commands: list[str], replies: list[str], *, pipelining: bool) -> list[Any]:
    """Return commands and replies as they follow each other."""
    if pipelining:
        return [*commands, *replies]
    pairs = zip(commands, [*replies, None, None, None], strict=False)
    return [step for pair in pairs for step in pair if step is not None]


#: How a client can speak to a host, and how many octets its end of data has on the wire.
WAYS: dict[str, tuple[tuple[str, ...], dict[str, Any], int]] = {
    "pipelined": (USUAL, {}, 5),
    "lock-step": ((), {}, 5),
    "LMTP": (USUAL, {"lmtp": True}, 5),
    "TLS": ((*USUAL, "STARTTLS"), {"tls": TlsPolicy(TlsMode.OPPORTUNISTIC)}, 10),
}


class CutTests(SynchronousTestCase):
    """The connection cut after every single octet, in either direction (L1, L4)."""

    octets = b"Subject: x\r\n\r\n.text\r\n..\r\nmore of it\r\n"

    def sent(self, way: str, octets: bytes | None = None) -> Sent:
        """Return a transaction with three recipients, one of them refused."""
        keywords, options, _ = WAYS[way]
        refusal = {"r1@example.net": "550 5.1.1 no"}
        host = FakeSmarthost({"RCPT": refusal}, keywords, lhlo="lmtp" in options)
        return Sent(many(3, octets or self.octets), host, **options)

    def test_up(self) -> None:
        """Cut on the way to the host, in small blocks and in one."""
        for size in (65536, 7):
            self.patch(content_module, "BLOCK", size)
            for way in WAYS:
                for how in Cut:
                    self.every_offset_up(way, how)

    def every_offset_up(self, way: str, how: Cut) -> None:
        """Cut after each number of octets."""
        start = self.sent(way).wire.up.arrived
        whole = self.sent(way).run().wire.up.arrived - start
        for offset in range(whole + 1):
            sent = self.sent(way)
            sent.wire.up.cut(start + offset, how)
            sent.run()
            # What vanishes has left us nevertheless.
            end = whole if how is Cut.HALF else WAYS[way][2]
            self.check_up(sent, f"{way} {how} {offset}", whole - offset, end)

    def check_up(self, sent: Sent, case: str, missing: int, end: int) -> None:
        """Check what is said against what the host has."""
        sent.host.verify()
        taken = {to for message in sent.host.messages for to in message.recipients}
        for position, name in ((0, "r0@example.net"), (2, "r2@example.net")):
            outcome = sent.transaction.outcomes[position]
            self.assertIsNot(outcome.verdict, FAILED, case)
            if outcome.verdict is DELIVERED:
                self.assertIn(name, taken, case)
            elif name in taken:
                self.assertTrue(outcome.ambiguous, case)
            if outcome.ambiguous:
                self.assertLessEqual(missing, end, case)
        self.assertFalse(sent.transaction.outcomes[1].ambiguous)

    def test_down(self) -> None:
        """Cut on the way from the host: success is the whole reply, no octet less."""
        for way in WAYS:
            for how in (Cut.FIN, Cut.RST):
                self.every_offset_down(way, how)

    def every_offset_down(self, way: str, how: Cut) -> None:
        """Cut after each number of octets."""
        start = self.sent(way).wire.down.arrived
        uncut = self.sent(way).run()
        whole = uncut.wire.down.arrived - start
        replies = bytes(uncut.wire.down.tape[start:])
        body = len(replies) if way == "TLS" else replies.index(b"354 ")
        for offset in range(whole):
            sent = self.sent(way)
            sent.wire.down.cut(start + offset, how)
            sent.run()
            taken = {to for message in sent.host.messages for to in message.recipients}
            for position, name in ((0, "r0@example.net"), (2, "r2@example.net")):
                outcome = sent.transaction.outcomes[position]
                case = (way, how, offset, position)
                read = way == "LMTP" and position == 0 and _has_two_replies(replies[body:offset])
                self.assertEqual(outcome.verdict, DELIVERED if read else DEFERRED, case)
                self.assertEqual(outcome.ambiguous, name in taken and not read, case)

    def test_nothing_is_left(self) -> None:
        """After a cut there is neither timer nor connection nor producer."""
        for way in WAYS:
            for offset in range(0, 150, 10):
                sent = self.sent(way)
                sent.wire.up.cut(sent.wire.up.arrived + offset, Cut.RST)
                sent.run().talk.session.channel.close()
                sent.talk.reactor.flush()
                left = sent.talk.reactor.leftovers()
                self.assertFalse(left.timers + left.connections + left.producers, left)


def _has_two_replies(octets: bytes) -> bool:
    return octets.count(b"\r\n") >= 2
