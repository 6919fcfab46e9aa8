# -*- test-case-name: tests.faults.test_cuts_smtp -*-
"""A connection to a host is cut at every octet, in either direction, by FIN and by RST.

The host may also end its own direction only, and read on (PEER-05).

Where the cut was tells what must have become of each recipient.  Before the end of data has left,
the message is not sent, and nobody can think otherwise: it is deferred, or, over a connection that
was used before, tried again at once.  From there to the last octet of the reply it is ambiguous.
After that it is what the reply said.  How long a dialogue is, is learned from a run without a cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Outcome, Verdict
from slimtwist.testing import Cut
from slimtwist.testing.network import Wire
from tests.faults.delivery import DIALOGUES, PEOPLE, Dialogue, Run, Undisturbed, Way
from tests.faults.tapes import Tape, in_clear

#: What becomes of the recipients whom nothing happens to.
USUAL = [["delivered 250", "failed 550", "delivered 250"], ["deferred 450", "delivered 250"]]


class CutTests(SynchronousTestCase):
    """L1 to L4, L9, L10; PEER-31, POOL-01."""

    def sweep(self, name: str, way: Way, how: Cut) -> None:
        """Cut one dialogue at each octet of one direction."""
        if wrong := next(complaints(name, way, how), None):
            self.fail(wrong)
        self.assertEqual(self.flushLoggedErrors(), [])


def complaints(name: str, way: Way, how: Cut) -> Iterator[str]:
    """Cut one dialogue at each octet of one direction, and yield what is wrong."""
    dialogue = DIALOGUES[name]
    usual = Undisturbed.of(dialogue)
    if (usual.run.told(), usual.run.left) != (USUAL, ()):
        yield f"{name} without a cut: {usual.run.told()}"
    octets = usual.up if way == "up" else usual.down
    for offset in range(len(octets) + 1):
        if wrong := Cutting(dialogue, usual, way, how, offset).wrongs():
            spot = octets[max(0, offset - 20) : offset]
            yield f"{name}, {way} {how.value} at {offset}, after {spot!r}: {wrong}"


@dataclass(frozen=True)
class Marks:
    """Where things end, of one message, in octets of one direction.

    @ivar asked: up to here the host has not asked for the message.
    @ivar sent: up to here the end of data has not left.
    @ivar answers: from here on each of its answers is there.
    """

    asked: int
    sent: int
    answers: tuple[int, ...]

    @classmethod
    def up(cls, octets: bytes) -> list[Marks]:
        """Look at what the client said: what follows an end of data comes after its answers."""
        found = Tape.of(octets).messages()
        return [cls(asked, sent, (end + 1,)) for asked, sent, end in found]

    @classmethod
    def down(cls, octets: bytes) -> list[Marks]:
        """Look at what the host said: the end of data leaves between 354 and what follows it."""
        found = Tape.of(octets).answers(len(PEOPLE[0]))
        return [cls(asked - 1, asked, tuple(ends)) for asked, ends in found]


class Cutting:
    """One run with a cut, and what is wrong with it."""

    def __init__(
        self, dialogue: Dialogue, usual: Undisturbed, way: Way, how: Cut, offset: int
    ) -> None:
        """Run it."""
        self.dialogue = dialogue
        self.way = way
        self.how = how
        self.offset = offset
        self.run = Run(dialogue, self.cut)
        self.marks = Marks.up(usual.up) if way == "up" else Marks.down(usual.down)

    def cut(self, wire: Wire) -> None:
        """Arrange for the cut."""
        flow = wire.up if self.way == "up" else wire.down
        flow.cut(self.offset, self.how)

    def wrongs(self) -> list[str]:
        """Return what breaks a law."""
        found = [f"left: {each}" for each in self.run.left]
        found += [wrong for session in self.run.host.sessions for wrong in session.wrongs]
        if self.dialogue.options.get("tls") == "encrypt":
            tapes = [bytes(wire.up.tape) for wire in self.run.wires]
            found += [f"in clear: {each!r}" for each in tapes if b"MAIL" in in_clear(each)]
        for number, people in enumerate(PEOPLE):
            found += self._wrong_copies(number)
            expected = self._expected(number)
            given = self.run.told()[number]
            if given not in expected:
                found.append(
                    f"message {number}: {given}, and not {' or '.join(map(str, expected))}"
                )
            if len(given) != len(people):
                found.append(f"message {number}: {len(given)} outcomes")
        return found

    def _wrong_copies(self, number: int) -> list[str]:
        """Compare what is reported with what the host has (L1, L4)."""
        found = []
        for name, outcome in zip(PEOPLE[number], self.run.outcomes[number], strict=True):
            copies = self.run.copies(name)
            if not _possible(outcome, copies):
                found.append(f"{name} has {copies} copies: {outcome}")
        return found

    def _expected(self, number: int) -> list[list[str]]:
        """Return what may become of a message's recipients."""
        marks, usual = self.marks[number], USUAL[number]
        if self.offset > marks.sent:
            return [self._answered(marks, usual)]
        if number and (self.offset <= marks.asked):
            return [usual]  # the connection was used, or is another one (POOL-01)
        return self._lost(number, usual)

    def _answered(self, marks: Marks, usual: list[str]) -> list[str]:
        """Return what becomes of recipients whose message was sent, answered or not."""
        told, ends = [], iter(marks.answers)
        last = 0
        for each in usual:
            last = next(ends, last) if each == "delivered 250" else last
            unknown = each == "delivered 250" and self.offset < last
            told.append("deferred 451?" if unknown else each)
        return told

    def _lost(self, number: int, usual: list[str]) -> list[list[str]]:
        """Return what becomes of recipients whose message was not sent."""
        refused = number or self._refusal_came()
        told = [
            each if refused and not each.startswith("delivered") else "deferred 451"
            for each in usual
        ]
        return [told, usual] if self.dialogue.again and not number else [told]

    def _refusal_came(self) -> bool:
        """Tell whether the host's refusal of a recipient of the first message has come."""
        tape = Tape.of(bytes(self.run.wires[0].down.tape))
        return b"550 no r2\r\n" in tape.said


def _possible(outcome: Outcome, copies: int) -> bool:
    """Tell whether an outcome fits what the host has."""
    if outcome.verdict is Verdict.DELIVERED:
        return copies == 1
    return copies == 0 or (copies == 1 and outcome.ambiguous)


def _test(name: str, way: Way, how: Cut) -> None:
    """Add a test of one dialogue, direction and kind of cut."""

    def test(self: CutTests) -> None:
        self.sweep(name, way, how)

    words = name.replace(",", "").replace("-", " ").split()
    test.__name__ = "_".join(["test", *words, way, how.value]).lower()
    test.__doc__ = (
        f"{name}, cut on the way {way} by {how.name} at every octet (L1 to L4, L9, POOL-01)."
    )
    setattr(CutTests, test.__name__, test)


for _name in DIALOGUES:
    for _how in (Cut.FIN, Cut.RST):
        _test(_name, "up", _how)
        _test(_name, "down", _how)
    _test(_name, "down", Cut.HALF)  # PEER-05
