# -*- test-case-name: tests.test_assembly -*-
"""From what an operator wrote to a service that can be started.

Everything is checked here, before anything listens: descriptions of relays, files of secrets and
certificates, endpoints, and that the whole is no open relay.  The text of an error begins with the
option at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, cast

from twisted.cred.checkers import ICredentialsChecker
from twisted.internet.endpoints import serverFromString

from slimtwist.description import parse_description
from slimtwist.domains import a_label
from slimtwist.edge.access import Access, open_relay
from slimtwist.edge.auth import portal
from slimtwist.edge.options import EdgeOptions
from slimtwist.interfaces import IQueue, IRelay
from slimtwist.limits import Limits, Timeouts
from slimtwist.queue.direct import DirectQueue
from slimtwist.relay.route import RouteRelay
from slimtwist.runtime import Runtime
from slimtwist.service import Listener, RelayService
from slimtwist.settings import Settings
from slimtwist.smtp.pem import server_options

#: Where mail comes in when no option says so.
DEFAULT_LISTENER: Final = "tcp:2525:interface=127.0.0.1"

_LOOPBACK: Final = re.compile(r"127\.[0-9.]+\Z|::1\Z|localhost\Z")
_ONE_RECIPIENT: Final = (
    "nothing is stored: each client gets the next hop's own reply, so an SMTP transaction takes "
    "one recipient, and further ones get 452 4.5.3; LMTP takes them all"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What an operator wrote, as he wrote it; the names are those of the options.

    @ivar relay: a description.
    @ivar smtp: endpoints.
    @ivar lmtp: endpoints.
    @ivar route: C{DOMAIN=DESCRIPTION} each.
    @ivar queue: C{direct:}.
    @ivar accept: domains.
    @ivar relay_from: networks, or C{unix}; none for this host.
    @ivar hostname: C{None} for the host's own.
    @ivar checkers: of passwords; none for no AUTH.
    @ivar certificate: a PEM file.
    @ivar limit: C{NAME=VALUE} each, of L{Limits}.
    @ivar timeout: C{NAME=SECONDS} each, of L{Timeouts}.
    @ivar bare_newline: C{reject} or C{normalize}.
    """

    relay: str
    smtp: Sequence[str] = ()
    lmtp: Sequence[str] = ()
    route: Sequence[str] = ()
    queue: str = "direct:"
    accept: Sequence[str] = ()
    relay_from: Sequence[str] = ()
    hostname: str | None = None
    checkers: Sequence[ICredentialsChecker] = ()
    certificate: str | None = None
    limit: Sequence[str] = ()
    timeout: Sequence[str] = ()
    bare_newline: str = "reject"


def assemble(choices: Choices, runtime: Runtime) -> RelayService:
    """Build the service; nothing listens yet.

    @param runtime: clock and network, and the host's name where no other is chosen.
    @raise ValueError: something is wrong; the text names the option and says how to mend it.
    """
    settings = _settings(choices, runtime)
    queue = _queue(choices, settings)
    listeners = _listeners(choices, settings, _edge_options(choices, settings))
    return RelayService(settings, queue, listeners, "\n".join(_about(choices, queue)))


