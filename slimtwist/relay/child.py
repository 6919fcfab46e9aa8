# -*- test-case-name: tests.relay.test_child -*-
"""In what surroundings a program runs: environment, folder, user, limits, process group.

C{spawnProcess} makes no process group and sets no limits; util-linux's C{setsid} and C{prlimit} do,
and then become the program.

Sources: setsid(1), prlimit(1), umask(2), environ(7), execve(2), credentials(7).
"""

from __future__ import annotations

import grp
import os
import pwd
import resource
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from twisted.internet.interfaces import IProcessProtocol, IReactorProcess

from slimtwist.relay.system import CannotRun, System, system_of

#: Variables that every program has.
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
#: What prlimit(1) calls the limits that may be set.
LIMITS: Final = ("as", "core", "cpu", "data", "fsize", "nofile", "nproc", "stack")
_SETSID: Final = "/usr/bin/setsid"
_PRLIMIT: Final = "/usr/bin/prlimit"
#: Six are the ends of its pipes; some more it needs to find and close what it inherits.
_DESCRIPTORS: Final = 10


@dataclass(frozen=True)
class Child:
    """The surroundings of a program.

    @ivar environment: all variables that it has, beside L{ENVIRONMENT}, which it may change.
    @ivar directory: where it runs.
    @ivar umask: of the files that it makes.
    @ivar limits: by names of L{LIMITS}, in the units of prlimit(1); none above the daemon's own.
    @ivar user: whom it runs as, by name or number; C{None} for the daemon's own user.
    @ivar group: the group, by name or number; C{None} for the user's own.
    @ivar allow_root: run it as root, if that is who it would run as.
    @raise ValueError: a part is wrong.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = "/"
    umask: int = 0o077
    limits: Mapping[str, int] = field(default_factory=dict)
    user: str | None = None
    group: str | None = None
    allow_root: bool = False

    def __post_init__(self) -> None:
        """Check what can be known before anything runs."""
        for name, value in self.environment.items():
            if not name or "=" in name or "\0" in name + value:
                said = "cannot be the name of a variable, or its value holds NUL"
                raise ValueError(f"environment: {name!r} {said}")
        if not 0 <= self.umask <= 0o777:
            raise ValueError(f"umask {self.umask:o} is not from 0 to 777")
        if not self.directory.startswith("/") or "\0" in self.directory:
            raise ValueError(f"directory {self.directory!r} does not begin with /")
        _check_limits(self.limits)
        if self.group is not None and self.user is None:
            raise ValueError("group: it needs a user to go with it")
        if self._ids is not None and self._ids[0] == 0 and not self.allow_root:
            raise ValueError("user=root runs nothing without allow_root")

    def spawn(
        self, reactor: IReactorProcess, protocol: IProcessProtocol, argv: Sequence[bytes]
    ) -> None:
        """Start a program.

        @param argv: the program, by name or path, and its arguments.
        @raise CannotRun: it is not there, may not be run, or the system has no room for it.
        """
        system = system_of(reactor)
        environment = {**ENVIRONMENT, **self.environment}
        name = os.fsdecode(argv[0])
        program = system.find(name, environment["PATH"])
        uid, gid = self._identity(name, system)
        # Where the child cannot go it would fail in a way that looks like the program's own.
        if not system.enterable(self.directory):
            raise CannotRun(f"{name} cannot run in {self.directory}: it is not there, or closed")
        command: list[bytes | str] = [*self._before(), program, *argv[1:]]
        try:
            system.spare(_DESCRIPTORS)
            with _umask(self.umask):
                reactor.spawnProcess(
                    protocol, command[0], command, environment, self.directory, uid, gid
                )
        except OSError as error:
            raise CannotRun(f"{name} cannot be started: {error.strerror}") from error

    @staticmethod
    def never_ran(status: int | None, output: str) -> bool:
        """Tell whether a process ended before it became a program, as Twisted says it then."""
        return status == 1 and output.startswith(f"Upon execvpe {_SETSID} ")

    def _before(self) -> list[str]:
        limits = [f"--{name}={value}" for name, value in self.limits.items()]
        return [_SETSID, *([_PRLIMIT, *limits] if limits else [])]

    def _identity(self, name: str, system: System) -> tuple[int | None, int | None]:
        """Return the user and the group to change to; C{None} for no change."""
        ours = system.users()
        if self._ids is None:
            if 0 in ours and not self.allow_root:
                raise CannotRun(f"{name} is not run as root: name a user, or set allow_root")
            return None, None
        if 0 in ours:
            return self._ids
        if ours == {self._ids[0]} and self._ids[1] == system.group():
            return None, None
        raise CannotRun(f"{name} cannot run as {self.user}: that needs root in reserve (--euid)")

    @cached_property
    def _ids(self) -> tuple[int, int] | None:
        if self.user is None:
            return None
        try:
            entry = pwd.getpwuid(int(self.user)) if _number(self.user) else pwd.getpwnam(self.user)
        except (KeyError, OverflowError, ValueError) as error:
            raise ValueError(f"user: there is no {self.user!r}") from error
        return entry.pw_uid, _gid(self.group, entry.pw_gid)


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _gid(group: str | None, default: int) -> int:
    if group is None:
        return default
    try:
        return int(group) if _number(group) else grp.getgrnam(group).gr_gid
    except (KeyError, ValueError) as error:
        raise ValueError(f"group: there is no {group!r}") from error


def _check_limits(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        if name not in LIMITS:
            raise ValueError(f"limits: there is no {name!r}; there are {', '.join(LIMITS)}")
        _, most = resource.getrlimit(getattr(resource, f"RLIMIT_{name.upper()}"))
        if value < 0 or (most != resource.RLIM_INFINITY and value > most):
            raise ValueError(f"limits: {name}={value} is below 0, or above the daemon's own {most}")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """Have another umask for a moment, in which a child is made that keeps it."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
