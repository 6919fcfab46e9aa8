# -*- test-case-name: tests.edge.test_access -*-
"""Who may send mail to whom.

Mail to anywhere is taken from trusted networks and authenticated clients only; mail to some
domains may be taken from anybody.  What would make a relay for the whole Internet is found before
it listens.

Sources: RFC 5321 7.1 and 7.9, RFC 2505 2.1 (relaying), RFC 5321 4.5.1 (postmaster).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import Final, Protocol, Self

from twisted.internet.defer import Deferred

from slimtwist.address import Address, Recipient
from slimtwist.domains import DomainTable
from slimtwist.edge.replies import RELAY_DENIED
from slimtwist.envelope import Client
from slimtwist.reply import Reply

Network = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address

#: Who is on this host.
LOOPBACK: Final[tuple[Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
#: Networks wider than these hold strangers; unique local addresses (RFC 4193) hold none.
_WIDEST: Final = {4: 8, 6: 16}
_UNIQUE_LOCAL: Final = IPv6Network("fc00::/7")


class IAccessPolicy(Protocol):
    """Decides about each recipient."""

    def refusal(
        self, client: Client, sender: Address, recipient: Recipient
    ) -> Reply | Deferred[Reply | None] | None:
        """Return the negative reply to RCPT, or C{None} when the recipient is welcome.

        @param client: who asks; C{ip} is C{None} for a UNIX socket.
        """


@dataclass(frozen=True, slots=True, eq=False)
class Access:
    """The policy of an ordinary relay.

    @ivar relay_from: networks whose clients may send to anywhere.
    @ivar accept: domains that anybody may send to.
    @ivar relay_from_unix: whether clients of UNIX sockets may send to anywhere.
    """

    relay_from: tuple[Network, ...] = LOOPBACK
    accept: DomainTable[bool] = field(default_factory=DomainTable)
    relay_from_unix: bool = True

    @classmethod
    def parse(cls, *, relay_from: Iterable[str] | None = None, accept: Iterable[str] = ()) -> Self:
        """Build a policy from what an operator writes.

        @param relay_from: networks (C{192.0.2.0/24}), addresses, or C{unix}; C{None} for
            loopback and UNIX sockets.
        @param accept: domains; C{*.example.com} for all below one.
        @raise ValueError: one of them is malformed; the text names it.
        """
        domains: DomainTable[bool] = DomainTable()
        for pattern in accept:
            _put(domains, pattern)
        if relay_from is None:
            return cls(accept=domains)
        texts = list(relay_from)
        networks = tuple(_network(text) for text in texts if text != "unix")
        return cls(networks, domains, relay_from_unix="unix" in texts)

    def may_relay(self, client: Client) -> bool:
        """Tell whether a client may send to anywhere."""
        if client.auth is not None:
            return True
        if client.ip is None:
            return self.relay_from_unix
        return _within(client.ip, self.relay_from)

    def refusal(self, client: Client, sender: Address, recipient: Recipient) -> Reply | None:
        """Return why a recipient is not taken. See L{IAccessPolicy.refusal}."""
        if self.may_relay(client):
            return None
        domain = recipient.address.domain
        # Whoever takes mail for somebody takes it for the bare postmaster (RFC 5321 4.5.1).
        if self.accept.get(domain) if domain else self.accept:
            return None
        return RELAY_DENIED


def open_relay(access: Access) -> str | None:
    """Return what makes a policy that of an open relay, or C{None}.

    Whoever listens for other hosts must not start with such a policy.
    """
    for version in (4, 6):
        same = [each for each in access.relay_from if each.version == version]
        for network in collapse_addresses(same):  # type: ignore[type-var]
            if network.prefixlen < _WIDEST[version] and not _local(network):
                return (
                    f"relay-from {network} would let strangers send mail to anywhere; "
                    "name the networks of your own clients"
                )
    return None


@lru_cache(maxsize=1024)
def _within(ip: str, networks: tuple[Network, ...]) -> bool:
    address = ip_address(ip)
    return any(address in network for network in networks)


def _local(network: Network) -> bool:
    return isinstance(network, IPv6Network) and network.subnet_of(_UNIQUE_LOCAL)


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"relay-from {text!r}: {error}") from error


def _put(domains: DomainTable[bool], pattern: str) -> None:
    try:
        domains.put(pattern, value=True)
    except ValueError as error:
        raise ValueError(f"accept {error}") from error  # the text begins with the pattern
