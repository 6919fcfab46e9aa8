# -*- test-case-name: tests.test_documentation -*-
"""Send a message through a smart host, and say what became of each recipient."""

from __future__ import annotations

from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError
from slimtwist.interfaces import IRelay


async def send(relay: IRelay, recipients: list[str], octets: bytes) -> list[str]:
    """Return the last reply to each recipient."""
    envelope = Envelope.parse("me@example.com", recipients, octets)
    try:
        report = await relay.attempt(envelope, 0)
    except RelayError as error:
        return [str(error)] * len(recipients)
    return [str(outcome.reply) for outcome in report]
