# -*- test-case-name: tests.relay.test_child -*-
"""A program runs in the surroundings that were configured, and in no other."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.child import Child
from slimtwist.relay.pipe import PipeRelay
from tests.daemon import environment
from tests.relay.hostile import ProgramCase


class SurroundingsTests(ProgramCase):
    """What a program finds."""

    async def found(self, command: str, **options: Any) -> tuple[str, ...]:  # noqa: ANN401 - of Child
        """Return the lines that a command prints."""
        child = Child(**{"allow_root": True, **options})
        program = self.script(f"cat > /dev/null; {command}; exit 75")
        self.folder.chmod(0o755)
        for folder in self.folder.parents[:4]:
            folder.chmod(0o755)
        [outcome] = await self.deliver(self.relay(program, child=child))
        self.assertEqual("4.3.0", outcome.reply.enhanced, outcome.reply)
        return outcome.reply.lines

    async def test_environment(self) -> None:
        """The environment is as configured, and nothing of the daemon's is in it (PIPE-06)."""
        secrets = {"TWISTD_SECRET": "x", "PYTHONPATH": "x", "LD_PRELOAD": "", "HOME": "/root"}
        for name, value in secrets.items():
            before = os.environ.get(name)
            os.environ[name] = value
            self.addCleanup(_restore, name, before)
        program = "tr '\\0' '\\n' < /proc/self/environ"
        base = {"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=C.UTF-8"}
        self.assertEqual(base, {*await self.found(program)})
        more = {"A": "b c", "LANG": "C", "HOME": "/home/x"}
        wanted = {"PATH=/usr/local/bin:/usr/bin:/bin", "A=b c", "LANG=C", "HOME=/home/x"}
        self.assertEqual(wanted, {*await self.found(program, environment=more)})

    async def test_path(self) -> None:
        """A program without a slash is looked for in its own PATH."""
        self.script("cat >/dev/null; echo found; exit 75", "mine")
        child = Child(environment={"PATH": f"{self.folder}:/bin:/usr/bin"}, allow_root=True)
        relay = PipeRelay(["mine"], child=child)
        self.assertEqual(["451 4.3.0 found"], await self.replies(relay))

    async def test_folder_umask_limits(self) -> None:
        """Folder, umask and limits are those that are set (PIPE-24)."""
        self.assertEqual(("/", "0077"), await self.found("pwd; umask"))
        limits = {"cpu": 7, "fsize": 1 << 20, "nofile": 50, "nproc": 500, "as": 1 << 30, "core": 0,
                  "data": 1 << 29, "stack": 1 << 22}  # fmt: skip
        found = await self.found(
            "pwd; umask; cut -c1-26,27-47 /proc/self/limits",
            directory=str(self.folder), umask=0o027, limits=limits,
        )  # fmt: skip
        self.assertEqual((str(self.folder), "0027"), found[:2])
        table = {line[:26].strip(): line[26:].split()[0] for line in found[3:]}
        wanted = {"Max cpu time": 7, "Max file size": 1 << 20, "Max open files": 50,
                  "Max processes": 500, "Max address space": 1 << 30, "Max core file size": 0,
                  "Max data size": 1 << 29, "Max stack size": 1 << 22}  # fmt: skip
        self.assertEqual({name: str(value) for name, value in wanted.items()},
                         {name: table[name] for name in wanted})  # fmt: skip

    async def test_own_umask_and_folder(self) -> None:
        """The daemon keeps its own umask and folder."""
        mask, folder = os.umask(0o012), Path.cwd()
        self.addCleanup(os.umask, mask)
        await self.found("true", umask=0o077, directory="/tmp")
        self.assertEqual((0o012, folder), (os.umask(0o012), Path.cwd()))

    async def test_limit_ends(self) -> None:
        """Who exceeds a limit is killed by the system: deferred (PIPE-16, PIPE-24)."""
        child = Child(limits={"cpu": 1}, allow_root=True)
        relay = self.relay("while :; do :; done", child=child)
        [reply] = await self.replies(relay)
        self.assertRegex(reply, "451 4.3.0 .* was killed by signal (24|9);")

    async def test_user(self) -> None:
        """Another user, with his own group or another, and none of root's groups."""
        command = "id -u; id -g; id -G"
        nobody = ("65534", "65534", "65534")
        for user in ("nobody", "65534"):
            self.assertEqual(nobody, await self.found(command, user=user, allow_root=False))
        wanted = ("65534", "8", "8")
        for group in ("mail", "8"):
            self.assertEqual(wanted, await self.found(command, user="nobody", group=group))

    async def test_user_cannot_execute(self) -> None:
        """A program that he may not execute, or a limit that leaves no room, defers (PIPE-17)."""
        program = self.script("exit 0")
        (self.folder / "program").chmod(0o700)
        for options in ({"user": "nobody"}, {"limits": {"as": 4096}}):
            child = Child(allow_root=True, **options)
            [reply] = await self.replies(self.relay(program, child=child))
            self.assertTrue(reply.startswith(("451 4.3.5 ", "451 4.3.0 ")), reply)

    async def test_timeout_of_another_user(self) -> None:
        """A program of another user is ended as well (PIPE-10)."""
        child = Child(user="nobody")
        relay = self.relay("/bin/sleep", "60", child=child, timeout=0.3)
        [reply] = await self.replies(relay)
        self.assertIn("did not end in 0.3 s", reply)
        await self.tidy()


def _restore(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


class ReserveTests(ProgramCase):
    """A daemon that keeps root in reserve, as C{twistd --uid --euid} makes it."""

    async def test_reserve(self) -> None:
        """It runs programs as other users and ends them, and never as the root it could be."""
        command = ["-m", "tests.relay.reserve"]
        output, errors, status = await getProcessOutputAndValue(
            sys.executable, command, environment(), str(Path(__file__).parents[2])
        )
        self.assertEqual(
            (b"nobody 4.4.2 True 1000 4.3.5 4.3.5\n", b"", 0), (output, errors, status)
        )


class WrongTests(SynchronousTestCase):
    """Surroundings that cannot be."""

    def test_wrong(self) -> None:
        """Each error names the part."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        cases: dict[str, dict[str, Any]] = {
            "limits: there is no 'rss'": {"limits": {"rss": 1}},
            "limits: cpu=-1": {"limits": {"cpu": -1}},
            f"limits: nofile={most + 1}": {"limits": {"nofile": most + 1}},
            "group: it needs a user": {"group": "mail"},
            "user: there is no 'nobody-at-all'": {"user": "nobody-at-all"},
            "user: there is no 'a\\x00b'": {"user": "a\0b"},
            f"user: there is no '{'9' * 30}'": {"user": "9" * 30},
            "group: there is no 'no-group'": {"user": "nobody", "group": "no-group"},
            "user=root": {"user": "root"},
            "umask 1000": {"umask": 0o1000},
            "directory 'x'": {"directory": "x"},
            "environment: 'A=B' cannot be": {"environment": {"A=B": "c"}},
            "environment: '' cannot be": {"environment": {"": "c"}},
            "environment: 'A' cannot be": {"environment": {"A": "c\0"}},
        }  # fmt: skip
        for text, options in cases.items():
            error = self.assertRaises(ValueError, Child, **options)
            self.assertIn(text, str(error))

    def test_never_ran(self) -> None:
        """What Twisted says of a child that became no program is told from a program's words."""
        text = "Upon execvpe /usr/bin/setsid ['x']"
        self.assertTrue(Child.never_ran(1, text))
        self.assertFalse(Child.never_ran(2, text))
        self.assertFalse(Child.never_ran(1, "upon"))
