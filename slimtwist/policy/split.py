# -*- test-case-name: tests.policy.test_split -*-
"""Policies that split a message: for next hops that take few recipients, or those of one domain."""

from __future__ import annotations

from zope.interface import implementer

from slimtwist.domains import a_label
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelayPolicy
from slimtwist.policy.parts import Part


@implementer(IRelayPolicy)
class RecipientSplit:
    """Lets a message have a few recipients only."""

    def __init__(self, most: int = 1) -> None:
        """Keep the number.

        @param most: recipients of one part.
        @raise ValueError: it is below 1.
        """
        if most < 1:
            raise ValueError(f"a message cannot have {most} recipients")
        self._most = most

    def apply(self, envelope: Envelope) -> Envelope | list[Part]:
        """Split the message. See L{IRelayPolicy.apply}."""
        count = len(envelope.recipients)
        if count <= self._most:
            return envelope
        return [
            Part.of(envelope, range(start, min(start + self._most, count)))
            for start in range(0, count, self._most)
        ]


@implementer(IRelayPolicy)
class RecipientDomainSplit:
    """Lets a message have recipients of one domain only."""

    def apply(self, envelope: Envelope) -> Envelope | list[Part]:
        """Split the message. See L{IRelayPolicy.apply}."""
        domains: dict[str, list[int]] = {}
        for position, recipient in enumerate(envelope.recipients):
            domains.setdefault(_key(recipient.address.domain), []).append(position)
        if len(domains) == 1:
            return envelope
        return [Part.of(envelope, positions) for positions in domains.values()]


def _key(domain: str) -> str:
    try:
        return a_label(domain)
    except ValueError:
        return domain.lower()
