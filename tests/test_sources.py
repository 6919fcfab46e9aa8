# -*- test-case-name: tests.test_sources -*-
"""Source addresses: of the right family, in turn."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.sources import source_chooser

V4, V6 = "192.0.2.1", "2001:db8::1"


class SourceTests(SynchronousTestCase):
    """Where a connection comes from."""

    def test_none(self) -> None:
        """Without sources the system chooses."""
        chooser = source_chooser(())
        self.assertEqual([chooser(V4), chooser(V6)], [None, None])

    def test_one(self) -> None:
        """One source serves its own family, always; the system chooses for the other."""
        chooser = source_chooser("203.0.113.1")
        chosen = [chooser(V4), chooser(V6), chooser(V4)]
        self.assertEqual(chosen, ["203.0.113.1", None, "203.0.113.1"])
        chooser = source_chooser("2001:db8:a::1")
        self.assertEqual([chooser(V4), chooser(V6)], [None, "2001:db8:a::1"])

    def test_in_turn(self) -> None:
        """Each family has its own turn, in the order that was given."""
        chooser = source_chooser(["203.0.113.1", "2001:db8:a::1", "203.0.113.2", "2001:db8:a::2"])
        chosen = [chooser(each) for each in (V4, V4, V6, V4, V6, V6, V4)]
        self.assertEqual(
            chosen,
            [
                "203.0.113.1",
                "203.0.113.2",
                "2001:db8:a::1",
                "203.0.113.1",
                "2001:db8:a::2",
                "2001:db8:a::1",
                "203.0.113.2",
            ],
        )

    def test_scope(self) -> None:
        """An address with a scope (RFC 4007) is one of IPv6."""
        self.assertEqual(source_chooser("fe80::1%eth0")("fe80::2%eth0"), "fe80::1%eth0")

    def test_callable(self) -> None:
        """A callable is given the address that is connected to, and decides alone."""
        chooser = source_chooser({V4: "203.0.113.9"}.get)
        self.assertEqual([chooser(V4), chooser(V6)], ["203.0.113.9", None])

    def test_wrong(self) -> None:
        """What is no address is refused when it is given, and named."""
        for wrong in ("localhost", "", "192.0.2.0/24", "192.0.2.256", "[2001:db8::1]", "::1\n"):
            for given in (wrong, [V4, wrong]):
                error = self.assertRaises(ValueError, source_chooser, given)
                self.assertIn(repr(wrong), str(error))

    def test_one_shot(self) -> None:
        """Sources that can be read only once are enough."""
        chooser = source_chooser(iter(["203.0.113.1", "2001:db8:a::1"]))  # type: ignore[arg-type]
        self.assertEqual([chooser(V6), chooser(V4)], ["2001:db8:a::1", "203.0.113.1"])
