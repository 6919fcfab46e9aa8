# -*- test-case-name: tests.integration.test_servers -*-
"""A server program: started for a test, known by its process id, stopped with all its children.

L{ServerProcess} is what Postfix, Dovecot and smtp-sink have in common: a temporary directory, a
process in a session of its own, a log. Starting waits until the server listens, and no longer than
it must; it blocks the reactor meanwhile, which is why nothing may be going on yet. What a server
does with its directory and how it is configured is left to the modules beside this one.

Ports are taken from below the range that Linux gives to outgoing connections (ip(7),
C{ip_local_port_range}), so that none of these takes a port between our choice and the server's
bind. Whether a server listens is read from C{/proc/net} and not found out by a connection, which
would stand in its log and use up one of an C{smtp-sink -n 1}.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

#: Debian's user nobody, who owns what is delivered.
NOBODY = 65534

_FIRST_PORT, _LAST_PORT = 20000, 32000
_LISTEN = "0A"  # TCP_LISTEN of linux/include/net/tcp_states.h, as /proc/net/tcp writes it
_POLL = 0.01
_START_WITHIN = 60.0
_REMOVE_WITHIN = 5.0

Ready = Callable[[], bool]


class ServerFailedError(Exception):
    """A server did not start; the text holds its log."""


class Server(Protocol):
    """What a test case starts, stops and asks for its log."""

    @property
    def name(self) -> str:
        """Who it is, for the heading of its log."""

    def start(self) -> None:
        """Begin, and return when clients can connect."""

    def stop(self) -> None:
        """End every process and remove every file. A second call does nothing."""

    def log(self) -> str:
        """Return what it logged so far; also after it was stopped."""


def _shuffled_ports() -> Iterator[int]:
    """Yield each port once, in an order that differs from one test run to the next."""
    ports = list(range(_FIRST_PORT, _LAST_PORT))
    random.SystemRandom().shuffle(ports)
    yield from ports


_ports = _shuffled_ports()


def free_port(address: str = "127.0.0.1") -> int:
    """Return a TCP port that nobody listens on, and that was not returned before.

    @param address: the IPv4 address that a server will listen on.
    """
    for port in _ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                continue
            return port
    raise ServerFailedError("every port was given away")


def listening(address: str, port: int) -> bool:
    """Tell whether somebody listens on an IPv4 address and port of this machine."""
    octets = int.from_bytes(socket.inet_aton(address), sys.byteorder)
    wanted = [f"{octets:08X}:{port:04X}", _LISTEN]
    table = Path("/proc/net/tcp").read_text(encoding="ascii")
    return any(line.split()[1:4:2] == wanted for line in table.splitlines())


def accepting(path: Path) -> bool:
    """Tell whether somebody listens on a UNIX socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


class ServerProcess:
    """A process, and the temporary directory that it lives in.

    The directory can be entered by every user, since servers drop their privileges.

    @ivar directory: the temporary directory.
    @ivar log_file: where the server logs. What it prints goes there too.

    @param name: who it is.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.directory = Path(tempfile.mkdtemp(prefix=f"slimtwist-{name}-"))
        self.directory.chmod(0o755)
        self.log_file = self.directory / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._last_words = ""
        atexit.register(self.stop)

    def start(
        self,
        command: Sequence[str],
        ready: Ready,
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process and wait until it is ready.

        @param environment: by default ours.
        @raise ServerFailedError: it ended, or was not ready within 20 seconds; it was stopped.
        """
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd or self.directory,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_WITHIN
        while not ready():
            if not self.running() or time.monotonic() > deadline:
                self._give_up()
            time.sleep(_POLL)

    def _give_up(self) -> None:
        self.stop()
        raise ServerFailedError(f"{self.name} did not start. Its log:\n{self.log()}")

    @property
    def pid(self) -> int:
        """The process id of a process that was started."""
        return cast("subprocess.Popen[bytes]", self._process).pid

    def running(self) -> bool:
        """Tell whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End the process and its children, and remove the directory; keep the log's text."""
        atexit.unregister(self.stop)
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self.directory.exists():
            self._last_words = self.log()
            _remove(self.directory)

    def log(self) -> str:
        """Return what was logged so far."""
        if not self.log_file.exists():
            return self._last_words
        return self.log_file.read_text(encoding="utf-8", errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and the group that it leads; nothing that they were doing is of worth."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _remove(directory: Path) -> None:
    """Remove a directory, in which a child that was killed may still be writing."""
    deadline = time.monotonic() + _REMOVE_WITHIN
    while True:
        try:
            return shutil.rmtree(directory)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL)
