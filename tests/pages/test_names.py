# -*- test-case-name: tests.pages.test_names -*-
"""What the pages name of slimtwist, of its files and of each other is there."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from pkgutil import resolve_name

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.rst import ROOT

_NAME = re.compile(r"[`!<\s](slimtwist(?:\.\w+)+)")
_BLOCK = re.compile(r"(?ms)^( *)\.\. code-block:: python\n\n(.*?)(?=^\1\S|\Z)")
_FILE = re.compile(r"`((?:docs|tests|slimtwist|twisted|\.ci)/[-\w./]+\.\w+)`")


def found(pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield what matches, and on which page."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.rst"))]:
        for match in pattern.findall(path.read_text()):
            yield match, path.name


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield what a piece of code imports of slimtwist."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("slimtwist"):
            yield from (f"{node.module}.{each.name}" for each in node.names)


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

    def test_code(self) -> None:
        """Python that stands on a page can be read, and what it imports of ours is there."""
        count = 0
        for path in sorted((ROOT / "docs").glob("*.rst")):
            for _, text in _BLOCK.findall(path.read_text()):
                code = textwrap.dedent(text)
                tree = compile(
                    code, path.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST
                )
                for name in imported(tree):
                    resolve_name(name)
                count += 1
        self.assertGreater(count, 3)
