# -*- test-case-name: tests.testing.test_processes -*-
"""Programs in memory behave as real ones do: each test runs with both.

A test has a script for the shell, and the steps of a made-up program that do the same.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import (
    IProcessTransport,
    IPullProducer,
    IReactorFDSet,
    IReactorProcess,
)
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.testing import MemoryReactor
from slimtwist.testing.programs import Die, Exit, FakeProgram, Fork, Print, Read, Shut, Trap
from slimtwist.testing.steps import Stall, Wait
from tests.testing.watching import InMemoryPrograms, Programs, RealPrograms, Watcher
from tests.testing.worlds import Push, scenario


@implementer(IPullProducer)
class Blocks:
    """Writes blocks to a program as they are asked for."""

    def __init__(self, transport: Any, count: int) -> None:  # noqa: ANN401 - a process
        self._transport = transport
        self.left = count
        self.asked = 0
        self.stopped = 0
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Write the next one, or end."""
        self.asked += 1
        if self.left:
            self.left -= 1
            self._transport.write(b"x" * 65536)
        else:
            self._transport.unregisterProducer()
            self._transport.closeStdin()

    def stopProducing(self) -> None:
        """Note it."""
        self.stopped += 1


class ProcessTests(Programs):
    """What a protocol sees of a process."""

    @scenario
    async def test_interfaces(self) -> None:
        """The reactor and the transport provide what they say."""
        verifyObject(IReactorProcess, self.reactor)
        verifyObject(IReactorFDSet, self.reactor)
        watcher = self.start("exit 0", Exit())
        self.assertTrue(IProcessTransport.providedBy(watcher.transport))
        await watcher.ended

    @scenario
    async def test_done(self) -> None:
        """A program that reads all and succeeds; what it prints is told apart by descriptor."""
        watcher = self.start(
            "cat; echo mind >&2",
            Read(), lambda run: [Print(bytes(run.octets))], Print("mind\n", 2),
        )  # fmt: skip
        watcher.transport.write(b"one ")
        watcher.transport.writeToChild(0, b"two")
        watcher.transport.closeStdin()
        await watcher.ended
        self.assertEqual((b"one two", b"mind\n"), (watcher.octets[1], watcher.octets[2]))
        self.assert_over(watcher, 0)

    @scenario
    async def test_status(self) -> None:
        """A program that fails."""
        for status in (1, 75, 255):
            watcher = self.start(f"exit {status}", Exit(status))
            await watcher.ended
            self.assert_over(watcher, status)

    @scenario
    async def test_killed(self) -> None:
        """A program that dies by a signal of its own."""
        for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM):
            watcher = self.start(f"kill -{int(number)} $$; sleep 9", Die(number), Wait(9))
            await watcher.ended
            self.assert_over(watcher, None, number)

    @scenario
    async def test_surroundings(self) -> None:
        """It has its environment and nothing else, its folder and its arguments."""
        watcher = self.start(
            'echo "$A/$HOME/$1"; pwd',
            lambda run: [Print(f"{run.surroundings.environment['A']}/"),
                         Print(f"{run.surroundings.environment.get('HOME', '')}/{run.argv[-1]}\n"),
                         Print(f"{run.surroundings.directory}\n")],
            path="/",
        )  # fmt: skip
        await watcher.ended
        self.assertEqual(b"b c//one\n/\n", watcher.octets[1])

    @scenario
    async def test_descriptors(self) -> None:
        """It may have other descriptors than the usual ones."""
        watcher = self.start("echo x >&3", Print("x\n", 3), childFDs={3: "r"})
        watcher.transport.write(b"lost")
        watcher.transport.closeStdin()
        await watcher.ended
        self.assertEqual(b"x\n", watcher.octets[3])
        self.assertEqual(["made", "ended"], [watcher.events[0], watcher.events[-1]])
        self.assertEqual(["exited", "lost 3"], sorted(watcher.events[1:-1]))

    @scenario
    async def test_input_closed(self) -> None:
        """A program that closes its input is still there; a producer is stopped."""
        watcher = self.start(
            "echo ready; exec <&-; sleep 1.5; echo later",
            Print("ready\n"), Shut(0), Wait(1.5), Print("later\n"),
        )  # fmt: skip
        blocks = Blocks(watcher.transport, 100)
        await self.noted(watcher, "lost 0")
        self.assertEqual(["made", "lost 0"], watcher.events)
        self.assertEqual(1, blocks.stopped)
        await watcher.ended
        self.assertEqual(b"ready\nlater\n", watcher.octets[1])
        self.assert_over(watcher, 0)

    @scenario
    async def test_input_closed_idle(self) -> None:
        """That the input is closed is seen also when nothing is written."""
        watcher = self.start("exec <&-; sleep 1.5", Shut(0), Wait(1.5))
        await self.noted(watcher, "lost 0")
        self.assertEqual(["made", "lost 0"], watcher.events)
        await watcher.ended

    @scenario
    async def test_back_pressure(self) -> None:
        """Who reads nothing is given what a pipe holds, and no more; all when he reads."""
        watcher = self.start(
            "echo ready; sleep 1.5; wc -c",
            Print("ready\n"), Wait(1.5), Read(), lambda run: [Print(f"{len(run.octets)}\n")],
        )  # fmt: skip
        blocks = Blocks(watcher.transport, 20)
        await self.printed(watcher)
        await self.a_while()
        self.assertEqual(2, blocks.asked)
        await watcher.ended
        self.assertEqual((21, 0), (blocks.asked, blocks.stopped))
        self.assertEqual(f"ready\n{20 * 65536}\n".encode(), watcher.octets[1].replace(b" ", b""))
        self.assert_over(watcher, 0)

    @scenario
    async def test_push(self) -> None:
        """A streaming producer is paused while nothing is read, and then resumed."""
        watcher = self.start("echo ready; read x; sleep 0.3; wc -c",
                             Print("ready\n"), Read(4096), Wait(0.3), Read(),
                             lambda run: [Print(f"{len(run.octets) - 4096}")])  # fmt: skip
        await self.printed(watcher)
        events: list[str] = []
        watcher.transport.registerProducer(Push(events), True)
        watcher.transport.write(b"x" * 4095 + b"\n" + b"y" * 200_000)
        await self.until(lambda: "pause" in events)
        await self.until(lambda: "resume" in events)
        self.assertEqual(["pause", "resume"], events)
        watcher.transport.unregisterProducer()
        watcher.transport.closeStdin()
        await watcher.ended
        self.assertTrue(watcher.octets[1].strip().endswith(b"200000"), watcher.octets)

    @scenario
    async def test_reads_nothing(self) -> None:
        """A program that ends without reading stops the producer, and ends as it says."""
        watcher = self.start("exit 3", Exit(3))
        blocks = Blocks(watcher.transport, 100)
        await watcher.ended
        self.assertEqual(1, blocks.stopped)
        self.assertLess(blocks.asked, 4)
        self.assert_over(watcher, 3)

    @scenario
    async def test_prints_much(self) -> None:
        """Output of any size arrives, before the end; who pauses gets none meanwhile."""
        watcher = self.start(
            "echo ready; read x; head -c 300000 /dev/zero",
            Print("ready\n"), Read(1), Print(bytes(300_000)),
        )  # fmt: skip
        await self.printed(watcher)
        watcher.transport.pauseProducing()
        watcher.transport.write(b"\n")
        await self.a_while()
        self.assertEqual(b"ready\n", watcher.octets[1])
        self.assertEqual(["made"], watcher.events)
        watcher.transport.resumeProducing()
        await watcher.ended
        self.assertEqual(300_006, len(watcher.octets[1]))
        self.assert_over(watcher, 0)

    @scenario
    async def test_output_unwanted(self) -> None:
        """A program that prints to nobody dies of it; one that ignores that goes on."""
        for trap, plays, number in (
            ("", (), signal.SIGPIPE),
            ("trap '' PIPE;", (Trap(signal.SIGPIPE),), None),
        ):
            watcher = self.start(
                f"{trap} cat; echo x 2>/dev/null; exit 4",
                *plays, Read(), Print("x\n"), Exit(4),
            )  # fmt: skip
            watcher.transport.closeStdout()
            await self.noted(watcher, "lost 1")
            watcher.transport.closeStdin()
            await watcher.ended
            self.assert_over(watcher, None if number else 4, number)

    @scenario
    async def test_signal(self) -> None:
        """A signal by name or number ends a program."""
        for given, number in (("TERM", 15), ("KILL", 9), ("INT", 2), (signal.SIGHUP, 1)):
            watcher = self.start("echo ready; exec sleep 60", Print("ready\n"), Wait(60))
            await self.printed(watcher)
            watcher.transport.signalProcess(given)
            await watcher.ended
            self.assert_over(watcher, None, number)
            self.assertRaises(ProcessExitedAlready, watcher.transport.signalProcess, "TERM")

    @scenario
    async def test_trap(self) -> None:
        """A program may end in its own way, or not at all until it is killed."""
        watcher = self.start(
            "trap 'echo bye; exit 7' TERM; echo ready; cat",
            Trap(signal.SIGTERM, Print("bye\n"), Exit(7)), Print("ready\n"), Read(),
        )  # fmt: skip
        await self.printed(watcher)
        watcher.transport.signalProcess("TERM")
        watcher.transport.closeStdin()
        await watcher.ended
        self.assertEqual(b"ready\nbye\n", watcher.octets[1])
        self.assert_over(watcher, 7)
        watcher = self.start("trap '' TERM; echo ready; while :; do sleep 0.05; done",
                             Trap(signal.SIGTERM), Print("ready\n"), Stall())  # fmt: skip
        await self.printed(watcher)
        watcher.transport.signalProcess("TERM")
        await self.a_while()
        self.assertEqual(["made"], watcher.events)
        watcher.transport.signalProcess("KILL")
        await watcher.ended
        self.assert_over(watcher, None, signal.SIGKILL)

    @scenario
    async def test_stopped(self) -> None:
        """A stopped program does nothing until it may go on, or is killed."""
        watcher = self.start("echo ready; exec cat", Print("ready\n"), Read(1), Print("x"), Read())
        await self.printed(watcher)
        watcher.transport.signalProcess("STOP")
        watcher.transport.write(b"x")
        await self.a_while()
        self.assertEqual(b"ready\n", watcher.octets[1])
        watcher.transport.signalProcess(signal.SIGCONT)
        await self.printed(watcher, b"x")
        watcher.transport.signalProcess("STOP")
        watcher.transport.signalProcess("KILL")
        await watcher.ended
        self.assert_over(watcher, None, signal.SIGKILL)

    @scenario
    async def test_grandchild(self) -> None:
        """A grandchild that has the pipes keeps the end from being told, but not the exit."""
        watcher = self.start(
            "exec 3<&0; (sleep 1.5; echo later) <&3 & exit 5",
            Fork(Wait(1.5), Print("later\n")),
            Exit(5),
        )
        await self.noted(watcher, "exited")
        self.assertEqual(["made", "exited"], watcher.events)
        self.assertRaises(ProcessExitedAlready, watcher.transport.signalProcess, "TERM")
        await watcher.ended
        self.assertEqual(b"later\n", watcher.octets[1])
        self.assert_over(watcher, 5)

    @scenario
    async def test_let_go(self) -> None:
        """Who closes all pipes is told the end at once, whoever else has them."""
        watcher = self.start("exec 3<&0; sleep 1.5 <&3 & exit 5", Fork(Wait(1.5)), Exit(5))
        await self.noted(watcher, "exited")
        watcher.transport.loseConnection()
        await self.until(lambda: watcher.ended.called)
        self.assert_over(watcher, 5)
        await deferLater(self.reactor, 1.5)

    @scenario
    async def test_raising(self) -> None:
        """An error of the protocol is logged, and changes nothing; for output, it ends that."""
        for raising in ("made", "lost 1", "exited", "data"):
            watcher = Watcher()
            watcher.raising = raising
            self.spawn(watcher, "echo x; exit 0", (Print("x\n"),))
            await watcher.ended
            self.assert_over(watcher, 0)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)), raising)

    @scenario
    async def test_not_there(self) -> None:
        """A program that is not there, or not executable, cannot be started."""
        await self.start("exit 0", Exit()).ended  # the reactor has all of its own now
        known = len(_open(self.reactor))
        for path, error in (("/no/such", errno.ENOENT), ("/etc/passwd", errno.EACCES)):
            if isinstance(self.reactor, MemoryReactor):
                self.reactor.programs["/etc/passwd"] = FakeProgram(executable=False)
            raised = self.assertRaises(OSError, self.reactor.spawnProcess, Watcher(), path, [path])
            self.assertEqual(error, raised.errno)
            # In another folder it is forked first, and then there is nobody to raise anything.
            watcher = Watcher()
            self.reactor.spawnProcess(watcher, path, [path], path="/")
            await watcher.ended
            self.assertTrue(watcher.octets[2].startswith(f"Upon execvpe {path} ['".encode()))
            self.assertIn(os.strerror(error).encode(), watcher.octets[2])
            self.assert_over(watcher, 1)
        self.assertEqual(known, len(_open(self.reactor)))

    @scenario
    async def test_too_much(self) -> None:
        """One argument may have 128 KiB with its NUL, all of them 2 MiB (execve(2))."""
        longest = "x" * (128 * 1024 - 1)
        for arguments, error in (
            ([longest], 0),
            ([longest + "x"], errno.E2BIG),
            ([longest] * 15, 0),
            ([longest] * 16, errno.E2BIG),
        ):
            if isinstance(self.reactor, MemoryReactor):
                self.reactor.programs["/bin/true"] = FakeProgram()
            watcher, args = Watcher(), ["true", *arguments]
            if error:
                raised = self.assertRaises(
                    OSError, self.reactor.spawnProcess, watcher, "/bin/true", args, {}
                )
                self.assertEqual(error, raised.errno)
            else:
                self.reactor.spawnProcess(watcher, "/bin/true", args, {})
                watcher.transport.closeStdin()
                await watcher.ended
                self.assert_over(watcher, 0)

    @scenario
    async def test_wrapped(self) -> None:
        """A program that setsid or prlimit cannot become ends as they say."""
        for wrapper in ("setsid", "prlimit"):
            for path, error, status in (
                ("/no/such", errno.ENOENT, 127),
                ("/etc/passwd", errno.EACCES, 126),
            ):
                if isinstance(self.reactor, MemoryReactor):
                    self.reactor.programs["/etc/passwd"] = FakeProgram(executable=False)
                watcher = Watcher()
                args = [f"/usr/bin/{wrapper}", path]
                self.reactor.spawnProcess(watcher, args[0], args, path="/")
                await watcher.ended
                self.assertEqual(
                    f"{wrapper}: failed to execute {path}: {os.strerror(error)}\n",
                    watcher.octets[2].decode(),
                )
                self.assert_over(watcher, status)


def _open(reactor: Any) -> Mapping[int, object] | list[str]:  # noqa: ANN401
    if isinstance(reactor, MemoryReactor):
        return {**reactor.network.sockets}
    return [*map(str, Path("/proc/self/fd").iterdir())]


class InMemoryProcessTests(InMemoryPrograms, ProcessTests, SynchronousTestCase):
    """Programs in memory."""


class RealProcessTests(RealPrograms, ProcessTests, TestCase):
    """Real ones."""
