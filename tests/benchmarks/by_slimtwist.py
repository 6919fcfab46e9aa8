# -*- test-case-name: tests.integration.test_benchmarks -*-
"""Send by L{StaticSmtpRelay}, with as many attempts waiting as keep it busy."""

from __future__ import annotations

from twisted.internet import task
from twisted.internet.defer import Deferred

from slimtwist.envelope import Envelope
from slimtwist.relay.smtp.static import StaticSmtpRelay
from tests.benchmarks.load import CONNECTIONS, MESSAGE, RECIPIENT, SENDER, asked, done


async def _send(relay: StaticSmtpRelay, envelope: Envelope, count: int) -> None:
    for _ in range(count):
        await relay.attempt(envelope, 0)


async def _run() -> None:
    port, share = asked()
    envelope = Envelope.parse(SENDER, [RECIPIENT], MESSAGE)
    relay = StaticSmtpRelay("127.0.0.1", port, pool_size=CONNECTIONS)
    senders = [Deferred.fromCoroutine(_send(relay, envelope, share)) for _ in range(CONNECTIONS)]
    for each in senders:
        await each
    await relay.stop()
    done()


if __name__ == "__main__":
    task.react(lambda _: Deferred.fromCoroutine(_run()))
