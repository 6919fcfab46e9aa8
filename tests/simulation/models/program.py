# -*- test-case-name: tests.simulation.test_simulation -*-
"""A delivery program: it reads a message, keeps it for its recipients, and says how that went.

How it behaves is the plan's.  It keeps a message only when it has read it to the end of its input,
as real programs do that cannot know where a message ends: an input that is closed too early would
be kept as a message that was cut.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from slimtwist.outcome import Outcome
from slimtwist.testing.execution import Execution
from slimtwist.testing.programs import Die, Exit, FakeProgram, Fork, Hang, Play, Print, Read, Trap
from slimtwist.testing.steps import Wait
from tests.simulation.ledger import Said, Stored, message_name
from tests.simulation.oracles import parts

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Exit statuses after which another try may help: sysexits.h, and 126 and 127 of who starts it.
TRANSIENT: Final = frozenset({69, 70, 71, 72, 74, 75, 78, 126, 127})
_STATUSES: Final = (1, 2, 64, 65, 66, 67, 68, *sorted(TRANSIENT), 73, 76, 77, 100, 255)
_SIGNALS: Final = (signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV)
#: Seconds after which every wait has passed.
_LONG: Final = 5000.0

#: What a program may do instead of taking the message.
BEHAVIOURS: Final = (
    *(f"exit {status}" for status in _STATUSES),
    *(f"early {status}" for status in (67, 75)),
    *(f"die {number.value}" for number in _SIGNALS),
    *(f"early die {number.value}" for number in _SIGNALS),
    *("says 4.2.2", "says 5.7.1", "hangs", "deaf", "stubborn", "late", "late and stubborn"),
    *("slow", "loud", "grandchild", "daemon", "after a while", "parent", "pausing"),
)
#: What only makes sense where a program has to read all of a message: it agrees, and has not.
UNREAD: Final = "early 0"


class Mailboxes:
    """The program, for all messages of a run."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ledger = world.ledger
        self.program = FakeProgram(self._begin)

    def _begin(self, run: Execution) -> list[Play]:
        sender, *recipients = run.argv[2:]
        one = len(recipients) == 1
        subject = recipients[0].partition("@")[0] if one else message_name(recipients[0])
        name = self._world.script.choose("program", subject)
        delivery = _Delivery(self._world, run, sender, tuple(recipients))
        return delivery.plays(name)


class _Delivered:
    """The step of a process that does not exit with it: it keeps the message."""

    def __init__(self, delivery: _Delivery) -> None:
        self._delivery = delivery

    def play(self, stage: Execution) -> bool:
        """Keep it."""
        self._delivery.keep(self._delivery.say(0))
        return True


class _Delivery:
    """One run."""

    def __init__(
        self, world: World, run: Execution, sender: str, recipients: tuple[str, ...]
    ) -> None:
        self._ledger = world.ledger
        self._clock = world.reactor
        self._run = run
        self._sender = sender
        self._recipients = recipients

    def plays(self, name: str | None) -> list[Play]:
        """Return what is done."""
        take: list[Play] = [Read(), self._end(0, keep=True)]
        word, _, last = (name or "").rpartition(" ")
        if word == "exit":
            return [Read(), self._end(int(last))]
        if word == "early":
            return [self._end(int(last))]
        if word.endswith("die"):
            died: list[Play] = [Die(signal.Signals(int(last)))]
            return died if word.startswith("early") else [Read(), *died]
        if word == "says":
            return [Read(), self._end(1, f"{last} ")]
        others: dict[str, list[Play]] = {
            "": take,
            "hangs": [Read(), Wait(_LONG)],
            "deaf": [Read(), Hang(_LONG)],
            "stubborn": [Trap(signal.SIGTERM), Wait(_LONG)],
            "late": [Read(), Wait(700), *take],
            "late and stubborn": [Trap(signal.SIGTERM), Read(), Wait(700), *take],
            "slow": [Read(pace=50.0), *take],
            "loud": [Print("x" * 100_000 + "\n"), *take],
            "grandchild": [Fork(Wait(60.0)), *take],
            "daemon": [Fork(Wait(60.0), session=True), *take],
            "after a while": [Read(), Wait(15.0), *take],
            # A child delivers while its parent waits for something else.
            "parent": [Read(), Fork(Wait(20.0), _Delivered(self)), Wait(_LONG)],
            "pausing": [Trap(signal.SIGTERM), Wait(12.0), *take],
        }
        return others[name or ""]

    def _end(
        self, status: int, word: str = "", *, keep: bool = False
    ) -> Callable[[Execution], list[Play]]:
        """Return the step that decides, says so, and exits."""

        def decide(_: Execution) -> list[Play]:
            said = self.say(status, word)
            if keep:
                self.keep(said)
            return [Print(f"{word}#{said.token}# said\n"), Exit(status)]

        return decide

    def say(self, status: int, word: str = "") -> Said:
        """Note what the program says."""
        kind = "yes" if not status else "transient" if status in TRANSIENT else "permanent"
        if word:
            kind = "transient" if word.startswith("4") else "permanent"
        said = Said(
            self._ledger.next_token(),
            self._run.pid,
            "end of data",
            kind,
            self._clock.seconds(),
            self._sender,
            self._recipients,
        )
        return self._ledger.say(said)

    def keep(self, said: Said) -> None:
        """Keep what was read."""
        octets = bytes(self._run.octets)
        for each in self._recipients:
            self._ledger.stored.append(Stored(self._sender, each, octets, said.token))
        key, _ = parts(octets)
        for attempt in self._ledger.attempts:
            if attempt.key == key and not all(map(_given_up, attempt.outcomes or ())):
                self._ledger.wrong("L2", f"{self._recipients} kept after attempt {key} had ended")


def _given_up(outcome: Outcome) -> bool:
    """Tell whether nobody waited for the end, and this was said."""
    return outcome.ambiguous and outcome.reply.enhanced in ("4.3.2", "4.4.7")
