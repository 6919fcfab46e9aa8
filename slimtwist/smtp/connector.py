# -*- test-case-name: tests.smtp.test_connector -*-
"""From a host's name to a session that takes mail.

Here, and nowhere else, a broken TLS handshake is followed by a plaintext connection, and only where
the policy says C{opportunistic} (RFC 7435); the host is then remembered for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import cast

from twisted.internet import defer
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from slimtwist.destinations import Destinations
from slimtwist.dial import DialFailed, Reactor, SourceChooser, address_endpoint, dial, resolve
from slimtwist.errors import ConnectionFailed, TLSFailed
from slimtwist.runtime import Runtime
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.session import Session
from slimtwist.smtp.tls import TlsMode, TlsPolicy

#: Makes the endpoint of a new connection: called with reactor, host and port.
EndpointCreator = Callable[[Reactor, str, int], IStreamClientEndpoint]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a host is.

    @ivar host: its name or IP literal: what a certificate is for.
    @ivar port: a TCP port.
    @ivar unix: the path of a UNIX socket, in place of the port.
    @ivar addresses: where the name leads to, if somebody has looked it up already.
    """

    host: str
    port: int = 25
    unix: str | None = None
    addresses: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return host and port, for people."""
        return self.unix or f"{self.host}:{self.port}"


class Connector:
    """Opens sessions with one host.

    @ivar place: where it is.
    @ivar options: how it is spoken to.
    """

    _log = Logger()

    def __init__(
        self,
        runtime: Runtime,
        place: Place,
        options: ClientOptions,
        destinations: Destinations,
        *,
        source: SourceChooser = lambda _: None,
        endpoint_creator: EndpointCreator | None = None,
    ) -> None:
        """Connect to nothing yet.

        @param destinations: what was learned of hosts before.
        @param source: chooses the source address for an address.
        @param endpoint_creator: makes each connection's endpoint, in place of the place's
            addresses.
        @raise ValueError: the host has no name that the policy could verify.
        """
        self._runtime = runtime
        self.place = place
        self.options = options
        self._destinations = destinations
        self._source = source
        self._endpoint_creator = endpoint_creator
        if options.policy.mode is not TlsMode.NONE:
            options.policy.creator(place.host)

    async def open(self) -> Session:
        """Return a session that is ready for mail.

        @raise RelayError: there is none to be had.
        """
        policy, host = self.options.policy, str(self.place)
        may_fall_back = policy.mode is TlsMode.OPPORTUNISTIC and not policy.first
        if may_fall_back and self._destinations.knows(host, "tls broken"):
            return await self._session(TlsPolicy(TlsMode.NONE))
        try:
            return await self._session(policy)
        except TLSFailed as error:
            if not may_fall_back:
                raise
            self._log.warn("no TLS with {host}, plaintext instead: {error}", host=host, error=error)
            self._destinations.learn(host, "tls broken")
            return await self._session(TlsPolicy(TlsMode.NONE))

    def learn(self, lesson: str) -> None:
        """Remember a lesson of L{slimtwist.destinations.LESSONS} about the host."""
        self._destinations.learn(str(self.place), lesson)

    def knows(self, lesson: str) -> bool:
        """Tell whether a lesson about the host still holds."""
        return self._destinations.knows(str(self.place), lesson)

    async def _session(self, policy: TlsPolicy) -> Session:
        channel = await self._connect()
        session = Session(channel, self._label(channel), self.options)
        try:
            await session.begin(self.place.host, policy, self._nonce)
        except BaseException:
            channel.close()
            raise
        return session

    async def _connect(self) -> Channel:
        reactor, timeouts = self._runtime.reactor, self.options.timeouts
        factory = Factory.forProtocol(lambda: Channel(reactor, self.options.limits, timeouts))
        factory.noisy = False
        try:
            endpoints = await self._endpoints()
            protocol = await dial(reactor, endpoints, factory, timeouts.next_family)
        except defer.CancelledError:
            raise
        except Exception as error:
            # An endpoint may be anybody's code; nothing was sent, whatever it did.
            detail = "no address in time" if isinstance(error, defer.TimeoutError) else str(error)
            raise self._failed(detail, error) from error
        return cast(Channel, protocol)

    def _failed(self, detail: str, error: Exception) -> ConnectionFailed:
        if not isinstance(error, DialFailed | defer.TimeoutError | OSError | ValueError):
            self._log.failure("connecting to {place} failed", place=self.place)
        return ConnectionFailed.at(detail, command="connect", host=str(self.place))

    async def _endpoints(self) -> list[tuple[str, IStreamClientEndpoint]]:
        reactor, place, timeout = self._runtime.reactor, self.place, self.options.timeouts.connect
        if self._endpoint_creator is not None:
            return [(place.host, self._endpoint_creator(reactor, place.host, place.port))]
        if place.unix is not None:
            return [(place.unix, UNIXClientEndpoint(reactor, place.unix, timeout))]
        addresses = place.addresses or _literal(place.host)
        if not addresses:
            addresses = tuple(await resolve(reactor, place.host, timeout))
        return [
            (each, address_endpoint(reactor, each, place.port, timeout, self._source))
            for each in addresses
        ]

    def _label(self, channel: Channel) -> str:
        peer, place = channel.transport.getPeer(), self.place
        if isinstance(peer, UNIXAddress) or not isinstance(peer, IPv4Address | IPv6Address):
            return str(place)
        return f"{place.host} [{peer.host}]:{peer.port}"

    def _nonce(self) -> str:
        return f"{self._runtime.random.getrandbits(192):048x}"


def _literal(host: str) -> tuple[str, ...]:
    try:
        return (str(ip_address(host)),)
    except ValueError:
        return ()
