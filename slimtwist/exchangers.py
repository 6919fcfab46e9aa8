# -*- test-case-name: tests.test_exchangers -*-
"""From a recipient's domain to the hosts that take its mail, and from these to their addresses.

Sources: RFC 5321 5.1 (order, implicit MX, loops), RFC 7505 (null MX), RFC 5321 4.1.3 (address
literals), RFC 5890 (A-labels).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from itertools import groupby, zip_longest
from random import Random
from typing import Final, TypeVar

from slimtwist.dns import AliasLoop, Answer, Names, NameTrouble
from slimtwist.domains import a_label, is_host, is_name
from slimtwist.errors import PermanentRelayError, RelayError, TransientRelayError
from slimtwist.networks import Networks
from slimtwist.outcome import Outcome
from slimtwist.reply import Reply
from slimtwist.together import side_by_side

_T = TypeVar("_T")

#: Addresses of one host that are tried.
_ADDRESSES: Final = 10
_LITERAL: Final = re.compile(
    r"\[(?:(?i:IPv6:)(?P<v6>[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)|(?P<v4>[0-9.]+))\]\Z"
)


class MailLoop(PermanentRelayError):
    """The mail would come back to this host."""


@dataclass(frozen=True, slots=True, order=True)
class Exchanger:
    """A host that takes mail for a domain.

    @ivar preference: lower ones are asked first.
    @ivar host: its name, an A-label in lower case, or an IP literal.
    """

    preference: int
    host: str


class Exchangers:
    """Knows who takes mail for whom, from the domain name system."""

    def __init__(
        self, names: Names, networks: Networks, random: Random, own: Collection[str] = ()
    ) -> None:
        """Ask for nothing yet.

        @param networks: which addresses may be connected to.
        @param random: shuffles what is equal.
        @param own: names and addresses of this host.
        """
        self._names = names
        self._networks = networks
        self._random = random
        self._own = frozenset(_known_as(each) for each in own)

    @property
    def knows_own_addresses(self) -> bool:
        """Whether an address may turn out to be this host's, whatever its name."""
        return any(map(_ip, self._own))

    async def of(self, domain: str) -> tuple[Exchanger, ...]:
        """Return who takes mail for a domain, the most preferred first.

        @param domain: as it stands in an address; a literal in brackets is its own exchanger.
        @raise PermanentRelayError: nobody does, or there is no such domain, or it is this host.
        @raise TransientRelayError: it could not be found out.
        """
        if domain.startswith("["):
            return (Exchanger(0, _literal(domain)),)
        name = _asked(domain)
        answer = await self._ask(name)
        if not answer.exists:
            raise _permanent("550 5.1.2 no such domain")
        best: dict[str, int] = {}
        for preference, host in answer.data:
            best[host] = min(preference, best.get(host, preference))
        hosts = sorted(Exchanger(preference, host) for host, preference in best.items() if host)
        if best and not hosts:
            raise _permanent("556 5.1.10 the domain takes no mail")  # RFC 7505
        return self._not_ours(hosts or [Exchanger(0, name)])

    def ordered(self, exchangers: Sequence[Exchanger]) -> list[Exchanger]:
        """Return exchangers by preference, equal ones in a new random order."""
        groups = groupby(sorted(exchangers), key=lambda each: each.preference)
        return [each for _, group in groups for each in self._shuffled(list(group))]

    async def addresses(self, host: str) -> tuple[str, ...]:
        """Return the addresses of a host that may be connected to, the families in turn.

        @raise TransientRelayError: it could not be found out.
        @raise MailLoop: it is this host.
        @raise PermanentRelayError: it has none.
        """
        try:
            return await self._addresses(host)
        except MailLoop:
            raise
        except RelayError as error:  # about this host: another one may be asked
            raise type(error)(replace(error.outcome, command="connect", host=host)) from error

    async def _addresses(self, host: str) -> tuple[str, ...]:
        literal = _ip(host)
        ipv4, ipv6, trouble = ([], [literal], None) if literal else await self._both(host)
        pairs = zip_longest(self._shuffled(ipv6), self._shuffled(ipv4))
        found = [each for pair in pairs for each in pair if each]
        if self._own.intersection(found):
            raise MailLoop(_refusal(f"550 5.4.6 mail loops back to myself: {host}"))
        allowed = tuple(each for each in found if self._networks.permits(each))
        if not allowed and trouble is not None:
            raise _in_trouble(trouble) from trouble
        if not allowed:
            kind = "that may be used" if found else "at all"
            raise _permanent(f"550 5.4.4 {host} has no address {kind}")
        return allowed[:_ADDRESSES]

    async def _ask(self, name: str) -> Answer:
        try:
            return await self._names.mail_exchangers(name)
        except NameTrouble as error:
            raise _in_trouble(error) from error

    async def _both(self, host: str) -> tuple[list[str], list[str], NameTrouble | None]:
        """Ask for both families at once; one that is in trouble does not hide the other."""
        found: list[list[str]] = []
        trouble = None
        for result in await side_by_side([self._names.ipv4(host), self._names.ipv6(host)]):
            if not isinstance(result, Answer):
                result.trap(NameTrouble)
                trouble = result.value
            found.append(list(result.data) if isinstance(result, Answer) else [])
        return found[0], found[1], trouble

    def _not_ours(self, hosts: list[Exchanger]) -> tuple[Exchanger, ...]:
        """Leave out this host, and whoever is not preferred to it (RFC 5321 5.1)."""
        least = min((each.preference for each in hosts if each.host in self._own), default=None)
        rest = [each for each in hosts if least is None or each.preference < least]
        if not rest:
            raise MailLoop(_refusal("550 5.4.6 mail loops back to myself"))
        # An address is not a host name: an exchanger written as one is a mistake (RFC 1035 3.3.9).
        named = tuple(each for each in rest if is_host(each.host) and not _ip(each.host))
        if not named:
            raise _permanent("550 5.4.4 the domain's exchangers are no host names")
        return named

    def _shuffled(self, items: list[_T]) -> list[_T]:
        self._random.shuffle(items)
        return items


