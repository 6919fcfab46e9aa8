# -*- test-case-name: tests.pages.test_names -*-
"""What the pages name of slimtwist, of its files and of each other is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pkgutil import resolve_name

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.rst import ROOT

_NAME = re.compile(r"[`!<\s](slimtwist(?:\.\w+)+)")
_FILE = re.compile(r"`((?:docs|tests|slimtwist|twisted|\.ci)/[-\w./]+\.\w+)`")


def found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield what matches, and on which page."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst"))]:
        for match in pattern.findall(path.read_text()):
            yield match, path.name


class NameTests(SynchronousTestCase):
    """Names."""

    def test_modules(self) -> None:
        """Each module, class and function that is named in full can be had."""
        names = {*found(_NAME)}
        self.assertGreater(len(names), 60)
        for name, where in sorted(names):
            try:
                resolve_name(name)
            except (ImportError, AttributeError) as error:
                self.fail(f"{where}: {name}: {error}")

    def test_files(self) -> None:
        """Each file is there."""
        files = {*found(_FILE)}
        self.assertGreater(len(files), 10)
        for name, where in sorted(files):
            self.assertTrue((ROOT / name).is_file(), f"{where}: {name}")
