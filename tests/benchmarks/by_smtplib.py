# -*- test-case-name: tests.integration.test_benchmarks -*-
"""Send by the standard library, in a thread for each connection."""

from __future__ import annotations

import smtplib
from concurrent.futures import ThreadPoolExecutor

from tests.benchmarks.load import CONNECTIONS, MESSAGE, RECIPIENT, SENDER, asked, done


def _send(port: int, count: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        for _ in range(count):
            client.sendmail(SENDER, [RECIPIENT], MESSAGE)


if __name__ == "__main__":
    _port, _share = asked()
    with ThreadPoolExecutor(CONNECTIONS) as threads:
        list(threads.map(_send, [_port] * CONNECTIONS, [_share] * CONNECTIONS))
    done()
