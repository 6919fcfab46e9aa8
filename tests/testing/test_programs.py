# -*- test-case-name: tests.testing.test_programs -*-
"""Made-up programs: their steps, where a real program could not be asked for the same.

What they have in common with real ones is in L{tests.testing.test_processes}.
"""

from __future__ import annotations

import random
import signal
from typing import Any

from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import (
    Call,
    Die,
    Execution,
    Exit,
    FakeProgram,
    Fork,
    Hang,
    MemoryReactor,
    Print,
    Read,
    Shut,
    Stall,
    Trap,
    Wait,
)
from slimtwist.testing.programs import Play

PATH = "/bin/program"


class Noting(ProcessProtocol):
    """Notes what a program printed, and its end."""

    transport: Any

    def __init__(self) -> None:
        self.octets = b""
        self.ended: Any = None

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """Note octets."""
        self.octets += data

    def processEnded(self, reason: Failure) -> None:
        """Note the end."""
        self.ended = reason.value


class ProgramTests(SynchronousTestCase):
    """One program at a time."""

    def setUp(self) -> None:
        """Make a reactor."""
        self.reactor = MemoryReactor()

    def start(self, *plays: Play) -> tuple[Execution, Noting]:
        """Start a program, and let it do what it can do at once."""
        program = self.reactor.programs[PATH] = FakeProgram(*plays)
        noting = Noting()
        self.reactor.spawnProcess(noting, PATH, [PATH, "x"])
        self.reactor.flush()
        return program.runs[0], noting

    def test_default(self) -> None:
        """A program without steps reads all, and succeeds."""
        run, noting = self.start()
        noting.transport.write(b"abc")
        self.reactor.advance(60)
        self.assertTrue(run.running)
        self.assertEqual(f"<Execution {run.pid} {PATH} x, running>", repr(run))
        noting.transport.closeStdin()
        self.reactor.flush()
        self.assertEqual((b"abc", 0, 0), (bytes(run.octets), run.status, noting.ended.exitCode))
        self.assertIn("ended with 0x0", repr(run))

    def test_pace(self) -> None:
        """It reads as fast as the test says, and no more than that."""
        run, noting = self.start(Read(2500, pace=1000), Print("done"))
        noting.transport.write(b"x" * 9000)
        for seconds, read in ((0.5, 1000), (1.0, 2000), (0.7, 2500)):
            self.reactor.advance(seconds)
            self.assertEqual(len(run.octets), read)
        self.assertEqual(noting.octets, b"")
        self.reactor.advance(0.4)
        self.assertEqual(noting.octets, b"done")
        self.assertEqual(0, noting.ended.exitCode)

    def test_functions(self) -> None:
        """A function is called when it is its turn, and may return functions."""
        asked: list[bytes] = []

        def later(run: Execution) -> list[Play]:
            asked.append(bytes(run.octets))
            return [lambda run: [Print(run.argv[1])], Exit(3)]

        _, noting = self.start(Read(), later, Exit(4))
        self.assertEqual([], asked)
        noting.transport.write(b"abc")
        noting.transport.closeStdin()
        self.reactor.flush()
        self.assertEqual(([b"abc"], b"x", 3), (asked, noting.octets, noting.ended.exitCode))

    def test_call(self) -> None:
        """A function of the test is called in between."""
        times: list[float] = []
        self.start(Wait(2), Call(lambda: times.append(self.reactor.seconds())), Wait(1))
        self.reactor.advance(2)
        self.assertEqual([2.0], times)

    def test_hang(self) -> None:
        """Who waits for a device gets its signals afterwards, in their order."""
        run, noting = self.start(Hang(10), Print("x"))
        noting.transport.signalProcess("KILL")
        self.reactor.advance(9)
        self.assertTrue(run.running)
        self.reactor.advance(1)
        self.assertEqual((signal.SIGKILL, b""), (run.status, noting.octets))
        run, noting = self.start(Trap(signal.SIGTERM, Print("bye"), Exit(1)), Hang(10), Wait(60))
        noting.transport.signalProcess("TERM")
        self.reactor.advance(10)
        self.assertEqual((256, b"bye"), (run.status, noting.octets))

    def test_stall(self) -> None:
        """Who does nothing any more can be ended, by a trap as well."""
        for plays, status in (((), int(signal.SIGTERM)), ((Trap(signal.SIGTERM, Exit(2)),), 512)):
            run, noting = self.start(*plays, Stall())
            self.reactor.advance(3600)
            self.assertTrue(run.running)
            noting.transport.signalProcess("TERM")
            self.reactor.flush()
            self.assertEqual(status, run.status)

    def test_ignored_by_children(self) -> None:
        """A child ignores what its parent ignores, and has none of the parent's other traps."""
        for trap, survives in (
            (Trap(signal.SIGTERM), True),
            (Trap(signal.SIGTERM, Wait(9)), False),
        ):
            run, _ = self.start(trap, Fork(Wait(60)), Exit())
            [child] = self.reactor.system.running.values()
            self.reactor.system.kill(child.pid, signal.SIGTERM)
            self.reactor.flush()
            self.assertEqual(survives, child.running)
            self.assertEqual(run.group, child.group)
            self.reactor.advance(60)

    def test_shut_twice(self) -> None:
        """Descriptors that are closed, or were never there, are nothing to close or write to."""
        run, noting = self.start(Shut(0, 0, 7), Print("lost", 7), Read(), Print("x"))
        self.assertEqual((0, b"x"), (run.status, noting.octets))
        self.assertIsNotNone(noting.ended)

    def test_harmless_signals(self) -> None:
        """Some signals do nothing to who has not asked for them."""
        run, noting = self.start(Wait(5))
        for number in (signal.SIGCHLD, signal.SIGCONT, signal.SIGWINCH):
            noting.transport.signalProcess(number)
        self.reactor.flush()
        self.assertTrue(run.running)
        self.reactor.advance(5)
        self.assertEqual(0, run.status)

    def test_no_more(self) -> None:
        """Whose program has ended leaves no timer, whatever it waited for."""
        for play in (Wait(3600), Hang(3), Read(pace=1)):
            run, noting = self.start(play)
            noting.transport.write(b"x" * 5)
            self.reactor.advance(1)
            noting.transport.signalProcess("KILL")
            self.reactor.advance(3)
            self.assertFalse(run.running)
            self.assertFalse(self.reactor.leftovers())
            self.assertIsNone(self.reactor.clock.next_moment())

    def test_not_trapped(self) -> None:
        """What no kernel allows is refused."""
        for number in (signal.SIGKILL, signal.SIGSTOP):
            self.assertRaises(ValueError, Trap, number)

    def test_not_in_memory(self) -> None:
        """Terminals, and descriptors of this process, are refused."""
        self.reactor.programs[PATH] = FakeProgram()
        options: list[dict[str, Any]] = [{"usePTY": True}, {"childFDs": {0: "w", 1: 1}}]
        for each in options:
            error = self.assertRaises(
                ValueError, self.reactor.spawnProcess, Noting(), PATH, [PATH], **each
            )
            self.assertIn("pipes", str(error))

    def test_any_order(self) -> None:
        """In whatever order things happen at one moment, the protocol is told the same."""
        for seed in range(50):
            self.setUp()
            self.reactor.pick = random.Random(seed).randrange
            run, noting = self.start(Read(), Fork(Wait(1), Print("b")), Print("a"), Die())
            noting.transport.write(b"x" * 200_000)
            noting.transport.closeStdin()
            self.reactor.advance(2)
            self.assertEqual((200_000, b"ab"), (len(run.octets), noting.octets))
            self.assertEqual(signal.SIGKILL, noting.ended.signal)
            self.assertFalse(self.reactor.leftovers())
