# -*- test-case-name: tests.relay.smtp.test_static_laws -*-
"""The laws of a delivery, whatever a host answers at whatever point (PEER-52).

Every reply of some dialogues is replaced by each of many others.  What the relay reports is judged
by a witness who knows nothing of the relay: he has seen what went over the wire, and what the host
took.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError
from slimtwist.outcome import Outcome, Verdict
from slimtwist.testing import Close, HalfClose, MemoryReactor, Reset, Send, Stall, Wait
from slimtwist.testing.answers import Answer
from slimtwist.testing.smarthost import FakeSmarthost
from slimtwist.testing.steps import Stage, Step
from tests.smtp.talks import TEXT, USUAL, listen, many, static


@dataclass(frozen=True)
class Beside:
    """Something said beside the answer, of which the host itself thinks nothing."""

    octets: bytes

    def play(self, stage: Stage) -> bool:
        """Say it."""
        stage.send(self.octets)
        return True


#: Replies of one line, each sent in the place of any other.
CODES = (
    *("200 a", "211 a", "220 a", "221 a", "235 a", "250 a", "251 a", "252 a", "299 a"),
    *("300 a", "334 a", "352 a", "354 a", "355 a"),
    *("400 a", "432 a", "450 4.2.1 a", "451 a", "452 4.5.3 a", "452 4.2.2 a", "454 a", "499 a"),
    *("500 a", "501 a", "502 a", "503 a", "504 a", "521 a", "530 a", "535 a", "550 5.1.1 a"),
    *("551 a", "552 a", "553 a", "554 a", "555 a", "556 a", "559 a", "571 a", "599 a"),
    *("250", "550", "421 4.3.2 a", "250-a\n250 b", "550-a\n550 b", "450 5.1.1 a"),
)
#: What is no reply, or not one.
GARBAGE = (
    *("25", "2500 a", "099 a", "199 a", "600 a", "850 RUBBISH", "-1 ", " 25", "+25", "2_0", "abc"),
    *("", "250-a\n550 b", "550-a\n250 b", "354-a\n250 b", "a" * 9000, "250-a\n" * 300 + "250 a"),
)
#: The usual answer is C{None}.
Deed = tuple[str | Step | None, ...]
#: What a host does instead of answering, or beside it.
DEEDS: tuple[Deed, ...] = (
    (Stall(),),
    (Close(), Stall()),
    (Reset(), Stall()),
    (HalfClose(), Stall()),
    (Send(b"2"), Close(), Stall()),
    (Send(b"250"), Close(), Stall()),
    (Send(b"250 a"), Reset(), Stall()),
    (Send(b"250-a\r\n"), Close(), Stall()),
    (Send(b"\0\r\n"),),
    (Send(b"250 \xff\0\x1b[2J\r\n"),),
    (Send(b"550 \xff\0\x1b[2J\r\n"),),
    (Send(b"250 a\n"),),
    ("421 4.3.2 a", Close(), Stall()),
    ("450 a", Close(), Stall()),
    ("550 a", Close(), Stall()),
    ("250 a", Close(), Stall()),
    ("354 a", Close(), Stall()),
    (None, Close(), Stall()),
    (None, Reset(), Stall()),
    (None, Beside(b"250 extra\r\n")),
    (None, Beside(b"550 extra\r\n")),
    (None, Beside(b"354 extra\r\n")),
    (None, Beside(b"421 extra\r\n")),
    (None, Beside(b"x")),
    (Beside(b"250 extra\r\n"), None),
    ("550 extra", Beside(b"250 usual\r\n")),
    ("550 extra", Beside(b"354 usual\r\n")),
    (Wait(100), None),
    (Wait(700), None),
    (Wait(100), "450 a"),
)
#: What a host says where nothing is replaced.
DEFAULTS = {
    "GREETING": "220 mx.example ESMTP",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go ahead",
    ".": "250 2.0.0 taken",
    "RSET": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


@dataclass
class Dialogue:
    """A way to talk to a host.

    @ivar keywords: what the host offers.
    @ivar options: of the relay.
    @ivar before: how many messages went over the connection before.
    @ivar answers: what the host says otherwise than most.
    """

    keywords: tuple[str, ...] = USUAL
    options: dict[str, Any] = field(default_factory=dict)
    before: int = 0
    answers: dict[str, Any] = field(default_factory=dict)


DIALOGUES = {
    "pipelined": Dialogue(),
    "lock-step": Dialogue(()),
    "LMTP": Dialogue(options={"lmtp": True}),
    "LMTP in lock-step": Dialogue((), {"lmtp": True}),
    "TLS": Dialogue((*USUAL, "STARTTLS"), {"tls": "opportunistic"}),
    "used": Dialogue(before=1),
    "used, lock-step": Dialogue((), before=1),
    "used, LMTP": Dialogue(options={"lmtp": True}, before=1),
    "one by one": Dialogue((*USUAL, "LIMITS RCPTMAX=1")),
    "one refused": Dialogue(answers={"RCPT": {"r1@example.net": "550 5.1.1 no"}}),
}
#: For each reply of a message to two: the command, and which of its kind it is.
POINTS = (("GREETING", 0), ("MAIL", 0), ("RCPT", 0), ("RCPT", 1), ("DATA", 0), (".", 0), (".", 1))


class Run:
    """A message to two, and another after it, while one reply is not what it should be."""

    def __init__(self, dialogue: Dialogue, point: tuple[str, int], answer: str | Deed) -> None:
        """Prepare.

        @param point: which command is answered otherwise, counted from the first message in
            question on.
        @param answer: how; C{None} in it is the usual answer.
        """
        command, number = point
        counts = {"GREETING": 0, "RCPT": 2, ".": 1 + dialogue.options.get("lmtp", False)}
        skipped = dialogue.before * counts.get(command, 1)
        rules = dict(dialogue.answers)
        rules[command] = [None] * (skipped + number) + [_filled(answer, DEFAULTS[command])]
        self.reactor = MemoryReactor()
        lmtp = dialogue.options.get("lmtp", False)
        self.host = FakeSmarthost(rules, dialogue.keywords, lhlo=lmtp)
        listen(self.reactor, self.host, lmtp=lmtp)
        self.relay = static(self.reactor, **dialogue.options)
        for _ in range(dialogue.before):
            self.reactor.wait(self.relay.attempt(many(2, b"before\r\n"), 0))
        self.said_before = len(self.host.transcript)
        self.taken_before = len(self.host.messages)
        self.outcomes = self.attempt(many(2))
        self.said = self.host.transcript[self.said_before :]
        self.taken = self.host.messages[self.taken_before :]

    def attempt(self, message: Envelope) -> tuple[Outcome, ...]:
        """Make an attempt, and return an outcome for each recipient."""
        wires = len(self.reactor.network.wires)
        try:
            report = self.reactor.wait(self.relay.attempt(message, 0), 3600).outcomes
        except RelayError as error:
            report = (error.outcome,) * len(message.recipients)
        self.reactor.advance(30)
        self.tapes = [bytes(wire.up.tape) for wire in self.reactor.network.wires[wires - 1 :]]
        return report

    @property
    def has_sent_all(self) -> bool:
        """Whether the end of a message went over the wire."""
        return any(b"text\r\n.\r\n" in tape or b"\x05\r\n.\r\n" in tape for tape in self.tapes)

    def copies(self, position: int, octets: bytes = TEXT) -> int:
        """Return how many copies of a message the host took for a recipient."""
        name = f"r{position}@example.net"
        return sum(m.recipients.count(name) for m in self.taken if m.octets == octets)


def _filled(answer: str | Deed, default: str) -> Answer:
    parts = answer if isinstance(answer, tuple) else (answer,)
    return tuple(default if part is None else part for part in parts)


def runs() -> Iterator[tuple[str, str, tuple[str, int], str | Deed]]:
    """Yield each dialogue with each reply replaced by each other."""
    answers: list[str | Deed] = [*CODES, *GARBAGE, *DEEDS]
    for (name, dialogue), point, answer in product(DIALOGUES.items(), POINTS, answers):
        lmtp = "lmtp" in dialogue.options
        if (point == (".", 1) and not lmtp) or (point[0] == "GREETING" and dialogue.before):
            continue
        if point[0] in dialogue.answers:
            continue
        # One reply too many is the next recipient's, as far as anybody can tell (LMTP-03).
        if not (point == (".", 0) and lmtp and any(isinstance(part, Beside) for part in answer)):
            yield name, f"{name} {point} {answer}"[:200], point, answer


class LawTests(SynchronousTestCase):
    """Each of some thousand runs against the laws."""

    def test_laws(self) -> None:
        """L1 to L4, and that the next message is as if nothing had been (L10, PEER-52)."""
        count = 0
        for name, case, point, answer in runs():
            run = Run(DIALOGUES[name], point, answer)
            for position in (0, 1):
                self.check(run, position, case)
            self.check_words(run, point, answer, case)
            self.check_next(run, name, case)
            count += 1
        self.assertGreater(count, 5000)
        self.flushLoggedErrors()

    def check(self, run: Run, position: int, case: str) -> None:
        """Check what is reported of a recipient against what the host did."""
        outcome, copies = run.outcomes[position], run.copies(position)
        self.assertLessEqual(copies, 1, case)  # L4
        if outcome.verdict is Verdict.DELIVERED:
            self.assertEqual(copies, 1, case)  # L1
        else:
            self.assertTrue(outcome.ambiguous or not copies, case)  # L4
        if outcome.ambiguous:
            self.assertEqual(outcome.verdict, Verdict.DEFERRED)
            self.assertTrue(run.has_sent_all, case)
        if outcome.verdict is Verdict.FAILED:
            refused = [line for line in run.host.transcript if line.startswith("S: 5")]
            self.assertTrue(refused, case)  # L2

    def check_words(self, run: Run, point: tuple[str, int], answer: str | Deed, case: str) -> None:
        """Check that a refusal arrives as what it is, and harms nobody else (L11, L12)."""
        command, number = point
        if not isinstance(answer, str) or answer not in CODES or answer[0] not in "45":
            return
        code, verdict = int(answer[:3]), Verdict.DEFERRED if answer[0] == "4" else Verdict.FAILED
        if command == "RCPT" and code not in (421, 452, 503):
            outcome = run.outcomes[number]
            self.assertEqual((outcome.reply.code, outcome.verdict), (code, verdict), case)
            if "550 5.1.1 no" not in str(run.said):
                self.assertEqual(run.outcomes[1 - number].verdict, Verdict.DELIVERED, case)
        elif command == "." and code != 421:
            self.assertEqual((run.outcomes[number].reply.code), code, case)
            self.assertEqual(run.outcomes[number].verdict, verdict, case)
        elif command in ("MAIL", "DATA") and code != 421:
            self.assertEqual((run.outcomes[0].reply.code), code, case)
            self.assertEqual(run.outcomes[0].verdict, verdict, case)

    def check_next(self, run: Run, name: str, case: str) -> None:
        """Check that the next message is delivered, and that nothing is left in the end."""
        run.taken_before = len(run.host.messages)
        after = run.attempt(many(2, b"after\r\n"))
        run.taken = run.host.messages[run.taken_before :]
        expected = 1 if name == "one refused" else 2
        delivered = [outcome for outcome in after if outcome.verdict is Verdict.DELIVERED]
        self.assertEqual(len(delivered), expected, case)
        copies = [run.copies(position, b"after\r\n") for position in (0, 1)]
        self.assertEqual(sum(copies), expected, case)
        run.reactor.wait(run.relay.stop())
        run.reactor.flush()
        left = run.reactor.leftovers()
        self.assertFalse(left.timers + left.producers, case)
        self.assertIn("<Pool 0 open, 0 opening, 0 running, 0 waiting>", repr(run.relay))
