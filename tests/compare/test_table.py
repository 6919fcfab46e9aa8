# -*- test-case-name: tests.compare.test_table -*-
"""The table, and its place in a page."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.dialogue import parse
from tests.compare.judgement import WRONGS
from tests.compare.run import Finding
from tests.compare.table import BEGIN, END, rendered, replaced

_HEAD = "title: what {0} is\nsource: RFC 5321 3.3\nrecipients: a@b c@d\n"


class TableTests(SynchronousTestCase):
    """What it shows."""

    def setUp(self) -> None:
        """Have two dialogues and two clients."""
        accepted = parse("accepted", f"{_HEAD.format('good')}right: delivered delivered\n")
        wrong = f"{_HEAD.format('bad')}right: failed|deferred failed\nright: deferred deferred\n"
        self.dialogues = [accepted, parse("octets-large", wrong)]
        self.findings = {
            "accepted": {
                "one": Finding("right", "", "1.0", 1024),
                "other": Finding("late", "", "2.0", 2048),
            },
            "octets-large": {
                "one": Finding("right", "", "1.0", 2048),
                "other": Finding("altered", "", "2.0", 12288),
            },
        }

    def test_rows(self) -> None:
        """There is a row for each dialogue: what is right, and the finding for each client."""
        text = rendered(self.dialogues, self.findings, "2026-01-02")
        self.assertIn("Found on 2026-01-02, with one 1.0, other 2.0.\n", text)
        for row in (
            ["Dialogue", "Right", "one", "other"],
            ["``accepted``", "delivered", "right", "**late**"],
            ["``octets-large``", "deferred or failed, failed; deferred", "right", "**altered**"],
            ["``octets-large``", "what bad is", "RFC 5321 3.3"],
            *[[f"*{word}*", meaning] for word, meaning in WRONGS.items()],
        ):
            first, *others = row
            lines = [f"   * - {first}", *(f"     - {each}" for each in others)]
            self.assertIn("\n".join(lines) + "\n", text)

    def test_memory(self) -> None:
        """How much a client grows for a large message is told if it was found out."""
        text = rendered(self.dialogues, self.findings, "2026-01-02")
        self.assertIn("largest resident size): one 1.0, other 10.0.\n", text)
        del self.findings["octets-large"]
        text = rendered(self.dialogues[:1], self.findings, "2026-01-02")
        self.assertNotIn("resident", text)


class PageTests(SynchronousTestCase):
    """Where it goes."""

    def test_replaced(self) -> None:
        """What was between the comments is replaced, and nothing else."""
        page = f"before\n{BEGIN}\nold\n\n{END}after\n"
        once = replaced(page, "new\n")
        self.assertEqual(once, f"before\n{BEGIN}\nnew\n\n{END}after\n")
        self.assertEqual(replaced(once, "new\n"), once)

    def test_no_place(self) -> None:
        """A page without the comments is refused."""
        for page in ("", BEGIN, END, f"{END}{BEGIN}"):
            self.assertRaises(ValueError, replaced, page, "new\n")
