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
from typing import Any, Final, TypeAlias, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.deadline import Deadline
from slimtwist.reply import printable

#: A reactor: it provides time, TCP and name resolution, too much for one type.
Reactor: TypeAlias = Any
#: Chooses the source address for a connection to an address; C{None} leaves it to the system.
SourceChooser = Callable[[str], str | None]
#: Told of an address that did not answer, and why.
Loss = Callable[[str, str], object]
#: Makes the endpoint of an address.
EndpointMaker = Callable[[str], IStreamClientEndpoint]

#: For endpoints, whose timers would blame a host for a stall of this process.
NO_TIMEOUT: Final = cast("int", None)
#: An explanation is a part of a reply line.
_LENGTH: Final = 300


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
        self.complete.callback(self.found)


def resolve(reactor: Reactor, host: str, timeout: float) -> Deferred[list[str]]:
    """Return the addresses of a host, in the order of the reactor's own resolver.

    @param host: a name or an IP literal.
    @param timeout: in seconds, after which it fails with C{twisted.internet.defer.TimeoutError}.
    """
    receiver = _Addresses()
    reactor.nameResolver.resolveHostName(receiver, host)
    return receiver.complete.addTimeout(timeout, reactor)


def address_endpoint(
    reactor: Reactor, address: str, port: int, source: SourceChooser
) -> IStreamClientEndpoint:
    """Return the endpoint of one address; how long it may take is for L{dial}."""
    kind = TCP4ClientEndpoint if ip_address(address).version == 4 else TCP6ClientEndpoint
    chosen = source(address)
    return kind(reactor, address, port, NO_TIMEOUT, (chosen, 0) if chosen else None)


def dial(
    clock: IReactorTime,
    addresses: Iterable[str],
    endpoint: EndpointMaker,
    factory: IProtocolFactory,
    *,
    timeout: float,
    stagger: float,
    lost: Loss | None = None,
) -> Deferred[tuple[str, IProtocol]]:
    """Connect to the first of some addresses that answers.

    @param addresses: in the order of preference.
    @param endpoint: makes the endpoint of an address, when its turn has come.
    @param timeout: seconds that each address may take.
    @param stagger: seconds before the second family joins in.
    @param lost: called with each address that does not answer, and why; not with those that are
        given up because another has answered.
    @return: fires with the address and the protocol; fails with L{DialFailed}. Cancelling gives all
        up.
    """
    dialling = _Dialling(clock, lambda address: endpoint(address).connect(factory), timeout, lost)
    return dialling.run(list(addresses), stagger)


class _Dialling:
    _log = Logger()

    def __init__(
        self,
        clock: IReactorTime,
        connect: Callable[[str], Deferred[IProtocol]],
        timeout: float,
        lost: Loss | None,
    ) -> None:
        self._clock = clock
        self._connect = connect
        self._timeout = timeout
        self._lost_at = lost
        self._running: list[Deferred[IProtocol]] = []
        self._failures: list[str] = []
        self._lanes: list[list[str]] = []
        self._timer: IDelayedCall | None = None
        self._over = False

    def run(self, addresses: list[str], stagger: float) -> Deferred[tuple[str, IProtocol]]:
        self._result: Deferred[tuple[str, IProtocol]] = Deferred(lambda _: self._finish())
        first = [each for each in addresses if ":" in each]
        other = [each for each in addresses if ":" not in each]
        if addresses and addresses[0] in other:
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

    def _try(self, lane: list[str]) -> None:
        address = lane.pop(0)
        attempt = maybeDeferred(self._connect, address)
        deadline = Deadline(self._clock, attempt.cancel)
        deadline.set(self._timeout)
        self._running.append(attempt)
        attempt.addBoth(self._ended, attempt, deadline)
        attempt.addCallbacks(
            self._won, self._failed, callbackArgs=(address,), errbackArgs=(address, lane)
        )

    def _ended(
        self, result: IProtocol | Failure, attempt: Deferred[IProtocol], deadline: Deadline
    ) -> IProtocol | Failure:
        deadline.close()
        self._running.remove(attempt)
        return result

    def _won(self, protocol: IProtocol, address: str) -> None:
        if self._over:  # two answered at once
            cast("Any", protocol).transport.abortConnection()
            return
        self._finish()
        self._result.callback((address, protocol))

    def _failed(self, failure: Failure, address: str, lane: list[str]) -> None:
        if self._over:
            return
        why = self._explain(failure, address)
        self._failures.append(f"{address}: {why}")
        if self._lost_at is not None:
            self._lost_at(address, why)
        if lane:
            self._try(lane)
        self._join()
        if not self._running and not self._over:
            self._lost()

    def _explain(self, failure: Failure, address: str) -> str:
        if failure.check(CancelledError, ConnectingCancelledError):
            return "no answer in time"
        if not failure.check(ConnectError, OSError, ValueError):  # an endpoint is anybody's code
            self._log.failure("connecting to {address} failed", failure, address=address)
        return printable(failure.getErrorMessage())[:_LENGTH]

    def _lost(self) -> None:
        self._finish()
        self._result.errback(DialFailed("; ".join(self._failures) or "no address"))

    def _finish(self) -> None:
        self._over = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        for attempt in self._running[:]:
            attempt.cancel()
