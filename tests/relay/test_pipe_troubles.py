# -*- test-case-name: tests.relay.test_pipe_troubles -*-
"""Programs that cannot be run, and many at once: what comes of it, and that nothing is left."""

from __future__ import annotations

import os
import resource
import socket
from functools import partial
from pathlib import Path

from twisted.internet.defer import DeferredList

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Verdict
from slimtwist.relay.child import Child
from slimtwist.relay.pipe import PipeRelay
from slimtwist.runtime import Runtime
from tests.relay.hostile import ProgramCase, message, reactor
from tests.relay.test_pipe import ROOT


class TroubleTests(ProgramCase):
    """When a program cannot be run."""

    async def test_cannot_run(self) -> None:
        """What cannot be executed defers, and is told once a minute (PIPE-17)."""
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        plain = self.folder / "plain"
        plain.write_text("#!/bin/sh\nexit 0\n")
        text = self.script("", "text")
        (self.folder / "text").write_text("exit 0\n")
        programs = {
            "nosuch": ["nosuch-program"], "enoent": [str(self.folder / "nosuch")],
            "eacces": [str(plain)], "eloop": [str(loop)], "enoexec": [text],
            "directory": [str(self.folder)], "interpreter": [self.script("#!/nosuch\n", "lost")],
        }  # fmt: skip
        for name, command in programs.items():
            relay = PipeRelay(command, child=ROOT, runtime=Runtime(reactor))
            for _ in range(2):
                [reply] = await self.replies(relay)
                self.assertTrue(reply.startswith("451 4.3.5 "), f"{name}: {reply}")
            await relay.stop()

    async def test_root(self) -> None:
        """A daemon that is root runs nothing as root (allow_root)."""
        relay = self.relay("cat > message", child=Child(directory=str(self.folder)))
        [reply] = await self.replies(relay)
        self.assertIn("451 4.3.5 ", reply)
        self.assertIn("is not run as root", reply)
        self.assertFalse((self.folder / "message").exists())

    async def test_folder(self) -> None:
        """A folder that is not there, or goes at the last moment, defers (PIPE-24)."""
        lost = Child(allow_root=True, directory=str(self.folder / "nowhere"))
        [reply] = await self.replies(self.relay("exit 0", child=lost))
        self.assertIn("451 4.3.5 ", reply)
        self.patch(os, "access", lambda *_, **__: True)
        [reply] = await self.replies(self.relay("exit 0", child=lost))
        self.assertIn("451 4.3.5 ", reply)

    async def test_no_descriptors(self) -> None:
        """Without descriptors mail is deferred; there are as many as before after it (PIPE-18)."""
        await self.watch()
        relay = self.relay("cat >/dev/null; exit 0")
        held = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            for free in range(9):
                found = [str(each.reply)[:9] for each in await self.deliver(relay)]
                self.assertIn(found, (["451 4.3.5"], ["250 2.0.0"]))
                if free < 5:
                    self.assertEqual(["451 4.3.5"], found)
                os.close(held.pop())
        finally:
            for number in held:
                os.close(number)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(relay))
        self.flushLoggedErrors()
        await self.tidy()

    async def test_no_processes(self) -> None:
        """Without room for a process, mail is deferred (PIPE-18)."""

        def fork(*_: object) -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        await self.watch()
        relay = self.relay("exit 0")
        self.patch(os, "fork", fork)
        self.patch(os, "posix_spawnp", fork)
        [reply] = await self.replies(relay)
        self.assertIn("451 4.3.5 ", reply)
        self.assertIn("Resource temporarily unavailable", reply)
        await self.tidy()

    async def test_unexpected(self) -> None:
        """Whatever else goes wrong defers, and the place is free again."""
        relay = self.relay("exit 0", concurrency=1)

        def access(*_: object, **__: object) -> bool:
            raise RuntimeError("unexpected")

        with self.subTest():
            patch = self.patch(os, "access", access)
            [outcome] = await self.deliver(relay)
            patch.restore()
        self.assertEqual(Verdict.DEFERRED, outcome.verdict)
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(relay))
        await self.tidy()

    async def test_many_troubles(self) -> None:
        """A thousand recipients in line for a program that goes away all get an answer."""
        program = Path(self.script("rm $0; sleep 0.2"))
        relay = self.relay(str(program), concurrency=1)
        found = await self.replies(relay, message(*[f"{n}@x" for n in range(1000)]))
        self.assertEqual({"250", "451"}, {each[:3] for each in found})
        self.assertIn("4.3.5", found[-1])
        await self.tidy()


class ManyTests(ProgramCase):
    """Many deliveries."""

    timeout = 120.0

    async def test_many(self) -> None:
        """Deliveries leave no zombie, descriptor or timer; so many run at once (PIPE-19).

        C{SLIMTWIST_DELIVERIES=10000} makes it as many as the case wants.
        """
        count = int(os.environ.get("SLIMTWIST_DELIVERIES", "300"))
        relay = self.relay("echo + >> log; cat >/dev/null; echo - >> log", concurrency=7)
        await self.deliver(relay)
        await self.watch()
        for _ in range(count // 100):
            recipients = [f"{number}@x" for number in range(10)]
            attempts = [relay.attempt(message(*recipients), 0) for _ in range(10)]
            for _, report in await DeferredList(attempts):
                self.assertEqual({Verdict.DELIVERED}, {each.verdict for each in report})
        at_once = most = 0
        for line in (self.folder / "log").read_text().split():
            at_once += 1 if line == "+" else -1
            most = max(most, at_once)
        self.assertEqual(0, at_once)
        self.assertLessEqual(most, 7)
        await self.tidy()

    async def test_descriptors(self) -> None:
        """A program has the descriptors 0, 1 and 2 only, of thousands (PIPE-07)."""
        held = [socket.socket() for _ in range(5000)]
        for each in held:
            os.set_inheritable(each.fileno(), True)
            self.addCleanup(each.close)
        for directory in (self.folder, Path.cwd()):  # forked, and by posix_spawn
            text = f"cat >/dev/null; echo $$ > {self.folder}/pid; exec sleep 60"
            child = Child(allow_root=True, directory=str(directory))
            attempt = self.relay(text, child=child).attempt(message(), 0)
            pid = await self.pid()
            await self.until(partial(_has_standard_descriptors, pid))
            attempt.cancel()
            self.failureResultOf(attempt, AttemptCancelled)
            (self.folder / "pid").unlink()
        await self.tidy()


def _has_standard_descriptors(pid: int) -> bool:
    """Tell whether a program that has begun to sleep has no others."""
    names = {path.name for path in Path(f"/proc/{pid}/fd").iterdir()}
    return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes() and names == {"0", "1", "2"}
