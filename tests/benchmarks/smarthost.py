# -*- test-case-name: tests.integration.test_benchmarks -*-
"""How much processor time a message costs that is handed to a smart host.

    python -m tests.benchmarks.smarthost --messages 5000 --rounds 5

Each sender gives the same number of messages of 4 KiB to Postfix's C{smtp-sink} on loopback, over
10 connections that are used again and again, in a process of its own; the senders take turns, so
that a change of the machine's pace meets all of them.  What is printed is the median of each one's
user and system time for a message, its start included, and the ratio to the first.  Debian's
package C{postfix} is needed.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from twisted.internet import task
from twisted.internet.defer import Deferred

from slimtwist.envelope import Envelope
from slimtwist.relay.smtp.static import StaticSmtpRelay

CONNECTIONS: Final = 10
SENDER, RECIPIENT = "sender@example.com", "recipient@example.com"
MESSAGE: Final = b"Subject: benchmark\r\n\r\n" + (b"x" * 62 + b"\r\n") * 64


def by_slimtwist(port: int, messages: int) -> None:
    """Send by L{StaticSmtpRelay}, with as many attempts waiting as keep it busy."""
    envelope = Envelope.parse(SENDER, [RECIPIENT], MESSAGE)

    async def send(relay: StaticSmtpRelay, count: int) -> None:
        for _ in range(count):
            await relay.attempt(envelope, 0)

    async def run() -> None:
        relay = StaticSmtpRelay("127.0.0.1", port, pool_size=CONNECTIONS)
        share = messages // CONNECTIONS
        senders = [Deferred.fromCoroutine(send(relay, share)) for _ in range(CONNECTIONS)]
        for each in senders:
            await each
        await relay.stop()

    task.react(lambda _: Deferred.fromCoroutine(run()))


def by_smtplib(port: int, messages: int) -> None:
    """Send by the standard library, in a thread for each connection."""

    def send(count: int) -> None:
        with smtplib.SMTP("127.0.0.1", port) as client:
            for _ in range(count):
                client.sendmail(SENDER, [RECIPIENT], MESSAGE)

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(send, [messages // CONNECTIONS] * CONNECTIONS))


def by_smtp_source(port: int, messages: int) -> None:
    """Become Postfix's test client, which is written in C."""
    size = str(len(MESSAGE))
    command = ["smtp-source", "-d", "-s", str(CONNECTIONS), "-m", str(messages), "-l", size]
    os.execvp(command[0], [*command, "-f", SENDER, "-t", RECIPIENT, f"127.0.0.1:{port}"])


SENDERS: Final[dict[str, Callable[[int, int], None]]] = {
    "slimtwist": by_slimtwist,
    "smtplib": by_smtplib,
    "smtp-source": by_smtp_source,
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


def microseconds(name: str, port: int, messages: int) -> float:
    """Return what a message costs a sender, its start included."""
    command = [sys.executable, "-m", "tests.benchmarks.smarthost", "--sender", name]
    child = subprocess.Popen([*command, "--port", str(port), "--messages", str(messages)])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"{name} failed")
    return (usage.ru_utime + usage.ru_stime) / messages * 1e6


def compare(messages: int, rounds: int) -> None:
    """Let all senders take turns, and print their medians and ratios."""
    costs: dict[str, list[float]] = {name: [] for name in SENDERS}
    with sink() as port:
        for _ in range(rounds):
            for name, each in costs.items():
                each.append(microseconds(name, port, messages))
    medians = {name: statistics.median(each) for name, each in costs.items()}
    for name, median in medians.items():
        ratio = median / medians["slimtwist"]
        line = f"{name:12} {median:7.0f} microseconds a message, {ratio:5.2f} of slimtwist's"
        print(line)  # noqa: T201 - for the person at the terminal


def main() -> None:
    """Compare, or be one of those compared."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sender", choices=SENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.sender:
        SENDERS[chosen.sender](chosen.port, chosen.messages)
    else:
        compare(chosen.messages, chosen.rounds)


if __name__ == "__main__":
    main()
