# -*- test-case-name: tests.compare.test_compare -*-
"""Play the dialogues to the clients, print what came of each, and write the table.

    python -m tests.compare [--only NAME] [--peer NAME] [--write docs/comparison.rst]

C{--only} and C{--peer} are repeatable.  Needs the network the first time, and Debian's C{postfix}
and root.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.compare.dialogue import Dialogue, dialogues
from tests.compare.judgement import RIGHT, judge
from tests.compare.messages import message
from tests.compare.peers import PEERS, ROOT, Peer
from tests.compare.player import Player, Record
from tests.compare.table import rendered, replaced

#: Seconds that a client waits for each reply, and that we wait for a client.
WAIT: Final = 3.0
LIMIT: Final = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a dialogue with a client.

    @ivar judgement: see L{judge}.
    @ivar detail: what client and server said.
    @ivar version: of the client, if it came to an end.
    """

    judgement: str
    detail: str
    version: str


def play(dialogue: Dialogue, peer: Peer) -> Finding:
    """Play a dialogue to a client in a process of its own."""
    with tempfile.TemporaryDirectory() as folder, Player(dialogue) as player:
        files = [Path(folder, str(number)) for number in range(len(dialogue.right))]
        for number, path in enumerate(files):
            path.write_bytes(message(dialogue.message, number + 1))
        command = [peer.python(), "-m", f"tests.compare.clients.{peer.module}", str(player.port)]
        command += [str(WAIT), ",".join(dialogue.recipients), *map(str, files)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return Finding(judge(dialogue, None, player.record), "", "")
    return _finding(dialogue, done, player.record)


def _finding(dialogue: Dialogue, done: subprocess.CompletedProcess[str], record: Record) -> Finding:
    if done.returncode:
        return Finding("no end", done.stdout + done.stderr, "")
    told = json.loads(done.stdout.splitlines()[-1])
    facts = [
        f"{told['outcomes']} in {told['elapsed']} s, {told['peak']} KiB",
        f"{record.connections} connections, {len(record.stored)} messages",
        *told["details"],
        *record.transcript,
    ]
    judgement = judge(dialogue, told["outcomes"], record)
    return Finding(judgement, "\n    ".join(facts), told["version"])


def compare(chosen: Sequence[Dialogue], peers: Sequence[Peer], *, verbose: bool) -> str:
    """Play all to all; print what was found, and return the table."""
    findings: dict[str, dict[str, str]] = {}
    versions: dict[str, str] = {}
    for dialogue in chosen:
        found = {peer.name: play(dialogue, peer) for peer in peers}
        findings[dialogue.name] = {name: each.judgement for name, each in found.items()}
        _say(f"{dialogue.name}: " + ", ".join(f"{n} {f.judgement}" for n, f in found.items()))
        for name, each in found.items():
            versions[name] = each.version or versions.get(name, "")
            if verbose or (name == PEERS[0].name and each.judgement != RIGHT):
                _say(f"  {name}:\n    {each.detail}")
    date = dt.datetime.now(dt.UTC).date().isoformat()
    return rendered(chosen, findings, versions, date)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - for the person at the terminal


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="tests.compare", description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="of a dialogue")
    parser.add_argument("--peer", action="append", choices=[each.name for each in PEERS])
    parser.add_argument("--write", type=Path, metavar="PAGE")
    parser.add_argument("--verbose", action="store_true", help="print what was said, too")
    asked = parser.parse_args()
    chosen = [each for each in dialogues() if not asked.only or each.name in asked.only]
    peers = [each for each in PEERS if not asked.peer or each.name in asked.peer]
    table = compare(chosen, peers, verbose=asked.verbose)
    if asked.write:
        asked.write.write_text(replaced(asked.write.read_text(), table))
    else:
        _say(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
