# -*- test-case-name: tests.compare.test_compare -*-
"""Play the dialogues to the clients, print what came of each, and write the table.

    python -m tests.compare [--only NAME] [--peer NAME] [--write docs/comparison.rst]

C{--only} and C{--peer} are repeatable.  Needs the network the first time, and Debian's C{postfix}
and root.  A table in which a client came to no end, or to none that we know, is not written: that
is first of all for those who maintain the client.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.compare.dialogue import Dialogue, dialogues
from tests.compare.judgement import NO_END, RIGHT
from tests.compare.peers import PEERS, Peer
from tests.compare.run import Finding, play
from tests.compare.table import rendered, replaced

#: Seconds that a client waits for each reply, and that we wait for a client.
WAIT: Final = 3.0
LIMIT: Final = 60.0

#: From names of dialogues to names of peers to what was found.
Found = dict[str, dict[str, Finding]]


def compare(chosen: Sequence[Dialogue], peers: Sequence[Peer], *, verbose: bool) -> Found:
    """Play all to all; print what was found, and return it."""
    findings: Found = {}
    for dialogue in chosen:
        found = {peer.name: play(dialogue, peer, wait=WAIT, limit=LIMIT) for peer in peers}
        findings[dialogue.name] = found
        _say(f"{dialogue.name}: " + ", ".join(f"{n} {f.judgement}" for n, f in found.items()))
        for name, each in found.items():
            if verbose or (name == PEERS[0].name and each.judgement != RIGHT):
                _say(f"  {name}:\n    {each.detail}")
    return findings


def write(page: Path, chosen: Sequence[Dialogue], findings: Found) -> None:
    """Put the table into a page.

    @raise ValueError: it is not to be written, or has no place there.
    """
    if hidden := [name for name, found in findings.items() if _without_end(found)]:
        raise ValueError(f"no end in {', '.join(hidden)}: leave that to the maintainers")
    date = dt.datetime.now(dt.UTC).date().isoformat()
    text = page.read_text(encoding="utf-8")
    page.write_text(replaced(text, rendered(chosen, findings, date)), encoding="utf-8")


def _without_end(found: dict[str, Finding]) -> bool:
    return any(each.judgement == NO_END for each in found.values())


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - for the person at the terminal


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="tests.compare", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="of a dialogue")
    parser.add_argument("--peer", action="append", choices=[each.name for each in PEERS])
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--verbose", action="store_true", help="print what was said, too")
    asked = parser.parse_args()
    chosen = [each for each in dialogues() if not asked.only or each.name in asked.only]
    peers = [each for each in PEERS if not asked.peer or each.name in asked.peer]
    findings = compare(chosen, peers, verbose=asked.verbose)
    if asked.write:
        try:
            write(asked.write, chosen, findings)
        except ValueError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
