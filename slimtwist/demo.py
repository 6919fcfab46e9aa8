# -*- test-case-name: tests.test_demo -*-
"""The main job by itself: ``python -m slimtwist.demo``.

Starts what ``twistd relay`` starts and a next hop behind it, both on free ports of this host, sends
one message to each of three recipients with Python's own smtplib, and shows what became of it.
Stops, with status 0 only if all is as it must be.  Nothing leaves this host, and nothing is kept.
"""

from __future__ import annotations

import smtplib
from typing import Any, Final, cast

from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.tap import Options
from slimtwist.testing import FakeSmarthost
from slimtwist.testing.answers import Rule

#: Whom a message is sent to, and what the next hop says to it in the end.
EXPECTED: Final = {
    "ann@example.net": "250 2.6.0 taken",
    "bob@example.net": "550 5.1.1 no such user here",
    "carol@example.net": "451 4.7.1 greylisted, come again in 5 minutes",
}
MESSAGE: Final = (
    b"From: me@example.org\r\nSubject: a demonstration\r\n\r\n"
    b"A line that begins with a dot:\r\n.\r\n..and two\r\n"
)
_LOOPBACK: Final = "tcp:0:interface=127.0.0.1"


def send(port: int, recipient: str) -> Reply:
    """Send the message to one recipient, as any client does; return the last reply."""
    with smtplib.SMTP("127.0.0.1", port, "client.example", timeout=60) as client:
        client.ehlo()
        client.mail("me@example.org")
        code, text = client.rcpt(recipient)
        if code == 250:
            code, text = client.data(MESSAGE)
        return Reply.received(b"%d %s\r\n" % (code, text))


async def show(reactor: Any) -> bool:  # noqa: ANN401 - the reactor's many interfaces
    """Run all of it; return whether everything was as it must be."""
    taken, *refused = EXPECTED
    answers: dict[str, Rule] = {
        "RCPT": {each: EXPECTED[each] for each in refused},
        ".": EXPECTED[taken],
    }
    hop = FakeSmarthost(answers, name="next-hop.example")
    port = reactor.listenTCP(0, hop, interface="127.0.0.1")
    options = Options(Runtime(reactor, hostname="relay.example"))
    relay = f"smtp:127.0.0.1:port={port.getHost().port}"
    options.parseOptions(["--smtp", _LOOPBACK, "--relay", relay])
    print(f"twistd relay --smtp {_LOOPBACK} --relay {relay}")
    options.service.startService()
    try:
        address = cast(IPv4Address, options.service.addresses[0])
        good = [await _shown(address.port, each) for each in EXPECTED]
    finally:
        await options.service.stopService()
        await port.stopListening()
    return all([*good, _arrived(hop)])


async def _shown(port: int, recipient: str) -> bool:
    reply = await deferToThread(send, port, recipient)
    word = {2: "delivered", 4: "try again later", 5: "failed for good"}[reply.code // 100]
    print(f"  {recipient:<18} {word:<16} {reply}")
    return str(reply).startswith(EXPECTED[recipient])


def _arrived(hop: FakeSmarthost) -> bool:
    """Tell whether the next hop has what was sent, below the trace header, and nothing else."""
    hop.verify()
    octets = [message.octets for message in hop.messages]
    same = len(octets) == 1 and octets[0].endswith(b"\r\n" + MESSAGE)
    print("the octets that arrived are", "those that were sent" if same else f"wrong: {octets!r}")
    return same


def main(reactor: Any) -> Deferred[None]:  # noqa: ANN401 - the reactor's many interfaces
    """Run all of it; the status is 1 when something was not as it must be."""

    async def run() -> None:
        if not await show(reactor):
            raise SystemExit(1)

    return Deferred.fromCoroutine(run())


if __name__ == "__main__":
    task.react(main)
