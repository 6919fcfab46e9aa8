# -*- test-case-name: tests.edge.mail.test_facts -*-
"""What a server of twisted.mail knows of its client.

Sources: RFC 5321 4.1.1.1 (EHLO), RFC 3848 (the C{with} clause).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.mail.smtp import ESMTP, User

from slimtwist.edge.commands import hello_name
from slimtwist.edge.peer import client_ip, tls_facts
from slimtwist.edge.replies import Refusal
from slimtwist.edge.trace import protocol
from slimtwist.envelope import Client
from slimtwist.reply import printable

#: The identity of a client that has authenticated, where nobody told its name.
NAMELESS = "authenticated"


def client_of(user: User, identity: str | None) -> Client | None:
    """Return what is known of the client that named a recipient.

    @param user: what the server asks about.
    @param identity: who the client has proved to be, if the portal told.
    @return: C{None} when nobody knows where the client is, and it has not said who it is.  Such a
        client must not be taken for one on this host.
    """
    server: Any = user.protocol
    transport = getattr(server, "transport", None)
    if identity is None and getattr(server, "authenticated", False):
        identity = NAMELESS
    if transport is None:
        return None
    peer = transport.getPeer()
    placed = isinstance(peer, UNIXAddress) or getattr(peer, "host", None) is not None
    if not placed and identity is None:
        return None
    tls = tls_facts(transport)
    word = protocol(
        lmtp=False,
        esmtp=isinstance(server, ESMTP),
        tls=tls is not None,
        auth=identity is not None,
        smtputf8=False,
    )
    return Client(client_ip(transport), None, helo_of(user), word, tls, identity)


def helo_of(user: User) -> str | None:
    """Return the name that the client gave itself, unless it cannot be shown."""
    name = user.helo[0] if user.helo else None
    try:
        return hello_name(name) if name else None
    except Refusal:
        return None


def identity_of(avatar_id: object) -> str | None:
    """Return the name that a checker gave to a client; C{None} for an anonymous one."""
    if isinstance(avatar_id, bytes):
        avatar_id = avatar_id.decode(errors="replace")
    return printable(avatar_id) if isinstance(avatar_id, str) and avatar_id else None


def service_identity(user: User) -> str | None:
    """Return the name under which a client of a C{MailService} has authenticated."""
    if not getattr(user.protocol, "authenticated", False):
        return None
    delivery: Any = getattr(user.protocol, "delivery", None)
    return identity_of(getattr(delivery, "user", None))
