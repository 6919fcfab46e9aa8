# -*- test-case-name: tests.test_exchangers -*-
"""From a domain to the hosts that take its mail, and to their addresses."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.dns import Names
from slimtwist.errors import PermanentRelayError, RelayError, TransientRelayError
from slimtwist.exchangers import Exchanger, Exchangers, MailLoop
from slimtwist.networks import Networks
from slimtwist.testing import MemoryReactor
from slimtwist.testing.names import MemoryNames


class ExchangersTestCase(SynchronousTestCase):
    """Has a zone, and looks for exchangers in it."""

    own: tuple[str, ...] = ("Relay.example",)

    def setUp(self) -> None:
        """Begin with an empty zone."""
        self.reactor = MemoryReactor()
        self.zone = MemoryNames(self.reactor)
        self.make()

    def make(self, *own: str, deny: tuple[str, ...] = ()) -> None:
        """Forget everything, and be known by some names."""
        names = Names(self.reactor, self.zone)
        networks = Networks(deny=deny)
        self.exchangers = Exchangers(names, networks, Random(1), own or self.own)

    def of(self, domain: str = "example.org") -> list[tuple[int, str]]:
        """Return preference and host of each exchanger."""
        found = self.reactor.wait(Deferred.fromCoroutine(self.exchangers.of(domain)))
        return [(each.preference, each.host) for each in found]

    def addresses(self, host: str = "mx.example") -> tuple[str, ...]:
        """Return the addresses of a host."""
        return self.reactor.wait(Deferred.fromCoroutine(self.exchangers.addresses(host)))

    def refused(
        self, call: object, *args: str, kind: type[RelayError] = PermanentRelayError
    ) -> str:
        """Return the reply with which a call fails."""
        error = self.assertRaises(kind, call, *args)
        return str(error.outcome.reply)

    def mx(self, *records: str) -> None:
        """Let the domain have these MX records."""
        self.zone.zone["example.org"] = [f"MX {each}" for each in records]
        self.make()


class DomainTests(ExchangersTestCase):
    """Who takes mail for a domain."""

    def test_preference(self) -> None:
        """The most preferred comes first, and each host once, at its best (DNS-38)."""
        self.mx("65535 c.example", "0 a.example", "10 B.example", "20 b.example", "10 b.example")
        self.assertEqual(self.of(), [(0, "a.example"), (10, "b.example"), (65535, "c.example")])

    def test_null(self) -> None:
        """A domain that takes no mail: 556 5.1.10, and nobody is asked for addresses (DNS-01)."""
        self.mx("0 .")
        self.assertEqual(
            self.refused(self.of, "example.org"), "556 5.1.10 the domain takes no mail"
        )
        self.assertEqual(self.zone.asked, ["example.org MX"])

    def test_null_with_others(self) -> None:
        """A null MX beside others is passed over (DNS-02)."""
        self.mx("0 .", "10 a.example")
        self.assertEqual(self.of(), [(10, "a.example")])

    def test_no_domain(self) -> None:
        """A domain that does not exist: 550 5.1.2 (DNS-03)."""
        self.assertEqual(self.refused(self.of, "no.example"), "550 5.1.2 no such domain")

    def test_implicit(self) -> None:
        """Without MX the domain is its own exchanger (DNS-04)."""
        self.zone.zone["example.org"] = ["AAAA 2001:db8::1"]
        self.assertEqual(self.of(), [(0, "example.org")])
        self.assertEqual(self.addresses("example.org"), ("2001:db8::1",))

    def test_trouble(self) -> None:
        """With name servers in trouble nobody falls back to addresses (DNS-06)."""
        self.zone.zone["example.org"] = ["A 192.0.2.1"]
        for wrong in ("SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "TIMEOUT", "SILENCE"):
            self.zone.trouble["example.org MX"] = wrong
            self.make()
            reply = self.refused(self.of, "example.org", kind=TransientRelayError)
            self.assertTrue(reply.startswith("451 4.4.3 name servers gave no answer: example.org"))

    def test_alias(self) -> None:
        """A domain may be an alias; a loop is for good, too many are not (DNS-09, DNS-10)."""
        self.zone.zone |= {"a.example": ["CNAME example.org"], "l.example": ["CNAME l.example"]}
        self.zone.zone |= {f"n{i}.example": [f"CNAME n{i + 1}.example"] for i in range(15)}
        self.mx("10 mx.example")
        self.assertEqual(self.of("a.example"), [(10, "mx.example")])
        self.assertTrue(self.refused(self.of, "l.example").startswith("550 5.4.6"))
        self.refused(self.of, "n0.example", kind=TransientRelayError)

    def test_implicit_alias(self) -> None:
        """A domain that is an alias of one without MX is its own exchanger by the alias."""
        self.zone.zone |= {"a.example": ["CNAME b.example"], "b.example": ["A 192.0.2.1"]}
        self.assertEqual(self.of("a.example"), [(0, "a.example")])
        self.assertEqual(self.addresses("a.example"), ("192.0.2.1",))

    def test_international(self) -> None:
        """A U-label is asked for as its A-label; one that has none is no domain."""
        self.zone.zone["xn--bcher-kva.example"] = ["MX 1 mx.example"]
        self.assertEqual(self.of("Bücher.example"), [(1, "mx.example")])
        self.assertTrue(self.refused(self.of, "ü..example").startswith("550 5.1.2"))

    def test_impossible(self) -> None:
        """What cannot be a name is no domain, and not asked for; nor is none at all."""
        for domain in ("a" * 64 + ".example", ".".join(["a" * 60] * 5)):
            self.assertEqual(self.refused(self.of, domain), "550 5.1.2 there can be no such domain")
        self.assertEqual(self.refused(self.of, ""), "550 5.1.2 the recipient has no domain")
        self.assertEqual(self.zone.asked, [])

    def test_literal(self) -> None:
        """An address literal is its own exchanger; an unknown tag is no such host (DNS-32)."""
        self.assertEqual(self.of("[192.0.2.1]"), [(0, "192.0.2.1")])
        self.assertEqual(self.of("[IPv6:2001:DB8::1]"), [(0, "2001:db8::1")])
        self.assertEqual(self.of("[ipv6:::ffff:192.0.2.1]"), [(0, "::ffff:c000:201")])
        for bad in ("[tag:x]", "[192.0.2]", "[192.0.2.256]", "[2001:db8::1]", "[IPv6:192.0.2.1]"):
            self.assertTrue(self.refused(self.of, bad).startswith("550 5.1.2"), bad)
        self.assertEqual(self.zone.asked, [])

    def test_no_host_names(self) -> None:
        """An exchanger that is no host name is passed over: a literal, or worse (L5)."""
        self.mx("10 192.0.2.1", "20 a.example", "5 a\\b.example", "6 -x.example")
        self.assertEqual(self.of(), [(20, "a.example")])
        self.mx("10 192.0.2.1")
        self.assertTrue(self.refused(self.of, "example.org").startswith("550 5.4.4"))

    def test_ours(self) -> None:
        """This host ends the list at its preference (DNS-15, PEER-50)."""
        self.mx("5 a.example", "10 relay.EXAMPLE", "10 b.example", "20 c.example")
        self.assertEqual(self.of(), [(5, "a.example")])
        self.mx("10 relay.example", "10 b.example", "20 c.example")
        reply = "550 5.4.6 mail loops back to myself"
        self.assertEqual(self.refused(self.of, "example.org"), reply)
        self.zone.zone["relay.example"] = ["A 192.0.2.1"]
        self.assertEqual(self.refused(self.of, "relay.example"), reply)

    def test_order(self) -> None:
        """Equal preferences are shuffled anew each time, and never change places with others."""
        hosts = [Exchanger(n // 3, f"h{n}.example") for n in range(9)]
        seen = [self.exchangers.ordered(hosts) for _ in range(200)]
        for order in seen:
            self.assertEqual([each.preference for each in order], [0, 0, 0, 1, 1, 1, 2, 2, 2])
        for place in range(9):
            self.assertEqual(len({order[place].host for order in seen}), 3)


class AddressTests(ExchangersTestCase):
    """The addresses of a host."""

    def test_families(self) -> None:
        """The families take turns, at most ten addresses, shuffled each time (DNS-18)."""
        self.zone.zone["mx.example"] = [
            *(f"A 192.0.2.{n}" for n in range(1, 200)),
            *(f"AAAA 2001:db8::{n:x}" for n in range(1, 200)),
        ]
        found = self.addresses()
        self.assertEqual([":" in each for each in found], [True, False] * 5)
        self.assertNotEqual(found, self.addresses())
        self.assertEqual(len(set(found)), 10)

    def test_uneven(self) -> None:
        """When one family is used up, the other goes on."""
        self.zone.zone["mx.example"] = ["AAAA 2001:db8::1", *(f"A 192.0.2.{n}" for n in range(3))]
        self.assertEqual([":" in each for each in self.addresses()], [True, False, False, False])

    def test_alias(self) -> None:
        """An exchanger may be an alias, although it must not (DNS-11)."""
        self.zone.zone |= {"mx.example": ["CNAME h.example"], "h.example": ["A 192.0.2.1"]}
        self.assertEqual(self.addresses(), ("192.0.2.1",))

    def test_none(self) -> None:
        """A host that has no address, or is no host, is none for good (DNS-05, DNS-08)."""
        self.zone.zone["mx.example"] = []
        for host in ("mx.example", "gone.example"):
            self.assertEqual(
                self.refused(self.addresses, host), f"550 5.4.4 {host} has no address at all"
            )

    def test_trouble(self) -> None:
        """Trouble with one family does not hide the other; with nothing else it is trouble."""
        self.zone.zone["mx.example"] = ["A 192.0.2.1"]
        for wrong in ("SERVFAIL", "TIMEOUT", "SILENCE"):
            self.zone.trouble = {"mx.example AAAA": wrong}
            self.make()
            self.assertEqual(self.addresses(), ("192.0.2.1",))
            self.zone.trouble = {"mx.example A": wrong}
            self.make()
            self.refused(self.addresses, "mx.example", kind=TransientRelayError)

    def test_networks(self) -> None:
        """What may not be connected to is passed over, for literals and others (DNS-13)."""
        self.zone.zone["mx.example"] = ["A 127.0.0.1", "A 192.0.2.1", "AAAA ::1"]
        self.assertEqual(self.addresses(), ("192.0.2.1",))
        self.zone.zone["bad.example"] = ["A 127.0.0.1", "A 10.0.0.1"]
        self.assertEqual(self.addresses("bad.example"), ("10.0.0.1",))
        self.make(deny=("private",))
        for host in ("bad.example", "127.0.0.1", "::ffff:127.0.0.1", "10.0.0.1"):
            reply = f"550 5.4.4 {host} has no address that may be used"
            self.assertEqual(self.refused(self.addresses, host), reply)

    def test_networks_and_trouble(self) -> None:
        """That one family may not be used says nothing while the other is unknown (L2)."""
        self.zone.zone["mx.example"] = ["A 127.0.0.1"]
        self.zone.trouble["mx.example AAAA"] = "SERVFAIL"
        self.refused(self.addresses, "mx.example", kind=TransientRelayError)

    def test_ours(self) -> None:
        """An address of this host is a loop, whatever its name (DNS-15)."""
        self.assertFalse(self.exchangers.knows_own_addresses)
        self.make("[192.0.2.7]", "2001:DB8:0::7", "[IPv6:2001:db8::8]")
        self.assertTrue(self.exchangers.knows_own_addresses)
        for record in ("A 192.0.2.7", "AAAA 2001:db8::7", "AAAA 2001:db8::8"):
            host = f"{record[-1]}{len(record)}.example"
            self.zone.zone[host] = ["A 192.0.2.1", record]
            self.assertRaises(MailLoop, self.addresses, host)
        self.assertRaises(MailLoop, self.addresses, "192.0.2.7")

    def test_cancel(self) -> None:
        """Who gives up while looking is told so, and hears nothing later (DNS-36)."""
        self.zone.delay = 1
        asked = Deferred.fromCoroutine(self.exchangers.addresses("mx.example"))
        asked.cancel()
        failure = self.failureResultOf(asked)
        self.assertFalse(failure.check(RelayError), failure)
        self.reactor.advance(1)
        self.assertFalse(self.reactor.leftovers())
