# -*- test-case-name: tests.relay.test_plugins -*-
"""The relays that descriptions name: what is behind each prefix.

Every function is what L{IRelayPlugin.parse<slimtwist.interfaces.IRelayPlugin.parse>} says, and is
named in ``twisted/plugins/slimtwist_relay.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Final

from slimtwist.description import number, seconds
from slimtwist.domains import a_label, is_host
from slimtwist.interfaces import IRelay
from slimtwist.networks import Networks
from slimtwist.relay.arguments import ARGUMENTS, connection, plain_host
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.relay.smtp.mx import IDLE, MxSmtpRelay
from slimtwist.relay.smtp.static import StaticLmtpRelay, StaticSmtpRelay
from slimtwist.runtime import Runtime

#: RFC 8314 7.3: TLS comes first on this port.
_SUBMISSIONS: Final = 465
#: What C{mx:} has no use for: exchangers ask for no password, and are called by their own names.
NOT_OF_MX: Final = frozenset({"credentials", "auth_insecure", "reference", "tls_first"})
#: What it has beside its own.
OF_MX: Final = tuple(each for each in ARGUMENTS if each not in NOT_OF_MX)


def parse_smtp(
    runtime: Runtime,
    host: str = "",
    port: str = "25",
    *,
    unix: str | None = None,
    **arguments: str,
) -> IRelay:
    """Build a relay to a smart host. See L{StaticSmtpRelay}.

    @param host: beside C{unix}, the name that a certificate is for.
    @param arguments: of L{slimtwist.relay.arguments}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    tcp_port = number("port", port, least=1)
    if unix is not None:
        _check_unix(unix, bool(host), tcp_port != 25, arguments)
    if not (host or unix):
        raise ValueError("the host is missing: write smtp:HOST, or smtp:unix=PATH")
    tls_first = tcp_port == _SUBMISSIONS and unix is None
    return StaticSmtpRelay(
        _host(host or "localhost"),
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

    @param host: beside C{unix}, the name that a certificate is for.
    @param arguments: of L{slimtwist.relay.arguments}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    tcp_port = number("port", port, least=1)
    if unix is not None:
        _check_unix(unix, host != "localhost", tcp_port != 24, arguments)
    return StaticLmtpRelay(_host(host), tcp_port, unix=unix, **connection(runtime, arguments))


def _check_unix(path: str, host: bool, port: bool, arguments: Mapping[str, str]) -> None:
    """Check that nothing given beside the path of a UNIX socket is without effect.

    @raise ValueError: something is.
    """
    if not path:
        raise ValueError("unix: the path of the socket is missing")
    if port:
        raise ValueError("port: it means nothing beside unix, which stands in its place")
    if host and (arguments.get("tls") == "none" or "reference" in arguments):
        said = "it is for a certificate only, and none is looked at by that name"
        raise ValueError(f"host: beside unix {said}; leave it out")


def _host(text: str) -> str:
    """Return a host that can be looked up or connected to; brackets around it are taken off."""
    host = plain_host(text)
    try:
        ip_address(host)
    except ValueError:
        if not is_host(a_label(host.removesuffix("."))):
            raise ValueError(f"{host[:80]!a} is neither a host name nor an address") from None
    return host


def parse_mx(
    runtime: Runtime,
    *,
    port: str = "25",
    stale: str | None = None,
    allow_networks: str | None = None,
    deny_networks: str | None = None,
    own: str | None = None,
    destinations: str = "1000",
    **arguments: str,
) -> IRelay:
    """Build a relay to the exchangers of each recipient's domain. See L{MxSmtpRelay}.

    @param allow_networks: networks between commas, as are C{deny_networks} and C{own}.
    @param arguments: of L{OF_MX}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    if useless := NOT_OF_MX.intersection(arguments):
        known = ", ".join(OF_MX)
        raise ValueError(f"unknown argument {min(useless)!r}; beside its own there are {known}")
    arguments.setdefault("idle", f"{min(runtime.timeouts.idle, IDLE):g}")
    return MxSmtpRelay(
        port=number("port", port, least=1),
        stale=0 if stale is None else seconds("stale", stale),
        allow_networks=_networks("allow_networks", allow_networks),
        deny_networks=_networks("deny_networks", deny_networks),
        own=_list("own", own),
        destinations=number("destinations", destinations, least=1, most=1_000_000),
        **connection(runtime, arguments),
    )


def _list(name: str, text: str | None) -> list[str]:
    """Return what stands between commas, without the brackets that protect colons.

    @raise ValueError: there is nothing between two of them; the text names the argument.
    """
    if text is None:
        return []
    found = text.replace("[", "").replace("]", "").split(",")
    if not all(map(str.strip, found)):
        raise ValueError(f"{name}={text!r} has an empty entry")
    return found


def _networks(name: str, text: str | None) -> list[str]:
    """Return the networks of an argument. Raises ValueError, which names it, if one is none."""
    found = _list(name, text)
    try:
        Networks(found)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return found


def parse_blackhole(runtime: Runtime) -> IRelay:  # noqa: ARG001 - every parser gets it
    """Build a relay that says of everything that it was delivered."""
    return BlackholeRelay()
