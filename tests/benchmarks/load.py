# -*- test-case-name: tests.integration.test_benchmarks -*-
"""What every sender hands over: the same message, over as many connections.

A sender is run as a module of its own, C{python -m tests.benchmarks.by_smtplib PORT MESSAGES}, so
that its figure holds the start of nothing but itself.  At its end it prints its largest resident
size, in KiB.
"""

from __future__ import annotations

import sys
from typing import Final

from tests.compare.clients.driver import peak

CONNECTIONS: Final = 10
SENDER, RECIPIENT = "sender@example.com", "recipient@example.com"
MESSAGE: Final = b"Subject: benchmark\r\n\r\n" + (b"x" * 62 + b"\r\n") * 64


def asked() -> tuple[int, int]:
    """Return the port on 127.0.0.1, and how many messages each connection is for."""
    port, messages = map(int, sys.argv[1:])
    return port, messages // CONNECTIONS


def done() -> None:
    """Tell how large this process became."""
    print(peak())  # noqa: T201 - that is how it is told
