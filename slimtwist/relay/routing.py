# -*- test-case-name: tests.relay.test_routing -*-
"""Routes as operators write them: for C{--route}, and for the description C{route:}."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from slimtwist.description import listed
from slimtwist.domains import a_label
from slimtwist.interfaces import IRelay
from slimtwist.relay.route import RouteRelay
from slimtwist.relay.shared import part_of
from slimtwist.runtime import Runtime

#: Before the domain of a sender.
FROM: Final = "from"
_NO_SENDER: Final = "the domain of the sender is missing: write from=DOMAIN=RELAY"


@dataclass(frozen=True, slots=True)
class Route:
    """Whose mail goes to which relay.

    @ivar domain: in ASCII and lower case; C{*.} before it for all below it.
    @ivar description: of the relay.
    @ivar by_sender: whether the domain is the sender's.
    """

    domain: str
    description: str
    by_sender: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the route that is written as C{DOMAIN=DESCRIPTION}, or with C{from=} before that.

        @raise ValueError: it is neither.
        """
        domain, equals, description = text.partition("=")
        if not equals:
            raise ValueError("it is not DOMAIN=DESCRIPTION")
        by_sender = domain.lower() == FROM
        if by_sender:
            domain, equals, description = description.partition("=")
            # Behind a colon or in brackets it is the equals sign of an argument.
            if not equals or {*domain} & {":", "["}:
                raise ValueError(_NO_SENDER)
        star = "*." if domain.startswith("*.") else ""
        return cls(star + a_label(domain.removeprefix("*.")), description, by_sender)

    def __str__(self) -> str:
        """Tell it to an operator."""
        return (
            f"mail {'from' if self.by_sender else 'for'} {self.domain} goes to {self.description}"
        )


class Routing:
    """Gathers routes to relays, of which equal descriptions mean one."""

    def __init__(self, runtime: Runtime) -> None:
        """Begin without a route."""
        self._runtime = runtime
        self._built: dict[str, IRelay] = {}
        self._tables: dict[bool, dict[str, IRelay]] = {False: {}, True: {}}

    def build(self, description: str) -> IRelay:
        """Return the relay of a description. Raises ValueError like L{Runtime.relay}."""
        if description not in self._built:
            self._built[description] = part_of(self._runtime, description)
        return self._built[description]

    def add(self, text: str) -> None:
        """Take a route.

        @raise ValueError: it is none, there is one already, or the description is wrong.
        """
        route = Route.parse(text)
        table = self._tables[route.by_sender]
        if route.domain in table:
            raise ValueError(f"{route.domain!r} has a route already")
        table[route.domain] = relay = self.build(route.description)
        RouteRelay({route.domain: relay}, relay, runtime=self._runtime)  # what is wrong with it?

    def relay(self, default: IRelay) -> RouteRelay:
        """Return the relay that chooses among them, and takes the default for the rest."""
        routes, senders = self._tables[False], self._tables[True]
        return RouteRelay(routes, default, senders=senders, runtime=self._runtime)


def parse_route(runtime: Runtime, default: str, *routes: str, **named: str) -> IRelay:
    """Build a relay that chooses others by domain. See L{RouteRelay}.

    @param default: the name of a defined relay, or a description in brackets, for all other mail.
    @param routes: C{DOMAIN=RELAY} each.
    @param named: C{from} has C{DOMAIN=RELAY} for senders, with commas between them; all others are
        domains of one label.
    @raise ValueError: there is no such relay, or a route is wrong.
    """
    routing = Routing(runtime)
    relay = routing.build(default)
    for text in (*routes, *_named(named)):
        with _naming(text):
            routing.add(text)
    return routing.relay(relay)


def _named(named: Mapping[str, str]) -> Iterable[str]:
    for name, value in named.items():
        if name == FROM:
            yield from (f"{FROM}={each}" for each in listed(value))
        else:
            yield f"{name}={value}"


@contextmanager
def _naming(text: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from error
