# -*- test-case-name: tests.relay.smtp.test_static -*-
"""Relays to one configured host: a smart host, or an LMTP server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from zope.interface import implementer

from slimtwist.content import Content
from slimtwist.destinations import Destinations
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Report
from slimtwist.pool import Pool
from slimtwist.runtime import Runtime, default_runtime
from slimtwist.smtp.connection import Connection
from slimtwist.smtp.connector import AddressSource, Connector, EndpointCreator, Place
from slimtwist.smtp.options import ClientOptions, CredentialSource
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.sources import source_chooser


@implementer(IRelay)
class StaticSmtpRelay:
    """Hands every message to one host by SMTP, over a bounded number of reused connections.

    Instances are safe to share: each attempt waits for its turn, first come first served.
    """

    _lmtp: ClassVar[bool] = False

    def __init__(
        self,
        host: str,
        port: int = 25,
        pool_size: int | None = None,
        *,
        unix: str | None = None,
        tls: TlsPolicy | str | None = None,
        credentials: CredentialSource | None = None,
        auth_insecure: bool = False,
        ehlo_as: str | Callable[[str], str] | None = None,
        eight_bit: str = "as-is",
        binary_encoder: Callable[[Content], Content] | None = None,
        source_ips: str | Sequence[str] | Callable[[str], str | None] = (),
        endpoint_creator: EndpointCreator | None = None,
        resolve: AddressSource | None = None,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        destinations: Destinations | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """Make a relay; nothing is connected before the first attempt.

        @param host: a name, an IPv4 or an IPv6 address.
        @param port: a TCP port.
        @param pool_size: connections at once; C{None} for L{Limits.connections}.
        @param unix: the path of a UNIX socket, instead of host and port.
        @param tls: a policy, or the word of a L{TlsMode}; C{None} for C{verify} with credentials
            and C{opportunistic} without.
        @param credentials: for AUTH: a value, or a callable that returns one or a Deferred of one;
            it is asked for each session, and once more when what it gave was refused.
        @param auth_insecure: give credentials to a host that has not proved who it is, or in clear.
        @param ehlo_as: the name for EHLO, or a callable of the host; C{None} for the host name of
            the runtime.
        @param eight_bit: C{as-is} sends 8-bit content to a host without 8BITMIME, C{reject} refuses
            it with 5.6.3.
        @param binary_encoder: makes 7-bit content for a host without 8BITMIME.
        @param source_ips: where connections come from: see L{source_chooser}.
        @param endpoint_creator: called with reactor, host and port for each new connection; returns
            the C{IStreamClientEndpoint} to connect with.
        @param resolve: called with the host for each new connection; returns the addresses to try,
            in order.  C{None} for the reactor's resolver.
        @param timeouts: how long each step may take; C{None} for the runtime's.
        @param limits: how much is taken, and how often a connection is used.
        @param destinations: what is known of hosts, if it is shared with other relays.
        @param runtime: clock and network; C{None} for those of the process.
        @raise ValueError: an argument is wrong, or two contradict each other.
        """
        runtime = runtime or default_runtime()
        options = ClientOptions(
            ehlo_as=ehlo_as or runtime.hostname,
            tls=TlsPolicy(TlsMode(tls)) if isinstance(tls, str) else tls,
            credentials=credentials,
            auth_insecure=auth_insecure,
            lmtp=self._lmtp,
            eight_bit=eight_bit,
            binary_encoder=binary_encoder,
            timeouts=timeouts or runtime.timeouts,
            limits=limits or runtime.limits,
        )
        source = source_chooser(source_ips)
        place = Place(host, port, unix, source, endpoint_creator, resolve)
        known = destinations or Destinations(runtime.reactor)
        self._connector = Connector(runtime, place, options, known)
        self._pool = Pool(
            self._open, options.limits.connections if pool_size is None else pool_size
        )

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Hand a message to the host. See L{IRelay.attempt}."""
        return self._pool.deliver(envelope)

    def stop(self) -> Deferred[None]:
        """Refuse new attempts, let running ones end. See L{IRelay.stop}."""
        return self._pool.stop().addCallback(lambda _: self._connector.abandon())

    def __repr__(self) -> str:
        """Tell the host and what goes on, for operators."""
        return f"<{type(self).__name__} {self._connector.place} {self._pool!r}>"

    def __str__(self) -> str:
        """Tell the host, for log events: what goes on would be that of another time."""
        return f"<{type(self).__name__} {self._connector.place}>"

    async def _open(self) -> Connection:
        return Connection(self._connector.clock, await self._connector.open(), self._connector)


class StaticLmtpRelay(StaticSmtpRelay):
    """Hands every message to one LMTP server, which answers for each recipient (RFC 2033)."""

    _lmtp = True

    def __init__(self, host: str = "localhost", port: int = 24, **arguments: Any) -> None:  # noqa: ANN401
        """Make a relay.

        @param host: a name, an IPv4 or an IPv6 address.
        @param port: a TCP port; never 25 (RFC 2033 5).
        @param arguments: those of L{StaticSmtpRelay}.
        @raise ValueError: an argument is wrong, or two contradict each other.
        """
        if port == 25 and arguments.get("unix") is None:
            raise ValueError("port=25 is for SMTP; LMTP must never be spoken there (RFC 2033 5)")
        super().__init__(host, port, **arguments)
