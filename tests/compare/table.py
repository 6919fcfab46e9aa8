# -*- test-case-name: tests.compare.test_table -*-
"""The table of C{docs/comparison.rst}, between two comments that stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.compare.dialogue import VERDICTS, Dialogue

BEGIN: Final = ".. What python -m tests.compare --write found begins here.\n"
END: Final = ".. What python -m tests.compare --write found ends here.\n"

#: From names of dialogues to names of peers to what was found.
Findings = Mapping[str, Mapping[str, str]]


def rendered(
    dialogues: Sequence[Dialogue], findings: Findings, versions: Mapping[str, str], date: str
) -> str:
    """Return reStructuredText.

    @param versions: of the peers, by name, in the order of the columns.
    @param date: when it was found.
    """
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    rows = [["Dialogue", "Right", *versions]]
    for each in dialogues:
        found = [findings[each.name][name] for name in versions]
        rows.append([f"``{each.name}``", _right(each), *found])
    told = [["Dialogue", "What the server does", "Source"]]
    told += [[f"``{each.name}``", each.title, each.source] for each in dialogues]
    return f"Found on {date}, with {names}.\n\n{_table(rows)}\nThe dialogues:\n\n{_table(told)}"


def replaced(page: str, part: str) -> str:
    """Return a page with its part between the comments made anew.

    @raise ValueError: the comments are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def _right(dialogue: Dialogue) -> str:
    """Return what is right: for each recipient, if they differ; for each message, if they do."""
    return "; ".join(
        dict.fromkeys(
            ", ".join(dict.fromkeys(_word(each) for each in message)) for message in dialogue.right
        )
    )


def _word(allowed: frozenset[str]) -> str:
    return " or ".join(each for each in VERDICTS if each in allowed)


def _table(rows: Sequence[Sequence[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        starts = ["   * - ", *["     - "] * (len(row) - 1)]
        lines += [start + cell for start, cell in zip(starts, row, strict=True)]
    return "\n".join([*lines, ""])
