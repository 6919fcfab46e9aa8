# -*- test-case-name: tests.relay.smtp.test_mx -*-
"""The relay to wherever the domain name system says that a recipient's mail goes.

What one attempt does is in L{slimtwist.relay.smtp.delivery}, what is asked of the domain name
system in L{slimtwist.exchangers}; here is what attempts share.

Sources: RFC 5321 5.1, RFC 7505, RFC 3974 (IPv6).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IResolver
from zope.interface import implementer

from slimtwist.destinations import Destinations
from slimtwist.dns import Names
from slimtwist.domains import DomainTable
from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError, fault_outcome
from slimtwist.exchangers import Exchangers
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.limits import Timeouts
from slimtwist.networks import Networks
from slimtwist.outcome import Report
from slimtwist.relay.registry import Relays
from slimtwist.relay.smtp.delivery import Delivery, NextHop, Route
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.resolver import StubResolver
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.smtp.connector import AddressSource
from slimtwist.together import Cancellable

#: Seconds for which an exchanger's connection is kept unused: it has others to serve.
IDLE: Final = 5.0
#: The port of mail exchange, on which alone mail can come back to this host.
_SMTP: Final = 25


@implementer(IRelay)
class MxSmtpRelay:
    """Delivers to the exchangers of each recipient's domain.

    Each exchanger has a pool of its own, shared by all domains that name it.
    """

    def __init__(
        self,
        pool_size: int | None = None,
        *,
        port: int = 25,
        names: Names | None = None,
        stale: float = 0,
        allow_networks: Iterable[str] = (),
        deny_networks: Iterable[str] = (),
        own: Collection[str] = (),
        destinations: int = 1000,
        timeouts: Timeouts | None = None,
        runtime: Runtime | None = None,
        **connection: Any,  # noqa: ANN401 - each has a type of its own
    ) -> None:
        """Make a relay; nothing is asked or connected before the first attempt.

        @param pool_size: connections to one exchanger at once.
        @param port: another port than 25 is for closed networks and tests.
        @param names: answers questions about names; C{None} for the runtime's resolver.
        @param stale: seconds for which an outdated answer may serve while name servers are in
            trouble; without effect when C{names} is given.
        @param allow_networks: may be connected to although they lead to this host or near it.
        @param deny_networks: may not be connected to; C{private} stands for all private ones.
        @param own: names and addresses of this host, beside the runtime's host name; they end a
            list of exchangers (RFC 5321 5.1), unless the port is another than 25.
        @param destinations: exchangers that are connected to at once.
        @param timeouts: how long each step may take; C{None} for the runtime's, with unused
            connections kept for 5 seconds at most.
        @param runtime: clock, network, resolver and randomness.
        @param connection: further arguments of L{StaticSmtpRelay}, for each exchanger.
        @raise ValueError: an argument is wrong.
        """
        runtime = runtime or default_runtime()
        usual = runtime.timeouts
        timeouts = timeouts or replace(usual, idle=min(usual.idle, IDLE))
        self._names = None
        if names is None:
            names = self._names = Names(runtime.reactor, _resolver(runtime), stale=stale)
        networks = Networks(allow_networks, deny_networks)
        known_as = {runtime.hostname, *own} if port == _SMTP else ()
        self.clock = runtime.reactor
        self.port = port
        self.exchangers = Exchangers(names, networks, runtime.random, known_as)
        self._forced: DomainTable[NextHop] = DomainTable()
        self._connection = connection | {
            "pool_size": pool_size,
            "timeouts": timeouts,
            "destinations": Destinations(runtime.reactor),
            "runtime": runtime,
        }
        self.relays: Relays[NextHop] = Relays(self._make, destinations)
        self._hop = NextHop("localhost", port)
        self._running = 0
        self._stopped = Latch()
        self._stopping = False
        StaticSmtpRelay("localhost", port, **self._connection)  # tells of wrong arguments now

    def force_mx(self, domain: str, host: str, port: int = 25) -> None:
        """Send the mail of a domain to one host, without asking for its exchangers.

        @param domain: C{example.com}, or C{*.example.com} for all below it.
        @param host: a name, which the reactor's own resolver looks up, or an address; it may be
            anywhere, also on this host.
        @raise ValueError: the domain is none.
        """
        self._forced.put(domain, NextHop(host, port, forced=True))

    def new_static_relay(self, host: str, port: int) -> IRelay:
        """Return a relay to a host: to be overridden to treat some in another way."""
        return StaticSmtpRelay(host, port, resolve=self._source(self._hop), **self._connection)

    def _make(self, hop: NextHop) -> IRelay:
        self._hop = hop
        return self.new_static_relay(hop.host, hop.port)

    def _source(self, hop: NextHop) -> AddressSource | None:
        """Return who says where a host is; the reactor's resolver, for one that is forced."""
        if hop.forced:
            return None

        async def only(_: str) -> tuple[str, ...]:
            return hop.only

        return only if hop.only else self.exchangers.addresses

    def __repr__(self) -> str:
        """Tell for how many next hops there are connections, for operators."""
        return f"<MxSmtpRelay {len(self.relays)} next hops>"

    def __str__(self) -> str:
        """Tell what it is, for log events."""
        return "<MxSmtpRelay>"

    async def route(self, domain: str) -> Route:
        """Return who takes mail for a domain. Raises L{RelayError} when nobody does."""
        return self._forced.get(domain) or await self.exchangers.of(domain)

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Deliver a message to the exchangers of its recipients. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError(fault_outcome("deferred", "shutting down")))
        self._running += 1
        return Cancellable(Delivery(self, envelope, attempts).run).done.addBoth(self._ended)

    def stop(self) -> Deferred[None]:
        """Refuse new attempts, let running ones end. See L{IRelay.stop}."""
        self._stopping = True
        self._wind_up()
        return self._stopped.wait()

    def _ended(self, result: object) -> object:
        self._running -= 1
        self._wind_up()
        return result

    def _wind_up(self) -> None:
        if self._stopping and not self._running:
            self.relays.stop().addCallback(self._wound_up)

    def _wound_up(self, _: object) -> None:
        if self._names is not None:  # others may be using those that were given
            self._names.abandon()
        self._stopped.release()


def _resolver(runtime: Runtime) -> IResolver:
    """Return the runtime's resolver, or one that asks the name servers of this host."""
    return runtime.resolver or StubResolver(runtime.reactor, runtime.random)
