# -*- test-case-name: tests.relay.test_system -*-
"""What running a program asks of the operating system past the reactor.

C{spawnProcess} starts a program; it says nothing of process groups, of what is left in a pipe, or
of whether a program can be run at all.  All that is asked here, so that a reactor which keeps its
processes in memory can answer for itself: it has an attribute C{system}.

Sources: kill(2), setsid(2), credentials(7), pipe(7), proc(5), FIONREAD of ioctl_tty(2).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from twisted.internet.process import reapAllProcesses, unregisterReapProcessHandler
from twisted.python.util import runAsEffectiveUser

#: What a file of which Linux makes a process begins with. For others setsid(1) would run a shell.
_MAGIC: Final = (b"\x7fELF", b"#!")
_COUNT: Final = 4  # octets of an int
#: States of processes that have ended (proc(5)).
_DEAD: Final = {"Z", "X", "x"}


class CannotRun(Exception):
    """The program cannot be started here, now. The text says why."""


class System(Protocol):
    """A kernel, as far as the reactor does not stand before it."""

    def users(self) -> set[int]:
        """Return the users that this process is and can be: the effective and the real one."""

    def group(self) -> int:
        """Return the group of this process."""

    def find(self, name: str, path: str) -> str:
        """Return where a program is.

        @param path: the folders to look in for a name without a slash, with colons between.
        @raise CannotRun: it is nowhere, or cannot be run.
        """

    def enterable(self, directory: str) -> bool:
        """Tell whether a program can be run in a folder."""

    def spare(self, descriptors: int) -> None:
        """Check that so many descriptors are free.

        @raise OSError: there are fewer.
        """

    def kill(self, pid: int, number: int) -> None:
        """Send a signal to a process; 0 is none, and only looks whether there is one.

        @raise ProcessLookupError: there is none.
        @raise PermissionError: it is somebody else's.
        """

    def killpg(self, pid: int, number: int) -> None:
        """Send a signal to a process group, with the errors of L{kill}."""

    def lives(self, group: int) -> bool:
        """Tell whether a process of a group can still do something.

        One that has ended, and was not waited for, cannot: some hosts take seconds for that.
        """

    def reap(self) -> None:
        """Let the reactor see which of its processes have ended."""

    def forget(self, pid: int, transport: Any) -> None:  # noqa: ANN401 - a process of Twisted's
        """Let the reactor wait for a process no more: somebody else has."""

    def reopen(self, number: int) -> int:
        """Open the pipe that a descriptor writes to once more, at its other end.

        @raise OSError: there is no descriptor left.
        """

    def unread(self, number: int) -> int:
        """Return how many octets are in a pipe."""

    def close(self, number: int) -> None:
        """Close what L{reopen} has opened."""


class Linux:
    """The system that this process runs on."""

    def users(self) -> set[int]:
        """See L{System.users}."""
        return {os.getuid(), os.geteuid()}

    def group(self) -> int:
        """See L{System.group}."""
        return os.getegid()

    def find(self, name: str, path: str) -> str:
        """See L{System.find}."""
        program = shutil.which(name, path=path)
        if program is None:
            raise CannotRun(f"{name} is not there, or not executable")
        try:
            with Path(program).open("rb") as file:
                begin = file.read(4)
        except OSError:
            return program  # who runs it need not be able to read it
        if not begin.startswith(_MAGIC):
            raise CannotRun(f"{name} is no program: it begins neither as ELF nor with #!")
        return program

    def enterable(self, directory: str) -> bool:
        """See L{System.enterable}."""
        return os.access(directory, os.X_OK, effective_ids=True)

    def spare(self, descriptors: int) -> None:
        """See L{System.spare}: a child without them fails like a program that ran."""
        spare: list[int] = []
        try:
            while len(spare) < descriptors:
                spare.append(os.open(os.devnull, os.O_RDONLY))
        finally:
            for number in spare:
                os.close(number)

    def kill(self, pid: int, number: int) -> None:
        """See L{System.kill}."""
        _privileged(lambda: os.kill(pid, number))

    def killpg(self, pid: int, number: int) -> None:
        """See L{System.killpg}."""
        _privileged(lambda: os.killpg(pid, number))

    def lives(self, group: int) -> bool:
        """See L{System.lives}."""
        try:
            self.killpg(group, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        states = {_state(pid) for pid in _members(group)}
        return not states or bool(states - _DEAD)  # of other users there may be nothing to be seen

    def reap(self) -> None:
        """See L{System.reap}: the reactor may run without a handler of SIGCHLD."""
        reapAllProcesses()

    def forget(self, pid: int, transport: Any) -> None:  # noqa: ANN401
        """See L{System.forget}."""
        with suppress(RuntimeError):
            unregisterReapProcessHandler(pid, transport)

    def reopen(self, number: int) -> int:
        """See L{System.reopen}."""
        return os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)

    def unread(self, number: int) -> int:
        """See L{System.unread}."""
        count = bytearray(_COUNT)
        fcntl.ioctl(number, termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)

    def close(self, number: int) -> None:
        """See L{System.close}."""
        os.close(number)


LINUX: Final[System] = Linux()


def system_of(reactor: object) -> System:
    """Return the system on which a reactor starts programs."""
    system: System = getattr(reactor, "system", LINUX)
    return system


def _members(group: int) -> Iterator[str]:
    """Yield the numbers of the processes of a group, as far as they can be seen."""
    for name in os.listdir("/proc"):  # noqa: PTH208 - of thousands, for a few: so it must be quick
        with suppress(OSError):
            if name.isdigit() and os.getpgid(int(name)) == group:
                yield name


def _state(pid: str) -> str:
    """Return the state of a process, as of proc(5); if it is gone, that it is dead."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _privileged(call: Callable[[], None]) -> None:
    """Do something as root, if that is in reserve: the program may run as another user."""
    if os.getuid() == 0 != os.geteuid():
        runAsEffectiveUser(0, os.getegid(), call)
    else:
        call()
