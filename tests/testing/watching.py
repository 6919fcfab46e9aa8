# -*- test-case-name: tests.testing.test_processes -*-
"""Programs for tests: a script for the shell, and a made-up program that does the same."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from slimtwist.testing import MemoryReactor
from slimtwist.testing.programs import FakeProgram, Play
from tests.testing.worlds import InMemory, OnLoopback, World

SHELL = "/bin/sh"
PATH = "/usr/bin:/bin"


class Watcher(ProcessProtocol):
    """Notes what it is told of a process."""

    transport: Any

    def __init__(self) -> None:
        self.events: list[str] = []
        self.octets = {1: b"", 2: b"", 3: b""}
        self.pids: list[int | None] = []
        self.reasons: list[Any] = []
        self.ended: Deferred[None] = Deferred()
        self.raising = ""
        self.pid = 0

    def connectionMade(self) -> None:
        """Note it."""
        self.pid = self.transport.pid
        self.note("made")

    def note(self, event: str) -> None:
        """Note an event, and the number of the process at the time."""
        self.events.append(event)
        self.pids.append(self.transport.pid)
        if event == self.raising:
            raise ZeroDivisionError

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """Note octets."""
        self.octets[childFD] += data
        if self.raising == "data":
            raise ZeroDivisionError

    def childConnectionLost(self, childFD: int) -> None:  # noqa: N803
        """Note the end of a pipe."""
        self.note(f"lost {childFD}")

    def processExited(self, reason: Failure) -> None:
        """Note how it ended."""
        self.reasons.append(reason.value)
        self.note("exited")

    def processEnded(self, reason: Failure) -> None:
        """Note that this is all."""
        self.reasons.append(reason.value)
        self.events.append("ended")
        self.ended.callback(None)


class Programs(World):
    """Starts programs, and looks at how they end."""

    assertEqual: Any
    assertIn: Any
    assertLess: Any
    assertTrue: Any
    assertRaises: Any
    assertIsInstance: Any

    def assert_over(self, watcher: Watcher, code: int | None, number: int | None = None) -> None:
        """Check what holds at every end: all pipes, then the end, with one reason."""
        events = watcher.events
        self.assertEqual("made", events[0])
        self.assertEqual("ended", events[-1])
        self.assertEqual(
            ["ended", "exited", "lost 0", "lost 1", "lost 2", "made"], sorted(events), events
        )
        for reason in watcher.reasons:
            if code == 0:
                self.assertEqual((ProcessDone, 0), (type(reason), reason.exitCode))
            else:
                self.assertIsInstance(reason, ProcessTerminated)
            wanted = number if code is None else code << 8
            self.assertEqual(
                (code, number, wanted), (reason.exitCode, reason.signal, reason.status)
            )
        self.assertEqual(2, len(watcher.reasons))
        exited = events.index("exited")
        self.assertEqual({int}, {type(pid) for pid in watcher.pids[:exited]})
        self.assertEqual({None}, {*watcher.pids[exited:]})

    def spawn(self, watcher: Watcher, script: str, plays: tuple[Play, ...], **options: Any) -> None:  # noqa: ANN401
        """Start a program: the script, or what does the same."""
        raise AssertionError(script)

    def start(self, script: str, *plays: Play, **options: Any) -> Watcher:  # noqa: ANN401
        """Start a program with a new watcher."""
        watcher = Watcher()
        self.spawn(watcher, script, plays, **options)
        return watcher

    async def noted(self, watcher: Watcher, event: str) -> None:
        """Wait until a watcher was told something."""
        await self.until(lambda: event in watcher.events)

    async def printed(self, watcher: Watcher, text: bytes = b"ready\n") -> None:
        """Wait until a program has printed something."""
        await self.until(lambda: text in watcher.octets[1])


class InMemoryPrograms(InMemory, Programs):
    """On a reactor in memory."""

    reactor: MemoryReactor

    def spawn(self, watcher: Watcher, script: str, plays: tuple[Play, ...], **options: Any) -> None:  # noqa: ANN401
        """Make a program up, and start it."""
        self.reactor.programs[SHELL] = FakeProgram(*plays)
        _spawn(self.reactor, watcher, script, options)


class RealPrograms(OnLoopback, Programs):
    """On the real one."""

    def spawn(self, watcher: Watcher, script: str, plays: tuple[Play, ...], **options: Any) -> None:  # noqa: ANN401
        """Start a script."""
        _spawn(self.reactor, watcher, script, options)


def _spawn(reactor: Any, watcher: Watcher, script: str, options: Mapping[str, Any]) -> None:  # noqa: ANN401
    programs = [*options.get("wrappers", ()), SHELL]
    more = {key: value for key, value in options.items() if key != "wrappers"}
    args = [*programs, "-c", script, "sh", "one"]
    reactor.spawnProcess(watcher, args[0], args, **{"env": {"PATH": PATH, "A": "b c"}, **more})
