# -*- test-case-name: tests.integration.test_benchmarks -*-
"""How much processor time a message costs that is handed to a smart host.

    python -m tests.benchmarks.smarthost --messages 5000 --rounds 5

Each sender gives the same number of messages of 4 KiB to Postfix's C{smtp-sink} on loopback, over
10 connections that are used again and again, in a process of its own; the senders take turns, so
that a change of the machine's pace meets all of them.  What is printed is the median of each one's
user and system time for a message, its start included, the ratio to the first, and where known its
largest resident size.  Debian's package C{postfix} is needed, and the environment of python-slimta
that C{.ci/test} makes.
"""

from __future__ import annotations

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tests.benchmarks.load import CONNECTIONS, MESSAGE, RECIPIENT, SENDER
from tests.integration.web import ROOT, slimta


def _smtp_source(port: int, messages: int) -> Sequence[str]:
    """Return the command of Postfix's test client, which is written in C."""
    options = {"-s": CONNECTIONS, "-m": messages, "-l": len(MESSAGE), "-f": SENDER, "-t": RECIPIENT}
    words = [str(word) for pair in options.items() for word in pair]
    return ["smtp-source", "-d", *words, f"127.0.0.1:{port}"]


def _module(name: str, python: Callable[[], str]) -> Callable[[int, int], Sequence[str]]:
    """Return what makes the command of a module beside this one."""
    return lambda port, messages: [
        python(),
        "-m",
        f"tests.benchmarks.{name}",
        str(port),
        str(messages),
    ]


#: What makes a sender's command of port and number of messages.
SENDERS: Final[dict[str, Callable[[int, int], Sequence[str]]]] = {
    "slimtwist": _module("by_slimtwist", lambda: sys.executable),
    "python-slimta": _module("by_slimta", slimta),
    "smtplib": _module("by_smtplib", lambda: sys.executable),
    "smtp-source": _smtp_source,
}


@contextmanager
def sink() -> Iterator[int]:
    """Run C{smtp-sink}, and give its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(["smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "100"])
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def cost(name: str, port: int, messages: int) -> tuple[float, int]:
    """Return what a message costs a sender in microseconds, and how large it becomes in KiB.

    C{smtp-source} does not tell its size.  That of C{wait4} is no help: it is never below our own,
    of which the child was a copy until its program began.
    """
    child = subprocess.Popen(SENDERS[name](port, messages), cwd=ROOT, stdout=subprocess.PIPE)
    with child:
        output = child.stdout.read() if child.stdout else b""
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{name} failed")
    return (usage.ru_utime + usage.ru_stime) / messages * 1e6, int(output or 0)


def compare(messages: int, rounds: int) -> None:
    """Let all senders take turns, and print their medians and ratios."""
    costs: dict[str, list[tuple[float, int]]] = {name: [] for name in SENDERS}
    with sink() as port:
        for _ in range(rounds):
            for name, each in costs.items():
                each.append(cost(name, port, messages))
    medians = {
        name: [statistics.median(values) for values in zip(*each, strict=True)]
        for name, each in costs.items()
    }
    for name, (median, size) in medians.items():
        ratio = median / medians["slimtwist"][0]
        line = f"{name:13} {median:7.0f} microseconds a message, {ratio:5.2f} of slimtwist's"
        told = f", {size / 1024:5.1f} MiB" if size else ""
        print(f"{line}{told}")  # noqa: T201 - for the person at the terminal


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    compare(chosen.messages, chosen.rounds)


if __name__ == "__main__":
    main()
