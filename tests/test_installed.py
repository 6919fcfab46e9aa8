# -*- test-case-name: tests.test_installed -*-
"""Whatever packages bring, what is good of it can be used, and the rest is told of by name."""

from __future__ import annotations

import os
import sys

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.installed import _look, installed, reason
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor
from tests.plugins import BROKEN, GOOD, NONSENSE, WRONG, install


class InstalledTests(SynchronousTestCase):
    """What is found."""

    def broken(self) -> None:
        """Install a good package and those that cannot be imported."""
        install(self, tests_good=GOOD, **{name: text for name, (text, _) in BROKEN.items()})

    def test_ours(self) -> None:
        """Ours are found, and nothing is wrong with them; nobody looks twice."""
        found = installed()
        self.assertLessEqual({"mx", "smtp", "fallback"}, set(found.plugins))
        self.assertEqual(found.problems, {})
        self.assertIs(installed(), found)

    def test_broken(self) -> None:
        """A file that cannot be imported is told of, with the reason in one line that can be shown
        (L5), and does no harm to others (L10).
        """
        self.broken()
        found = installed()
        self.assertIn("tests-good", found.plugins)
        self.assertIn("smtp", found.plugins)
        names = {f"twisted.plugins.{name}" for name in BROKEN}
        self.assertEqual(set(found.problems), names)
        for name, (_, text) in BROKEN.items():
            told = found.problems[f"twisted.plugins.{name}"]
            self.assertTrue(told.startswith(text), told)
            self.assertTrue(told.isprintable(), told)
        self.assertGreater(len(self.flushLoggedErrors()), 0)

    def test_nonsense(self) -> None:
        """So is a plugin without a prefix, or with one that is no word or somebody else's."""
        install(self, tests_nonsense=NONSENSE, tests_good=GOOD)
        found = installed()
        wrong = {f"twisted.plugins.tests_nonsense.{name}": text for name, text in WRONG.items()}
        self.assertEqual(found.problems, wrong)
        self.assertIn("tests-good", found.plugins)
        self.assertEqual(found.plugins["smtp"].__class__.__name__, "RelayMaker")

    def test_first(self) -> None:
        """Of two with one prefix, the first by name is it."""
        install(self, tests_b=GOOD, tests_a=GOOD)
        told = "ValueError: the prefix 'tests-good' is that of twisted.plugins.tests_a.good already"
        self.assertEqual(installed().problems, {"twisted.plugins.tests_b.good": told})

    def test_broken_later(self) -> None:
        """A file that could be imported when Twisted first saw it, and cannot any more, is told of
        as well.
        """
        file = install(self, tests_later=GOOD) / "tests_later.py"
        self.addCleanup(_look.cache_clear)
        self.assertIn("tests-good", installed().plugins)
        file.write_text("import no_such_module")
        os.utime(file, (0, 0))  # before Twisted saw it
        del sys.modules["twisted.plugins.tests_later"]
        _look.cache_clear()
        self.assertNotIn("tests-good", installed().plugins)
        told = installed().problems["twisted.plugins.tests_later.good"]
        self.assertEqual(told, "ModuleNotFoundError: No module named 'no_such_module'")

    def test_reason(self) -> None:
        """A reason is one line that can be shown (L5)."""
        self.assertEqual(reason(ValueError("a\r\nb\x1b[2J")), "ValueError: a b?[2J")


class AskedTests(SynchronousTestCase):
    """What is said to whoever asks for a relay that is not there, or broken."""

    def wrong(self, description: str) -> str:
        """Return what is said of a description."""
        runtime = Runtime(MemoryReactor())
        return str(self.assertRaises(ValueError, runtime.relay, description))

    def test_missing(self) -> None:
        """Who asks for what might be in a broken file is told of it."""
        install(self, tests_missing=BROKEN["tests_missing"][0])
        text = self.wrong("tests-missing:")
        self.assertIn("no relay 'tests-missing'; installed are blackhole,", text)
        broken = "; twisted.plugins.tests_missing cannot be used: ModuleNotFoundError: No module"
        self.assertIn(broken, text)
        self.flushLoggedErrors(ModuleNotFoundError)

    def test_failing(self) -> None:
        """A plugin that raises anything, or builds anything else, is an error like any other."""
        install(self, tests_nonsense=NONSENSE)
        for description, text in {
            "tests-late:": "tests-late: 'no_such_module.parse' does not name an object",
            "tests-bad:": "tests-bad: its plugin failed: ZeroDivisionError: really",
            "tests-odd:": "tests-odd: its plugin built str, which is no relay",
        }.items():
            self.assertEqual(self.wrong(description), text)
