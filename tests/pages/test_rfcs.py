# -*- test-case-name: tests.pages.test_rfcs -*-
"""The table of RFCs: what it names is there, and nothing that the code names is missing."""

from __future__ import annotations

import re
from importlib import import_module
from inspect import getsource

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.rst import ROOT, page, rows, sections, words

_NAMED = re.compile(r"\bRFC\s+(\d{3,5})\b")
_NUMBER = re.compile(r"\b\d{3,5}\b")


class TableTests(SynchronousTestCase):
    """The tables of those that are followed."""

    def setUp(self) -> None:
        """Read them."""
        self.rows = [row for row in rows(page("rfcs")) if len(row) == 5]

    def test_modules(self) -> None:
        """Each module is there, and says itself that it follows that RFC."""
        self.assertGreater(len(self.rows), 60)
        for number, _, _, modules, _ in self.rows:
            self.assertTrue(words(modules), number)
            for name in words(modules):
                numbers = _NUMBER.findall(getsource(import_module(name)))
                self.assertIn(number, numbers, name)

    def test_status(self) -> None:
        """It is one of two words, and who says part says which."""
        for number, _, status, _, remarks in self.rows:
            self.assertIn(status, ("complete", "part"), number)
            self.assertTrue(status == "complete" or len(remarks) > 5, number)

    def test_whole(self) -> None:
        """Every RFC that the code names is there, once, in the order of its section."""
        there = [number for number, *_ in self.rows]
        sources = "".join(path.read_text() for path in (ROOT / "slimtwist").rglob("*.py"))
        self.assertEqual({*_NAMED.findall(sources)} - {*there}, set())
        self.assertEqual(len(there), len({*there}))
        for text in sections("rfcs").values():
            numbers = [int(row[0]) for row in rows(text) if len(row) == 5]
            self.assertEqual(numbers, sorted(numbers))

    def test_not_here(self) -> None:
        """What is said to be missing is named by no module."""
        absent = {
            number
            for row in rows(sections("rfcs")["Not here"])
            for number in _NUMBER.findall(row[0])
        }
        self.assertGreater(len(absent), 10)
        self.assertEqual(absent & {number for number, *_ in self.rows}, set())
