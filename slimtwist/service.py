# -*- test-case-name: tests.test_service -*-
"""A relay as a service: what listens, the queue behind it, and the order in which they end.

It binds its ports before privileges are dropped, and ends so that nothing is left half said: first
nobody new is let in, then the clients go, each with the true reply to what it has begun, then the
queue and its relay.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.interfaces import IQueue
from slimtwist.runtime import Runtime

#: What to do about errors of the system.
_HINTS: Final[Mapping[int | None, str]] = {
    errno.EADDRINUSE: "; another program listens there",
    errno.EACCES: "; ports below 1024 need root: start as root, with twistd's --uid and --gid",
    errno.EADDRNOTAVAIL: "; it is not an address of this host",
}
#: Seconds that a queue and its relay have to end when no message can be under way any more: a host
#: may take 20 to answer RSET and 5 to answer QUIT, and a program 10 that cannot be ended.
_LAST_WAIT: Final = 28.0


class ListeningFailed(Exception):
    """A service cannot listen where it was told to. The text says where, and why."""


class Edge(Protocol):
    """Where mail comes in: a factory of the protocols that talk to clients, in front of a queue."""

    @property
    def speaks(self) -> str:
        """What is spoken, for the log."""

    @property
    def patience(self) -> float:
        """Seconds that L{stop} may take."""

    def buildProtocol(self, addr: IAddress | None) -> IProtocol:
        """Return what talks to a client. See C{IProtocolFactory}."""

    def stop(self) -> Deferred[None]:
        """Let running transactions end; fires when no client is left."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where mail comes in.

    @ivar endpoint: what is listened on.
    @ivar edge: what talks to clients there.
    @ivar name: names the place for people: C{"tcp:2525"}.
    """

    endpoint: IStreamServerEndpoint
    edge: Edge
    name: str


class RelayService(Service):
    """Takes mail on some endpoints, and hands it to a queue.

    It can be started once.  Any number may live in one process, each under any parent service.
    """

    _log = Logger()

    def __init__(
        self, runtime: Runtime, queue: IQueue, listeners: Iterable[Listener], about: str = ""
    ) -> None:
        """Listen on nothing yet.

        @param queue: takes the messages; is stopped with the service.
        @param listeners: where mail comes in; their edges are in front of that queue.
        @param about: says where mail goes, for the log.
        """
        self._clock = runtime.reactor
        self._queue = queue
        self._about = about
        self._listeners = list(listeners)
        self._ports: list[Deferred[Any]] = []
        self._open: list[IListeningPort] = []

    @property
    def addresses(self) -> Sequence[IAddress]:
        """Where it listens now, in the order of its listeners."""
        return [port.getHost() for port in self._open]

    def privilegedStartService(self) -> None:
        """Begin to listen, which ports below 1024 allow to root only.

        @raise ListeningFailed: one of the endpoints cannot be listened on; then none is.
        """
        super().privilegedStartService()
        for listener in self._listeners:
            self._listen(listener)

    def startService(self) -> None:
        """Begin to listen, if that was not done before. Raises like L{privilegedStartService}."""
        super().startService()
        if not self._ports:
            self.privilegedStartService()
        if os.geteuid() == 0:
            self._log.warn("running as root: start twistd with --uid and --gid of another user")
        for line in self._about.splitlines():
            self._log.info("{line}", line=line)

    def stopService(self) -> Deferred[None]:
        """Stop taking mail, and end what is running.

        @return: fires when nothing is left, or C{Timeouts.stop} and a little more has passed.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def _listen(self, listener: Listener) -> None:
        port = maybeDeferred(listener.endpoint.listen, cast("IProtocolFactory", listener.edge))
        if port.called and isinstance(port.result, Failure):
            refusal: Failure = port.result
            port.addErrback(lambda _: None)
            self._close()
            raise ListeningFailed(_complaint(listener, refusal)) from refusal.value
        # Few endpoints need time to begin; those that then fail cannot hold up the others.
        port.addCallbacks(
            self._listening, self._refused, callbackArgs=(listener,), errbackArgs=(listener,)
        )
        self._ports.append(port)

    def _listening(self, port: IListeningPort, listener: Listener) -> None:
        self._open.append(port)
        self._log.info(
            "taking mail by {protocol} on {address} ({name})",
            protocol=listener.edge.speaks,
            address=_where(port.getHost()),
            name=listener.name,
        )

    def _refused(self, failure: Failure, listener: Listener) -> None:
        if not failure.check(CancelledError):
            self._log.critical("{complaint}", complaint=_complaint(listener, failure))

    def _close(self) -> list[Deferred[Any]]:
        """Let nobody new in; return what fires when the ports are closed."""
        for port in self._ports:
            port.cancel()
        open_ports, self._open = self._open, []
        return [maybeDeferred(port.stopListening) for port in open_ports]

    async def _stop(self) -> None:
        begun = self._clock.seconds()
        closing = self._close()
        leaving = [listener.edge.stop() for listener in self._listeners]
        await DeferredList([*closing, *leaving], consumeErrors=True)
        left = self._longest_stop() - (self._clock.seconds() - begun)
        try:
            # A queue may wait as long for messages that it did not get from here.
            await self._queue.stop().addTimeout(max(left, 0) + _LAST_WAIT, self._clock)
        except Exception:  # noqa: BLE001 - a queue or a relay may be anybody's code
            self._log.failure("queue {queue} did not stop", queue=self._queue)

    def _longest_stop(self) -> float:
        return max((listener.edge.patience for listener in self._listeners), default=0.0)


def _where(address: IAddress) -> str:
    """Return an address as people write it."""
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    return os.fsdecode(getattr(address, "name", None) or str(address))


def _complaint(listener: Listener, failure: Failure) -> str:
    error = failure.value
    # Twisted's own error has the system's in it, with its number.
    cause = getattr(error, "socketError", error)
    hint = _HINTS.get(getattr(cause, "errno", None), "")
    why = getattr(cause, "strerror", None) or cause
    return f"cannot listen on {listener.name!r}: {why}{hint}"
