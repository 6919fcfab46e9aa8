# -*- test-case-name: tests.test_events -*-
"""The log events that every queue writes in the same form.

Their fields are for programs as well as for people: metrics are made of them.  All texts in them
are printable, since the values that they come from are; none is ever a format.
"""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from slimtwist.envelope import Envelope
from slimtwist.outcome import Report

_ATTEMPT: Final = (
    "{envelope}: from=<{sender}> to=<{recipient}> relay={relay} peer={peer} tls={tls} "
    "delay={delay:.3f} verdict={verdict} ambiguous={ambiguous} client_gone={client_gone} "
    "reply={code} {enhanced} {text}"
)


def log_attempt(
    log: Logger,
    envelope: Envelope,
    report: Report,
    *,
    relay: str,
    delay: float,
    client_gone: bool = False,
) -> None:
    """Write one event for each recipient of a finished attempt.

    @param relay: names the relay, where an outcome does not name a part of it.
    @param delay: seconds since the message was received.
    @param client_gone: whether nobody waited for the outcome any more.
    """
    for recipient, outcome in zip(envelope.recipients, report.outcomes, strict=True):
        log.info(
            _ATTEMPT,
            envelope=envelope.id,
            sender=str(envelope.sender),
            recipient=str(recipient.address),
            relay=outcome.relay or relay,
            client=envelope.client.ip,
            peer=outcome.host,
            tls=outcome.tls,
            code=outcome.reply.code,
            enhanced=outcome.reply.enhanced,
            text=outcome.reply.text,
            command=outcome.command,
            verdict=outcome.verdict.value,
            delay=delay,
            ambiguous=outcome.ambiguous,
            client_gone=client_gone,
        )
