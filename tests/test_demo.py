# -*- test-case-name: tests.test_demo -*-
"""The demonstration shows what it promises, and its status tells when it does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.daemon import environment

_PLANTED = """
import slimtwist.demo
from slimtwist.reply import Reply
{defect}
from twisted.internet import task
task.react(slimtwist.demo.main)
"""


class DemoTests(SynchronousTestCase):
    """C{python -m slimtwist.demo}, as the README has it."""

    def run_python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in an empty folder."""
        folder = Path(self.mktemp())
        folder.mkdir()
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def test_good(self) -> None:
        """The outcome of each recipient is shown, with the next hop's reply; the status is 0."""
        result = self.run_python("-m", "slimtwist.demo")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        for recipient, outcome in {
            "ann": "delivered +250 2.6.0 taken",
            "bob": "failed for good +550 5.1.1 no such user here",
            "carol": "try again later +451 4.7.1 greylisted",
        }.items():
            self.assertRegex(result.stdout, rf"(?m)^ +{recipient}@example.net +{outcome}")
        self.assertIn("the octets that arrived are those that were sent", result.stdout)

    def test_bad(self) -> None:
        """A wrong outcome, or other octets, make the status 1."""
        for defect in (
            "slimtwist.demo.send = lambda *_: Reply.parse('250 2.6.0 taken')",
            "slimtwist.demo.EXPECTED['ann@example.net'] = '451 4.0.0 later'",
            "from slimtwist.content import Content as C; C.under = lambda self, head: C.of(head)",
        ):
            result = self.run_python("-c", _PLANTED.format(defect=defect))
            self.assertEqual(result.returncode, 1, result.stdout + result.stderr)
