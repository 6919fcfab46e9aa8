# -*- test-case-name: tests.relay.http.test_plugin -*-
"""The relay to an HTTP service as descriptions name it: C{http://...}, C{https://...}, C{http:...}.

Arguments are text; secrets are in the files that they name, never in the text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final

from slimtwist.description import number, seconds, switch
from slimtwist.interfaces import IRelay
from slimtwist.relay.http.relay import HttpRelay, has_secret
from slimtwist.relay.http.request import Names, Secrets
from slimtwist.relay.http.result import SPARED, STATUSES, Meaning
from slimtwist.runtime import Runtime, ehlo_name
from slimtwist.smtp.pem import Identity, TrustAnchors
from slimtwist.smtp.secret import read_secret
from slimtwist.smtp.tls import TlsMode, TlsPolicy

_STATUS: Final = re.compile(r"status_([1-5][0-9]{2})\Z", re.ASCII)


def _line(path: str) -> str:
    """Return the line of a file with a secret. Raises ValueError, which quotes nothing of it."""
    try:
        text = read_secret(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: it is not in UTF-8") from None
    line = text.removesuffix("\n").removesuffix("\r")
    if not line or "\n" in line or "\r" in line:
        raise ValueError(f"{path}: it is not one line")
    return line


def _key(path: str) -> bytes:
    """Return the octets of a file with a key; a line end behind them is none of it."""
    key = read_secret(path).rstrip(b"\r\n")
    if len(key) < 16:
        raise ValueError(f"{os.fspath(path)}: a key has at least 16 octets")
    return key


def _socket(path: str) -> str:
    """Return the path of a UNIX socket. Raises ValueError if it is none."""
    if not path:
        raise ValueError("the path of the socket is missing")
    return path


#: Arguments of L{HttpRelay}, and what each is made of its text by.
RELAY: Final[Mapping[str, Callable[[str], Any]]] = {
    "pool_size": lambda text: number("pool_size", text, least=1),
    "verb": str,
    "timeout": lambda text: seconds("timeout", text),
    "idle_timeout": lambda text: seconds("idle_timeout", text),
    "unix": _socket,
    "ehlo_as": ehlo_name,
    "auth_insecure": lambda text: switch("auth_insecure", text),
}
#: Those of L{Secrets}.
SECRETS: Final[Mapping[str, Callable[[str], Any]]] = {"bearer": _line, "basic": _line, "key": _key}
#: Those of L{Names}, by the name of the field in them.
NAMES: Final[Mapping[str, str]] = {
    "ehlo_field": "ehlo",
    "sender_field": "sender",
    "recipient_field": "recipient",
}
#: Those of L{TlsPolicy}.
TLS: Final[Mapping[str, Callable[[str], Any]]] = {
    "reference": str,
    "trust": TrustAnchors.read,
    "certificate": Identity.read,
}
#: All of them; C{status_NNN} is any status, or C{status_N00} those of a class.
ARGUMENTS: Final = (
    "url",
    *RELAY,
    "connect",
    *TLS,
    *SECRETS,
    *NAMES,
    "spare_configuration",
    "status_NNN",
)


def parse_http(runtime: Runtime, url: str = "", **arguments: str) -> IRelay:
    """Build a relay to an HTTP service. See L{HttpRelay}.

    @param arguments: of L{ARGUMENTS}.
    @raise ValueError: an argument is wrong; the text names it.
    """
    if not url:
        raise ValueError("the address is missing: write http://HOST/PATH, or http:url=...")
    if has_secret(url):
        raise ValueError("url: it holds a password; put name:password into a file, as basic=FILE")
    statuses = dict(_statuses(arguments))
    given = {name: text for name, text in arguments.items() if not _STATUS.match(name)}
    if unknown := given.keys() - {*ARGUMENTS}:
        raise ValueError(f"unknown argument {min(unknown)!r}; known are {', '.join(ARGUMENTS)}")
    connect = runtime.timeouts.connect
    if "connect" in given:
        connect = seconds("connect", given["connect"])
    spare = switch("spare_configuration", given.get("spare_configuration", "no"))
    return HttpRelay(
        url,
        runtime=runtime,
        connect_timeout=connect,
        tls=TlsPolicy(TlsMode.VERIFY, **_made(TLS, given)),
        secrets=Secrets(**_made(SECRETS, given)),
        names=Names(**{NAMES[name]: given[name] for name in NAMES if name in given}),
        statuses={**(SPARED if spare else STATUSES), **statuses},
        **_made(RELAY, given),
    )


def parse_https(runtime: Runtime, url: str = "", **arguments: str) -> IRelay:
    """Build a relay to an HTTP service, over TLS. See L{HttpRelay}.

    @param arguments: of L{ARGUMENTS}.
    @raise ValueError: an argument is wrong, or the address is one without TLS.
    """
    if url and not url.lower().startswith("https:"):
        raise ValueError("url: it does not begin with https://; http: takes any")
    return parse_http(runtime, url, **arguments)


def _made(known: Mapping[str, Callable[[str], Any]], given: Mapping[str, str]) -> dict[str, Any]:
    return {name: _one(name, known[name], given[name]) for name in known if name in given}


def _one(name: str, make: Callable[[str], Any], text: str) -> Any:  # noqa: ANN401 - what make gives
    try:
        return make(text)
    except ValueError as error:
        said = str(error)
        raise ValueError(said if said.startswith(f"{name}=") else f"{name}: {said}") from error


def _statuses(arguments: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    for name, text in arguments.items():
        if match := _STATUS.match(name):
            status = int(match[1])
            yield status, _one(name, partial(_meant, status), text)


def _meant(status: int, text: str) -> str:
    """Return the reply that a status means. Raises ValueError if it cannot mean that."""
    Meaning("", {**STATUSES, status: text})
    return text
