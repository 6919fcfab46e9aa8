# -*- test-case-name: tests.test_networks -*-
"""Which addresses mail may be sent to when anybody's zone says where it goes.

Loopback, unspecified, link-local, multicast and broadcast addresses lead to ourselves or our
neighbours, and so do the ways to write such an IPv4 address in an IPv6 one.

Sources: RFC 6890 (special addresses), RFC 4291 2.5.5.2, RFC 6052 2.1 and RFC 3056 2 (IPv4 inside).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

_NAT64: Final = IPv6Network("64:ff9b::/96")
_BROADCAST: Final = IPv4Address("255.255.255.255")
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")


class Networks:
    """Tells the addresses that may be connected to from the others."""

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        """Take the operator's exceptions.

        @param allow: networks that may be connected to, whatever else is said.
        @param deny: networks that may not, beside those that never may.
        @raise ValueError: one is not a network; the text names it.
        """
        self._allow = [_network(each) for each in allow]
        self._deny = [_network(each) for each in deny]

    def permits(self, address: str) -> bool:
        """Tell whether an address may be connected to; the IPv4 address inside counts as well."""
        return all(self._permits(each) for each in _forms(ip_address(address)))

    def _permits(self, address: IPv4Address | IPv6Address) -> bool:
        if any(address in network for network in self._allow):
            return True
        return not (_is_ours(address) or any(address in network for network in self._deny))


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network such as 192.0.2.0/24: {error}") from error


def _forms(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        return [address]
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _NAT64:
        inside = IPv4Address(int(address) & 0xFFFFFFFF)
    # A mapped address is nothing but the other one.
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    return [address] if inside is None else [address, inside]


def _is_ours(address: IPv4Address | IPv6Address) -> bool:
    return (
        address.is_loopback
        or address.is_unspecified
        or address.is_link_local
        or address.is_multicast
        or address == _BROADCAST
        or address in _THIS_NETWORK
    )
