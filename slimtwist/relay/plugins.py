# -*- test-case-name: tests.relay.test_plugins -*-
"""The relays that descriptions name: what is behind each prefix.

Every function is what L{IRelayPlugin.parse<slimtwist.interfaces.IRelayPlugin.parse>} says, and is
named in ``twisted/plugins/slimtwist_relay.py``.
"""

from __future__ import annotations

from typing import Final

from slimtwist.description import number
from slimtwist.interfaces import IRelay
from slimtwist.relay.arguments import connection, plain_host
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.relay.smtp.static import StaticLmtpRelay, StaticSmtpRelay
from slimtwist.runtime import Runtime

#: RFC 8314 7.3: TLS comes first on this port.
_SUBMISSIONS: Final = 465


def parse_smtp(
    runtime: Runtime, host: str = "", port: str = "25", *, unix: str | None = None, **arguments: str
) -> IRelay:
    """Build a relay to a smart host. See L{StaticSmtpRelay}.

    @param arguments: of L{slimtwist.relay.arguments}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    if not (host or unix):
        raise ValueError("the host is missing: write smtp:HOST, or smtp:unix=PATH")
    tcp_port = number("port", port, least=1)
    tls_first = tcp_port == _SUBMISSIONS and unix is None
    return StaticSmtpRelay(
        plain_host(host) or "localhost",
        tcp_port,
        unix=unix,
        **connection(runtime, arguments, tls_first=tls_first),
    )


def parse_lmtp(
    runtime: Runtime,
    host: str = "localhost",
    port: str = "24",
    *,
    unix: str | None = None,
    **arguments: str,
) -> IRelay:
    """Build a relay to an LMTP server. See L{StaticLmtpRelay}.

    @param arguments: of L{slimtwist.relay.arguments}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    tcp_port = number("port", port, least=1)
    return StaticLmtpRelay(plain_host(host), tcp_port, unix=unix, **connection(runtime, arguments))


def parse_blackhole(runtime: Runtime) -> IRelay:  # noqa: ARG001 - every parser gets it
    """Build a relay that says of everything that it was delivered."""
    return BlackholeRelay()
