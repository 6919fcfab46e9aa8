# -*- test-case-name: tests.simulation.test_table -*-
"""The second opinion is complete, printed, and no copy of the engine's own."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import table
from tests.simulation.models.odd import CODES

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "outcomes.rst"


class TableTests(SynchronousTestCase):
    """The table."""

    def test_complete(self) -> None:
        """There is a word for each kind of reply at each point, and for no other pair."""
        pairs = {(stage, kind) for stage in table.STAGES for kind in table.KINDS}
        pairs -= {(stage, "no mail") for stage in table.STAGES[1:]}
        self.assertEqual(set(table.TABLE), pairs)

    def test_words(self) -> None:
        """Nothing but the end of the message delivers, and nothing before it is ambiguous (L1, L4);
        only what is said for good fails (L2).
        """
        for (stage, kind), word in table.TABLE.items():
            if word in (table.DELIVERED, table.UNKNOWN):
                self.assertEqual(stage, "end of data")
            if word == table.FAILED:
                self.assertIn(kind, ("permanent", "no mail"))

    def test_kinds(self) -> None:
        """Each code is of one kind at each point; one code or class of codes is hoped for."""
        for stage in table.STAGES:
            kinds = {code: table.kind_of(stage, code) for code in CODES}
            self.assertLessEqual(set(kinds.values()), set(table.KINDS))
            hoped = {code for code, kind in kinds.items() if kind == "yes"}
            expected = {"greeting": {220}, "EHLO": {250}, "STARTTLS": {220}, "AUTH": {235}}
            several = {200, 250, 251, 252, 299}
            self.assertEqual(hoped, {**expected, "DATA": {354}}.get(stage, several), stage)

    def test_page(self) -> None:
        """The page shows the table as it is: C{python -m tests.simulation.table} writes it anew."""
        self.assertEqual(_PAGE.read_text(encoding="utf-8"), table.page())
