# -*- test-case-name: tests.compare.test_run -*-
"""One dialogue played to one client, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.compare.dialogue import Dialogue
from tests.compare.judgement import NO_END, judge
from tests.compare.messages import message
from tests.compare.peers import ROOT, Peer
from tests.compare.player import Player, Record


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of a dialogue with a client.

    @ivar judgement: see L{judge}.
    @ivar detail: what client and server said.
    @ivar version: of the client, if it came to an end.
    @ivar peak: its largest resident size, in KiB.
    """

    judgement: str
    detail: str
    version: str = ""
    peak: int = 0


def play(dialogue: Dialogue, peer: Peer, *, wait: float, limit: float) -> Finding:
    """Play a dialogue to a client.

    @param wait: seconds that the client waits for each reply.
    @param limit: seconds after which it is given up.
    """
    with tempfile.TemporaryDirectory() as folder, Player(dialogue) as player:
        files = write(dialogue, Path(folder))
        command = [peer.python(), "-m", f"tests.compare.clients.{peer.module}", str(player.port)]
        command += [str(wait), ",".join(dialogue.recipients), *map(str, files)]
        try:
            done = subprocess.run(
                command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False
            )
        except subprocess.TimeoutExpired:
            return Finding(NO_END, f"nothing after {limit} s")
    if done.returncode:
        return Finding(NO_END, done.stdout + done.stderr)
    return _finding(dialogue, done.stdout, player.record)


def write(dialogue: Dialogue, folder: Path) -> list[Path]:
    """Put a dialogue's messages into files; return their paths."""
    files = [folder / str(number) for number in range(len(dialogue.right))]
    for number, path in enumerate(files):
        path.write_bytes(message(dialogue.message, number + 1))
    return files


def _finding(dialogue: Dialogue, output: str, record: Record) -> Finding:
    told = json.loads(output.splitlines()[-1])
    facts = [
        f"{told['outcomes']} in {told['elapsed']} s, {told['peak']} KiB",
        f"{record.connections} connections, {len(record.stored)} messages",
        *told["details"],
        *record.transcript,
    ]
    judgement = judge(dialogue, told["outcomes"], record)
    return Finding(judgement, "\n    ".join(facts), told["version"], told["peak"])
