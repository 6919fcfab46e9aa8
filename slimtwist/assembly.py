# -*- test-case-name: tests.test_assembly -*-
"""From what an operator wrote to a service that can be started.

Everything is checked here, before anything listens: descriptions of relays, files of secrets and
certificates, endpoints, and that the whole is no open relay.  The text of an error begins with the
option at fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, Literal, cast

from twisted.logger import Logger

from slimtwist.choices import DEFAULT_LISTENER, Choices
from slimtwist.edge.access import Access, open_relay
from slimtwist.edge.auth import portal
from slimtwist.edge.clients import Clients
from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.edge.http.identity import TokenFile
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.endpoints import is_local, may_have_tls, server_endpoint, tcp_port
from slimtwist.installed import installed
from slimtwist.interfaces import IQueue, IRelay
from slimtwist.limits import Limits, Timeouts
from slimtwist.nameservers import parse_server
from slimtwist.queue.direct import DirectQueue
from slimtwist.relay.definitions import Definitions
from slimtwist.relay.routing import Route, Routing
from slimtwist.resolver import StubResolver
from slimtwist.runtime import Runtime
from slimtwist.service import Edge, Listener, RelayService
from slimtwist.smtp.pem import server_options

_log = Logger()
_ONE_RECIPIENT: Final = (
    "nothing is stored: each client gets the next hop's own reply, so an SMTP transaction takes "
    "one recipient, and further ones get 452 4.5.3; LMTP takes them all, and is for clients that "
    "ignore refused recipients"
)
_LMTP: Final = "--lmtp"
_SMTP_PORT: Final = 25
_NO_LMTP_HERE: Final = (
    "LMTP must never be spoken on port 25 (RFC 2033 5); write another port, or unix:PATH"
)
# RFC 5321 2.3.5: what a host says of itself must be a name that can be looked up.
_UNQUALIFIED: Final = (
    "this host calls itself {name}, which is no fully qualified name, and other mail servers may "
    "refuse its mail for that: say --hostname NAME"
)


def assemble(choices: Choices, runtime: Runtime) -> RelayService:
    """Build the service; nothing listens yet.

    @param runtime: clock and network, and the host's name where no other is chosen.
    @raise ValueError: something is wrong; the text names the option and says how to mend it.
    """
    for name, problem in installed().problems.items():
        _log.warn("plugin {name} cannot be used: {problem}", name=name, problem=problem)
    runtime = _chosen(choices, runtime)
    if choices.hostname is None and not _qualified(runtime.hostname):
        _log.warn(_UNQUALIFIED, name=runtime.hostname)
    queue = _queue(choices, runtime)
    listeners = _listeners(choices, runtime, queue)
    return RelayService(runtime, queue, listeners, "\n".join(_about(choices, queue)))


def _qualified(name: str) -> bool:
    return "." in name or name.startswith("[")


@contextmanager
def _blaming(option: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from error


def _chosen(choices: Choices, runtime: Runtime) -> Runtime:
    with _blaming("--limit"):
        limits = Limits().changed(_pairs(choices.limit))
    with _blaming("--timeout"):
        timeouts = Timeouts().changed(_pairs(choices.timeout))
    with _blaming("--hostname"):
        if choices.hostname is not None:
            runtime = replace(runtime, hostname=choices.hostname)
    if choices.resolver is not None:
        with _blaming("--resolver"):
            server = parse_server(choices.resolver)
        resolver = StubResolver(runtime.reactor, runtime.random, lambda: [server])
        runtime = replace(runtime, resolver=resolver)
    return replace(runtime, limits=limits, timeouts=timeouts)


def _pairs(texts: Sequence[str], wanted: str = "NAME=VALUE") -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r} is not {wanted}")
        if name in pairs:
            raise ValueError(f"{name!r} is given twice")
        pairs[name] = value
    return pairs


def _queue(choices: Choices, runtime: Runtime) -> IQueue:
    if choices.queue != "direct:":
        raise ValueError(f"--queue: there is no queue {choices.queue!r}; write direct:")
    name = "route" if choices.route else choices.relay
    return DirectQueue(
        runtime,
        _relay(choices, runtime),
        limits=runtime.limits,
        timeouts=runtime.timeouts,
        name=name,
    )


def _relay(choices: Choices, runtime: Runtime) -> IRelay:
    definitions = _definitions(choices, runtime)
    relay = _routed(choices, definitions.runtime)
    definitions.stop_unused()
    return relay


def _routed(choices: Choices, runtime: Runtime) -> IRelay:
    if not choices.route:
        with _blaming("--relay"):
            return runtime.relay(choices.relay)
    routing = Routing(runtime)
    with _blaming("--relay"):
        default = routing.build(choices.relay)
    for text in choices.route:
        with _blaming(f"--route {text!r}"):
            routing.add(text)
    return routing.relay(default)


def _definitions(choices: Choices, runtime: Runtime) -> Definitions:
    """Return the defined relays; all are right, also those that nobody uses."""
    with _blaming("--define"):
        definitions = Definitions(runtime, _pairs(choices.define, "NAME=DESCRIPTION"))
    for name in definitions:
        with _blaming(f"--define {name}"):
            _ = definitions[name]
    return definitions


def _edge_options(choices: Choices, runtime: Runtime) -> EdgeOptions:
    with _blaming("--certificate"):
        certificate = None if choices.certificate is None else server_options(choices.certificate)
    access = _access(choices)
    with _blaming("--bare-newline"):
        return EdgeOptions(
            access=access,
            limits=runtime.limits,
            timeouts=runtime.timeouts,
            certificate=certificate,
            portal=portal(choices.checkers) if choices.checkers else None,
            bare_newline=cast("Literal['reject', 'normalize']", choices.bare_newline),
        )


def _access(choices: Choices) -> Access:
    try:
        access = Access.parse(relay_from=choices.relay_from or None, accept=choices.accept)
    except ValueError as error:
        raise ValueError(f"--{error}") from error  # it begins with the option's name
    far = [each for each in [*choices.smtp, *choices.lmtp, *choices.http] if not is_local(each)]
    if far and (why := open_relay(access)):
        raise ValueError(f"--{why}")
    return access


def _listeners(choices: Choices, runtime: Runtime, queue: IQueue) -> list[Listener]:
    smtp = choices.smtp or ([] if choices.lmtp or choices.http else [DEFAULT_LISTENER])
    options = _edge_options(choices, runtime)
    web = _http_options(choices, options)
    _check_secrecy(choices, [*smtp, *choices.lmtp], options)
    lmtp = replace(options, lmtp=True)
    common = runtime, queue
    clients = Clients(runtime.limits)
    wanted: list[tuple[str, Sequence[str], Callable[[], Edge]]] = [
        ("--smtp", smtp, lambda: SmtpEdgeFactory(*common, options, clients)),
        (_LMTP, choices.lmtp, lambda: SmtpEdgeFactory(*common, lmtp, clients)),
        ("--http", choices.http, lambda: HttpEdgeFactory(*common, web, clients)),
    ]
    return [
        _listener(option, text, runtime, edge()) for option, texts, edge in wanted for text in texts
    ]


def _http_options(choices: Choices, options: EdgeOptions) -> EdgeOptions:
    if choices.tokens and not choices.http:
        raise ValueError("--tokens: tokens are for clients of --http, and there is none")
    with _blaming("--tokens"):
        checkers = [*choices.checkers, *map(TokenFile, choices.tokens)]
    return replace(options, portal=portal(checkers) if checkers else None)


def _check_secrecy(choices: Choices, others: Sequence[str], options: EdgeOptions) -> None:
    """Check that there is an endpoint on which secrets may be told.

    To HTTP on this host a proxy may speak that has TLS outside.
    """
    protected = any(may_have_tls(each) for each in [*others, *choices.http])
    protected = protected or any(map(is_local, choices.http))
    if choices.checkers and not (protected or options.certificate):
        raise ValueError("--auth: passwords are taken under TLS only; add --certificate PEM")
    if choices.tokens and not protected:
        raise ValueError("--tokens: they are taken under TLS only; write --http ssl:...")


def _listener(option: str, text: str, runtime: Runtime, edge: Edge) -> Listener:
    with _blaming(f"{option} {text!r}"):
        if option == _LMTP and tcp_port(text) == _SMTP_PORT:
            raise ValueError(_NO_LMTP_HERE)
        return Listener(server_endpoint(runtime.reactor, text), edge, text)


def _about(choices: Choices, queue: IQueue) -> Iterator[str]:
    yield f"mail goes to {choices.relay}"
    yield from (f"{name} is {text}" for name, text in _pairs(choices.define).items())
    yield from (str(Route.parse(text)) for text in choices.route)
    if queue.single and (choices.smtp or not (choices.lmtp or choices.http)):
        yield _ONE_RECIPIENT
