# -*- test-case-name: tests.testing.test_programs -*-
"""Programs that a test makes up, and what they do, step by step.

A program that reads its message slowly, says why it does not want it, and leaves somebody behind::

    reactor.programs["maildrop"] = FakeProgram(
        Read(pace=1000), Fork(Wait(60)), Print("4.2.2 mailbox full"), Exit(75)
    )

The steps C{Wait}, C{Call} and C{Stall} are those of L{slimtwist.testing.steps}.  After the last
step a program exits with status 0.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from slimtwist.testing.pipes import CAPACITY

if TYPE_CHECKING:
    from slimtwist.testing.execution import Execution


class ProgramStep(Protocol):
    """One thing that a program does, or waits for."""

    def play(self, stage: Execution) -> bool:
        """Do it, and return whether it is done."""


#: A step; or a function that is called with the run, and returns the steps that take its place.
Play = ProgramStep | Callable[["Execution"], Iterable["Play"]]


@dataclass(frozen=True, slots=True)
class Read:
    """Read the input, to its end or so many octets of it.

    @ivar octets: how many; C{None}: to the end.
    @ivar pace: octets a second; 0: as fast as they come.
    """

    octets: int | None = None
    pace: float = 0.0

    def play(self, stage: Execution) -> bool:
        """Read what is there."""
        while (size := self._most(stage)) > 0:
            octets = stage.read(size)
            if octets is None:
                return False
            if not octets:
                return True
            stage.done += len(octets)
            if self.pace:
                stage.sleep(len(octets) / self.pace)
                return False
        return True

    def _most(self, stage: Execution) -> int:
        """Return how many octets may be read at a time; with a pace those of about a second."""
        most = max(1, int(self.pace)) if self.pace else CAPACITY
        return most if self.octets is None else min(most, self.octets - stage.done)


@dataclass(frozen=True, slots=True)
class Print:
    """Write a text or octets; with nobody to read them, die of SIGPIPE.

    @ivar text: what is written.
    @ivar descriptor: 1 is the standard output, 2 that for errors.
    """

    text: str | bytes
    descriptor: int = 1

    def play(self, stage: Execution) -> bool:
        """Write as much as there is room for."""
        octets = self.text.encode() if isinstance(self.text, str) else self.text
        stage.done += stage.write(self.descriptor, octets[stage.done :])
        return stage.done >= len(octets)


@dataclass(frozen=True, slots=True)
class Shut:
    """Close descriptors of its own, such as 0, the input."""

    descriptors: tuple[int, ...]

    def __init__(self, *descriptors: int) -> None:
        """Close these."""
        object.__setattr__(self, "descriptors", descriptors)

    def play(self, stage: Execution) -> bool:
        """Close them."""
        for each in self.descriptors:
            stage.close(each)
        return True


@dataclass(frozen=True, slots=True)
class Exit:
    """Exit with a status from 0 to 255."""

    status: int = 0

    def play(self, stage: Execution) -> bool:
        """Exit."""
        stage.exit(self.status)
        return True


@dataclass(frozen=True, slots=True)
class Die:
    """Be killed by a signal, as by a fault of its own or by the system."""

    number: signal.Signals = signal.SIGKILL

    def play(self, stage: Execution) -> bool:
        """Die."""
        stage.die(self.number)
        return True


@dataclass(frozen=True, slots=True)
class Trap:
    """Do something else from now on when a signal comes; without steps, ignore it.

    @ivar number: the signal; KILL and STOP cannot be trapped.
    @ivar steps: what is done then, instead of the steps that are left.
    """

    number: signal.Signals
    steps: tuple[ProgramStep, ...]

    def __init__(self, number: signal.Signals, *steps: ProgramStep) -> None:
        """Trap a signal.

        @raise ValueError: that one cannot be trapped.
        """
        if number in {signal.SIGKILL, signal.SIGSTOP}:
            raise ValueError(f"{number.name} cannot be trapped")
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "steps", steps)

    def play(self, stage: Execution) -> bool:
        """Set the trap."""
        stage.traps[self.number] = self.steps
        return True


@dataclass(frozen=True, slots=True)
class Fork:
    """Start a process that does other steps, with the same descriptors and in the same group.

    @ivar steps: what it does.
    @ivar session: whether it leaves the group, as a daemon does (setsid(2)).
    """

    steps: tuple[ProgramStep, ...]
    session: bool

    def __init__(self, *steps: ProgramStep, session: bool = False) -> None:
        """Start one."""
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "session", session)

    def play(self, stage: Execution) -> bool:
        """Fork."""
        stage.fork(self.steps, session=self.session)
        return True


@dataclass(frozen=True, slots=True)
class Hang:
    """Wait for a device for so many seconds, deaf for signals, KILL included.

    @ivar seconds: how long.
    """

    seconds: float

    def play(self, stage: Execution) -> bool:
        """Begin to wait."""
        stage.sleep(self.seconds, deaf=True)
        return True


class FakeProgram:
    """A program that does what a test says.

    @ivar executable: whether it may be run; if not, it is there in vain.
    @ivar runs: every run of it, in order.
    """

    def __init__(
        self,
        *steps: Play,
        executable: bool = True,
    ) -> None:
        """Make up a program.

        @param steps: what it does. A function among them is called with the run when it is its
            turn, and returns the steps that take its place: they may depend on the arguments, or on
            what was read. Without any, the program reads all and exits with 0.
        """
        self.steps: tuple[Play, ...] = steps or (Read(),)
        self.executable = executable
        self.runs: list[Execution] = []
