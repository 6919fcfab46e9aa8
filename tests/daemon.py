# -*- test-case-name: tests.test_tap -*-
"""``twistd relay`` as a process of its own, and the two ends of its dialogues on plain sockets.

Everything here blocks, with a limit: a test reads and writes in the order in which things happen.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import slimtwist

_WAIT = 30.0
_UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
_ADDRESS = re.compile(r"taking mail by \w+ on ([0-9.]+):(\d+) \(")


def environment(packages: Path | None = None) -> dict[str, str]:
    """Return an environment in which the slimtwist that is tested is found from any folder.

    @param packages: a further folder to import from.
    """
    path = str(Path(slimtwist.__file__).parents[1])
    if packages is not None:
        path = f"{packages.absolute()}{os.pathsep}{path}"
    return {**os.environ, **_UNBUFFERED, "PYTHONPATH": path}


class Daemon:
    """A running ``twistd relay``.

    @ivar pid: of the process.
    """

    def __init__(
        self,
        folder: str,
        *arguments: str,
        twistd: Sequence[str] = (),
        programs: Path | None = None,
        packages: Path | None = None,
    ) -> None:
        """Start it.

        @param folder: a new folder to run in.
        @param arguments: of ``relay``.
        @param twistd: of ``twistd`` itself.
        @param programs: where ``twistd`` is, of another environment with a slimtwist of its own.
        @param packages: a further folder to import from.
        """
        Path(folder).mkdir()
        self._output = Path(folder, "output")
        program = (programs or Path(sys.executable).parent) / "twistd"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [program, "-n", "--pidfile=", *twistd, "relay", *arguments],
                cwd=folder,
                env=environment(packages) if programs is None else {**os.environ, **_UNBUFFERED},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, if it has not ended."""
        self._process.kill()
        self._process.wait()

    @property
    def lines(self) -> list[str]:
        """What it has printed so far."""
        return self._output.read_text().splitlines()

    def line(self, *words: str) -> str:
        """Return the first line with all these words, as soon as it is there."""
        until = time.monotonic() + _WAIT
        while time.monotonic() < until:
            for line in self.lines:
                if all(word in line for word in words):
                    return line
            if self._process.poll() is not None and not any(
                words[0] in each for each in self.lines
            ):
                break
            time.sleep(0.01)
        raise AssertionError("\n".join([f"no line with {words}", *self.lines]))

    def address(self) -> tuple[str, int]:
        """Return where it listens, as soon as it does."""
        found = _ADDRESS.search(self.line("taking mail by"))
        assert found is not None
        self.line("mail goes to")  # the last step of its start
        return found[1], int(found[2])

    def terminate(self) -> None:
        """Ask it to stop."""
        self._process.send_signal(signal.SIGTERM)

    def status(self) -> int:
        """Return its exit status when it has ended."""
        return self._process.wait(_WAIT)


class Wire:
    """One end of a dialogue of SMTP."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over a connection."""
        connection.settimeout(_WAIT)
        self._connection = connection
        self._input = connection.makefile("rb")

    @classmethod
    def to(cls, address: tuple[str, int]) -> Self:
        """Return a client's end."""
        return cls(socket.create_connection(address, _WAIT))

    @classmethod
    def of(cls, listening: socket.socket) -> Self:
        """Return the server's end of the next connection."""
        listening.settimeout(_WAIT)
        return cls(listening.accept()[0])

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._input.close()
        self._connection.close()

    def say(self, *lines: str) -> None:
        """Send lines."""
        self._connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def hear(self) -> str:
        """Return the next line; nothing at the end."""
        return self._input.readline().decode().rstrip("\r\n")

    def until(self, start: str) -> str:
        """Return the first line that begins so."""
        while line := self.hear():
            if line.startswith(start):
                return line
        raise AssertionError(f"the dialogue ended before {start!r}")

    def take(self, *replies: str) -> None:
        """Be a next hop up to the end of a message: answer all but that."""
        self.say("220 hop.example")
        self.until("EHLO")
        self.say("250-hop.example", "250 PIPELINING")
        self.until("DATA")
        self.say("250 2.1.0 sender", "250 2.1.5 recipient", "354 go on")
        while self.hear() != ".":
            pass
        self.say(*replies)

    def give(self, recipient: str) -> None:
        """Be a client up to the end of a message."""
        self.until("220")
        self.say("EHLO client.example")
        self.until("250 ")
        self.say("MAIL FROM:<a@example.org>", f"RCPT TO:<{recipient}>", "DATA")
        self.until("354")
        self.say("Subject: a message", "", "of one line", ".")


def listening() -> socket.socket:
    """Return a socket that listens on a free port of this host."""
    return socket.create_server(("127.0.0.1", 0))
