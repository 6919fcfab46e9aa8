# -*- test-case-name: tests.relay.test_group -*-
"""A signal reaches a whole group, and nobody else.

That root in reserve is used for it is shown in L{tests.relay.test_child}.
"""

# ruff: noqa: SLF001 - it is nowhere else to be seen

from __future__ import annotations

import os
import signal
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay import group
from slimtwist.relay.group import exists, send_signal
from tests.events import Events


class GroupTests(SynchronousTestCase):
    """Signals to programs."""

    def program(self, *, session: bool) -> subprocess.Popen[bytes]:
        """Start a program with a child of its own."""
        command = ["sh", "-c", "sleep 60 & echo $!; wait"]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=session)
        self.addCleanup(program.wait)
        self.addCleanup(program.kill)
        assert program.stdout is not None
        self.addCleanup(program.stdout.close)
        self.child = int(program.stdout.readline())
        self.addCleanup(self.kill_child)
        return program

    def kill_child(self) -> None:
        """End the child, if it is there."""
        if exists(self.child):
            os.kill(self.child, signal.SIGKILL)

    def test_all(self) -> None:
        """The program and its children get it."""
        program = self.program(session=True)
        send_signal(program.pid, signal.SIGKILL, alive=True)
        self.assertEqual(-signal.SIGKILL, program.wait(9))
        assert program.stdout is not None
        self.assertEqual(b"", program.stdout.read())  # nobody holds it open any more

    def test_left_behind(self) -> None:
        """What a program has left behind gets it as well."""
        program = self.program(session=True)
        program.kill()
        program.wait(9)
        self.assertTrue(exists(self.child))
        send_signal(program.pid, signal.SIGKILL, alive=False)
        assert program.stdout is not None
        self.assertEqual(b"", program.stdout.read())

    def test_no_group_yet(self) -> None:
        """A program without a group gets it alone, as long as its number is its own."""
        program = self.program(session=False)
        send_signal(program.pid, signal.SIGKILL, alive=False)
        self.assertIsNone(program.poll())
        send_signal(program.pid, signal.SIGTERM, alive=True)
        self.assertEqual(-signal.SIGTERM, program.wait(9))
        self.assertTrue(exists(self.child))
        send_signal(program.pid, signal.SIGTERM, alive=True)  # there is nobody

    def test_not_allowed(self) -> None:
        """That it is somebody else's is logged, and no error."""

        def killpg(*_: int) -> None:
            raise PermissionError(1, "Operation not permitted")

        events = Events()
        self.patch(group._log, "observer", events)
        self.patch(os, "killpg", killpg)
        send_signal(2, signal.SIGTERM, alive=True)
        self.assertEqual([2], [event["pid"] for event in events])

    def test_exists(self) -> None:
        """A process is there until it was waited for."""
        program = subprocess.Popen(["true"])
        os.waitid(os.P_PID, program.pid, os.WEXITED | os.WNOWAIT)
        self.assertTrue(exists(program.pid))
        program.wait(9)
        self.assertFalse(exists(program.pid))
        self.assertTrue(exists(1))
