# -*- test-case-name: tests.simulation.test_reading -*-
"""What the model of name servers answers, and what the simulator reads in it."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IResolver
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSServerError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from tests.simulation.models.zones import Zones
from tests.simulation.reading import Found, Hop, Span

RECORDS = (
    "d1.example 300 MX 20 mx2.example",
    "d1.example 300 MX 10 mx1.example",
    "d1.example 300 MX 30 relay.example",
    "d2.example 5 CNAME d1.example",
    "d3.example 60 A 192.0.2.10",
    "d4.example 60 MX 0 .",
    "d5.example 60 CNAME d6.example",
    "d6.example 60 CNAME d5.example",
    "d7.example 60 MX 10 192.0.2.10",
    "mx1.example 60 A 192.0.2.10",
    "mx1.example 60 AAAA 2001:db8::10",
)


class ZonesCase(SynchronousTestCase):
    """Name servers that know a few domains."""

    def setUp(self) -> None:
        """Begin at the second 1000, with nothing asked."""
        self.clock = Clock()
        self.clock.advance(1000)
        self.zones = Zones(self.clock, RECORDS)

    def asked(self, name: str, kind: str = "MX") -> Any:  # noqa: ANN401 - several things
        """Ask, and return the records of the answer as text, or the error."""
        methods = {"MX": "lookupMailExchange", "A": "lookupAddress", "AAAA": "lookupIPV6Address"}
        results: list[Any] = []
        getattr(self.zones, methods[kind])(name.encode()).addBoth(results.append)
        self.clock.advance(0)
        if not results:
            return None
        (result,) = results
        if isinstance(result, Failure):
            return type(result.value)
        return [(each.name.name.decode(), dns.QUERY_TYPES[each.type]) for each in result[0]]

    def span(self, began: float = 1000, ended: float = 1000, stale: float = 0) -> Span:
        """Return a stretch of time."""
        return Span(self.zones.answers, began, ended, stale)


class AnswerTests(ZonesCase):
    """What is answered."""

    def test_records(self) -> None:
        """Records of the type, all that an alias leads to, nothing, or no such name."""
        verifyObject(IResolver, self.zones)
        self.assertEqual(self.asked("D1.example"), [("d1.example", "MX")] * 3)
        both = [("d2.example", "CNAME"), *[("d1.example", "MX")] * 3]
        self.assertEqual(self.asked("d2.example"), both)
        self.assertEqual(self.asked("d3.example"), [])
        self.assertIs(self.asked("d9.example"), DNSNameError)
        self.assertEqual(self.asked("mx1.example", "AAAA"), [("mx1.example", "AAAA")])

    def test_faults(self) -> None:
        """A fault is for a question or a name, as often as it is said."""
        self.zones.faults["d1.example MX"] = [[1, "SERVFAIL"], [1, "empty"], [1, "SILENCE"]]
        self.assertIs(self.asked("d1.example"), DNSServerError)
        self.assertEqual(self.asked("d1.example"), [])
        self.assertIsNone(self.asked("d1.example"))
        self.assertEqual(len(self.asked("d1.example")), 3)
        self.zones.faults["d3.example"] = [[float("inf"), "slow 3"]]
        self.assertIsNone(self.asked("d3.example", "A"))
        self.clock.advance(3)
        self.assertEqual(self.zones.answers[-1].given, 1003)

    def test_change(self) -> None:
        """A name can get other records while time passes."""
        self.zones.replace("d1.example", ["d1.example 9 MX 10 mx9.example"])
        self.assertEqual(self.asked("d1.example"), [("d1.example", "MX")])


class ReadingTests(ZonesCase):
    """What answers mean."""

    def hop(self, domain: str, *own: str) -> Hop:
        """Ask for a domain's exchangers, and return how that is read."""
        self.asked(domain)
        (hop,) = self.span().hops(domain, own)
        return hop

    def test_hops(self) -> None:
        """RFC 5321 5.1 and RFC 7505: order, implicit and null MX, loops, and what is no host."""
        two = ((10, "mx1.example"), (20, "mx2.example"))
        three = (*two, (30, "relay.example"))
        for domain, expected in (
            ("d1.example", Hop("hosts", three)),
            ("d2.example", Hop("hosts", three)),
            ("d3.example", Hop("hosts", ((0, "d3.example"),))),
            ("d4.example", Hop("null")),
            ("d5.example", Hop("loop")),
            ("d7.example", Hop("unusable")),
            ("d9.example", Hop("missing")),
        ):
            self.assertEqual(self.hop(domain), expected, domain)

    def test_ours(self) -> None:
        """Who is not preferred to the relay is left out with it."""
        self.assertEqual(self.hop("d1.example", "mx2.example").hosts, ((10, "mx1.example"),))
        (hop,) = self.span().hops("d1.example", ["mx1.example"])
        self.assertEqual(hop, Hop("ours"))

    def test_trouble(self) -> None:
        """Trouble and silence are no answer, for five seconds."""
        self.zones.faults["d1.example"] = [[1, "REFUSED"], [1, "SILENCE"]]
        self.assertEqual(self.hop("d1.example"), Hop("trouble"))
        self.assertEqual(self.span(1004.9, 1010).found("d1.example", "MX")[0].word, "trouble")
        self.assertEqual(self.span(1005, 1010).found("d1.example", "MX"), [])
        self.asked("d1.example")
        self.assertEqual(self.span(1010, 1059).found("d1.example", "MX"), [])
        self.assertEqual(self.span(1010, 1060).found("d1.example", "MX")[0].word, "trouble")

    def test_times(self) -> None:
        """An answer holds for the shortest time in its chain, and longer if it may be stale."""
        self.asked("d2.example")
        (found,) = self.span().found("d2.example", "MX")
        self.assertEqual((found.since, found.until), (1000, 1005))
        self.assertEqual(self.span(1005, 1006).hops("d2.example", ()), [])
        self.assertEqual(len(self.span(1005, 1006, stale=10).hops("d2.example", ())), 1)

    def test_chain(self) -> None:
        """Where an answer ends with an alias, the next question is part of it."""
        zones = self.zones = Zones(self.clock, RECORDS, follows=False)
        self.asked("d2.example")
        self.assertEqual(self.span().found("d2.example", "MX"), [])
        self.asked("d1.example")
        (found,) = self.span().found("d2.example", "MX")
        self.assertEqual((found.word, found.until, len(found.data)), ("data", 1005, 3))
        self.assertEqual(len(zones.answers), 2)

    def test_addresses(self) -> None:
        """A host has the addresses of both families."""
        self.asked("mx1.example", "A")
        self.asked("mx1.example", "AAAA")
        self.assertEqual(self.span().addresses("mx1.example"), {"192.0.2.10", "2001:db8::10"})
        self.assertFalse(self.span().trouble("mx1.example"))
        self.assertTrue(self.span().trouble("mx2.example"))

    def test_life(self) -> None:
        """RFC 2181 8: a time out of range is none; what is not there is remembered as SOA says."""
        zones = self.zones = Zones(self.clock, [f"a.example {1 << 31} A 192.0.2.1"], minimum=7)
        self.asked("a.example", "A")
        self.asked("b.example", "A")
        found = [each for name in "ab" for each in self.span().found(f"{name}.example", "A")]
        data = Found("data", 1000, 1001, ("192.0.2.1",))
        self.assertEqual(found, [data, Found("missing", 1000, 1007)])
        self.assertEqual(len(zones.answers), 2)
