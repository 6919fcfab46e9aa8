# -*- test-case-name: tests.integration.test_postfix -*-
"""A dialogue by the standard library's smtplib: a client that shares nothing with our engine.

It proves that a server does what its test believes. smtplib blocks, so it runs in a thread, by
L{in_thread}; where the octets matter, L{send} puts them on the wire itself, since smtplib alters
line ends and dots.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ParamSpec, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.integration.certificates import Authority
from tests.integration.clients import stuffed

_TIMEOUT = 60.0

_P = ParamSpec("_P")
_R = TypeVar("_R")

#: A code and a text, with LF between the lines of a reply.
Said = tuple[int, str]


def in_thread(function: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_R]:
    """Call a function that blocks, while the reactor runs."""
    return cast("Deferred[_R]", deferToThread(function, *args, **kwargs))


def trusting(authority: Authority) -> ssl.SSLContext:
    """Return a client's context that trusts one authority, and verifies names."""
    return ssl.create_default_context(cadata=authority.pem.decode())


@contextmanager
def session(
    port: int, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[smtplib.SMTP]:
    """Open a session, greet, and do STARTTLS if there is a context for it; leave it by QUIT."""
    with smtplib.SMTP(address, port, "client.test", _TIMEOUT) as smtp:
        smtp.ehlo()
        if tls is not None:
            smtp.starttls(context=tls)
            smtp.ehlo()
        yield smtp


def say(smtp: smtplib.SMTP, *commands: str) -> Said:
    """Send commands, each after the reply to the one before; return the last reply."""
    code, text = 0, b""
    for command in commands:
        code, text = smtp.docmd(command)
    return code, text.decode()


def send(
    smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], octets: bytes, options: str = ""
) -> Said:
    """Send a message as it is; return the reply to its end, or to the command that was refused.

    @param options: parameters of MAIL, such as C{" BODY=8BITMIME"}.
    """
    commands = [f"MAIL FROM:<{sender}>{options}", *(f"RCPT TO:<{each}>" for each in recipients)]
    for command in [*commands, "DATA"]:
        code, text = say(smtp, command)
        if code >= 400:
            say(smtp, "RSET")
            return code, text
    smtp.send(stuffed(octets))
    code, said = smtp.getreply()
    return code, said.decode()
