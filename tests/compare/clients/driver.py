# -*- test-case-name: tests.compare.test_clients -*-
"""What the programs of this folder have in common: their command line, and what they print.

::

    python -m tests.compare.clients.by_smtplib PORT WAIT RECIPIENT,RECIPIENT FILE FILE

hands the messages in the files, one after another, to the server on 127.0.0.1, with C{WAIT} seconds
for each reply, and prints one line of JSON: C{outcomes}, for each message a verdict for each
recipient; C{details}, for each message what the client itself said; C{version}, of the client;
C{elapsed}, in seconds; C{peak}, the largest resident size in KiB.

The verdict is C{delivered}, C{deferred} or C{failed}.  A client that raises an exception leaves the
sorting to its caller.  We sort as a careful caller would: C{failed} is what carries a 5yz reply to
MAIL, RCPT, DATA or the message itself, or one of RFC 7504 in place of a greeting; every other
exception is C{deferred}.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SENDER: Final = "sender@client.test"
HELO: Final = "client.test"


@dataclass(frozen=True)
class Task:
    """What is to be done.

    @ivar port: of the server, on 127.0.0.1.
    @ivar wait: seconds for each reply.
    @ivar recipients: their addresses.
    @ivar files: the messages, with CRLF line ends.
    """

    port: int
    wait: float
    recipients: Sequence[str]
    files: Sequence[Path]


@dataclass(frozen=True)
class Told:
    """What a client said of one message: a verdict for each recipient, and its own words."""

    verdicts: Sequence[str]
    detail: str


def verdict(code: int) -> str:
    """Return what a reply to a message or a recipient means."""
    if 200 <= code < 300:
        return "delivered"
    return "failed" if 500 <= code < 600 else "deferred"


def refused(code: int) -> str:
    """Return what an exception with a code means; it is no success, whatever the code."""
    return "failed" if verdict(code) == "failed" else "deferred"


def refused_session(code: int) -> str:
    """Return what an exception with the code of a greeting means (RFC 7504)."""
    return "failed" if code == 521 else "deferred"


def everyone(task: Task, word: str, detail: object) -> Told:
    """Return one verdict for all recipients."""
    return Told([word] * len(task.recipients), f"{type(detail).__name__}: {detail}")


def main(deliver: Callable[[Task], Sequence[Told]], version: str) -> None:
    """Do what the command line says, and print what came of it."""
    port, wait, recipients, *files = sys.argv[1:]
    began = time.monotonic()
    told = deliver(
        Task(int(port), float(wait), recipients.split(","), [Path(each) for each in files])
    )
    result = {
        "outcomes": [list(each.verdicts) for each in told],
        "details": [each.detail for each in told],
        "version": version,
        "elapsed": round(time.monotonic() - began, 3),
        "peak": peak(),
    }
    print(json.dumps(result))  # noqa: T201 - that is what it is for


def peak() -> int:
    """Return the largest resident size of this process so far, in KiB (proc(5))."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) if found else 0
