# -*- test-case-name: tests.compare.test_clients -*-
"""Hand messages over by C{twisted.mail.smtp}.

Configured: C{ESMTPSenderFactory} with C{timeout}, and no C{retries}, so that it makes one attempt.
A connection for each message, which is all that it does.  It wants LF as line ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version
from io import BytesIO
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet import task as tasks
from twisted.internet.defer import Deferred
from twisted.mail import smtp

from tests.compare.clients.driver import (
    HELO,
    SENDER,
    Task,
    Told,
    everyone,
    main,
    refused_session,
    verdict,
)

#: From addresses to the codes that their RCPT got.
_Codes = dict[str, int]


async def _attempt(task: Task, octets: bytes) -> Told:
    done: Deferred[Any] = Deferred()
    file = BytesIO(octets.replace(b"\r\n", b"\n"))
    factory = smtp.ESMTPSenderFactory(
        None,
        None,
        SENDER,
        [*task.recipients],
        file,
        done,
        retries=0,
        timeout=task.wait,
        heloFallback=True,
        requireAuthentication=False,
        requireTransportSecurity=False,
        hostname="127.0.0.1",
    )
    factory.domain = HELO.encode()
    reactor: Any = _reactor
    reactor.connectTCP("127.0.0.1", task.port, factory)
    try:
        _, addresses = await done
    except smtp.SMTPDeliveryError as error:
        refused: Any = error.addresses
        codes = _codes(refused)
        words = [_sorted(codes.get(each, 0), error.code) for each in task.recipients]
        return Told(words, f"SMTPDeliveryError: {error.code} {error.resp!r} {codes}")
    except smtp.SMTPConnectError as error:
        return everyone(task, refused_session(error.code), error)
    except Exception as error:  # noqa: BLE001 - a careful caller's
        return everyone(task, "deferred", error)
    codes = _codes(addresses)
    return Told([_sorted(codes.get(each, 0), 250) for each in task.recipients], f"sent {codes}")


def _codes(addresses: Iterable[tuple[bytes, int, bytes]] | None) -> _Codes:
    return {address.decode(): code for address, code, _ in addresses or ()}


def _sorted(recipient: int, message: int) -> str:
    """Return what the code of a recipient means, if that was no success, else the message's.

    An exception with a code is no success, whatever the code.
    """
    if recipient and verdict(recipient) != "delivered":
        return verdict(recipient)
    return verdict(message)


def _deliver(task: Task) -> Sequence[Told]:
    told: list[Told] = []

    async def run() -> None:
        for each in task.files:
            told.append(await _attempt(task, each.read_bytes()))  # noqa: PERF401 - told so far counts

    def begin(_: object) -> Deferred[None]:
        return Deferred.fromCoroutine(run())

    try:
        tasks.react(begin)
    except SystemExit as end:
        if end.code:
            raise
    return told


if __name__ == "__main__":
    main(_deliver, version("twisted"))
