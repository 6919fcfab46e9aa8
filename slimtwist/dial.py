# -*- test-case-name: tests.test_dial -*-
"""Connections to one host that has several addresses (RFC 8305, "Happy Eyeballs").

The addresses of one family are tried one after another, at once after a failure; those of the other
family beside them, a moment later.  The first connection wins and the others are given up.
Twisted's C{HostnameEndpoint} does much of this, but cannot choose a source address by family, and
tells of one failure only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any, TypeAlias, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

#: A reactor: it provides time, TCP and name resolution, too much for one type.
Reactor: TypeAlias = Any
#: Chooses the source address for a connection to an address; C{None} leaves it to the system.
SourceChooser = Callable[[str], str | None]


class DialFailed(Exception):
    """No address answered. The text says what became of each."""


@implementer(IResolutionReceiver)
class _Addresses:
    def __init__(self) -> None:
        self.found: list[str] = []
        self.complete: Deferred[list[str]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: object) -> None:  # noqa: N803
        pass

    def addressResolved(self, address: IAddress) -> None:
        if isinstance(address, IPv4Address | IPv6Address) and address.host not in self.found:
            self.found.append(address.host)

    def resolutionComplete(self) -> None:
        if not self.complete.called:
            self.complete.callback(self.found)


def resolve(reactor: Reactor, host: str, timeout: float) -> Deferred[list[str]]:
    """Return the addresses of a host, in the order of the reactor's own resolver.

    @param host: a name or an IP literal.
    @param timeout: in seconds, after which it fails with L{twisted.internet.defer.TimeoutError}.
    """
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, host)
    return receiver.complete.addTimeout(timeout, reactor)


def address_endpoint(
    reactor: Reactor, address: str, port: int, timeout: float, source: SourceChooser
) -> IStreamClientEndpoint:
    """Return the endpoint of one address."""
    kind = TCP4ClientEndpoint if ip_address(address).version == 4 else TCP6ClientEndpoint
    chosen = source(address)
    return kind(reactor, address, port, timeout, (chosen, 0) if chosen else None)


def dial(
    clock: IReactorTime,
    endpoints: Iterable[tuple[str, IStreamClientEndpoint]],
    factory: IProtocolFactory,
    stagger: float,
) -> Deferred[IProtocol]:
    """Connect to the first of some addresses that answers.

    @param endpoints: addresses with their endpoints, in the order of preference.
    @param stagger: seconds before the second family joins in.
    @return: fires with the protocol; fails with L{DialFailed}. Cancelling gives all up.
    """
    return _Dialling(clock, factory).run(list(endpoints), stagger)


class _Dialling:
    def __init__(self, clock: IReactorTime, factory: IProtocolFactory) -> None:
        self._clock = clock
        self._factory = factory
        self._running: list[Deferred[IProtocol]] = []
        self._failures: list[str] = []
        self._lanes: list[list[tuple[str, IStreamClientEndpoint]]] = []
        self._timer: IDelayedCall | None = None
        self._over = False

    def run(
        self, endpoints: list[tuple[str, IStreamClientEndpoint]], stagger: float
    ) -> Deferred[IProtocol]:
        self._result: Deferred[IProtocol] = Deferred(lambda _: self._finish())
        first = [each for each in endpoints if ":" in each[0]]
        other = [each for each in endpoints if ":" not in each[0]]
        if endpoints and endpoints[0] in other:
            first, other = other, first
        self._lanes = [lane for lane in (first, other) if lane]
        if len(self._lanes) == 2:
            self._timer = self._clock.callLater(stagger, self._join)
        if self._lanes:
            self._try(self._lanes.pop(0))
        else:
            self._lost()
        return self._result

    def _join(self) -> None:
        if self._lanes and not self._over:
            self._try(self._lanes.pop(0))

    def _try(self, lane: list[tuple[str, IStreamClientEndpoint]]) -> None:
        address, endpoint = lane.pop(0)
        attempt = endpoint.connect(self._factory)
        self._running.append(attempt)
        attempt.addCallbacks(
            self._won, self._failed, callbackArgs=(attempt,), errbackArgs=(attempt, address, lane)
        )

    def _won(self, protocol: IProtocol, attempt: Deferred[IProtocol]) -> None:
        self._running.remove(attempt)
        if self._over:  # two answered at once
            cast("Any", protocol).transport.abortConnection()
            return
        self._finish()
        self._result.callback(protocol)

    def _failed(
        self,
        failure: Failure,
        attempt: Deferred[IProtocol],
        address: str,
        lane: list[tuple[str, IStreamClientEndpoint]],
    ) -> None:
        self._running.remove(attempt)
        if self._over:
            return
        self._failures.append(f"{address}: {failure.getErrorMessage()}")
        if lane:
            self._try(lane)
        self._join()
        if not self._running and not self._over:
            self._lost()

    def _lost(self) -> None:
        self._finish()
        self._result.errback(DialFailed("; ".join(self._failures) or "no address"))

    def _finish(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for attempt in self._running[:]:
            attempt.cancel()
