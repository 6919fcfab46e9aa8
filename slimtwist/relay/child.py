# -*- test-case-name: tests.relay.test_child -*-
"""In what surroundings a program runs: environment, folder, user, limits, process group.

C{spawnProcess} makes no process group and sets no limits; util-linux's C{setsid} and C{prlimit} do,
and then become the program.

Sources: setsid(1), prlimit(1), umask(2), environ(7).
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from twisted.internet.interfaces import IProcessProtocol, IReactorProcess

_ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
#: What prlimit(1) calls the limits that may be set.
LIMITS: Final = ("as", "core", "cpu", "data", "fsize", "nofile", "nproc", "stack")


class CannotRun(Exception):
    """The program cannot be started here, now. The text says why."""


@dataclass(frozen=True)
class Child:
    """The surroundings of a program.

    @ivar environment: all variables that it has, beside PATH and LANG.
    @ivar directory: where it runs.
    @ivar umask: of the files that it makes.
    @ivar limits: by names of L{LIMITS}, in the units of prlimit(1).
    @ivar user: whom it runs as; C{None} for the daemon's own user.
    @ivar group: the group; C{None} for the user's own.
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
        if unknown := self.limits.keys() - {*LIMITS}:
            raise ValueError(f"no limit {min(unknown)!r}; there are {', '.join(LIMITS)}")
        if self.group is not None and self.user is None:
            raise ValueError("a group needs a user to go with it")
        self._ids()

    def spawn(
        self, reactor: IReactorProcess, protocol: IProcessProtocol, argv: Sequence[str]
    ) -> None:
        """Start a program.

        @param argv: the program, by name or path, and its arguments.
        @raise CannotRun: it is not there, may not be run, or the system has no room for it.
        """
        environment = {**_ENVIRONMENT, **self.environment}
        program = shutil.which(argv[0], path=environment["PATH"])
        if program is None:
            raise CannotRun(f"{argv[0]} is not there, or not executable")
        uid, gid = self._ids()
        if (os.geteuid() if uid is None else uid) == 0 and not self.allow_root:
            raise CannotRun(f"{argv[0]} is not run as root: name a user, or set allow_root")
        command = [*self._before(), program, *argv[1:]]
        try:
            with _umask(self.umask):
                reactor.spawnProcess(
                    protocol, command[0], command, environment, self.directory, uid, gid
                )
        except OSError as error:
            raise CannotRun(f"{argv[0]} cannot be started: {error.strerror}") from error

    def _before(self) -> list[str]:
        limits = [f"--{name}={value}" for name, value in self.limits.items()]
        return ["/usr/bin/setsid", *(["/usr/bin/prlimit", *limits] if limits else [])]

    def _ids(self) -> tuple[int | None, int | None]:
        if self.user is None:
            return None, None
        try:
            entry = pwd.getpwnam(self.user)
            gid = entry.pw_gid if self.group is None else grp.getgrnam(self.group).gr_gid
        except KeyError as error:
            raise ValueError(f"no such user or group: {error.args[0]}") from error
        return entry.pw_uid, gid


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """Have another umask for a moment, in which a child is made that keeps it."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
