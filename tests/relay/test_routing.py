# -*- test-case-name: tests.relay.test_routing -*-
"""Routes as they are written, by recipient and by sender."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.relay.routing import Route
from slimtwist.relay.shared import SharedRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor, MemoryRelay


class RouteTests(SynchronousTestCase):
    """One route."""

    def test_parse(self) -> None:
        """A domain and a description; C{from=} before them speaks of the sender."""
        for text, route in {
            "a.example=smtp:b:port=25": Route("a.example", "smtp:b:port=25"),
            "*.A.example=b": Route("*.a.example", "b"),
            "from=a.example=b": Route("a.example", "b", by_sender=True),
            "from=*.a.example=smtp:b:port=25": Route("*.a.example", "smtp:b:port=25", True),
            "from=from=b": Route("from", "b", by_sender=True),
            "From=a.example=b": Route("a.example", "b", by_sender=True),
            "a=b=c": Route("a", "b=c"),
        }.items():
            self.assertEqual(Route.parse(text), route, text)

    def test_wrong(self) -> None:
        """What is no route says how one is written."""
        for text in ("", "a.example", "from"):
            error = self.assertRaises(ValueError, Route.parse, text)
            self.assertEqual(str(error), "it is not DOMAIN=DESCRIPTION")

    def test_no_sender(self) -> None:
        """Nothing but a sender's domain stands behind C{from=}; to one "from" there is no route."""
        for rest in ("mx:", "b", "", "smtp:b:port=25", "[smtp:b:port=25]"):
            for word in ("from", "FROM"):
                error = self.assertRaises(ValueError, Route.parse, f"{word}={rest}")
                said = "the domain of the sender is missing: write from=DOMAIN=RELAY"
                self.assertEqual(str(error), said, rest)

    def test_text(self) -> None:
        """An operator reads whose mail it is about."""
        self.assertEqual(str(Route.parse("a=b")), "mail for a goes to b")
        self.assertEqual(str(Route.parse("from=a=b")), "mail from a goes to b")


class DescriptionTests(SynchronousTestCase):
    """C{route:}."""

    def setUp(self) -> None:
        """Define relays that tell who they are."""
        self.relays = {name: MemoryRelay(otherwise=f"250 2.0.0 {name}") for name in "abcd"}
        defined = {name: SharedRelay(relay, name) for name, relay in self.relays.items()}
        self.runtime = Runtime(MemoryReactor(), defined=defined)

    def ways(self, description: str, sender: str, *recipients: str) -> str:
        """Return whose way each recipient's mail goes."""
        relay = self.runtime.relay(description)
        message = Envelope.parse(sender, recipients, b"Subject: x\r\n\r\nx\r\n")
        report = self.successResultOf(relay.attempt(message, 0))
        self.successResultOf(relay.stop())
        return "".join(outcome.relay or "?" for outcome in report)

    def test_recipients(self) -> None:
        """By the domain of the recipient; all else goes the first relay's way."""
        recipients = ["x@b.example", "x@c.example", "x@y.c.example", "x@local", "x@z"]
        description = "route:a:b.example=b:*.c.example=c:local=d"
        self.assertEqual(self.ways(description, "", *recipients), "bacda")

    def test_senders(self) -> None:
        """By the domain of the sender, where the recipient's has no route of its own."""
        description = "route:a:x.example=b:from=s.example=c,*.S.example=d"
        for sender, ways in (
            ("me@s.example", "bc"),
            ("me@S.example", "bc"),
            ("me@t.s.example", "bd"),
            ("me@t.example", "ba"),
            ("", "ba"),
        ):
            found = self.ways(description, sender, "x@x.example", "x@y.example")
            self.assertEqual(found, ways, sender)

    def test_one(self) -> None:
        """A relay that several routes lead to gets one attempt, and is stopped at the end only."""
        self.assertEqual(self.ways("route:a:x=b:y=b:from=s=b", "me@s", "1@x", "2@y", "3@z"), "bbb")
        self.assertEqual(len(self.relays["b"].made), 1)

    def test_brackets(self) -> None:
        """Relays may be described on the spot, also among those of senders, commas and all."""
        here = "[smtp:a.example:source_ips=192.0.2.1,192.0.2.2]"
        description = (
            "route:[fallback:a:b]:x.example=[limit:[limit:c:rate=9/s]:rate=1/s]"
            f":from=s.example=[fallback:d:a],t.example={here},u.example=b"
        )
        self.assertEqual(self.ways(description, "me@s.example", "x@x.example", "x@y"), "cd")
        self.assertEqual(self.ways(description, "me@u.example", "x@x.example", "x@y"), "cb")

    def test_wrong(self) -> None:
        """Every error names the route and the part."""
        for description, text in {
            "route:": "route: missing a required argument: 'default'",
            "route::b.example=b": "route: the relay is missing: write its name, or",
            "route:a:b.example=": "route: 'b.example=': the relay is missing",
            "route:x": "route: no relay 'x'; installed are",
            "route:a:b": "route: 'b': it is not DOMAIN=DESCRIPTION",
            "route:a:b.example=x": "route: 'b.example=x': no relay 'x'; installed are",
            "route:a:b c=b": "route: 'b c=b': 'b c' is not a domain",
            "route:a:b.example=b:B.example=c": "route: 'B.example=c': 'b.example' has a route",
            "route:a:from=x": "route: 'from=x': the domain of the sender is missing: write",
            "route:a:from=s.example=x": "route: 'from=s.example=x': no relay 'x'",
            "route:a:from=s.example=b,S.example=b": "'s.example' has a route already",
            "route:a:from=[s.example=d]": "'from=[s.example=d]': the domain of the sender is",
        }.items():
            error = self.assertRaises(ValueError, self.runtime.relay, description)
            self.assertIn(text, str(error))
