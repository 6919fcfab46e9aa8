# -*- test-case-name: tests.relay.smtp.test_mx -*-
"""The relay to exchangers: what its attempts share."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from slimtwist.dns import Names
from slimtwist.errors import TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor, Silence
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver
from slimtwist.testing.memory import MemoryRelay
from slimtwist.testing.names import MemoryNames
from tests.relay.smtp.world import MxTestCase

TAKEN = "250 2.0.0 taken"


class ManyRelays(MxSmtpRelay):
    """Has relays that cost nothing, so that many can be made."""

    def new_static_relay(self, host: str, port: int) -> IRelay:
        """Return one in memory."""
        return MemoryRelay()


class MxSmtpRelayContractTests(RelayContract, MxTestCase):
    """It keeps the contract of all relays."""

    refused = "nobody@one.example"
    recipients = ("a@one.example", "b@two.example", "c@three.example")

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay to three domains at two hosts, of which the preferred one is down."""
        self.setUp()
        self.host("mx1", "192.0.2.1", RCPT={self.refused: "550 5.1.1 no such user"})
        self.host("mx2", "192.0.2.2")
        self.zone(
            one=["MX 1 down.example", "MX 10 mx1.example"],
            two=["MX 1 down.example", "MX 10 mx1.example"],
            three=["MX 5 mx2.example"],
            down=["A 192.0.2.9", "AAAA 2001:db8::9"],
        )
        return self.relay, MemoryDriver(self.reactor)


