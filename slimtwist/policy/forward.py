# -*- test-case-name: tests.policy.test_forward -*-
"""The policy that sends a recipient's mail to another address.

The sender stays who it was; what the recipient's sender wants to hear about it (RFC 3461) as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from zope.interface import implementer

from slimtwist.address import Address, Recipient
from slimtwist.domains import DomainTable, a_label
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelayPolicy
from slimtwist.policy.parts import Part

_TOO_LONG: Final = "550 5.1.3 the address that this one is forwarded to is too long"


@implementer(IRelayPolicy)
class Forward:
    """Replaces addresses of recipients, once: a new one is not looked up again."""

    def __init__(self, addresses: Mapping[str, str]) -> None:
        """Keep the table.

        @param addresses: the new address of each old one, in which case does not matter.
            C{"@old.example"} stands for the whole domain, C{"@*.old.example"} for all below it; and
            C{"@new.example"} for the same local part there.  The address comes first, then its
            domain, then the longest pattern.
        @raise ValueError: one is no address; the text names it.
        """
        self._addresses: dict[str, str] = {}
        self._domains: DomainTable[str] = DomainTable()
        for old, new in addresses.items():
            Address.parse(f"x{new}" if new.startswith("@") else _whole(new))
            if old.startswith("@"):
                self._domains.put(old[1:], new)
            else:
                self._addresses[_key(Address.parse(_whole(old)))] = new

    def apply(self, envelope: Envelope) -> Envelope | list[Part]:
        """Replace what is in the table. See L{IRelayPolicy.apply}.

        Whose new address would be none, because it is too long, is refused for good.
        """
        found = list(map(self._forwarded, envelope.recipients))
        good = [position for position, each in enumerate(found) if each is not None]
        forwarded = tuple(each for each in found if each is not None)
        if len(good) == len(found):
            return replace(envelope, recipients=forwarded)
        parts = [Part.refused(sorted({*range(len(found))} - {*good}), _TOO_LONG)]
        if good:
            parts.append(Part(tuple(good), replace(envelope, recipients=forwarded)))
        return parts

    def _forwarded(self, recipient: Recipient) -> Recipient | None:
        address = recipient.address
        new = self._addresses.get(_key(address)) or self._domains.get(address.domain)
        if new is None:
            return recipient
        text = f"{address.local}{new}" if new.startswith("@") else new
        try:
            return replace(recipient, address=Address.parse(text))
        except ValueError:
            return None


def _whole(text: str) -> str:
    if not text:
        raise ValueError("an address is empty")
    return text


def _key(address: Address) -> str:
    try:
        domain = a_label(address.domain)
    except ValueError:
        domain = address.domain.lower()
    return f"{address.local.lower()}@{domain}"
