# -*- test-case-name: tests.test_endpoints -*-
"""Server endpoints as an operator writes them: what they are, and what can be seen of them.

Who can connect is judged with caution: what is not known to be for this host alone is for others.
"""

from __future__ import annotations

import re
from typing import Any, Final

from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IStreamServerEndpoint

from slimtwist.description import Description, parse_description

_LOOPBACK: Final = re.compile(r"127\.[0-9.]+\Z|::1\Z|localhost\Z")
#: Kinds that carry octets as they are; others may add TLS.
_PLAIN: Final = frozenset({"tcp", "tcp6", "unix", "systemd", "fd"})
_PORT: Final = re.compile(r"[0-9]{1,9}\Z")
#: Before another kind.
_PROXIED: Final = "haproxy"
#: Kinds of which C{interface} says who can connect.
_BOUND: Final = frozenset({"tcp", "tcp6", "ssl", "tls"})


def server_endpoint(reactor: Any, text: str) -> IStreamServerEndpoint:  # noqa: ANN401 - as in Runtime
    """Return the endpoint that a description is of.

    @raise ValueError: it is of none; the text shows how one is written.
    """
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, text)
    except Exception as error:  # the parser of an endpoint may be anybody's code
        if text.startswith("systemd:") and isinstance(error, LookupError):
            raise ValueError("systemd has handed over no such socket") from error
        example = "write an endpoint such as tcp:2525 or unix:/run/relay"
        raise ValueError(f"{error}; {example}") from error
    return endpoint


def tcp_port(text: str) -> int | None:
    """Return the TCP port that an endpoint listens on; C{None} if that cannot be told."""
    parsed = _parsed(text)
    kind, words = parsed.prefix, [*parsed.args]
    if kind == _PROXIED and words:
        kind, *words = words
    port = parsed.kwargs.get("port", words[0] if words else "")
    return int(port) if kind in _BOUND and _PORT.match(port) else None


def is_local(text: str) -> bool:
    """Tell whether nobody but this host can connect; behind a proxy, others do."""
    parsed = _parsed(text)
    if parsed.prefix in _BOUND:
        return _LOOPBACK.match(parsed.kwargs.get("interface", "")) is not None
    return parsed.prefix == "unix"


def may_have_tls(text: str) -> bool:
    """Tell whether connections may be protected from the start."""
    return _parsed(text).prefix not in _PLAIN


def _parsed(text: str) -> Description:
    """Take an endpoint apart; in this the grammar of endpoints is that of relays."""
    try:
        return parse_description(text)
    except ValueError:
        return Description("")
