# -*- test-case-name: tests.test_networks -*-
"""Which addresses mail may be sent to (DNS-13)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.networks import Networks

OURS = [
    "127.0.0.1",
    "127.255.255.254",
    "::1",
    "0.0.0.0",
    "0.1.2.3",
    "::",
    "169.254.1.1",
    "fe80::1",
    "febf::1",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "255.255.255.255",
    "::ffff:127.0.0.1",
    "::ffff:0.0.0.0",
    "::ffff:169.254.1.1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "2002:a9fe:101::1",
]
PRIVATE = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.0.1",
    "fc00::1",
    "fd12::1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "2002:a00:1::1",
]
PUBLIC = [
    "192.0.2.1",
    "2001:db8::1",
    "172.32.0.1",
    "100.128.0.1",
    "::ffff:192.0.2.1",
    "64:ff9b::192.0.2.1",
    "2002:c000:201::1",
]


class NetworksTests(SynchronousTestCase):
    """What may be connected to."""

    def assert_permits(self, networks: Networks, permitted: list[str], others: list[str]) -> None:
        """Check what a value permits."""
        self.assertEqual([each for each in permitted if not networks.permits(each)], [])
        self.assertEqual([each for each in others if networks.permits(each)], [])

    def test_default(self) -> None:
        """What leads to this host or near it is not connected to, in whatever form (DNS-13)."""
        self.assert_permits(Networks(), PUBLIC + PRIVATE, OURS)

    def test_private(self) -> None:
        """Private addresses are refused by option."""
        self.assert_permits(Networks(deny=["private"]), PUBLIC, OURS + PRIVATE)

    def test_deny(self) -> None:
        """Any network may be refused."""
        networks = Networks(deny=["192.0.2.0/24", "2001:db8::/32"])
        self.assert_permits(
            networks, ["172.32.0.1"], ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "127.0.0.1"]
        )

    def test_allow(self) -> None:
        """Any network may be allowed, whatever else is said; only it."""
        networks = Networks(["127.0.0.2", "::1", "10.1.0.0/16"], ["private"])
        self.assert_permits(
            networks,
            ["127.0.0.2", "::ffff:127.0.0.2", "::1", "10.1.2.3", "2002:7f00:2::"],
            ["127.0.0.1", "10.2.0.1", "::"],
        )

    def test_allow_outside(self) -> None:
        """Allowing the outer form of an address does not allow the one inside."""
        self.assert_permits(Networks(["2002::/16"]), ["2002:c000:201::"], ["2002:7f00:1::"])

    def test_wrong(self) -> None:
        """What is no network is named."""
        for text in ("192.0.2.1/24", "x", "192.0.2.0/33"):
            for keyword in ("allow", "deny"):
                with self.assertRaises(ValueError) as caught:
                    Networks(**{keyword: [text]})
                self.assertIn(repr(text), str(caught.exception))
