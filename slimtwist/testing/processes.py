# -*- test-case-name: tests.testing.test_processes -*-
"""Processes in memory: which programs there are, which run, and what a kernel does with them.

It is the C{system} of a L{MemoryReactor<slimtwist.testing.MemoryReactor>}: what relays ask past the
reactor (L{slimtwist.relay.system}) is answered here too, so that C{setsid}, C{prlimit}, process
groups and what is left in a pipe are as with real programs.

Sources: fork(2), execve(2), kill(2), wait(2), setsid(1), prlimit(1).
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IProcessProtocol

from slimtwist.relay.system import CannotRun
from slimtwist.testing.child import MemoryProcess
from slimtwist.testing.execution import Execution, Surroundings
from slimtwist.testing.pipes import Pipe, PipeEnd
from slimtwist.testing.programs import Exit, FakeProgram, Play, Print
from slimtwist.testing.sockets import failure

#: Programs that do something to themselves and then become another one.
_WRAPPERS: Final = {"/usr/bin/setsid", "/usr/bin/prlimit"}
_OWN_GROUP: Final = 1
#: Octets of the longest argument, and of all arguments and variables with a stack of 8 MiB.
_LONGEST: Final = 128 * 1024
_LARGEST: Final = 2 * 1024 * 1024
_NUMBERS: Final = 1000
#: Descriptors that whoever starts a program has by default, and what he does with them.
STANDARD: Final = {0: "w", 1: "r", 2: "r"}


@dataclass(frozen=True, slots=True)
class Command:
    """What a process is started with, as C{spawnProcess} is told.

    @ivar forked: whether it is forked, and fails to become the program when it runs already; if
        not, starting it fails.
    """

    executable: str
    argv: Sequence[str]
    place: Surroundings
    forked: bool


class Processes:
    """All processes of a host, and its programs.

    @ivar programs: the programs, by name or by path: C{"maildrop"} is in every PATH.
    @ivar running: the processes that have not ended, with those that nobody has waited for.
    @ivar children: what the reactor has of those that it has started.
    @ivar uid: the user that the test's own process is.
    @ivar gid: his group.
    @ivar closed: folders that are not there, or that he may not enter.
    @ivar trouble: the number of the error with which every start fails (C{errno.EAGAIN}); or 0.
    @ivar telling: whether the reactor is told when a child ends (SIGCHLD).
    """

    def __init__(self, reactor: Any) -> None:  # noqa: ANN401 - the one in memory
        """Begin without a program."""
        self._reactor = reactor
        self._last = _NUMBERS
        self.programs: dict[str, FakeProgram] = {}
        self.running: dict[int, Execution] = {}
        self.children: dict[int, MemoryProcess] = {}
        self._piped: dict[int, MemoryProcess] = {}
        self._stolen: set[int] = set()
        self._reopened: dict[int, PipeEnd] = {}
        self.uid = self.gid = _NUMBERS
        self.closed: set[str] = set()
        self.trouble = 0
        self.telling = True

    # What the reactor does.

    def spawn(
        self, protocol: IProcessProtocol | None, command: Command, plan: Mapping[int, str]
    ) -> MemoryProcess:
        """Start a process. See C{IReactorProcess}.

        @param plan: its descriptors, and whether whoever starts it reads or writes there.
        @raise OSError: it cannot be started.
        """
        if self.trouble:
            raise failure(self.trouble)
        if not command.forked and (
            number := self._wrong(command.executable, command.argv, command.place)
        ):
            raise failure(number)
        run = self._new(_OWN_GROUP, command.argv, command.place)
        ends = {number: self._pipe(run, number, kind == "w") for number, kind in plan.items()}
        run.begin(lambda run: self._execute(run, command.executable))
        child = MemoryProcess(self._reactor, self, run.pid, ends)
        self._pipes()[run.pid] = self.children[run.pid] = child
        child.begin(protocol)
        return child

    def wait(self, pid: int | None) -> int | None:
        """Return how a child has ended, once; C{None} if it has not, or is none."""
        if pid is None or pid not in self.running or self.running[pid].status is None:
            return None
        self.children.pop(pid, None)
        return self.running.pop(pid).status

    def steal(self, pid: int) -> None:
        """Let somebody else in this process wait for a child: he takes its status along."""
        self._stolen.add(pid)

    # What a System does.

    def users(self) -> set[int]:
        """Return the user."""
        return {self.uid}

    def group(self) -> int:
        """Return his group."""
        return self.gid

    def find(self, name: str, path: str) -> str:
        """Return where a program is."""
        program = self.programs.get(name)
        if program is None or not program.executable:
            raise CannotRun(f"{name} is not there, or not executable")
        return name if "/" in name else f"{path.partition(':')[0]}/{name}"

    def enterable(self, directory: str) -> bool:
        """Tell whether a folder can be entered."""
        return directory not in self.closed

    def spare(self, descriptors: int) -> None:
        """Have as many as are wanted."""

    def kill(self, pid: int, number: int) -> None:
        """Send a signal to a process."""
        if pid not in self.running:
            raise failure(errno.ESRCH)
        _send([self.running[pid]], number)

    def killpg(self, pid: int, number: int) -> None:
        """Send a signal to a group."""
        members = [run for run in self.running.values() if run.group == pid]
        if not members:
            raise failure(errno.ESRCH)
        _send(members, number)

    def lives(self, group: int) -> bool:
        """Tell whether a process of a group has not ended."""
        return any(run.group == group and run.running for run in self.running.values())

    def reap(self) -> None:
        """Tell of children that have ended."""
        for child in [*self.children.values()]:
            child.reapProcess()

    def forget(self, pid: int, transport: object) -> None:
        """Wait for a child no more."""
        self.children.pop(pid, None)

    def reopen(self, number: int) -> int:
        """Open a pipe once more, to read."""
        end: Any = self._reactor.network.sockets[number]
        end.pipe.readers += 1
        reader = PipeEnd(self._reactor.network, end.pipe, writing=False)
        self._reopened[reader.number] = reader
        return reader.number

    def unread(self, number: int) -> int:
        """Return how many octets are in a pipe."""
        return len(self._reopened[number].pipe.octets)

    def close(self, number: int) -> None:
        """Close what was opened once more."""
        self._reopened.pop(number).close()

    # What processes ask.

    def at(self, seconds: float, call: Callable[[], object]) -> DelayedCall:
        """Call so many seconds from now."""
        later: DelayedCall = self._reactor.at(self._reactor.seconds() + seconds, call)
        return later

    def forked(self, parent: Execution) -> Execution:
        """Return a child of a process."""
        return self._new(parent.group, parent.argv, parent.surroundings)

    def ended(self, run: Execution) -> None:
        """Keep how a child has ended until somebody waits; of others nothing is left."""
        if run.pid not in self.children or run.pid in self._stolen:
            del self.running[run.pid]
        elif self.telling:
            self.at(0.0, self.reap)

    def leftovers(self) -> list[str]:
        """Return the processes that run, or that nobody has waited for, and open pipes."""
        return [*map(str, self.running.values()), *(f"pipes to {pid}" for pid in self._pipes())]

    def producers(self) -> list[object]:
        """Return the producers that are registered with an input."""
        pipes = [pipe for child in self._pipes().values() for pipe in child.pipes.values()]
        return [pipe.producer for pipe in pipes if pipe.producer is not None]

    def _pipes(self) -> dict[int, MemoryProcess]:
        """Return the processes to which a pipe is open."""
        self._piped = {pid: child for pid, child in self._piped.items() if child.pipes}
        return self._piped

    def _new(self, group: int, argv: Sequence[str], place: Surroundings) -> Execution:
        self._last += 1
        run = self.running[self._last] = Execution(self, self._last, group, argv, place)
        return run

    def _pipe(self, run: Execution, number: int, writing: bool) -> PipeEnd:
        """Return our end of a new pipe to a process, or from it."""
        pipe = Pipe()
        run.connect(number, pipe, writing=not writing)
        return PipeEnd(self._reactor.network, pipe, writing=writing)

    # Becoming a program.

    def _program(self, name: str, place: Surroundings) -> FakeProgram | None:
        """Return a program, by its path or by its name in one of the folders of PATH."""
        folder, _, word = name.rpartition("/")
        folders = place.environment.get("PATH", os.defpath).split(":")
        return self.programs.get(name) or (self.programs.get(word) if folder in folders else None)

    def _wrong(self, name: str, argv: Sequence[str], place: Surroundings) -> int:
        """Return the number of the error with which a program cannot be run, or 0."""
        if place.directory in self.closed:
            return errno.ENOENT
        if _too_big([*argv, *(f"{k}={v}" for k, v in place.environment.items())]):
            return errno.E2BIG
        program = self._program(name, place)
        if program is None:
            return 0 if name in _WRAPPERS else errno.ENOENT
        return 0 if program.executable else errno.EACCES

    def _execute(self, run: Execution, name: str) -> Iterable[Play]:
        """Return what the program of a process does, or how it fails to become one."""
        wrapper, place = "", run.surroundings
        number = self._wrong(name, run.argv, place)
        while not number and name in _WRAPPERS:
            wrapper = name.rpartition("/")[2]
            self._wrap(run, wrapper)
            name = run.argv[0]
            number = self._wrong(name, run.argv, place)
        program = self._program(name, place)
        if number or program is None:
            return _failed(wrapper, name, run.argv, number)
        program.runs.append(run)
        return program.steps

    @staticmethod
    def _wrap(run: Execution, wrapper: str) -> None:
        """Do what a wrapper does before it becomes another program."""
        del run.argv[0]
        if wrapper == "setsid":
            run.group = run.pid
        while run.argv[0].startswith("--"):
            run.limits.append(run.argv.pop(0).removeprefix("--"))


def _failed(wrapper: str, name: str, argv: Sequence[str], number: int) -> Iterable[Play]:
    """Return what is done instead of a program that cannot be run."""
    why = os.strerror(number)
    if not wrapper:  # as Twisted says it
        return Print(f"Upon execvpe {name} {argv} in environment id 0\n:{why}\n", 2), Exit(1)
    status = 127 if number == errno.ENOENT else 126
    return Print(f"{wrapper}: failed to execute {name}: {why}\n", 2), Exit(status)


def _too_big(texts: Sequence[str]) -> bool:
    """Tell whether arguments and variables are more than Linux takes (execve(2))."""
    sizes = [len(os.fsencode(each)) + 1 for each in texts]
    return max(sizes, default=0) > _LONGEST or sum(sizes) + 8 * len(sizes) > _LARGEST


def _send(runs: Iterable[Execution], number: int) -> None:
    if number:
        for run in [*runs]:
            if run.running:
                run.signal(signal.Signals(number))
