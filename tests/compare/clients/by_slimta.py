# -*- test-case-name: tests.compare.test_clients -*-
"""Hand messages over by python-slimta's C{StaticSmtpRelay}.

Configured: the timeouts, C{data_timeout} too, and C{idle_timeout}, so that it uses a connection
again, as its manual proposes.  One connection at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from slimta.envelope import Envelope  # type: ignore[import-not-found]
from slimta.relay import PermanentRelayError, RelayError  # type: ignore[import-not-found]
from slimta.relay.smtp.static import StaticSmtpRelay  # type: ignore[import-not-found]

from tests.compare.clients.driver import HELO, SENDER, Task, Told, everyone, main


def _attempt(relay: Any, task: Task, octets: bytes) -> Told:  # noqa: ANN401 - it has no types
    def sort(result: object) -> str:
        if isinstance(result, RelayError):
            return "failed" if isinstance(result, PermanentRelayError) else "deferred"
        return "delivered"

    envelope = Envelope(SENDER, [*task.recipients])
    envelope.parse(octets)
    try:
        result = relay.attempt(envelope, 0)
    except RelayError as error:
        return everyone(task, sort(error), error)
    except Exception as error:  # noqa: BLE001 - a careful caller's
        return everyone(task, "deferred", error)
    if not isinstance(result, dict):
        return everyone(task, "delivered", result)
    return Told([sort(result.get(each)) for each in task.recipients], str(result))


def _deliver(task: Task) -> Sequence[Told]:
    wait = task.wait
    relay = StaticSmtpRelay(
        "127.0.0.1",
        task.port,
        pool_size=1,
        ehlo_as=HELO,
        connect_timeout=wait,
        command_timeout=wait,
        data_timeout=wait,
        idle_timeout=wait,
    )
    return [_attempt(relay, task, each.read_bytes()) for each in task.files]


if __name__ == "__main__":
    main(_deliver, version("python-slimta"))
