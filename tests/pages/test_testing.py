# -*- test-case-name: tests.pages.test_testing -*-
"""The page about tests names all that there is for them, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from textwrap import dedent

from twisted.trial.unittest import SynchronousTestCase

from slimtwist import testing
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing.programs import ProgramStep
from slimtwist.testing.steps import Step
from tests.daemon import environment
from tests.pages.rst import ROOT, page, rows, sections, words


def exported(kind: object) -> set[str]:
    """Return what is exported by a module of steps and can be played."""
    found = {name: getattr(testing, name) for name in testing.__all__}
    return {name for name, each in found.items() if each.__module__ == kind and name != "Step"}


class NameTests(SynchronousTestCase):
    """What can be imported from C{slimtwist.testing}."""

    def test_all(self) -> None:
        """Every name is on the page, in double backticks."""
        told = {re.split(r"\W", word)[0] for word in words(page("testing"))}
        self.assertEqual({*testing.__all__} - told, set())

    def test_tables(self) -> None:
        """The tables name what is exported; those of steps name each of them, and no other."""
        parts = sections("testing")
        for title, kind in (("Scripts", Step), ("Programs", ProgramStep)):
            named = {words(first)[0] for first, _ in rows(parts[title])}
            self.assertEqual(named, exported(kind.__module__) - {"FakeProgram"})
        head = page("testing").partition("In one line")[0]
        self.assertLessEqual({words(name)[0] for _, name in rows(head)}, {*testing.__all__})

    def test_snippets(self) -> None:
        """What the page shows in passing runs."""
        reactor = testing.MemoryReactor()
        known = {name: getattr(testing, name) for name in testing.__all__}
        known |= {"reactor": reactor, "Runtime": Runtime, "MxSmtpRelay": MxSmtpRelay}
        blocks = re.findall(r"(?m)::\n\n((?:    .*\n)+)", page("testing"))
        self.assertEqual(len(blocks), 3)
        for block in blocks:
            exec(dedent(block), known)
        self.assertEqual(known["names"].trouble, {"example.org": "SERVFAIL"})

    def test_commands(self) -> None:
        """What is said to run the examples does, where it is said to, beside what is installed."""
        commands = re.findall(r"``python (-m twisted\.trial \w+)``", page("testing"))
        self.assertEqual(len(commands), 2)
        examples = shutil.copytree(ROOT / "docs" / "examples", self.mktemp())
        for command in commands:
            result = subprocess.run(
                [sys.executable, *command.split()],
                cwd=examples,
                env=environment(),
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

    def test_sorted(self) -> None:
        """What is exported is there, once."""
        self.assertEqual(testing.__all__, sorted({*testing.__all__}))
        for name in testing.__all__:
            self.assertTrue(getattr(testing, name).__doc__, name)
