# -*- test-case-name: tests.smtp.test_connector -*-
"""From a host's name to a session that takes mail.

Here, and nowhere else, a broken TLS handshake is followed by a plaintext connection, and only where
the policy says C{opportunistic} (RFC 7435); the host is then remembered for a while.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, cast
from weakref import WeakSet

from twisted.internet import defer
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from slimtwist.destinations import Destinations
from slimtwist.dial import (
    NO_TIMEOUT,
    DialFailed,
    Reactor,
    SourceChooser,
    address_endpoint,
    dial,
    resolve,
)
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionFailed,
    PermanentRelayError,
    RelayError,
    TLSFailed,
    TransientRelayError,
    fault_outcome,
    try_next_host,
)
from slimtwist.runtime import Runtime
from slimtwist.smtp.auth import fresh_nonce
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.session import Session
from slimtwist.smtp.tls import TlsMode, TlsPolicy

#: Makes the endpoint of a new connection: called with reactor, host and port.
EndpointCreator = Callable[[Reactor, str, int], IStreamClientEndpoint]
#: Looks up the addresses of a host.
AddressSource = Callable[[str], Awaitable[Sequence[str]]]

#: Addresses that are tried for one session.
_ADDRESSES: Final = 10
#: Seconds in which C{Place.resolve} has to answer; a good one has shorter waits of its own.
_ANSWER: Final = 300.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is, and how it is reached.

    @ivar host: its name or IP literal: what a certificate is for.
    @ivar port: a TCP port.
    @ivar unix: the path of a UNIX socket, in place of the port.
    @ivar source: chooses the source address for an address.
    @ivar endpoint_creator: makes each connection's endpoint, in place of the host's addresses.
    @ivar resolve: returns the addresses of a host in the order in which they are to be tried, or
        raises the error that its messages fail with; C{None} for the reactor's resolver.
    """

    host: str
    port: int = 25
    unix: str | None = None
    source: SourceChooser = lambda _: None
    endpoint_creator: EndpointCreator | None = None
    resolve: AddressSource | None = None

    def __str__(self) -> str:
        """Return host and port, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.unix or f"{host}:{self.port}"


class Connector:
    """Opens sessions with one host.

    @ivar place: where it is.
    @ivar options: how it is spoken to.
    @ivar clock: measures its waits.
    """

    _log = Logger()

    def __init__(
        self,
        runtime: Runtime,
        place: Place,
        options: ClientOptions,
        destinations: Destinations,
    ) -> None:
        """Connect to nothing yet.

        @param destinations: what was learned of hosts before.
        @raise ValueError: the host has no name that the policy could verify.
        """
        self._runtime = runtime
        self.place = place
        self.options = options
        self.clock = runtime.reactor
        self._destinations = destinations
        self._unready: WeakSet[Channel] = WeakSet()  # each lives as long as its connection
        if options.policy.mode is not TlsMode.NONE:
            options.policy.creator(place.host)

    async def open(self) -> Session:
        """Return a session that is ready for mail, at the first address that gives one.

        @raise RelayError: there is none to be had.
        """
        try:
            return await self._open()
        except RelayError:
            raise
        except defer.CancelledError:
            raise AttemptCancelled.at("", command="connect", host=str(self.place)) from None
        except Exception as error:
            # What looks a name up, or makes a name or a TLS context, may be anybody's code.
            self._log.failure("connecting to {place} failed", place=self.place)
            detail, host = type(error).__name__, str(self.place)
            outcome = fault_outcome("internal", detail, command="connect", host=host)
            raise TransientRelayError(outcome) from error

    async def _open(self) -> Session:
        policy, left = self._policy(), await self._addresses()
        passing: list[RelayError] = []  # what was wrong, and may be right next time
        while True:
            address, channel = await self._connect(left, passing)
            try:
                return await self._session(channel, policy)
            except RelayError as error:
                if isinstance(error, TLSFailed) and self._may_fall_back(policy):
                    policy = self._plaintext(error)
                    continue
                left.remove(address)
                if isinstance(error, PermanentRelayError) and passing and not left:
                    raise passing[-1] from error  # one address does not speak for the others
                if not left or not _may_try_next(error):
                    raise
                if not isinstance(error, PermanentRelayError):
                    passing.append(error)

    def abandon(self) -> None:
        """End what is left of connections that never became ready: some still say goodbye."""
        for channel in list(self._unready):
            channel.transport.abortConnection()

    def learn(self, lesson: str, value: str = "yes") -> None:
        """Remember a lesson of L{slimtwist.destinations.LESSONS} about the host."""
        self._destinations.learn(str(self.place), lesson, value)

    def knows(self, lesson: str) -> bool:
        """Tell whether a lesson about the host still holds."""
        return self.recall(lesson) is not None

    def recall(self, lesson: str) -> str | None:
        """Return what was learned about the host, if it was and still holds."""
        return self._destinations.recall(str(self.place), lesson)

    def _policy(self) -> TlsPolicy:
        policy = self.options.policy
        broken = self._may_fall_back(policy) and self.knows("tls broken")
        return TlsPolicy(TlsMode.NONE) if broken else policy

    def _may_fall_back(self, policy: TlsPolicy) -> bool:
        """Tell whether broken TLS is followed by plaintext; credentials never are."""
        opportunistic = policy.mode is TlsMode.OPPORTUNISTIC and not policy.first
        return opportunistic and self.options.credentials is None

    def _plaintext(self, error: TLSFailed) -> TlsPolicy:
        self._log.warn("no TLS with {place}, so plaintext: {error}", place=self.place, error=error)
        self.learn("tls broken")
        return TlsPolicy(TlsMode.NONE)

    async def _session(self, channel: Channel, policy: TlsPolicy) -> Session:
        session = Session(channel, self._label(channel), self.options)
        self._unready.add(channel)
        try:
            await session.begin(self.place.host, policy, lambda: fresh_nonce(self._runtime.random))
        except BaseException:
            channel.close()
            raise
        self._unready.discard(channel)
        return session

    async def _connect(self, left: list[str], passing: list[RelayError]) -> tuple[str, Channel]:
        """Connect to one of the addresses that are left, and strike out those that are dead."""

        def lost(address: str, why: str) -> None:
            left.remove(address)
            passing.append(self._failed(f"{address}: {why}"))

        reactor, timeouts, several = self._runtime.reactor, self.options.timeouts, len(left) > 1
        factory = Factory.forProtocol(lambda: Channel(reactor, self.options.limits, timeouts))
        factory.noisy = False
        wait, stagger = timeouts.connect, timeouts.next_family
        try:
            address, channel = await dial(
                reactor, left, self._endpoint, factory, timeout=wait, stagger=stagger, lost=lost
            )
        except DialFailed as error:
            raise self._failed(str(error)) from error
        if several:
            self._destinations.learn(str(self.place), "address", address)
        return address, cast(Channel, channel)

    def _failed(self, detail: str) -> ConnectionFailed:
        return ConnectionFailed.at(detail, command="connect", host=str(self.place))

    async def _addresses(self) -> list[str]:
        """Return where to connect to; the address that answered last time goes first."""
        place = self.place
        if place.endpoint_creator is not None or place.unix is not None:
            return [place.unix or place.host]
        literal = [] if place.resolve is not None else _literal(place.host)
        found = literal or await self._look_up()
        last = self._destinations.recall(str(place), "address")
        return sorted(found, key=lambda each: each != last)[:_ADDRESSES]

    async def _look_up(self) -> list[str]:
        place, reactor = self.place, self._runtime.reactor
        try:
            if place.resolve is None:
                return await resolve(reactor, place.host, self.options.timeouts.connect)
            asked = defer.Deferred.fromCoroutine(_awaited(place.resolve(place.host)))
            return list(await asked.addTimeout(_ANSWER, reactor))
        except defer.TimeoutError as error:
            raise self._failed("no address in time") from error

    def _endpoint(self, address: str) -> IStreamClientEndpoint:
        reactor, place = self._runtime.reactor, self.place
        if place.endpoint_creator is not None:
            return place.endpoint_creator(reactor, place.host, place.port)
        if place.unix is not None:
            return UNIXClientEndpoint(reactor, place.unix, NO_TIMEOUT)
        return address_endpoint(reactor, address, place.port, place.source)

    def _label(self, channel: Channel) -> str:
        peer, place = channel.transport.getPeer(), self.place
        if isinstance(peer, UNIXAddress) or not isinstance(peer, IPv4Address | IPv6Address):
            return str(place)
        return f"{place.host} [{peer.host}]:{peer.port}"


def _may_try_next(error: RelayError) -> bool:
    """Tell whether another address of the host may do better; none likes our credentials more."""
    cancelled, command = isinstance(error, AttemptCancelled), error.outcome.command
    return not cancelled and command != "AUTH" and try_next_host(error.outcome)


async def _awaited(given: Awaitable[Sequence[str]]) -> Sequence[str]:
    return await given


def _literal(host: str) -> list[str]:
    try:
        return [str(ip_address(host))]
    except ValueError:
        return []
