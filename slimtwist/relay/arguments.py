# -*- test-case-name: tests.relay.test_arguments -*-
"""The arguments of descriptions that say how a host is connected to and spoken to.

``smtp:`` and every other relay that speaks SMTP or LMTP share them.  They are text; secrets are in
the files that they name, never in the text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final

from slimtwist.description import number, switch
from slimtwist.runtime import Runtime, ehlo_name
from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.pem import Identity, TrustAnchors
from slimtwist.smtp.tls import TlsMode, TlsPolicy

#: Those of L{slimtwist.limits.Timeouts} that a connection to a host has.
TIMEOUTS: Final = (
    "connect",
    "next_family",
    "greeting",
    "ehlo",
    "starttls",
    "auth",
    "mail",
    "rcpt",
    "data",
    "progress",
    "final",
    "rset",
    "quit",
    "idle",
    "age",
)
#: Those of L{slimtwist.limits.Limits} that it has; C{connections} is given as C{pool_size}.
LIMITS: Final = ("uses", "send_rate")
#: Those that make up a L{TlsPolicy}.
TLS: Final = ("tls", "tls_first", "reference", "trust", "certificate")


def plain_host(text: str) -> str:
    """Return a host without the brackets that protect the colons of an IPv6 address."""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _sources(text: str) -> list[str]:
    found = [plain_host(each) for each in text.split(",")]
    for each in found:
        ip_address(each)
    return found


#: What each other argument is made of its text by.
OTHERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "pool_size": lambda text: number("pool_size", text, least=1),
    "credentials": Credentials.read,
    "auth_insecure": lambda text: switch("auth_insecure", text),
    "ehlo_as": ehlo_name,
    "eight_bit": str,
    "source_ips": _sources,
}

#: All of them.
ARGUMENTS: Final = (*TLS, *OTHERS, *LIMITS, *TIMEOUTS)


def connection(
    runtime: Runtime, given: Mapping[str, str], *, tls_first: bool = False
) -> dict[str, Any]:
    """Return keyword arguments of L{StaticSmtpRelay<slimtwist.relay.smtp.static.StaticSmtpRelay>}.

    @param runtime: is among them; its limits and timeouts are the defaults.
    @param given: arguments of a description; those not in L{ARGUMENTS} are errors.
    @param tls_first: whether TLS comes first where the description does not say.
    @raise ValueError: an argument is unknown or wrong; the text names it.
    """
    if unknown := given.keys() - {*ARGUMENTS}:
        known = ", ".join(ARGUMENTS)
        raise ValueError(f"unknown argument {min(unknown)!r}; beside its own there are {known}")
    return {
        "runtime": runtime,
        "limits": runtime.limits.changed(_chosen(given, LIMITS)),
        "timeouts": runtime.timeouts.changed(_chosen(given, TIMEOUTS)),
        "tls": _policy(given, tls_first=tls_first),
        **{name: _made(name, OTHERS[name], given[name]) for name in OTHERS if name in given},
    }


def _chosen(given: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: given[name] for name in names if name in given}


def _made(name: str, make: Callable[[str], Any], text: str) -> Any:  # noqa: ANN401 - what make gives
    try:
        return make(text)
    except ValueError as error:
        said = str(error)
        raise ValueError(said if said.startswith(f"{name}=") else f"{name}: {said}") from error


def _policy(given: Mapping[str, str], *, tls_first: bool) -> TlsPolicy:
    mode = _mode(given)
    first = given.get("tls_first")
    return TlsPolicy(
        mode,
        first=tls_first and mode is not TlsMode.NONE
        if first is None
        else switch("tls_first", first),
        reference=given.get("reference"),
        trust=_made("trust", TrustAnchors.read, given["trust"]) if "trust" in given else None,
        certificate=(
            _made("certificate", Identity.read, given["certificate"])
            if "certificate" in given
            else None
        ),
    )


def _mode(given: Mapping[str, str]) -> TlsMode:
    """Return the mode: who gives credentials or trust anchors wants to know whom he talks to."""
    if "tls" not in given:
        verify = "credentials" in given or "trust" in given
        return TlsMode.VERIFY if verify else TlsMode.OPPORTUNISTIC
    words = [mode.value for mode in TlsMode]
    if given["tls"] not in words:
        raise ValueError(f"tls={given['tls']!r} is none of {', '.join(words)}")
    return TlsMode(given["tls"])
