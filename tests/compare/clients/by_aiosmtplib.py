# -*- test-case-name: tests.compare.test_clients -*-
"""Hand messages over by C{aiosmtplib}.

Configured: C{timeout}, and C{BODY=8BITMIME} for a message that needs it.  C{aiosmtplib.send} is
what its manual begins with; it makes a connection for each message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version

import aiosmtplib as library  # type: ignore[import-not-found]

from tests.compare.clients.driver import (
    HELO,
    SENDER,
    Task,
    Told,
    everyone,
    main,
    refused,
    refused_session,
)


async def _attempt(task: Task, octets: bytes) -> Told:
    try:
        errors, said = await library.send(
            octets,
            sender=SENDER,
            recipients=[*task.recipients],
            hostname="127.0.0.1",
            port=task.port,
            local_hostname=HELO,
            timeout=task.wait,
            mail_options=[] if octets.isascii() else ["BODY=8BITMIME"],
        )
    except library.SMTPRecipientsRefused as error:
        codes = {each.recipient: each.code for each in error.recipients}
        return _of_each(task, codes, "deferred", "SMTPRecipientsRefused")
    except (library.SMTPSenderRefused, library.SMTPDataError) as error:
        return everyone(task, refused(error.code), error)
    except library.SMTPConnectResponseError as error:
        return everyone(task, refused_session(error.code), error)
    except Exception as error:  # noqa: BLE001 - a careful caller's
        return everyone(task, "deferred", error)
    codes = {each: reply.code for each, reply in errors.items()}
    return _of_each(task, codes, "delivered", f"sent: {said}")


def _of_each(task: Task, codes: dict[str, int], others: str, how: str) -> Told:
    words = [refused(codes[each]) if each in codes else others for each in task.recipients]
    return Told(words, f"{how} {codes}")


async def _send(task: Task) -> list[Told]:
    return [await _attempt(task, each.read_bytes()) for each in task.files]


def _deliver(task: Task) -> Sequence[Told]:
    return asyncio.run(_send(task))


if __name__ == "__main__":
    main(_deliver, version("aiosmtplib"))
