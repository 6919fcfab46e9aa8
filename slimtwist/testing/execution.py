# -*- test-case-name: tests.testing.test_programs -*-
"""A run of a made-up program: what the kernel knows of a process, and the test sees of it.

Sources: fork(2), execve(2), signal(7), wait(2).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall

from slimtwist.testing.pipes import Pipe
from slimtwist.testing.programs import Exit, Play, ProgramStep

#: Signals that stop a process, and those that do nothing to it, unless it has set a trap.
_STOPPING: Final = {signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
_IGNORED: Final = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where a program runs.

    @ivar environment: its variables.
    @ivar directory: the folder; C{None}: that of whoever has started it.
    @ivar uid: the user.
    @ivar gid: the group.
    """

    environment: dict[str, str]
    directory: str | None
    uid: int
    gid: int


class Kernel(Protocol):
    """What a process needs of its kernel."""

    def at(self, seconds: float, call: Callable[[], object]) -> IDelayedCall:
        """Call so many seconds from now."""

    def forked(self, parent: Execution) -> Execution:
        """Return a new process, with a number of its own and else like another one."""

    def ended(self, run: Execution) -> None:
        """Take note that a process has ended."""


class Execution:
    """A process.

    @ivar pid: its number.
    @ivar group: its process group.
    @ivar argv: the program and its arguments.
    @ivar limits: what prlimit(1) was told, if it was: C{cpu=7}.
    @ivar surroundings: where it runs.
    @ivar octets: what it has read from its input.
    @ivar status: how it has ended, as wait(2) tells; C{None}: it has not.
    @ivar traps: signals for which it has a trap.
    @ivar done: octets that the current step has read or written.
    """

    def __init__(
        self, kernel: Kernel, pid: int, group: int, argv: Sequence[str], place: Surroundings
    ) -> None:
        """Be ready to begin; the kernel does this."""
        self.pid = pid
        self.group = group
        self.argv = [*argv]
        self.limits: list[str] = []
        self.surroundings = place
        self.octets = bytearray()
        self.status: int | None = None
        self.traps: dict[signal.Signals, tuple[ProgramStep, ...]] = {}
        self.done = 0
        self._kernel = kernel
        self._descriptors: dict[int, tuple[Pipe, bool]] = {}
        self._plays: list[Iterator[Play]] = []
        self._step: ProgramStep | None = None
        self._call: IDelayedCall | None = None
        self._held: list[signal.Signals] = []
        self._playing = self._paused = self._resting = self._deaf = False

    def __str__(self) -> str:
        return f"{self.pid} {' '.join(self.argv)}"

    def __repr__(self) -> str:
        how = "running" if self.running else f"ended with {self.status:#x}"
        return f"<{type(self).__name__} {self}, {how}>"

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.status is None

    def begin(self, *plays: Play) -> None:
        """Do this from now on, and nothing else, in a later turn."""
        self._plays = [iter(plays)]
        self._step = None
        self.done = 0
        self._resting = False
        self._later(0.0)

    def connect(self, number: int, pipe: Pipe, *, writing: bool) -> None:
        """Have a descriptor, to write or to read."""
        self._descriptors[number] = (pipe, writing)
        pipe.watchers.append(self)

    # What steps do.

    def read(self, size: int) -> bytes | None:
        """Read from the input; none at its end, C{None} if there is nothing yet."""
        if 0 not in self._descriptors:
            return b""
        octets = self._descriptors[0][0].read(size)
        self.octets += octets or b""
        return octets

    def write(self, number: int, octets: bytes) -> int:
        """Write to a descriptor, and return how many octets it took; to none it is lost."""
        if number not in self._descriptors:
            return len(octets)
        try:
            return self._descriptors[number][0].write(octets)
        except BrokenPipeError:
            self.signal(signal.SIGPIPE)
            return len(octets)

    def close(self, number: int) -> None:
        """Close a descriptor, if it is open."""
        if number in self._descriptors:
            pipe, writing = self._descriptors.pop(number)
            pipe.watchers.remove(self)
            pipe.close(writing=writing)

    def sleep(self, seconds: float, *, deaf: bool = False) -> None:
        """Do nothing for so long."""
        self._deaf = deaf
        self._later(seconds)

    def rest(self) -> None:
        """Do nothing any more."""
        self._resting = True

    def fork(self, steps: Sequence[ProgramStep], *, session: bool) -> None:
        """Start a child, which ignores what its parent ignores, but has none of the other traps."""
        child = self._kernel.forked(self)
        if session:
            child.group = child.pid
        child.traps = {number: () for number, steps in self.traps.items() if not steps}
        for number, (pipe, writing) in self._descriptors.items():
            pipe.writers += writing
            pipe.readers += not writing
            child.connect(number, pipe, writing=writing)
        child.begin(*steps)

    def exit(self, status: int) -> None:
        """End with a status."""
        self._end(status << 8)

    def die(self, number: signal.Signals) -> None:
        """End by a signal."""
        self._end(int(number))

    # What the kernel does.

    def signal(self, number: signal.Signals) -> None:
        """Get a signal."""
        if self._deaf:
            self._held.append(number)
        elif number in self.traps:
            if self.traps[number]:
                self.begin(*self.traps[number])
        elif number in _STOPPING:
            self._paused = True
        elif number not in _IGNORED and self.running:
            self.die(number)
        if number == signal.SIGCONT and self._paused:
            self._paused = False
            self.wake()

    def wake(self) -> None:
        """Look again whether something can be done: a pipe has changed."""
        if self.running and self._call is None and not self._playing:
            self._later(0.0)

    def _later(self, seconds: float) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call = self._kernel.at(seconds, self._go)

    def _go(self) -> None:
        """Do what can be done now."""
        self._call = None
        self._hear()
        self._playing = True
        while self._ready():
            step = self._step = self._step or self._next()
            finished = step.play(self)
            if finished and self._step is step:
                self._step = None
                self.done = 0
            if not finished:
                break
        self._playing = False

    def _ready(self) -> bool:
        return self.running and self._call is None and not (self._resting or self._paused)

    def _hear(self) -> None:
        """Get the signals that came while it could not hear."""
        self._deaf = False
        held, self._held = self._held, []
        for number in held:
            self.signal(number)

    def _next(self) -> ProgramStep:
        while self._plays:
            play = next(self._plays[-1], None)
            if play is None:
                self._plays.pop()
            elif callable(play):
                self._plays.append(iter(play(self)))
            else:
                return play
        return Exit(0)

    def _end(self, status: int) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        self.status = status
        for number in [*self._descriptors]:
            self.close(number)
        self._kernel.ended(self)
