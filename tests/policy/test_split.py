# -*- test-case-name: tests.policy.test_split -*-
"""Messages are split by number and by domain."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelayPolicy
from slimtwist.policy.parts import checked
from slimtwist.policy.split import RecipientDomainSplit, RecipientSplit


def split(policy: RecipientSplit | RecipientDomainSplit, *recipients: str) -> list[tuple[int, ...]]:
    """Return the positions of each part."""
    envelope = Envelope.parse("a@b", recipients, b"")
    return [part.positions for part in checked(policy.apply(envelope), envelope)]


class RecipientSplitTests(SynchronousTestCase):
    """By number."""

    def test_number(self) -> None:
        """No part has more recipients than it may."""
        addresses = [f"{each}@x" for each in range(5)]
        for most, wanted in (
            (1, [(0,), (1,), (2,), (3,), (4,)]),
            (2, [(0, 1), (2, 3), (4,)]),
            (4, [(0, 1, 2, 3), (4,)]),
            (5, [(0, 1, 2, 3, 4)]),
            (6, [(0, 1, 2, 3, 4)]),
        ):
            self.assertEqual(split(RecipientSplit(most), *addresses), wanted)
        self.assertEqual(split(RecipientSplit(), *addresses[:2]), [(0,), (1,)])

    def test_wrong(self) -> None:
        """A part has at least one."""
        self.assertRaises(ValueError, RecipientSplit, 0)

    def test_interface(self) -> None:
        """It is a policy."""
        self.assertTrue(verifyObject(IRelayPolicy, RecipientSplit()))


class RecipientDomainSplitTests(SynchronousTestCase):
    """By domain."""

    def test_domains(self) -> None:
        """Each part has recipients of one domain; case and script make no difference (RFC 5890)."""
        found = split(
            RecipientDomainSplit(),
            *("a@x", "b@y", "c@X", "postmaster", "d@b\xfccher.example", "e@xn--bcher-kva.example"),
        )
        self.assertEqual(found, [(0, 2), (1,), (3,), (4, 5)])

    def test_one(self) -> None:
        """Where there is one domain, nothing changes."""
        self.assertEqual(split(RecipientDomainSplit(), "a@x", "b@x"), [(0, 1)])

    def test_no_domain(self) -> None:
        """What cannot be a name of the domain name system stands for itself."""
        self.assertEqual(split(RecipientDomainSplit(), f"a@{'x' * 64}\xfc", "b@x"), [(0,), (1,)])

    def test_interface(self) -> None:
        """It is a policy."""
        self.assertTrue(verifyObject(IRelayPolicy, RecipientDomainSplit()))