def _asked(domain: str) -> str:
    """Return the name that a domain is asked for as."""
    if not domain:  # postmaster, whose domain is the one of whoever is asked
        raise _permanent("550 5.1.2 the recipient has no domain")
    try:
        name = a_label(domain)
    except ValueError as error:
        raise _permanent("550 5.1.2 the domain is no internationalised name") from error
    if not is_name(name):
        raise _permanent("550 5.1.2 there can be no such domain")
    return name


def _known_as(text: str) -> str:
    """Return a name or address of this host as it is compared."""
    match = _LITERAL.match(text)
    address = match["v6"] or match["v4"] if match else text
    return _ip(address) or text.lower().rstrip(".")


def _literal(text: str) -> str:
    match = _LITERAL.match(text)
    address = _ip(match["v6"] or match["v4"]) if match else ""
    if not address:
        raise _permanent("550 5.1.2 the address literal is not one of IPv4 or IPv6")
    return address


def _ip(text: str) -> str:
    """Return an IP address in its usual form, or nothing."""
    for kind in (IPv4Address, IPv6Address):
        try:
            return str(kind(text))
        except ValueError:
            continue
    return ""


def _permanent(reply: str) -> PermanentRelayError:
    return PermanentRelayError(_refusal(reply))


def _refusal(reply: str) -> Outcome:
    return Outcome.of(Reply.parse(reply))


def _in_trouble(error: BaseException) -> TransientRelayError | PermanentRelayError:
    if isinstance(error, AliasLoop):
        return _permanent(f"550 5.4.6 {error}")
    reply = Reply.parse("451 4.4.3 name servers gave no answer").with_text(
        f"name servers gave no answer: {error}"
    )
    return TransientRelayError(Outcome.of(reply))
