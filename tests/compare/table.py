# -*- test-case-name: tests.compare.test_table -*-
"""The table of C{docs/comparison.rst}, between two comments that stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.compare.dialogue import VERDICTS, Dialogue
from tests.compare.judgement import RIGHT, WRONGS
from tests.compare.messages import message
from tests.compare.run import Finding

BEGIN: Final = ".. What python -m tests.compare --write found begins here.\n"
END: Final = ".. What python -m tests.compare --write found ends here.\n"

#: From names of dialogues to names of peers to what was found.
Findings = Mapping[str, Mapping[str, Finding]]

#: The dialogues that tell how much memory a message costs: one with a large message, one without.
_SMALL, _LARGE = "accepted", "octets-large"
#: Those whose process is not the one that we look at.
_NOT_OURS: Final = frozenset({"Postfix"})


def rendered(dialogues: Sequence[Dialogue], findings: Findings, date: str) -> str:
    """Return reStructuredText.

    @param date: when it was found.
    """
    versions = _versions(findings)
    names = ", ".join(f"{name} {version}" for name, version in versions.items())
    rows = [["Dialogue", "Right", *versions]]
    for each in dialogues:
        found = [_marked(findings[each.name][name].judgement) for name in versions]
        rows.append([f"``{each.name}``", _right(each), *found])
    told = [["Dialogue", "What the server does", "Source"]]
    told += [[f"``{each.name}``", each.title, each.source] for each in dialogues]
    wrongs = [[f"*{word}*", f"{meaning}"] for word, meaning in WRONGS.items()]
    parts = [f"Found on {date}, with {names}.\n", _table(rows), _memory(findings)]
    parts += ["What is wrong, the worst first:\n", _table([["Word", "Meaning"], *wrongs])]
    parts += ["The dialogues:\n", _table(told)]
    return "\n".join(part for part in parts if part)


def _versions(findings: Findings) -> dict[str, str]:
    """Return the versions of the peers, by name."""
    found = [pair for each in findings.values() for pair in each.items()]
    return {name: finding.version for name, finding in found if finding.version}


def _memory(findings: Findings) -> str:
    """Return how much larger a client is when the message is."""
    if not {_SMALL, _LARGE} <= findings.keys():
        return ""
    small, large = findings[_SMALL], findings[_LARGE]
    growth = {name: (large[name].peak - small[name].peak) / 1024 for name in small}
    told = ", ".join(f"{name} {each:.1f}" for name, each in growth.items() if name not in _NOT_OURS)
    size = len(message("large", 1)) / 2**20
    return (
        f"By how many MiB the process of a client grows for a message of {size:.1f} MiB "
        f"(``{_LARGE}`` less ``{_SMALL}``, largest resident size): {told}.\n"
    )


def replaced(page: str, part: str) -> str:
    """Return a page with its part between the comments made anew.

    @raise ValueError: the comments are not there.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no place for the table")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def _marked(judgement: str) -> str:
    return judgement if judgement == RIGHT else f"**{judgement}**"


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
