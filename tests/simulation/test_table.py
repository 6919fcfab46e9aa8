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

    def test_responses(self) -> None:
        """There is a word for each kind of response of HTTP; what comes early is no success, and
        leaves nothing open (L1, L4).
        """
        for kind in table.RESPONSES:
            self.assertIn(("response", kind), table.POSTED)
            early = table.POSTED["early response", kind]
            self.assertIn(early, (table.DEFERRED, table.FAILED))
        failing = {kind for (_, kind), word in table.POSTED.items() if word == table.FAILED}
        self.assertEqual(failing, {"refusal", "permanent"})
        self.assertEqual(set(table.WORDS), set(table.TABLE) | set(table.POSTED))

    def test_statuses(self) -> None:
        """Each status is of one kind (HTR-01, HTR-03 to HTR-08)."""
        kind = table.kind_of_response
        for status in range(100, 1000):
            self.assertIn(kind(status), table.RESPONSES)
            self.assertEqual(kind(status) == "success", 200 <= status < 300)
            self.assertEqual(kind(status, code=550), "permanent")
            self.assertEqual(kind(status, code=250) == "success", 200 <= status < 300)
        self.assertEqual([s for s in range(400, 500) if kind(s) == "later"], [408, 421, 425, 429])
        self.assertEqual(kind(404), "refusal")
        self.assertEqual(kind(404, spare=True), "configuration")
        self.assertEqual(kind(404, later=True), "later")

    def test_page(self) -> None:
        """The page shows the table as it is: C{python -m tests.simulation.table} writes it anew."""
        self.assertEqual(_PAGE.read_text(encoding="utf-8"), table.page())