@contextmanager
def _blaming(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error


def _settings(choices: Choices, runtime: Runtime) -> Settings:
    with _blaming("--limit"):
        limits = Limits().changed(_pairs(choices.limit))
    with _blaming("--timeout"):
        timeouts = Timeouts().changed(_pairs(choices.timeout))
    with _blaming("--hostname"):
        hostname = choices.hostname or runtime.hostname
        settings = replace(Settings.of(runtime), hostname=hostname)
    return replace(settings, limits=limits, timeouts=timeouts)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not NAME=VALUE")
        if name in pairs:
            raise ValueError(f"{name!r} is given twice")
        pairs[name] = value
    return pairs


def _queue(choices: Choices, settings: Settings) -> IQueue:
    if choices.queue != "direct:":
        raise ValueError(f"--queue: there is no queue {choices.queue!r}; write direct:")
    name = "route" if choices.route else choices.relay
    return DirectQueue(
        settings,
        _relay(choices, settings),
        limits=settings.limits,
        timeouts=settings.timeouts,
        name=name,
    )


def _relay(choices: Choices, settings: Settings) -> IRelay:
    # Equal descriptions mean one relay, and so one pool.
    built: dict[str, IRelay] = {}

    def build(description: str) -> IRelay:
        if description not in built:
            built[description] = settings.relay(description)
        return built[description]

    with _blaming("--relay"):
        default = build(choices.relay)
    routes: dict[str, IRelay] = {}
    for text in choices.route:
        with _blaming(f"--route {text!r}"):
            domain, description = _route(text)
            if domain in routes:
                raise ValueError(f"{domain!r} has a route already")
            routes[domain] = build(description)
            RouteRelay(routes, default, runtime=settings)  # says what is wrong with the domain
    return RouteRelay(routes, default, runtime=settings) if routes else default


def _route(text: str) -> tuple[str, str]:
    domain, equals, description = text.partition("=")
    if not equals:
        raise ValueError("it is not DOMAIN=DESCRIPTION")
    star = "*." if domain.startswith("*.") else ""
    return star + a_label(domain.removeprefix("*.")), description


def _edge_options(choices: Choices, settings: Settings) -> EdgeOptions:
    with _blaming("--certificate"):
        certificate = None if choices.certificate is None else server_options(choices.certificate)
    access = _access(choices)
    with _blaming("--bare-newline"):
        return EdgeOptions(
            access=access,
            limits=settings.limits,
            timeouts=settings.timeouts,
            certificate=certificate,
            portal=portal(choices.checkers) if choices.checkers else None,
            bare_newline=cast("Literal['reject', 'normalize']", choices.bare_newline),
        )


def _access(choices: Choices) -> Access:
    try:
        access = Access.parse(relay_from=choices.relay_from or None, accept=choices.accept)
    except ValueError as error:
        raise ValueError(f"--{error}") from error  # it begins with the option's name
    far = [each for each in [*choices.smtp, *choices.lmtp] if not _is_local(each)]
    if far and (why := open_relay(access)):
        raise ValueError(f"--{why}")
    return access


def _listeners(choices: Choices, settings: Settings, options: EdgeOptions) -> list[Listener]:
    smtp = choices.smtp or ([] if choices.lmtp else [DEFAULT_LISTENER])
    given = [("--smtp", each) for each in smtp] + [("--lmtp", each) for each in choices.lmtp]
    if choices.checkers and options.certificate is None and not any(map(_is_tls, given)):
        raise ValueError("--auth: passwords are taken under TLS only; add --certificate PEM")
    return [
        Listener(
            _endpoint(settings.reactor, option, text),
            replace(options, lmtp=option == "--lmtp"),
            text,
        )
        for option, text in given
    ]


def _endpoint(reactor: Any, option: str, text: str) -> Any:  # noqa: ANN401 - an endpoint
    try:
        return serverFromString(reactor, text)
    except Exception as error:  # the parser of an endpoint may be anybody's code
        raise ValueError(
            f"{option} {text!r}: {error}; write an endpoint such as tcp:2525 or unix:/run/relay"
        ) from error


def _words(text: str) -> tuple[str, Mapping[str, str]]:
    """Return kind and named arguments of an endpoint, whose grammar is ours in this."""
    try:
        parsed = parse_description(text)
    except ValueError:
        return "", {}
    return parsed.prefix, parsed.kwargs


def _is_local(endpoint: str) -> bool:
    """Tell whether nobody but this host can connect; behind a proxy, others do."""
    kind, arguments = _words(endpoint)
    host = arguments.get("interface", "")
    return kind == "unix" or (kind in {"tcp", "tcp6", "ssl"} and bool(_LOOPBACK.match(host)))


def _is_tls(given: tuple[str, str]) -> bool:
    kind, _ = _words(given[1])
    return kind not in {"tcp", "tcp6", "unix", "systemd", "fd"}


def _about(choices: Choices, queue: IQueue) -> Iterator[str]:
    yield f"mail goes to {choices.relay}"
    for text in choices.route:
        domain, description = _route(text)
        yield f"mail for {domain} goes to {description}"
    if queue.single and (choices.smtp or not choices.lmtp):
        yield _ONE_RECIPIENT
