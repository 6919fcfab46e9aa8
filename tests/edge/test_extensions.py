# -*- test-case-name: tests.edge.test_extensions -*-
"""Tests of what an edge offers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.extensions import Offer, hello


class Offers(SynchronousTestCase):
    """The lines after EHLO."""

    def test_least(self) -> None:
        """Some extensions are always there; nothing is offered that cannot be kept."""
        offer = Offer(1000, one_recipient=False, dsn=False)
        self.assertEqual(
            offer.keywords(starttls=False, mechanisms=()),
            ["PIPELINING", "SIZE 1000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING"],
        )

    def test_most(self) -> None:
        """Others are there when they can be used (RFC 3207, 4954, 3461, 9422)."""
        offer = Offer(1000, one_recipient=True, dsn=True)
        words = offer.keywords(starttls=True, mechanisms=("PLAIN", "LOGIN"))
        self.assertEqual(words[6:], ["STARTTLS", "AUTH PLAIN LOGIN", "DSN", "LIMITS RCPTMAX=1"])

    def test_reply(self) -> None:
        """All lines but the last have a hyphen (RFC 5321 4.2.1)."""
        self.assertEqual(
            hello("relay.example", ["A", "B 1"]), b"250-relay.example\r\n250-A\r\n250 B 1\r\n"
        )
        self.assertEqual(hello("relay.example", []), b"250 relay.example\r\n")
