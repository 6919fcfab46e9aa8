# -*- test-case-name: tests.testing.test_resolver -*-
"""A host name resolver that knows what a test told it.

It is what a reactor's C{nameResolver} is to endpoints: names to addresses, not the domain name
system with its record types. Addresses come in the order of the table, in a later turn, as from a
real resolver.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostnameResolver,
    IHostResolution,
    IReactorTime,
    IResolutionReceiver,
)
from zope.interface import implementer


@implementer(IHostResolution)
class Resolution:
    """A question being answered.

    @ivar name: the name that was asked for.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.answer: IDelayedCall | None = None

    def cancel(self) -> None:
        """Give up: no address will be told any more."""
        if self.answer is not None and self.answer.active():
            self.answer.cancel()


@implementer(IHostnameResolver)
class MemoryResolver:
    """Answers from a table.

    @ivar hosts: name -> addresses. A name that is not in it has none. An IP address is its own.
    @ivar hanging: names for which no answer ever comes.
    @ivar delay: seconds until an answer.
    @ivar asked: every name that was asked for, in order.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self.hosts: dict[str, Sequence[str]] = {}
        self.hanging: set[str] = set()
        self.delay = 0.0
        self.asked: list[str] = []

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """Look a name up. See C{IHostnameResolver}."""
        self.asked.append(hostName)
        resolution = Resolution(hostName)
        resolutionReceiver.resolutionBegan(resolution)
        if hostName not in self.hanging:
            found = [
                address
                for address in self._addresses(hostName, portNumber)
                if addressTypes is None or isinstance(address, tuple(addressTypes))
            ]
            resolution.answer = self._clock.callLater(
                self.delay, _answer, resolutionReceiver, found
            )
        return resolution

    def _addresses(self, name: str, port: int) -> list[IPv4Address | IPv6Address]:
        literals = self.hosts.get(name.rstrip(".").lower(), [name] if _literal(name) else [])
        return [
            IPv6Address("TCP", text, port) if ":" in text else IPv4Address("TCP", text, port)
            for text in literals
        ]


def _literal(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _answer(receiver: IResolutionReceiver, addresses: list[IAddress]) -> None:
    for address in addresses:
        receiver.addressResolved(address)
    receiver.resolutionComplete()
