# -*- test-case-name: tests.integration.test_corpus -*-
"""Real messages: well formed, malformed, and one that is no message at all.

They are what two parsers of mail are tested with: mail-parser, from its source distribution, and
Python's own email package, from Debian's package of Python's tests. C{.ci/test} puts them into
C{.tox/mails}; they belong to others, and are not ours to pass on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from tests.integration.web import ROOT

_FOLDERS = {"mail-parser": 20, "python": 40}
_ALONE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_ANY_END = re.compile(rb"\r\n|\r|\n")


class CorpusMissingError(Exception):
    """The messages are not there."""


def mails(folder: Path = ROOT / ".tox" / "mails") -> Mapping[str, bytes]:
    """Return the octets of each file, by folder and name.

    @raise CorpusMissingError: there are none, or too few; the text says how to get them.
    """
    paths = {name: sorted(folder.glob(f"{name}/*")) for name in _FOLDERS}
    for name, least in _FOLDERS.items():
        if len(paths[name]) < least:
            raise CorpusMissingError(
                f"no messages in {folder / name}: remove {folder}, and bash .ci/test fetches them"
            )
    return {f"{name}/{path.name}": path.read_bytes() for name in paths for path in paths[name]}


def native(octets: bytes) -> bytes:
    """Return a file's octets with CRLF for each of its line ends, of whatever kind, and at its end.

    SMTP has no message without a line end at its end (RFC 5321 4.1.1.4).
    """
    lines = _ANY_END.sub(b"\r\n", octets)
    return lines if lines.endswith(b"\r\n") else lines + b"\r\n"


def alone(octets: bytes) -> bool:
    """Tell whether a CR or an LF stands alone."""
    return _ALONE.search(octets) is not None
