# -*- test-case-name: tests.pages.test_development -*-
"""The pages for those who read and change the code."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.rst import ROOT, page, sections

#: What a docstring names a case by.
_CASE = re.compile(r"\b(?!UTF)([A-Z]{2,4})-\d\d\b")
_ENVIRONMENT = re.compile(r"(?m)^\[testenv:(\w+)\]$")


class CaseTests(SynchronousTestCase):
    """The letters of cases."""

    def test_letters(self) -> None:
        """All that tests use are explained, and no others."""
        text = sections("development")["What a docstring of a test names"]
        explained = set(re.findall(r"(?m)^``([A-Z]+)``  ?", text))
        tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
        self.assertEqual({*_CASE.findall(tests)}, explained)

    def test_laws(self) -> None:
        """The page on security has the laws, as it is said here."""
        self.assertIn(
            ":doc:`security`", sections("development")["What a docstring of a test names"]
        )
        self.assertEqual(len([each for each in sections("security") if re.match(r"L\d", each)]), 12)


class ReadmeTests(SynchronousTestCase):
    """What the README leads to."""

    def test_pages(self) -> None:
        """Each page that it names is there."""
        named = re.findall(r"`(docs/[-a-z]+\.rst)`", (ROOT / "README.md").read_text())
        self.assertGreater(len(named), 12)
        for name in named:
            self.assertTrue((ROOT / name).is_file(), name)


class ToxTests(SynchronousTestCase):
    """The table of tox's environments."""

    def test_environments(self) -> None:
        """Each is there, and no other."""
        there = {"py", *_ENVIRONMENT.findall((ROOT / "tox.ini").read_text())}
        table = sections("development")["Tests"]
        self.assertEqual(set(re.findall(r"(?m)^``(\w+)``  ", table)), there)


class IndexTests(SynchronousTestCase):
    """The table of contents."""

    def test_every_page(self) -> None:
        """Every page is there, once."""
        listed = re.findall(r"(?m)^   ([-a-z/]+)$", page("index"))
        docs = ROOT / "docs"
        pages = {path.relative_to(docs).with_suffix("") for path in docs.rglob("*.rst")}
        others = {"newsfragments", "examples", "_build"}
        names = {str(each) for each in pages if each.parts[0] not in others}
        self.assertEqual(sorted(listed), sorted(names - {"index"}))
