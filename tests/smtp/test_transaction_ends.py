# -*- test-case-name: tests.smtp.test_transaction_ends -*-
"""Tests of how a mail transaction ends that does not go on: deadlines, and cuts at every octet."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist import content as content_module
from slimtwist.envelope import Envelope
from slimtwist.outcome import Verdict
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import (
    Body,
    Cut,
    Ended,
    Stall,
    Wait,
    drip,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.plays import READY, Played, Sent, told
from tests.smtp.talks import TEXT, USUAL, Talk, envelope, group, many

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


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
        """A message has to leave at 500 octets a second on average (L7)."""
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
