# -*- test-case-name: tests.relay.test_pipe -*-
"""Small programs, some of them hostile, and relays that run them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome
from slimtwist.relay.child import Child
from slimtwist.relay.pipe import PipeRelay
from slimtwist.runtime import Runtime
from slimtwist.testing.drivers import ReactorDriver

reactor: Any = _reactor
OCTETS = b"Message-ID: <1@x>\r\nSubject: x\r\n\r\n.a line\r\n"


def message(*recipients: str, sender: str = "a@example.org", octets: bytes = OCTETS) -> Envelope:
    """Return a message, for one recipient unless there are more."""
    return Envelope.parse(sender, recipients or ("b@example.net",), octets)


def running(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def zombies() -> list[str]:
    """Return our children that nobody has waited for."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.append(str(path))
    return found


class ProgramCase(TestCase):
    """Has a folder for programs and what they write, and looks at what relays leave behind."""

    timeout = 30.0

    def setUp(self) -> None:
        """Make the folder, which every user may enter."""
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.relays: list[PipeRelay] = []
        self.driver: ReactorDriver | None = None

    def script(self, text: str, name: str = "program") -> str:
        """Return the path of a program: a script of the shell, or of what its first line names."""
        path = self.folder / name
        path.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def relay(self, program: str, *arguments: str, **options: Any) -> PipeRelay:  # noqa: ANN401 - handed through
        """Return a relay to a program of L{script}, which is made unless it begins with C{/}."""
        path = program if program.startswith("/") else self.script(program)
        options.setdefault("child", Child(allow_root=True, directory=str(self.folder)))
        relay = PipeRelay([path, *arguments], runtime=Runtime(reactor), **options)
        self.relays.append(relay)
        return relay

    async def deliver(self, relay: PipeRelay, envelope: Envelope | None = None) -> list[Outcome]:
        """Make an attempt; return the outcomes."""
        return list(await relay.attempt(envelope or message(), 0))

    async def replies(self, relay: PipeRelay, envelope: Envelope | None = None) -> list[str]:
        """Make an attempt; return the replies."""
        return [str(outcome.reply) for outcome in await self.deliver(relay, envelope)]

    async def tidy(self) -> None:
        """Stop the relays; check that they leave nothing behind."""
        for relay in self.relays:
            await relay.stop()
        if self.driver is not None:
            self.assertEqual([], await self.driver.residue())
        self.assertEqual([], zombies())

    async def watch(self) -> None:
        """Note what is there before a relay does anything, for L{tidy}."""
        await self.pause(0)
        self.driver = ReactorDriver(reactor)

    def pause(self, seconds: float) -> Deferred[None]:
        """Let time pass."""
        return deferLater(reactor, seconds)

    async def until(self, look: Callable[[], Any]) -> Any:  # noqa: ANN401 - what look returns
        """Return what is looked for, as soon as it is true."""
        for _ in range(1000):
            if found := look():
                return found
            await self.pause(0.01)
        raise self.failureException("it never happened")

    async def pid(self, name: str = "pid") -> int:
        """Return the number that a program writes to a file; it is killed after the test."""
        path = self.folder / name
        number = int(await self.until(lambda: path.exists() and path.read_text().strip()))
        self.addCleanup(_kill, number)
        return number


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
