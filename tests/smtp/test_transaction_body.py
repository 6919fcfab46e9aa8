# -*- test-case-name: tests.smtp.test_transaction_body -*-
"""Tests of one mail transaction: the message, its end, and the replies that decide."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist import content as content_module
from slimtwist.content import BareNewline, Content
from slimtwist.outcome import Verdict
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import (
    Body,
    Close,
    Ended,
    HalfClose,
    Octets,
    Reset,
    Send,
    Stall,
    Wait,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.plays import LONG, READY, Played, Sent, told
from tests.smtp.talks import TEXT, USUAL, envelope, group, many, torn

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


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

    def test_garbage(self) -> None:
        """What is no reply ends the message at once, not when its time is over (PEER-27, L7)."""
        for block in (9, 70_000):
            script = [*group(), *READY, Octets(block), Send(b"099 \r\n"), Stall()]
            played = Played(script, envelope(octets=LONG), *USUAL, whole=False)
            text = "451 4.5.0 protocol error: no reply code in '099 ' (DATA)"
            self.assertEqual(played.outcomes, [text])
            self.assertLess(played.talk.reactor.seconds(), 1)

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


class AtOnceTests(SynchronousTestCase):
    """Replies that come together with 354, before an octet of the message has left."""

    def behind(self, extra: str, *keywords: str, **options: Any) -> list[str]:
        """Return what becomes of one who was accepted and one who was not."""
        names = "b@example.net", "c@example.net"
        *before, data = group(*names)
        replies = ["S: 250 ok", "S: 250 ok", "S: 550 5.1.1 no"]
        if "PIPELINING" not in keywords:
            script = [each for pair in zip(before, replies, strict=True) for each in pair]
            said = [*script, data]
        else:
            said = [*before, data, *replies]
        end = Send(f"354 go\r\n{extra}".encode())
        played = Played([*said, end, Ended()], envelope(*names), *keywords, **options)
        sent = bytes(played.talk.reactor.network.wires[0].up.tape)
        self.assertTrue(sent.endswith(b"DATA\r\n"), sent)
        self.assertTrue(played.broken)
        self.assertFalse(played.transaction.lost)
        return played.outcomes

    def test_refusal(self) -> None:
        """A refusal is that of the message, as a moment later (PEER-28), and of nobody else."""
        for reply in ("550 5.7.1 spam", "452 4.3.1 no room", "503 5.5.1 no"):
            for keywords, lmtp in ((USUAL, False), ((), False), (USUAL, True), ((), True)):
                self.assertEqual(
                    self.behind(f"{reply}\r\n", *keywords, lmtp=lmtp),
                    [f"{reply} (DATA)", "550 5.1.1 no (RCPT)"],
                )
        two_lines = self.behind("552-5.3.4 too\r\n552 5.3.4 large\r\n", *USUAL)
        self.assertEqual(two_lines[0], "552 5.3.4 too large (DATA)")

    def test_out_of_order(self) -> None:
        """503 to somebody else does not make it one of another transaction: that has 354."""
        names = "b@example.net", "c@example.net"
        replies = b"250 ok\r\n250 ok\r\n503 5.5.1 no\r\n354 go\r\n503 5.5.1 never\r\n"
        played = Played([*group(*names), Send(replies), Ended()], envelope(*names), *USUAL)
        self.assertEqual(played.outcomes, ["503 5.5.1 never (DATA)", "503 5.5.1 no (RCPT)"])

    def test_other(self) -> None:
        """What is more or less than one refusal decides nothing for anybody (L12, PEER-27)."""
        no = "550 5.7.1 no\r\n"
        for extra in (
            "250 ok\r\n",
            "354 go\r\n",
            no * 2,
            f"{no}250 ok\r\n",
            f"{no}2",
            f"{no}x\r\n",
        ):
            for keywords in (USUAL, ()):
                for outcome in self.behind(extra, *keywords):
                    self.assertRegex(outcome, r"\A451 4\.5\.0 protocol error: .*[^?]\Z")

    def test_nobody(self) -> None:
        """Where nobody was accepted, each keeps his own refusal (PEER-22)."""
        script = [*group(), "S: 250 ok", "S: 450 4.2.1 no", Send(b"354 go\r\n550 no\r\n"), Ended()]
        self.assertEqual(Played(script, envelope(), *USUAL).outcomes, ["450 4.2.1 no (RCPT)"])

    def test_elsewhere(self) -> None:
        """It takes 354, and that in answer to DATA (PEER-17, PEER-33, L12)."""
        both = Send(b"354 go\r\n550 no\r\n")
        for script in (
            [group()[0], both],
            [*group()[:1], "S: 250 ok", group()[1], both],
            [*group()[:1], "S: 354 go", Ended()],
        ):
            [outcome] = Played([*script, Ended()], envelope()).outcomes
            self.assertRegex(outcome, r"\A451 4\.5\.0 protocol error")
        script = [*group(), Send(b"250 ok\r\n354 go\r\n354 go\r\n550 no\r\n"), Ended()]
        [outcome] = Played(script, envelope(), *USUAL).outcomes
        self.assertRegex(outcome, r"\A451 4\.5\.0 protocol error: '354 go' in reply to RCPT")
        script = [*group(), "S: 250 ok", "S: 250 ok", Send(b"554 no\r\n550 no\r\n"), Ended()]
        [outcome] = Played(script, envelope(), *USUAL).outcomes
        self.assertRegex(outcome, r"\A451 4\.5\.0 protocol error: unexpected reply '550 no'")


class FinalTests(SynchronousTestCase):
    """The reply to the end of data."""

    def ended(self, *steps: Any, **options: Any) -> str:
        """Return the outcome when this follows the message."""
        played = Played([*group(), *READY, Body(), *steps], envelope(), *USUAL, **options)
        return played.outcomes[0]

    def test_incomplete(self) -> None:
        """Less than a whole reply says nothing: ambiguous (PEER-05, PEER-31, L4, OUT-07)."""
        for octets in (b"", b"2", b"25", b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n", b"550 no"):
            for end in (Close(), Reset(), HalfClose()):
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

    def test_one_outcome(self) -> None:
        """One reply is read once, whomever it is for: a thousand recipients share its outcome."""
        sent = Sent(many(1000)).run()
        outcomes = list(sent.transaction.outcomes.values())
        self.assertEqual(len(outcomes), 1000)
        self.assertEqual({id(outcome) for outcome in outcomes}, {id(outcomes[0])})
