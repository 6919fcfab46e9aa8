# -*- test-case-name: tests.compare.test_clients -*-
"""Hand messages over by a Postfix of our own, and read in its log what its smtp(8) did.

Configured: the timeouts, and that it keeps connections to this server (C{smtp_connection_cache_
destinations}).  C{sent}, C{deferred} and C{bounced} are its words for our three.  One attempt: it
would try again after 300 seconds.
"""

from __future__ import annotations

import re
import smtplib
import subprocess
import time
from collections.abc import Sequence
from typing import Final

from tests.compare.clients.driver import HELO, SENDER, Task, Told, main
from tests.integration.postfix import Postfix
from tests.integration.postlog import Result
from tests.integration.setups import Setup

_WORDS: Final = {"sent": "delivered", "deferred": "deferred", "bounced": "failed"}
_WAITS: Final = (
    "connect",
    "helo",
    "mail",
    "rcpt",
    "data_init",
    "data_xfer",
    "data_done",
    "rset",
    "quit",
)
#: Seconds: longer than all waits of one attempt together.
_PATIENCE: Final = 30.0


def _postfix(task: Task) -> Postfix:
    settings = {f"smtp_{each}_timeout": f"{task.wait:g}s" for each in _WAITS}
    settings["smtp_helo_name"] = HELO
    # Without brackets and port (postconf(5)).
    settings["smtp_connection_cache_destinations"] = "127.0.0.1"
    to = f"smtp:[127.0.0.1]:{task.port}"
    # What it returns to the sender it keeps.
    return Postfix(Setup(relay_to=to, settings=settings, local_domains=[SENDER.partition("@")[2]]))


def _attempt(postfix: Postfix, task: Task, octets: bytes) -> Told:
    before = len(postfix.results())
    with smtplib.SMTP("127.0.0.1", postfix.port, HELO) as smtp:
        smtp.sendmail(
            SENDER, task.recipients, octets, [] if octets.isascii() else ["BODY=8BITMIME"]
        )
    until = time.monotonic() + _PATIENCE
    results: dict[str, Result] = {}
    while len(results) < len(task.recipients):
        if time.monotonic() > until:
            raise TimeoutError(postfix.log())
        time.sleep(0.02)
        results = {each.recipient: each for each in postfix.results()[before:]}
    texts = "; ".join(each.text for each in results.values())
    return Told([_WORDS[results[each].status] for each in task.recipients], texts)


def _deliver(task: Task) -> Sequence[Told]:
    postfix = _postfix(task)
    postfix.start()
    try:
        return [_attempt(postfix, task, each.read_bytes()) for each in task.files]
    finally:
        postfix.stop()


def _version() -> str:
    command = ["postconf", "-h", "mail_version"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"\S+", output)
    return found[0] if found else ""


if __name__ == "__main__":
    main(_deliver, _version())
