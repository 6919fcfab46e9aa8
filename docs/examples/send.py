# -*- test-case-name: tests.test_documentation -*-
"""Send a message through a smart host, and say what became of each recipient."""

from __future__ import annotations

from email.message import EmailMessage

import slimtwist
from slimtwist.interfaces import IRelay
from slimtwist.runtime import Runtime


async def greet(relay: IRelay, recipients: list[str], runtime: Runtime | None = None) -> list[str]:
    """Return the last reply to each recipient."""
    message = EmailMessage()
    message["From"] = "Me <me@example.com>"
    message["To"] = ", ".join(recipients)
    message["Subject"] = "hello"
    message.set_content("hello\n")
    report = await slimtwist.send(relay, "me@example.com", recipients, message, runtime=runtime)
    return [str(outcome.reply) for outcome in report]
