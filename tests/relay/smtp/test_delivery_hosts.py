# -*- test-case-name: tests.relay.smtp.test_delivery_hosts -*-
"""Which addresses stand for an exchanger, and which of them are tried."""

from __future__ import annotations

from slimtwist.outcome import Verdict
from tests.relay.smtp.test_delivery import ONE, TAKEN, THREE, TWO, TwoExchangersTestCase


class HostTests(TwoExchangersTestCase):
    """Which addresses stand for an exchanger."""

    def test_no_address(self) -> None:
        """An exchanger that has no address or cannot be looked up is passed over (DNS-07)."""
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.names.zone["m1.example"] = [f"A {ONE}"]
        self.names.trouble["m1.example"] = "SERVFAIL"
        self.make()
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(self.called(), [TWO, TWO])
        self.end()

    def test_no_address_at_all(self) -> None:
        """When none has an address that is for good, unless one could not be asked (DNS-08)."""
        del self.names.zone["m2.example"]
        [outcome] = self.deliver("u@d.example")
        self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (550, "5.4.4"))
        for host in ("m1", "m2"):
            self.names.trouble = {f"{host}.example A": "SERVFAIL"}
            self.make()
            [outcome] = self.deliver("u@d.example")
            self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.4.3"))

    def test_unsafe(self) -> None:
        """Addresses near this host are not connected to: MX, implicit MX, literal (DNS-13)."""
        self.zone(bad=["MX 1 lo.example"], lo=["A 127.0.0.1", "AAAA ::ffff:127.0.0.1"])
        for domain in ("bad.example", "lo.example", "[127.0.0.1]", "[IPv6:::1]"):
            [outcome] = self.deliver(f"u@{domain}")
            self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (550, "5.4.4"))
        self.assertEqual(self.called(), [])
        self.host("lo", "127.0.0.1")
        self.make(allow_networks=["127.0.0.0/8"])
        self.assertEqual(self.replies("u@bad.example", "u@[127.0.0.1]"), [TAKEN] * 2)

    def test_rebinding(self) -> None:
        """What is connected to was checked, though the zone changes meanwhile (DNS-14)."""
        self.zone(r=["0 A 192.0.2.66"])
        self.reactor.network.black_holes.add("192.0.2.66")
        attempt = self.begin("u@r.example")
        self.reactor.flush()
        self.zone(r=["0 A 127.0.0.1"])
        self.reactor.wait(attempt)
        self.reactor.advance(2)
        self.deliver("u@r.example")
        self.assertEqual(self.called(), ["192.0.2.66"])

    def test_families(self) -> None:
        """IPv6 goes first; when it says nothing, IPv4 is there in 250 ms, and remembered for ten
        minutes (DNS-37).
        """
        self.host("m1", "2001:db8::1", ONE)
        self.reactor.network.black_holes.add("2001:db8::1")
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual((self.called(), self.reactor.seconds()), (["2001:db8::1", ONE], 0.25))
        self.reactor.advance(500)
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(self.called(), [ONE])
        self.reactor.advance(4000)
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(self.called(), ["2001:db8::1", ONE])
        self.end()

    def test_next_address(self) -> None:
        """After a refused greeting the next address of the same host comes first (DNS-38)."""
        self.host("m1", ONE, THREE, GREETING=["421 4.3.2 busy"])
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(set(self.called()), {ONE, THREE})
        self.end()

    def test_same_address(self) -> None:
        """An address behind five names is tried once (DNS-38)."""
        names = [f"n{n}" for n in range(5)]
        self.zone(
            s=[f"MX {n} {name}.example" for n, name in enumerate(names)],
            **{name: [f"A {ONE}"] for name in names},
        )
        [outcome] = self.deliver("u@s.example")
        self.assertEqual((self.called(), outcome.reply.enhanced), ([ONE], "4.4.1"))

    def test_some_same_addresses(self) -> None:
        """Of a host that shares some addresses with one before, only the others are tried."""
        self.zone(
            s=["MX 1 a.example", "MX 2 b.example"],
            a=[f"A {ONE}", "A 192.0.2.9"],
            b=["A 192.0.2.9", f"A {THREE}"],
        )
        self.deliver("u@s.example")
        called = self.called()
        self.assertEqual((sorted(called), called[-1]), ([ONE, THREE, "192.0.2.9"], THREE))
        self.deliver("u@s.example")
        self.assertEqual(len(self.called()), 3)

    def test_bounds(self) -> None:
        """At most 5 exchangers and 10 addresses are tried; what is left over is no failure for
        good (DNS-17, DNS-18).
        """
        self.zone(
            many=[f"MX {n} m{n}x.example" for n in range(100)],
            **{f"m{n}x": [f"A 198.51.100.{n}"] for n in range(100)},
            wide=["MX 1 w1.example", "MX 2 w2.example", "MX 3 w3.example"],
            w1=[f"A 203.0.113.{n}" for n in range(6)],
            w2=[f"A 203.0.113.{n}" for n in range(4, 40)],
            w3=["A 203.0.113.99"],
            gone=[f"MX {n} gone{n}.example" for n in range(6)],
        )
        self.deliver("u@many.example")
        self.assertEqual(self.called(), [f"198.51.100.{n}" for n in range(5)])
        self.deliver("u@wide.example")
        called = self.called()
        self.assertEqual((len(called), len(set(called))), (10, 10))
        [outcome] = self.deliver("u@gone.example")
        self.assertEqual((outcome.verdict, outcome.reply.enhanced), (Verdict.DEFERRED, "4.4.4"))

    def test_loop(self) -> None:
        """This host, known by name or address, ends the list at its preference (DNS-15)."""
        self.make(own=["192.0.2.77"])
        self.host("m1", ONE, GREETING="421 4.3.2 busy")
        self.zone(
            me=["A 192.0.2.77"],
            a=["MX 10 m1.example", "MX 20 me.example", "MX 20 m2.example", "MX 30 m2.example"],
            b=["MX 10 me.example", "MX 10 m2.example"],
        )
        for _ in range(5):
            self.assertEqual(self.replies("u@a.example"), ["421 4.3.2 busy"])
            self.assertEqual(self.replies("u@b.example")[0][:9], "550 5.4.6")
        self.assertEqual(self.called(), [ONE] * 5)
        self.assertEqual(self.replies("u@[192.0.2.77]")[0][:9], "550 5.4.6")

    def test_loop_elsewhere(self) -> None:
        """On another port mail does not come back to a host that is called so (PEER-50)."""
        self.host("relay", ONE)
        self.assertEqual(self.replies("u@relay.example")[0][:9], "550 5.4.6")
        self.make(port=2525)
        self.reactor.listenTCP(2525, self.hosts["relay"], interface=ONE)
        self.assertEqual(self.replies("u@relay.example"), [TAKEN])
