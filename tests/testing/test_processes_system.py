# -*- test-case-name: tests.testing.test_processes_system -*-
"""What is asked past the reactor, of groups and of the system: each test runs with both."""

# ruff: noqa: ASYNC240 - a file in a test

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.relay.system import CannotRun, System, system_of
from slimtwist.testing import MemoryReactor
from slimtwist.testing.programs import Exit, FakeProgram, Fork, Print, Read
from slimtwist.testing.steps import Wait
from tests.testing.watching import InMemoryPrograms, Programs, RealPrograms
from tests.testing.worlds import scenario


class SystemTests(Programs):
    """What a system tells of programs, and does to them."""

    @property
    def system(self) -> System:
        """The system."""
        return system_of(self.reactor)

    @scenario
    async def test_group(self) -> None:
        """A signal to a group reaches a grandchild too, also when the leader has ended."""
        for leader in ("exit 3", "exec sleep 60"):
            watcher = self.start(
                f"sleep 60 & echo ready; {leader}",
                Fork(Wait(60)), Print("ready\n"), Exit(3) if "exit" in leader else Wait(60),
                wrappers=["/usr/bin/setsid"],
            )  # fmt: skip
            pid = watcher.pid
            await self.printed(watcher)
            if "exit" in leader:
                await self.noted(watcher, "exited")
            self.system.killpg(pid, signal.SIGKILL)
            await watcher.ended  # so nobody has its pipes
            self.assert_over(watcher, *((3,) if "exit" in leader else (None, 9)))
            await self.until(partial(self.gone, pid))

    def gone(self, pid: int) -> bool:
        """Tell whether there is neither a process nor a group of a number."""
        for call in (self.system.kill, self.system.killpg):
            try:
                call(pid, 0)
            except ProcessLookupError:
                continue
            return False
        return True

    @scenario
    async def test_no_group(self) -> None:
        """A program that was not put into a group of its own has none."""
        watcher = self.start("echo ready; exec sleep 60", Print("ready\n"), Wait(60))
        await self.printed(watcher)
        pid = watcher.transport.pid
        self.system.kill(pid, 0)
        self.assertRaises(ProcessLookupError, self.system.killpg, pid, signal.SIGKILL)
        self.system.kill(pid, signal.SIGKILL)
        await watcher.ended
        self.assertTrue(self.gone(pid))

    @scenario
    async def test_group_lives(self) -> None:
        """A group lives until its last process has ended, whether that was waited for or not."""
        watcher = self.start(
            "sleep 1.5 & echo ready; exit 0", Fork(Wait(1.5)), Print("ready\n"), Exit(),
            wrappers=["/usr/bin/setsid"],
        )  # fmt: skip
        await self.printed(watcher)
        self.assertTrue(self.system.lives(watcher.pid))
        await self.noted(watcher, "exited")
        self.assertTrue(self.system.lives(watcher.pid))
        await watcher.ended
        await self.until(lambda: not self.system.lives(watcher.pid))

    @scenario
    async def test_left_the_group(self) -> None:
        """Who leaves the group survives what ends it."""
        watcher = self.start(
            "setsid sh -c 'echo ready; sleep 0.5; echo later' & exec sleep 60",
            Fork(Print("ready\n"), Wait(0.5), Print("later\n"), session=True), Wait(60),
            wrappers=["/usr/bin/setsid"],
        )  # fmt: skip
        await self.printed(watcher)
        self.system.killpg(watcher.transport.pid, signal.SIGKILL)
        await watcher.ended
        self.assertEqual(b"ready\nlater\n", watcher.octets[1])

    @scenario
    async def test_limits(self) -> None:
        """The program prlimit sets limits, and then becomes the program."""
        watcher = self.start(
            "ulimit -t", lambda run: [Print(run.limits[0].partition("=")[2] + "\n")],
            wrappers=["/usr/bin/setsid", "/usr/bin/prlimit", "--cpu=7", "--core=0"],
        )  # fmt: skip
        await watcher.ended
        self.assertEqual(b"7\n", watcher.octets[1])

    @scenario
    async def test_unread(self) -> None:
        """What is left in a pipe can be seen; its end is then not seen by who writes."""
        watcher = self.start("echo ready; head -c 4 >/dev/null; exec sleep 0.2",
                             Print("ready\n"), Read(4), Wait(0.2))  # fmt: skip
        number = self.system.reopen(watcher.transport.pipes[0].fileno())
        watcher.transport.write(b"x" * 10)
        await self.noted(watcher, "exited")
        await self.a_while()
        self.assertTrue("lost 0" not in watcher.events)
        self.assertEqual(6, self.system.unread(number))
        self.system.close(number)
        await watcher.ended
        self.assert_over(watcher, 0)

    @scenario
    async def test_find(self) -> None:
        """Programs are found by path, or by name in a path; others cannot be run."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        for name, mode in (("good", 0o755), ("bad", 0o644)):
            (folder / name).write_text("#!/bin/sh\n")
            (folder / name).chmod(mode)
            if isinstance(self.reactor, MemoryReactor):
                program = FakeProgram(executable=mode == 0o755)
                self.reactor.programs[name] = self.reactor.programs[f"{folder}/{name}"] = program
        self.assertEqual(f"{folder}/good", self.system.find("good", f"{folder}:/bin"))
        self.assertEqual(f"{folder}/good", self.system.find(f"{folder}/good", "/bin"))
        for name in ("bad", "missing", f"{folder}/bad", f"{folder}/missing"):
            error = self.assertRaises(CannotRun, self.system.find, name, str(folder))
            self.assertEqual(f"{name} is not there, or not executable", str(error))

    @scenario
    async def test_enterable(self) -> None:
        """A folder can be entered, or not."""
        if isinstance(self.reactor, MemoryReactor):
            self.reactor.system.closed.add("/no/such")
        self.assertEqual(
            (True, False), (self.system.enterable("/"), self.system.enterable("/no/such"))
        )

    @scenario
    async def test_reap(self) -> None:
        """Looking for children that have ended tells of them, once."""
        watcher = self.start("exit 0", Exit())
        for _ in range(1000):
            self.system.reap()
            if "exited" in watcher.events:
                break
            await deferLater(self.reactor, 0.005)
        await watcher.ended
        self.system.reap()
        self.assert_over(watcher, 0)


class InMemorySystemTests(InMemoryPrograms, SystemTests, SynchronousTestCase):
    """Programs in memory."""


class RealSystemTests(RealPrograms, SystemTests, TestCase):
    """Real ones."""
