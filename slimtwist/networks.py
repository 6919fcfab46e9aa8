# -*- test-case-name: tests.test_networks -*-
"""Which addresses mail may be sent to when anybody's zone says where it goes.

Loopback, unspecified, link-local, multicast and broadcast addresses lead to ourselves or our
neighbours, and so do the ways to write such an IPv4 address in an IPv6 one.

Sources: RFC 6890 (special addresses), RFC 1918, RFC 6598 and RFC 4193 (private ones), RFC 4291
2.5.5, RFC 6052 2.1 and RFC 3056 2 (IPv4 inside).
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

#: An IPv4 address may be the last four octets of these: NAT64, and what once was IPv4-compatible.
_INSIDE: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
#: What the word C{private} stands for.
PRIVATE: Final = (
    "10.0.0.0/8",
    "100.64.0.0/10",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "fc00::/7",
)
_BROADCAST: Final = IPv4Address("255.255.255.255")
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")


class Networks:
    """Tells the addresses that may be connected to from the others."""

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        """Take the operator's exceptions.

        @param allow: networks that may be connected to, whatever else is said.
        @param deny: networks that may not, beside those that never may.  The word C{private}
            stands for L{PRIVATE} in both.
        @raise ValueError: one is not a network; the text names it.
        """
        self._allow = _networks(allow)
        self._deny = _networks(deny)

    def permits(self, address: str) -> bool:
        """Tell whether an address may be connected to; the IPv4 address inside counts as well."""
        return all(self._permits(each) for each in _forms(ip_address(address)))

    def _permits(self, address: IPv4Address | IPv6Address) -> bool:
        if any(address in network for network in self._allow):
            return True
        return not (_is_ours(address) or any(address in network for network in self._deny))


def _networks(texts: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    written = [PRIVATE if text == "private" else (text,) for text in texts]
    return [_network(each) for part in written for each in part]


def _network(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network such as 192.0.2.0/24: {error}") from error


def _forms(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """Return all that an address is. A mapped one is nothing but the IPv4 address (RFC 4291)."""
    if isinstance(address, IPv4Address) or _is_ours(address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    last = IPv4Address(int(address) & 0xFFFFFFFF)
    inside = last if any(address in each for each in _INSIDE) else address.sixtofour
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
