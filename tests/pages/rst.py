# -*- test-case-name: tests.pages -*-
"""The pages as data: sections, rows of tables, words in double backticks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
_TITLE: Final = re.compile(r"(?m)^(\S.*)\n-{3,}$")
_ROW: Final = re.compile(r"(?m)^   \* - ")
_CELL: Final = re.compile(r"(?m)^     - ")
_WORD: Final = re.compile(r"``([^`]+)``")


def page(name: str) -> str:
    """Return the text of a page."""
    return (ROOT / "docs" / f"{name}.rst").read_text()


def sections(name: str) -> dict[str, str]:
    """Return the sections of a page by their titles; what stands before the first has none."""
    _, *parts = _TITLE.split(page(name))
    return dict(zip(parts[::2], parts[1::2], strict=True))


def rows(text: str) -> list[list[str]]:
    """Return the cells of the list-tables in a text, without their heads, each in one line."""
    found = []
    for table in text.split(".. list-table::")[1:]:
        # What begins at the margin is no part of the table any more.
        inside = re.split(r"(?m)^\S", table)[0]
        found += [_cells(row) for row in _ROW.split(inside)[2:]]
    return found


def words(text: str) -> Sequence[str]:
    """Return what stands in double backticks."""
    return _WORD.findall(text)


def _cells(row: str) -> list[str]:
    return [" ".join(cell.split()) for cell in _CELL.split(row)]
