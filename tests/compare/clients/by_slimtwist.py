# -*- test-case-name: tests.compare.test_clients -*-
"""Hand messages over by L{StaticSmtpRelay}.

Configured: the waits.  One connection at most, so that a second message finds the first one's.  A
message is read from its file in blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from twisted.internet import task as tasks
from twisted.internet.defer import Deferred

import slimtwist
from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError
from slimtwist.limits import Timeouts
from slimtwist.relay.smtp.static import StaticSmtpRelay
from tests.compare.clients.driver import HELO, SENDER, Task, Told, everyone, main

#: What is not a wait for the server.
_OTHER = {"next_family", "attempt", "attempt_recipient", "idle", "age"}


def relay(task: Task) -> StaticSmtpRelay:
    """Return a relay to the server."""
    waits = {each.name: str(task.wait) for each in fields(Timeouts) if each.name not in _OTHER}
    timeouts = Timeouts().changed(waits)
    return StaticSmtpRelay("127.0.0.1", task.port, 1, ehlo_as=HELO, timeouts=timeouts)


async def send(task: Task) -> list[Told]:
    """Hand over the messages, one after another."""
    sending = relay(task)
    told = [await _attempt(sending, task, each) for each in task.files]
    await sending.stop()
    return told


async def _attempt(sending: StaticSmtpRelay, task: Task, file: Path) -> Told:
    with file.open("rb") as octets:
        content = Content.read(octets)
    recipients = tuple(map(Recipient.parse, task.recipients))
    envelope = Envelope(Address.parse(SENDER), recipients, content)
    try:
        report = await sending.attempt(envelope, 0)
    except RelayError as error:
        return everyone(task, error.outcome.verdict.value, error)
    replies = "; ".join(f"{each.command}: {each.reply}" for each in report)
    return Told([each.verdict.value for each in report], replies)


def _deliver(task: Task) -> Sequence[Told]:
    told: list[Told] = []

    async def run() -> None:
        told.extend(await send(task))

    def begin(_: object) -> Deferred[None]:
        return Deferred.fromCoroutine(run())

    try:
        tasks.react(begin)
    except SystemExit as end:
        if end.code:
            raise
    return told


if __name__ == "__main__":
    main(_deliver, slimtwist.__version__)
