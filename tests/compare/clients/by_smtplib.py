# -*- test-case-name: tests.compare.test_clients -*-
"""Hand messages over by the standard library's C{smtplib}.

Configured: C{timeout}, and C{BODY=8BITMIME} where message and server have it.  A connection for
each message, as in the examples of its manual, since it says nothing about using one again.
"""

from __future__ import annotations

import platform
import smtplib
from collections.abc import Sequence
from contextlib import suppress

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

_OF_THE_MESSAGE = (smtplib.SMTPSenderRefused, smtplib.SMTPDataError)


def _attempt(task: Task, octets: bytes) -> Told:
    told = None
    # What goes wrong when the session is left changes nothing about the message.
    with suppress(smtplib.SMTPException, OSError):
        try:
            with smtplib.SMTP("127.0.0.1", task.port, HELO, task.wait) as smtp:
                smtp.ehlo_or_helo_if_needed()
                eight_bit = not octets.isascii() and smtp.has_extn("8bitmime")
                options = ["BODY=8BITMIME"] if eight_bit else []
                codes = smtp.sendmail(SENDER, task.recipients, octets, options)
                told = _of_each(task, codes, "delivered", "sendmail returned")
        except smtplib.SMTPRecipientsRefused as error:
            told = told or _of_each(task, error.recipients, "deferred", "SMTPRecipientsRefused")
        except _OF_THE_MESSAGE as error:
            told = told or everyone(task, refused(error.smtp_code), error)
        except smtplib.SMTPConnectError as error:
            told = told or everyone(task, refused_session(error.smtp_code), error)
        except (smtplib.SMTPException, OSError) as error:
            told = told or everyone(task, "deferred", error)
    assert told is not None
    return told


def _of_each(task: Task, codes: dict[str, tuple[int, bytes]], others: str, how: str) -> Told:
    verdicts = [refused(codes[each][0]) if each in codes else others for each in task.recipients]
    return Told(verdicts, f"{how} {codes}")


def _deliver(task: Task) -> Sequence[Told]:
    return [_attempt(task, each.read_bytes()) for each in task.files]


if __name__ == "__main__":
    main(_deliver, platform.python_version())
