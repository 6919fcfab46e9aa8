# -*- test-case-name: tests.relay.test_system -*-
"""The real system, where no program is needed to ask it.

With programs it is asked in L{tests.testing.test_processes_system}, as that in memory is.
"""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay import system
from slimtwist.relay.system import LINUX, CannotRun, system_of
from slimtwist.testing import MemoryReactor


class SystemTests(SynchronousTestCase):
    """What it says."""

    def test_whose(self) -> None:
        """A reactor has the real system, unless it brings its own."""
        self.assertIs(LINUX, system_of(object()))
        reactor = MemoryReactor()
        self.assertIs(reactor.system, system_of(reactor))

    def test_who(self) -> None:
        """This process is who it is."""
        self.assertEqual({os.getuid(), os.geteuid()}, LINUX.users())
        self.assertEqual(os.getegid(), LINUX.group())

    def test_no_program(self) -> None:
        """A text that may be executed is no program: setsid would run a shell for it."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        text = folder / "text"
        text.write_text("exit 0\n")
        text.chmod(0o755)
        error = self.assertRaises(CannotRun, LINUX.find, "text", str(folder))
        self.assertIn("text is no program", str(error))

    def test_spare(self) -> None:
        """Too few descriptors are an error, and none of them is kept."""
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, and that is all
        LINUX.spare(5)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 5, hard))
        try:
            self.assertRaises(OSError, LINUX.spare, 50)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(before, len(os.listdir("/proc/self/fd")))  # noqa: PTH208

    def test_unread(self) -> None:
        """Octets in a pipe are counted, also when they are many."""
        reading, writing = os.pipe()
        again = LINUX.reopen(writing)
        for written, wanted in ((0, 0), (1000, 1000), (64536, 65536)):
            os.write(writing, b"x" * written)
            self.assertEqual(wanted, LINUX.unread(again))
        for number in (reading, writing):
            os.close(number)
        LINUX.close(again)
        self.assertRaises(OSError, os.fstat, again)

    def test_forget(self) -> None:
        """Nobody's child can be forgotten."""
        LINUX.forget(1, object())

    def test_kill(self) -> None:
        """Nobody gets a signal where there is nobody."""
        self.assertRaises(ProcessLookupError, LINUX.kill, 1 << 22, 0)
        self.assertRaises(ProcessLookupError, LINUX.killpg, 1 << 22, 0)
        self.assertFalse(LINUX.lives(1 << 22))

    def test_lives(self) -> None:
        """A process that has ended lives no more, before anybody has waited for it."""
        program = subprocess.Popen(["sleep", "60"], start_new_session=True)
        self.addCleanup(program.wait)
        self.assertTrue(LINUX.lives(program.pid))
        program.kill()
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        LINUX.killpg(program.pid, 0)
        self.assertFalse(LINUX.lives(program.pid))

    def test_lives_unseen(self) -> None:
        """A group of which nothing can be seen may live: it may be another user's."""
        self.patch(system, "_members", lambda _: iter(()))
        self.assertTrue(LINUX.lives(os.getpgid(0)))
        self.patch(LINUX, "killpg", self._not_allowed)
        self.assertTrue(LINUX.lives(os.getpgid(0)))

    @staticmethod
    def _not_allowed(pid: int, number: int) -> None:
        raise PermissionError(pid, number)
