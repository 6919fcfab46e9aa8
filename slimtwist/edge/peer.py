# -*- test-case-name: tests.edge.test_peer -*-
"""What a transport knows of the client at its other end."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol, cast

from twisted.internet.interfaces import (
    IAddress,
    IOpenSSLContextFactory,
    IOpenSSLServerConnectionCreator,
    IProducer,
    ISSLTransport,
)

#: What a server proves its identity with.
Certificate = IOpenSSLContextFactory | IOpenSSLServerConnectionCreator


class ServerTransport(Protocol):
    """What an edge needs of a transport: Twisted's have it for TCP, UNIX sockets and TLS."""

    def write(self, data: bytes) -> None:
        """Send octets."""

    def getPeer(self) -> IAddress:
        """Return who is at the other end."""

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """Say who is to be paused while octets cannot be sent."""

    def unregisterProducer(self) -> None:
        """Say that nobody is."""

    def pauseProducing(self) -> None:
        """Read no more."""

    def resumeProducing(self) -> None:
        """Read again."""

    def startTLS(self, ctx: Certificate) -> None:
        """Go on in TLS."""

    def loseConnection(self) -> None:
        """Close, after all octets were sent."""

    def abortConnection(self) -> None:
        """Close at once."""


def client_ip(transport: ServerTransport) -> str | None:
    """Return the client's address as text, without a zone; C{None} for a UNIX socket.

    It is asked for when it is needed, since behind a proxy it becomes known with the first octets.
    """
    return plain_ip(getattr(transport.getPeer(), "host", None))


@lru_cache(maxsize=1024)
def plain_ip(host: str | None) -> str | None:
    """Return an address in its usual form: no zone, and IPv4 as such, not within IPv6."""
    if host is None:
        return None
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


@lru_cache(maxsize=1024)
def is_local(ip: str | None) -> bool:
    """Tell whether a client is on this host."""
    return ip is None or ip_address(ip).is_loopback


def tls_facts(transport: ServerTransport) -> str | None:
    """Return protocol version and cipher, or C{None} where nothing protects the connection."""
    if not ISSLTransport.providedBy(transport):
        return None
    handle = cast("Any", transport).getHandle()
    return f"{handle.get_protocol_version_name()} {handle.get_cipher_name()}"
