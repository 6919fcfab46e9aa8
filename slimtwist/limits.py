# -*- test-case-name: tests.test_limits -*-
"""Every bound of the program: how long it waits, and how much it takes.

Times are in seconds, sizes in octets.  The defaults follow RFC 5321 4.5.3 where it speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self


class _Settable:
    """Lets a value be changed by the names that an operator writes."""

    __slots__ = ()

    def changed(self, settings: Mapping[str, str]) -> Self:
        """Return the value with some fields set from text.

        @param settings: C{{"final": "900"}}.
        @raise ValueError: no such field, or not a number above 0.
        """
        known = {each.name: type(each.default) for each in fields(self)}  # type: ignore[arg-type]
        changes = {}
        for name, text in settings.items():
            if name not in known:
                raise ValueError(f"unknown name {name!r}; known are {', '.join(sorted(known))}")
            changes[name] = _number(name, text, known[name])
        return replace(self, **changes)  # type: ignore[type-var]


def _number(name: str, text: str, kind: type) -> float:
    try:
        value = kind(text)
    except ValueError as error:
        raise ValueError(f"{name}={text!r} is not a {'whole ' * (kind is int)}number") from error
    if not 0 < value < 1e12:
        raise ValueError(f"{name}={text!r} is not above 0 and below 1e12")
    return float(value) if kind is float else int(value)


@dataclass(frozen=True, slots=True)
class Timeouts(_Settable):
    """How long we wait, in seconds.

    As a client, each for one reply unless said otherwise:

    @ivar connect: for a connection to a single address.
    @ivar next_family: before the address of the other family is tried beside it.
    @ivar greeting: for the greeting.
    @ivar ehlo: for EHLO, HELO or LHLO.
    @ivar starttls: for STARTTLS, and again for the handshake.
    @ivar auth: for each step of AUTH.
    @ivar mail: for MAIL.
    @ivar rcpt: for each RCPT.
    @ivar data: for the 354 to DATA.
    @ivar progress: for a block of the message to leave.
    @ivar final: for the reply to end of data; in LMTP for each.
    @ivar rset: for RSET.
    @ivar quit: for QUIT, for which no message waits.
    @ivar attempt: for a whole attempt.
    @ivar attempt_recipient: more of it for each recipient, where each has a reply of its own.
    @ivar direct: for an attempt while the client waits for it, from the end of its data.
    @ivar idle: how long an unused connection is kept.
    @ivar age: how old a connection may become and still take a message.

    As a server:

    @ivar command: for a client's next command.
    @ivar transaction: for a message to come, from MAIL to its end of data.
    @ivar header: for the header of an HTTP request.
    @ivar body_grace: before a message has to come at C{Limits.body_rate}.
    @ivar stop: for running transactions to end when the service stops.
    """

    connect: float = 30.0
    next_family: float = 0.25
    greeting: float = 300.0
    ehlo: float = 300.0
    starttls: float = 60.0
    auth: float = 120.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    progress: float = 180.0
    final: float = 600.0
    rset: float = 20.0
    quit: float = 5.0
    attempt: float = 1800.0
    attempt_recipient: float = 60.0
    direct: float = 570.0
    idle: float = 60.0
    age: float = 300.0
    command: float = 300.0
    transaction: float = 1800.0
    header: float = 30.0
    body_grace: float = 30.0
    stop: float = 60.0


@dataclass(frozen=True, slots=True)
class Limits(_Settable):
    """How much we take.

    As a client:

    @ivar reply_line: octets of one reply line.
    @ivar reply_octets: octets of one reply.
    @ivar reply_lines: lines of one reply.
    @ivar send_rate: octets a second at which a message must leave, on average.
    @ivar connections: to one host.
    @ivar uses: messages over one connection.

    As a server:

    @ivar command_line: octets of a command.
    @ivar auth_line: octets of a line within AUTH (RFC 4954 4).
    @ivar message: octets of a message.
    @ivar recipients: of a message.
    @ivar errors: refused commands of a client, after which it is cut off.
    @ivar junk: commands of a client that bring no message forward, one after another.
    @ivar clients: connected at once.
    @ivar clients_per_address: the same, from one address; loopback is exempt.
    @ivar hops: trace fields of a message (RFC 5321 6.3).
    @ivar unsent: octets of replies that a client may leave unread.
    @ivar body_rate: octets a second at which a message must come.
    @ivar memory: octets of a message above which it is put in a file.
    """

    reply_line: int = 8192
    reply_octets: int = 65536
    reply_lines: int = 256
    send_rate: int = 500
    connections: int = 20
    uses: int = 100
    command_line: int = 2048
    auth_line: int = 12288
    message: int = 50 * 1024 * 1024
    recipients: int = 1000
    errors: int = 20
    junk: int = 100
    clients: int = 10000
    clients_per_address: int = 50
    hops: int = 50
    unsent: int = 65536
    body_rate: int = 100
    memory: int = 65536