class MxSmtpRelayTests(MxTestCase):
    """Pools, memory, and what an operator decides."""

    def setUp(self) -> None:
        """One domain at one host."""
        super().setUp()
        self.zone(d=["MX 10 m1.example"])
        self.host("m1", "192.0.2.1")

    def test_interface(self) -> None:
        """It is a relay."""
        self.assertTrue(verifyObject(IRelay, self.relay))

    def test_reused(self) -> None:
        """Domains that name the same exchanger share its connections, kept for 5 seconds."""
        self.zone(e=["MX 30 m1.example"])
        self.replies("u@d.example")
        self.reactor.advance(4.9)
        self.assertEqual(self.replies("u@e.example"), [TAKEN])
        self.assertEqual(len(self.called()), 1)
        self.reactor.advance(5.1)
        self.assertFalse(self.reactor.leftovers().connections)
        self.end()

    def test_repr(self) -> None:
        """It tells operators what goes on, and the log what it is."""
        self.assertEqual(repr(self.relay), "<MxSmtpRelay 0 next hops>")
        self.replies("u@d.example")
        self.assertEqual(repr(self.relay), "<MxSmtpRelay 1 next hops>")
        self.assertEqual(str(self.relay), "<MxSmtpRelay>")
        self.end()

    def test_pool_size(self) -> None:
        """The number of connections to one exchanger is bounded, whatever the domain (POOL-06)."""
        self.make(pool_size=2)
        self.zone(e=["MX 30 m1.example"])
        attempts = [self.begin(f"u@{domain}.example") for domain in "dededede"]
        for attempt in attempts:
            self.assertEqual(str(self.reactor.wait(attempt)[0].reply), TAKEN)
        self.assertEqual(len(self.called()), 2)
        self.end()

    def test_many_hosts(self) -> None:
        """A host that says nothing holds up only its own mail (POOL-06, L7)."""
        self.make(destinations=2)
        self.zone(slow=["MX 1 slowmx.example"])
        self.host("slowmx", "192.0.2.2", GREETING=Silence())
        waiting = [self.begin("u@slow.example") for _ in range(50)]
        self.reactor.flush()
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertLess(self.reactor.seconds(), 1)
        for each in waiting:
            self.assertEqual(self.reactor.wait(each)[0].reply.enhanced, "4.4.2")
        self.end()

    def test_ten_thousand(self) -> None:
        """With 10,000 domains, answers and pools stay within their bounds (L6)."""
        names = Names(self.reactor, self.names, size=500)
        self.relay = ManyRelays(runtime=self.runtime, destinations=50, names=names)
        for number in range(10_000):
            self.names.zone = {f"d{number}.example": ["A 192.0.2.1"]}
            self.assertEqual(self.replies(f"u@d{number}.example"), ["250 2.0.0 delivered"])
            self.assertLessEqual((len(names), len(self.relay.relays)), (500, 50))
        self.assertEqual((len(names), len(self.relay.relays)), (500, 50))
        self.reactor.wait(self.relay.stop())
        self.assertEqual(len(self.relay.relays), 0)

    def test_changed(self) -> None:
        """Between attempts the zone may change; old connections end (DNS-35)."""
        self.replies("u@d.example")
        self.host("m2", "192.0.2.2")
        self.zone(d=["MX 10 m2.example"])
        self.reactor.advance(3600)
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(self.called(), ["192.0.2.1", "192.0.2.2"])
        self.end()

    def test_back(self) -> None:
        """Name servers that are down when it begins may come back (DNS-29)."""
        self.names.trouble[""] = "TIMEOUT"
        self.assertEqual(self.replies("u@d.example")[0][:9], "451 4.4.3")
        self.names.trouble.clear()
        self.reactor.advance(5)
        self.assertEqual(self.replies("u@d.example"), [TAKEN])

    def test_stale(self) -> None:
        """By option an answer that is out of date serves while name servers are down."""
        for stale, reply in ((0, "451 4.4.3"), (86400, "250 2.0.0")):
            self.names.trouble.clear()
            self.make(stale=stale)
            self.replies("u@d.example")
            self.reactor.advance(7200)
            self.names.trouble[""] = "SERVFAIL"
            self.assertEqual(self.replies("u@d.example")[0][:9], reply)

    def test_seeded(self) -> None:
        """The same seed makes the same order, another one another."""
        self.zone(d=[f"MX 1 e{n}.example" for n in range(5)])
        self.names.zone |= {f"e{n}.example": [f"A 198.51.100.{n}"] for n in range(5)}
        orders = []
        for seed in (1, 1, 2):
            self.runtime.random.seed(seed)
            self.make()
            self.deliver("u@d.example")
            orders.append(self.called())
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])
        self.assertEqual(sorted(orders[0]), sorted(orders[2]))

    def test_force(self) -> None:
        """A forced domain is not looked up, and may be anywhere; equal ones share the message."""
        self.reactor.hosts["localhost"] = ["127.0.0.1"]
        here = FakeSmarthost()
        self.reactor.listenTCP(2525, here, interface="127.0.0.1")
        self.relay.force_mx("Forced.example", "localhost", 2525)
        self.relay.force_mx("*.forced.example", "localhost", 2525)
        replies = self.replies("a@forced.example", "b@x.FORCED.example", "c@d.example")
        self.assertEqual(replies, [TAKEN] * 3)
        [message] = here.messages
        self.assertEqual(message.recipients, ("a@forced.example", "b@x.FORCED.example"))
        self.assertEqual([each for each in self.names.asked if "forced" in each], [])
        self.assertRaises(ValueError, self.relay.force_mx, "a..b", "localhost")
        self.end()

    def test_force_is_no_way_in(self) -> None:
        """That the operator names a host opens it to nobody else's zone (DNS-13)."""
        here = FakeSmarthost()
        self.reactor.hosts["lo.example"] = ["127.0.0.1"]
        self.reactor.listenTCP(25, here, interface="127.0.0.1")
        self.relay.force_mx("forced.example", "lo.example")
        self.assertEqual(self.replies("u@forced.example"), [TAKEN])
        self.zone(evil=["MX 1 lo.example"], lo=["A 127.0.0.1"])
        self.assertEqual(self.replies("u@evil.example")[0][:9], "550 5.4.4")
        self.assertEqual(len(here.messages), 1)

    def test_force_fails(self) -> None:
        """A forced host that is not there, or not to be found, is no fault of the message."""
        self.relay.force_mx("a.example", "192.0.2.99")
        self.relay.force_mx("b.example", "nowhere.example")
        for reply in self.replies("u@a.example", "u@b.example"):
            self.assertEqual(reply[:9], "451 4.4.1")

    def test_arguments(self) -> None:
        """What is wrong is told when it is made, not with the first message."""
        for wrong in (
            {"pool_size": 0},
            {"destinations": 0},
            {"allow_networks": ["x"]},
            {"deny_networks": ["x"]},
            {"source_ips": "x"},
            {"eight_bit": "x"},
        ):
            self.assertRaises(ValueError, self.make, **wrong)
        self.assertRaises(TypeError, self.make, nonsense=1)

    def test_passed_on(self) -> None:
        """EHLO name and source addresses are those that were given."""
        self.make(ehlo_as="other.example", source_ips=["198.51.100.9"])
        self.replies("u@d.example")
        self.assertIn("C: EHLO other.example", self.hosts["m1"].transcript)
        self.assertEqual(self.reactor.network.attempts[0].source[0], "198.51.100.9")

    def test_stop_while_asking(self) -> None:
        """A question that nobody waits for any more does not outlive the relay."""
        self.names.trouble["d.example"] = "SILENCE"
        attempt = self.begin("u@d.example")
        self.reactor.flush()
        attempt.addErrback(lambda _: None)
        attempt.cancel()
        self.reactor.wait(self.relay.stop())
        self.assertFalse(self.reactor.leftovers().timers)

    def test_stop(self) -> None:
        """Stopped, it refuses new attempts, and waits for those that run."""
        self.hosts["m1"].answers.rules = {"GREETING": Silence()}
        attempt = self.begin("u@d.example")
        self.reactor.flush()
        stopped = self.relay.stop()
        refused = self.begin("u@d.example")
        self.failureResultOf(refused, TransientRelayError)
        self.reactor.advance(299)
        self.assertNoResult(stopped)
        self.reactor.wait(attempt)
        self.reactor.wait(stopped)
        self.end()

    def test_defaults(self) -> None:
        """Without a resolver it asks the name servers of this host, when there is mail."""
        reactor = MemoryReactor()
        relay = MxSmtpRelay(runtime=Runtime(reactor))
        self.assertFalse(reactor.leftovers())
        reactor.wait(relay.stop())

    def test_names(self) -> None:
        """It takes any resolver of names."""
        other = MemoryNames(self.reactor, {"d.example": ["MX 0 ."]})
        self.make(names=Names(self.reactor, other))
        self.assertEqual(self.replies("u@d.example")[0][:10], "556 5.1.10")
