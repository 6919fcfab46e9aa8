# -*- test-case-name: tests.policy.test_forward -*-
"""Mail goes to new addresses, and each recipient stays where he is in the report."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.address import Address, Recipient
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelayPolicy
from slimtwist.outcome import Outcome
from slimtwist.policy.forward import Forward
from slimtwist.policy.parts import checked


def forwarded(table: dict[str, str], *recipients: str) -> list[str]:
    """Return the new addresses."""
    found = Forward(table).apply(Envelope.parse("a@b", recipients, b""))
    assert isinstance(found, Envelope)
    return [str(each.address) for each in found.recipients]


class ForwardTests(SynchronousTestCase):
    """The table."""

    def test_interface(self) -> None:
        """It is a policy."""
        self.assertTrue(verifyObject(IRelayPolicy, Forward({})))

    def test_table(self) -> None:
        """The address comes first, then its domain, then the longest pattern; case does not matter,
        but that of a local part that stays is kept.
        """
        table = {
            "Me@old.example": "you@new.example",
            "@old.example": "@new.example",
            "@*.old.example": "all@new.example",
            "@*.sub.old.example": "@sub.example",
        }
        found = forwarded(
            table,
            *("ME@OLD.example", "Other@Old.example", "x@a.old.example", "X@a.sub.old.example"),
            *("x@example", "postmaster", "me@old.example"),
        )
        wanted = ["you@new.example", "Other@new.example", "all@new.example", "X@sub.example"]
        self.assertEqual(found, [*wanted, "x@example", "postmaster", "you@new.example"])

    def test_once(self) -> None:
        """What was replaced is not looked up again: there are no circles."""
        self.assertEqual(forwarded({"a@x": "b@x", "b@x": "a@x"}, "a@x", "b@x"), ["b@x", "a@x"])

    def test_parameters(self) -> None:
        """What somebody wants to hear of his recipient he hears all the same (RFC 3461)."""
        recipient = Recipient(Address.parse("a@x"), ("FAILURE",), "rfc822;o@p")
        envelope = replace(Envelope.parse("s@t", ["a@x"], b""), recipients=(recipient,))
        found = Forward({"a@x": "b@y"}).apply(envelope)
        assert isinstance(found, Envelope)
        self.assertEqual(found.recipients, (replace(recipient, address=Address.parse("b@y")),))
        self.assertEqual(str(found.sender), "s@t")

    def test_too_long(self) -> None:
        """Who cannot have a new address is refused, and nobody else is (L10)."""
        table = {"@x": f"@{'y' * 60}.example"}
        policy, long = Forward(table), f"{'a' * 240}@x"
        for recipients, positions in ((["b@x", long, "c@z"], (1,)), ([long], (0,))):
            envelope = Envelope.parse("s@t", recipients, b"")
            parts = checked(policy.apply(envelope), envelope)
            refused = [part for part in parts if isinstance(part.fate, Outcome)]
            self.assertEqual([part.positions for part in refused], [positions])
            self.assertEqual(len(parts), min(len(recipients), 2))

    def test_wrong(self) -> None:
        """What is no address is refused when the table is made, and named (L5)."""
        for table, text in (
            ({"a": "b@c"}, "'a'"),
            ({"a@b": "c"}, "'c'"),
            ({"a@b": "c@d\r\nRCPT TO:<x@y>"}, "local-part@domain"),
            ({"@a b": "@c"}, "'a b'"),
            ({"@a": "@c d"}, "'x@c d'"),
            ({"": "a@b"}, "empty"),
            ({"a@b": ""}, "empty"),
        ):
            error = self.assertRaises(ValueError, Forward, table)
            self.assertIn(text, str(error))
