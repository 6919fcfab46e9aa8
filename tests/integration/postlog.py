# -*- test-case-name: tests.integration.test_postlog -*-
"""What a Postfix did with each recipient, read from its log.

Postfix logs one line for each recipient of each attempt (C{log_adhoc} in its sources), with the
outcome and the words of the next hop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_RESULT = re.compile(
    r"^.* \S+/(?P<program>\w+)\[\d+\]: (?P<queue_id>\w+): to=<(?P<recipient>.*?)>,"
    r"(?: orig_to=<.*?>,)? relay=(?P<relay>\S+),(?: conn_use=\d+,)? delay=\S+, delays=\S+,"
    r" dsn=(?P<enhanced>[\d.]+), status=(?P<status>\w+) \((?P<text>.*)\)$",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Result:
    """One recipient's result of one attempt.

    @ivar queue_id: Postfix's name for the message.
    @ivar recipient: the envelope recipient.
    @ivar relay: who it was handed to: C{127.0.0.1[127.0.0.1]:2525}, C{virtual}, C{none}.
    @ivar enhanced: the enhanced status code.
    @ivar status: C{sent}, C{deferred}, C{bounced} or C{undeliverable}.
    @ivar text: the next hop's reply to a message that was sent, otherwise words that hold it.
    """

    queue_id: str
    recipient: str
    relay: str
    enhanced: str
    status: str
    text: str


def results(log: str) -> list[Result]:
    """Return every result that a log tells, in its order."""
    fields = ("queue_id", "recipient", "relay", "enhanced", "status", "text")
    return [Result(*found.group(*fields)) for found in _RESULT.finditer(log)]
