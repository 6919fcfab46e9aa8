# -*- test-case-name: tests.relay.test_process -*-
"""One run of a program: told of its end in every case, and fed no more than it reads."""

# ruff: noqa: ASYNC222 - the process that is waited for was killed

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.process import reapProcessHandlers

from slimtwist.relay import process
from slimtwist.relay.child import Child
from slimtwist.relay.process import Run
from slimtwist.relay.unread import Unread
from tests.relay.hostile import OCTETS, ProgramCase, reactor, running, zombies


class RunTests(ProgramCase):
    """A run, and all that can happen to it."""

    def begin(
        self, program: str, blocks: Iterator[bytes] | None = None, timeout: float = 20
    ) -> Run:
        """Start a program."""
        run = Run(reactor, blocks or iter([OCTETS]), timeout, Unread(wanted=False))
        child = Child(allow_root=True, directory=str(self.folder))
        child.spawn(reactor, run, [self.script(program).encode()])
        return run

    async def test_fed(self) -> None:
        """All blocks arrive, empty ones as well, and it is known that they did (L8)."""
        run = self.begin("cat > got", iter([b"", b"a", b"", b"b" * 100_000, b"", b"c"]))
        self.assertFalse(run.fed)
        ending = await run.ended
        self.assertEqual((0, None, "", True, True, ""), _parts(ending))
        self.assertEqual(b"a" + b"b" * 100_000 + b"c", (self.folder / "got").read_bytes())

    async def test_back_pressure(self) -> None:
        """No block is asked for before the one before is in the pipe (PIPE-08, L6)."""
        asked: list[int] = []

        def blocks() -> Iterator[bytes]:
            for number in range(1000):
                asked.append(number)
                yield b"x" * 65536

        run = self.begin("echo $$ > pid; sleep 60", blocks())
        await self.pid()
        await self.pause(0.1)
        # One in the pipe, which holds 64 KiB, and one that waits to be written to it.
        self.assertLessEqual(len(asked), 2)
        run.ended.cancel()
        self.failureResultOf(run.ended, CancelledError)
        await run.gone

    async def test_own_group(self) -> None:
        """A program leads a session and a group of its own, not the daemon's."""
        run = self.begin("echo $$ > pid; sleep 60")
        pid = await self.pid()
        self.assertEqual((pid, pid, run.pid), (os.getpgid(pid), os.getsid(pid), pid))
        self.assertNotEqual(os.getpgid(0), pid)
        run.ended.cancel()
        self.failureResultOf(run.ended, CancelledError)
        await run.gone
        self.assertEqual([], zombies())

    async def test_somebody_else_waits(self) -> None:
        """Who else waits for our child takes its status along; it ends all the same (PIPE-20)."""
        for text in ("exec sleep 60", "sleep 60 & echo $! > pid2; exec sleep 60"):
            await self.pause(0)
            run = self.begin(f"echo $$ > pid; {text}")
            pid = await self.pid()
            if "pid2" in text:
                await self.pid("pid2")
            before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            finally:
                signal.signal(signal.SIGCHLD, before)
            start = reactor.seconds()
            ending = await run.ended
            self.assertLess(reactor.seconds() - start, 3)
            self.assertEqual((None, None), (ending.status, ending.signal))
            self.assertNotIn(pid, reapProcessHandlers)  # the number may soon be another child's
            await run.gone
            (self.folder / "pid").unlink()

    async def test_no_handler(self) -> None:
        """Without a handler of SIGCHLD, one that leaves its pipes to another ends (PIPE-20)."""
        await self.pause(0)  # the reactor sets its handler when it begins to run
        before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            run = self.begin("sleep 60 & echo $! > pid; exit 7")
            ending = await run.ended
        finally:
            signal.signal(signal.SIGCHLD, before)
        self.assertEqual((7, ""), (ending.status, ending.stopped))
        await self.pid()
        self.assertEqual([], zombies())

    async def test_lost_and_stopped(self) -> None:
        """Is it lost after its time, its group is killed as well."""
        self.patch(process, "MERCY", 8)
        run = self.begin(
            "(trap '' TERM; while :; do sleep 0.1; done) & echo $! > pid2; echo $$ > pid;"
            " trap '' TERM; while :; do sleep 0.1; done",
            timeout=0.3,
        )
        pid, other = await self.pid(), await self.pid("pid2")
        await self.pause(0.5)
        before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        finally:
            signal.signal(signal.SIGCHLD, before)
        ending = await run.ended
        self.assertEqual("timeout", ending.stopped)
        await self.until(lambda: not running(other))

    async def test_input_stays_open(self) -> None:
        """A program that is ended never sees an end of the message that is none (L8)."""
        self.patch(process, "MERCY", 0.3)
        run = self.begin("trap '' TERM; cat > got; echo > whole", _torn())
        ending = await run.ended
        self.assertEqual(("unreadable", False), (ending.stopped, ending.fed))
        await run.gone
        self.assertFalse((self.folder / "whole").exists())
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    async def test_unwatched(self) -> None:
        """Where it cannot be seen what a program reads, it is not run to its end."""

        class Blind(Unread):
            def watch(self, number: int) -> None:
                raise OSError(24, f"no descriptor for {number}")

        run = Run(reactor, iter([OCTETS]), 20, Blind(wanted=True))
        child = Child(allow_root=True, directory=str(self.folder))
        child.spawn(reactor, run, [self.script("cat > got; echo > whole").encode()])
        ending = await run.ended
        self.assertEqual("unwatched", ending.stopped)
        self.assertFalse((self.folder / "whole").exists())
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    async def test_abandoned(self) -> None:
        """A run that never began leaves nothing; one that began by half is killed."""
        run = Run(reactor, iter([OCTETS]), 20, Unread(wanted=False))
        run.abandon()
        self.successResultOf(run.gone)
        run = self.begin("echo $$ > pid; sleep 60")
        pid = await self.pid()
        run.abandon()
        await run.gone
        await self.until(lambda: not running(pid))
        await self.until(lambda: not Path(f"/proc/{pid}").exists())

    async def test_cannot_be_killed(self) -> None:
        """One that is another user's, and ignores us, is let go of (L3)."""
        self.patch(process, "MERCY", 0.1)
        self.patch(process, "send_signal", lambda *_, **__: None)
        run = self.begin("echo $$ > pid; cat > got; echo > whole; sleep 60", _torn())
        run_pid = await self.pid()
        ending = await run.ended
        self.assertEqual((None, "unreadable"), (ending.status, ending.stopped))
        await run.gone
        await self.pause(0.2)
        self.assertFalse((self.folder / "whole").exists())
        os.kill(run_pid, signal.SIGKILL)
        await self.until(lambda: not Path(f"/proc/{run_pid}").exists())
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))


def _torn() -> Iterator[bytes]:
    yield b"a part"
    raise OSError("no more")


def _parts(ending: Any) -> tuple[Any, ...]:  # noqa: ANN401 - a value with slots
    names = ("status", "signal", "stopped", "fed", "read", "output")
    return tuple(getattr(ending, name) for name in names)
