# -*- test-case-name: tests.compare.test_compare -*-
"""We are right in all dialogues; and the page about the comparison has all of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.compare.__main__ import write
from tests.compare.clients.by_slimtwist import send
from tests.compare.clients.driver import Task
from tests.compare.dialogue import FOLDER, Dialogue, dialogues, load
from tests.compare.judgement import RIGHT, WRONGS, judge
from tests.compare.peers import PEERS, ROOT
from tests.compare.player import Player
from tests.compare.run import Finding
from tests.compare.run import write as write_messages
from tests.compare.table import BEGIN, END

#: Seconds for each reply: long for those that come on a busy machine, short for those that do not.
_WAIT = 4.0


class OursTests(TestCase):
    """What our relay says, over real sockets."""

    timeout = 120.0

    async def test_right(self) -> None:
        """In each dialogue it is right (L1, L2, L4, L8, L10, L12)."""
        playing = [Deferred.fromCoroutine(self.play(each)) for each in dialogues()]
        found = dict(await gatherResults(playing, consumeErrors=True))
        self.assertEqual({name: each for name, each in found.items() if each != RIGHT}, {})

    def files(self, dialogue: Dialogue) -> list[Path]:
        """Return a dialogue's messages in files."""
        folder = Path(self.mktemp())
        folder.mkdir()
        return write_messages(dialogue, folder)

    async def play(self, dialogue: Dialogue) -> tuple[str, str]:
        """Return a dialogue's name, and what came of it."""
        files = self.files(dialogue)
        with Player(dialogue) as player:
            told = await send(Task(player.port, _WAIT, dialogue.recipients, files))
        words = [each.verdicts for each in told]
        judgement = judge(dialogue, words, player.record)
        return dialogue.name, judgement if judgement == RIGHT else f"{judgement}: {told}"


class PageTests(SynchronousTestCase):
    """C{docs/comparison.rst}."""

    def setUp(self) -> None:
        """Read it."""
        self.page = (ROOT / "docs" / "comparison.rst").read_text(encoding="utf-8")
        self.rows = {
            name: [line.removeprefix("     - ").strip("*") for line in cells.splitlines()]
            for name, cells in re.findall(
                r"(?m)^   \* - ``([\w-]+)``\n((?:     - .*\n){3,})", self.page
            )
        }

    def test_dialogues(self) -> None:
        """Each dialogue has a row, with a finding for each client, and its title and source."""
        self.assertEqual(sorted(self.rows), [each.name for each in dialogues()])
        for name, (_, *found) in self.rows.items():
            self.assertEqual(len(found), len(PEERS), name)
            self.assertLessEqual({*found}, {RIGHT, *WRONGS}, name)
        for each in dialogues():
            self.assertIn(f"     - {each.title}\n     - {each.source}\n", self.page)

    def test_ours(self) -> None:
        """Ours is the first column, and right everywhere."""
        wrong = {name: found[1] for name, found in self.rows.items() if found[1] != RIGHT}
        self.assertEqual(wrong, {})

    def test_versions(self) -> None:
        """The page names each client with its version and its configuration, and the day."""
        found = re.search(r"(?m)^Found on 20\d\d-\d\d-\d\d, with (.*)\.$", self.page)
        assert found is not None
        names, versions = zip(*(each.rsplit(" ", 1) for each in found[1].split(", ")), strict=True)
        self.assertEqual(names, tuple(each.name for each in PEERS))
        for each, version in zip(PEERS, versions, strict=True):
            self.assertRegex(version, r"^\d+(\.\d+)+")
            if each.requirements:
                self.assertEqual(each.requirements[0].partition("==")[2], version)
            self.assertIn(each.configured, " ".join(self.page.split()))


class CommandTests(SynchronousTestCase):
    """C{python -m tests.compare}."""

    def test_command(self) -> None:
        """It plays what it is told to, prints what it found, and writes the page."""
        page = Path(self.mktemp()).absolute()
        page.write_text(f"before\n{BEGIN}{END}after\n")
        arguments = ["--only", "accepted", "--peer", "smtplib", "--write", str(page)]
        done = subprocess.run(
            [sys.executable, "-m", "tests.compare", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        self.assertEqual((done.stdout, done.returncode), ("accepted: smtplib right\n", 0))
        self.assertRegex(page.read_text(), r"(?s)^before\n.*``accepted``.*- right\n.*after\n$")

    def test_not_written(self) -> None:
        """A table in which a client came to no end is not written."""
        page = Path(self.mktemp())
        page.write_text(f"{BEGIN}{END}")
        findings = {"accepted": {"x": Finding("no end", "")}}
        error = self.assertRaises(
            ValueError, write, page, [load(FOLDER / "accepted.txt")], findings
        )
        self.assertIn("no end in accepted", str(error))
        self.assertEqual(page.read_text(), f"{BEGIN}{END}")
