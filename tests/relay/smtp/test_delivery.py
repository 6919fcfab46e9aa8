# -*- test-case-name: tests.relay.smtp.test_delivery -*-
"""Who is asked in an attempt, in which order and for whom, and what comes of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.relay.smtp.delivery import Route
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.testing import Close, Silence
from slimtwist.testing.memory import MemoryRelay
from tests.relay.smtp.world import MxTestCase

TAKEN = "250 2.0.0 taken"
ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class TwoExchangersTestCase(MxTestCase):
    """A domain with two exchangers."""

    def setUp(self) -> None:
        """The second one takes everything."""
        super().setUp()
        self.zone(d=["MX 10 m1.example", "MX 20 m2.example"])
        self.host("m2", TWO)


class NextTests(TwoExchangersTestCase):
    """What leads to the next host, and what does not (RFC 5321 5.1, errors.STAGES)."""

    def test_preferred(self) -> None:
        """The preferred one takes the message, and nobody else is asked."""
        self.host("m1", ONE)
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual((self.called(), self.taken("m1")), ([ONE], ["u@d.example"]))
        self.end()

    def test_refused_connection(self) -> None:
        """Nobody there: the next at once (PEER-07)."""
        self.zone(m1=[f"A {ONE}"])
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual((self.called(), self.reactor.seconds()), ([ONE, TWO], 0.0))
        self.end()

    def test_silent_host(self) -> None:
        """A host that never answers costs the time for a connection, then comes the next."""
        self.zone(m1=[f"A {ONE}"])
        self.reactor.network.black_holes.add(ONE)
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual((self.called(), self.reactor.seconds()), ([ONE, TWO], 30.0))
        self.end()

    def test_refused_session(self) -> None:
        """A refused greeting or EHLO, 4yz or 5yz: the next (PEER-07, PEER-08)."""
        refusals: list[dict[str, Any]] = [
            {"GREETING": "421 4.3.2 busy"},
            {"GREETING": "554 5.7.1 not you"},
            {"GREETING": "521 5.3.2 no mail here"},
            {"GREETING": "220 fine\n250 no"},
            {"GREETING": Close()},
            {"EHLO": "421 4.3.2 busy"},
            {"EHLO": "550 5.0.0 no", "HELO": "550 5.0.0 no"},
        ]
        for number, replies in enumerate(refusals):
            name = f"r{number}"
            address = f"198.51.100.{number + 10}"
            self.zone(**{f"d{number}": [f"MX 1 {name}.example", "MX 2 m2.example"]})
            self.host(name, address, **replies)
            self.assertEqual(self.replies(f"u@d{number}.example"), [TAKEN], replies)
            self.assertEqual(self.called()[0], address)

    def test_failed_policy(self) -> None:
        """A host without the TLS that is asked for: the next."""
        self.make(tls="encrypt")
        self.host("m1", ONE)
        [outcome] = self.deliver("u@d.example")
        self.assertEqual(outcome.reply.enhanced, "4.7.4")
        self.assertEqual(self.called(), [ONE, TWO])
        self.assertEqual(self.taken("m1") + self.taken("m2"), [])

    def test_refused_for_now(self) -> None:
        """4yz to MAIL or to RCPT: those who got it go to the next (PEER-07, PEER-45)."""
        self.host("m1", ONE, RCPT={"v@d.example": "450 4.7.1 greylisted"})
        self.assertEqual(self.replies("u@d.example", "v@d.example", "w@d.example"), [TAKEN] * 3)
        self.assertEqual(self.taken("m1"), ["u@d.example", "w@d.example"])
        self.assertEqual(self.taken("m2"), ["v@d.example"])
        self.hosts["m1"].answers.rules = {"MAIL": "451 4.3.0 later"}
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(self.taken("m2"), ["v@d.example", "u@d.example"])
        self.end()

    def test_refused_for_good(self) -> None:
        """5yz to MAIL, to a recipient, to DATA or to the message is final (PEER-08)."""
        for command in ("MAIL", "RCPT", "DATA", "DOT"):
            self.host(
                f"x{command.lower()}",
                f"198.51.100.{len(self.hosts)}",
                port=25,
                **{command: "550 5.7.1 no"},
            )
            self.zone(
                **{f"d{command.lower()}": [f"MX 1 x{command.lower()}.example", "MX 2 m2.example"]}
            )
            self.assertEqual(self.replies(f"u@d{command}.example"), ["550 5.7.1 no"])
        self.assertEqual(self.taken("m2"), [])

    def test_data_for_now(self) -> None:
        """4yz to DATA or to the message goes to no other host (PEER-07, PEER-45)."""
        for command in ("DATA", "DOT"):
            self.host(
                f"x{command.lower()}",
                f"198.51.100.{len(self.hosts)}",
                port=25,
                **{command: "451 4.3.0 wait"},
            )
            self.zone(
                **{f"d{command.lower()}": [f"MX 1 x{command.lower()}.example", "MX 2 m2.example"]}
            )
            self.assertEqual(self.replies(f"u@d{command}.example"), ["451 4.3.0 wait"])
        self.assertEqual(self.taken("m2"), [])

    def test_ambiguous(self) -> None:
        """After an end that may have been a success nobody else is asked (L4)."""
        for answer in (Close(), Silence(), "350 what"):
            self.host(f"x{len(self.hosts)}", f"198.51.100.{len(self.hosts)}", DOT=answer)
            name = f"x{len(self.hosts) - 1}"
            self.zone(**{f"d{name}": [f"MX 1 {name}.example", "MX 2 m2.example"]})
            [outcome] = self.deliver(f"u@d{name}.example")
            self.assertTrue(outcome.ambiguous)
        self.assertEqual(self.taken("m2"), [])

    def test_all_fail(self) -> None:
        """When nobody takes it, the reply of who came furthest is told."""
        self.host("m1", ONE, RCPT="450 4.7.1 greylisted")
        self.reactor.network.refusing.add(TWO)
        [outcome] = self.deliver("u@d.example")
        self.assertEqual(str(outcome.reply), "450 4.7.1 greylisted")
        self.assertEqual(outcome.host, f"m1.example [{ONE}]:25")
        self.hosts["m1"].answers.rules = {"GREETING": "421 4.3.2 busy"}
        self.reactor.advance(10)
        self.assertEqual(self.replies("u@d.example"), ["421 4.3.2 busy"])
        self.end()

    def test_no_mail_at_all(self) -> None:
        """521 in the greeting is for good if all say so; one that is down may not (PEER-08)."""
        self.host("m1", ONE, GREETING="521 5.3.2 none here")
        self.hosts["m2"].answers.rules = {"GREETING": "521 5.3.2 none here either"}
        [outcome] = self.deliver("u@d.example")
        self.assertEqual((outcome.verdict, outcome.reply.code), (Verdict.FAILED, 521))
        self.reactor.network.refusing.add(TWO)
        [outcome] = self.deliver("u@d.example")
        self.assertEqual(outcome.verdict, Verdict.DEFERRED)
        self.assertEqual(self.called(), [ONE, TWO] * 2)

    def test_not_two_at_once(self) -> None:
        """While one exchanger takes its time, no other is called (never raced)."""
        self.host("m1", ONE, GREETING=Silence())
        attempt = self.begin("u@d.example")
        self.reactor.advance(299)
        self.assertEqual(self.called(), [ONE])
        self.assertEqual(str(self.reactor.wait(attempt)[0].reply), TAKEN)
        self.end()


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


class GroupTests(TwoExchangersTestCase):
    """Several domains in one message."""

    def test_order(self) -> None:
        """The report is in the order of the recipients, and nobody's outcome is another's (L10)."""
        self.host("m1", ONE, RCPT={"bad@d.example": "550 5.1.1 who"})
        self.host("other", THREE)
        self.zone(e=["MX 5 other.example"], null=["MX 0 ."])
        self.names.trouble["dead.example"] = "SERVFAIL"
        replies = self.replies(
            "u@null.example",
            "a@d.example",
            "postmaster",
            "b@e.example",
            "bad@d.example",
            "u@dead.example",
            "c@D.Example",
            "a@d.example",
            "u@no.example",
        )
        self.assertEqual([each[:9] for each in replies], [
            "556 5.1.1", "250 2.0.0", "550 5.1.2", "250 2.0.0", "550 5.1.1",
            "451 4.4.3", "250 2.0.0", "250 2.0.0", "550 5.1.2",
        ])  # fmt: skip
        self.assertEqual(self.taken("m1"), ["a@d.example", "c@D.Example", "a@d.example"])
        self.assertEqual(len(self.hosts["m1"].messages), 1)
        self.end()

    def test_shared(self) -> None:
        """Domains with the same exchangers share one transaction, recipients in their order."""
        self.host("m1", ONE)
        self.zone(e=["MX 20 m2.example", "MX 10 M1.example"], f=["MX 10 m1.example"])
        self.replies("a@d.example", "b@f.example", "c@e.example", "d@d.example")
        taken = {message.recipients for message in self.hosts["m1"].messages}
        self.assertEqual(taken, {("a@d.example", "c@e.example", "d@d.example"), ("b@f.example",)})
        self.end()

    def test_side_by_side(self) -> None:
        """A slow host delays no other group (L7)."""
        self.host("m1", ONE, GREETING=Silence())
        self.host("other", THREE)
        self.zone(e=["MX 5 other.example"])
        attempt = self.begin("a@d.example", "b@e.example")
        self.reactor.flush()
        self.assertEqual(self.taken("other"), ["b@e.example"])
        self.reactor.wait(attempt)
        self.end()


class GatheringTests(TwoExchangersTestCase):
    """Domains are looked up side by side."""

    def setUp(self) -> None:
        """Three domains; who is looked up, and when he is found, is in the names' hands."""
        super().setUp()
        self.host("m1", ONE)
        self.zone(e=["MX 10 m1.example", "MX 20 m2.example"], f=["MX 10 m1.example"])
        self.held: dict[str, float] = {}
        real = self.relay.route

        async def route(domain: str) -> Route:
            await deferLater(self.reactor, self.held.get(domain, 0.0))
            return await real(domain)

        self.patch(self.relay, "route", route)

    def messages(self) -> list[tuple[str, ...]]:
        """Return the recipients of each message that was taken, in order."""
        return [message.recipients for message in self.hosts["m1"].messages]

    def test_slow(self) -> None:
        """A domain whose name servers are slow delays the others by a second (L7)."""
        self.held["f.example"] = 50.0
        attempt = self.begin("a@f.example", "b@d.example", "c@e.example")
        self.reactor.advance(0.9)
        self.assertEqual(self.messages(), [])
        self.reactor.advance(0.2)
        self.assertEqual(self.messages(), [("b@d.example", "c@e.example")])
        replies = [str(each.reply) for each in self.reactor.wait(attempt)]
        self.assertEqual((replies, self.messages()[1:]), ([TAKEN] * 3, [("a@f.example",)]))
        self.end()

    def test_together(self) -> None:
        """Domains found within that second share a transaction, whoever of them was first."""
        self.held |= {"d.example": 3.0, "e.example": 3.5, "f.example": 20.0}
        self.reactor.wait(self.begin("a@e.example", "b@d.example", "c@f.example"))
        self.assertEqual(self.messages(), [("a@e.example", "b@d.example"), ("c@f.example",)])
        self.end()

    def test_no_waiting(self) -> None:
        """When all are looked up nobody waits, also when one of them was not found."""
        self.held["gone.example"] = 0.5
        self.names.zone.pop("gone.example", None)
        report = self.reactor.wait(self.begin("a@gone.example", "b@d.example"))
        self.assertEqual([each.verdict for each in report], [Verdict.FAILED, Verdict.DELIVERED])
        self.assertEqual(self.reactor.seconds(), 0.5)
        self.end()

    def test_cancelled(self) -> None:
        """Who is given up while he waits for the others is not delivered, and nothing is left."""
        self.held["f.example"] = 50.0
        attempt = self.begin("a@f.example", "b@d.example", "c@e.example")
        self.reactor.advance(0.5)
        attempt.cancel()
        error = self.failureResultOf(attempt, AttemptCancelled).value
        self.assertFalse(error.ambiguous)
        self.reactor.advance(100)
        self.assertEqual(self.called(), [])
        self.end()

    def test_cancelled_late(self) -> None:
        """What was delivered meanwhile is told when the rest is given up (L4)."""
        self.held["f.example"] = 50.0
        attempt = self.begin("a@f.example", "b@d.example")
        self.reactor.advance(2)
        attempt.cancel()
        verdicts = [each.verdict for each in self.successResultOf(attempt)]
        self.assertEqual(verdicts, [Verdict.DEFERRED, Verdict.DELIVERED])
        self.end()


class CancelTests(TwoExchangersTestCase):
    """An attempt that nobody wants any more."""

    def test_lookup(self) -> None:
        """While names are looked up: it fails at once, and nothing is heard later (DNS-36)."""
        self.host("m1", ONE)
        self.names.delay = 1.0
        for moment in (0.5, 1.5):
            self.make()
            attempt = self.begin("a@d.example")
            self.reactor.advance(moment)
            attempt.cancel()
            error = self.failureResultOf(attempt, AttemptCancelled).value
            self.assertFalse(error.ambiguous)
            self.reactor.advance(10)
        self.assertEqual(self.called(), [])
        self.end()

    def test_delivered_before(self) -> None:
        """What one host took is told, though the look-up of the next was given up (L4)."""
        self.host("m1", ONE, RCPT={"v@d.example": "450 4.7.1 greylisted"})
        self.names.trouble["m2.example"] = "SILENCE"
        attempt = self.begin("v@d.example", "u@d.example")
        self.reactor.flush()
        self.assertNoResult(attempt)
        attempt.cancel()
        replies = [str(each.reply) for each in self.successResultOf(attempt)]
        self.assertEqual(replies, ["450 4.7.1 greylisted", TAKEN])

    def test_no_next(self) -> None:
        """No other host is asked after it was given up."""
        self.host("m1", ONE, GREETING=Silence())
        attempt = self.begin("u@d.example")
        self.reactor.advance(1)
        attempt.cancel()
        self.failureResultOf(attempt, AttemptCancelled)
        self.reactor.advance(1000)
        self.assertEqual(self.called(), [ONE])
        self.end()

    def test_ambiguous(self) -> None:
        """After the end of data it says that the message may have been taken."""
        self.host("m1", ONE, DOT=Silence())
        attempt = self.begin("u@d.example")
        self.reactor.advance(1)
        attempt.cancel()
        self.assertTrue(self.failureResultOf(attempt, AttemptCancelled).value.ambiguous)
        self.end()


class Custom(MxSmtpRelay):
    """Treats hosts in ways of its own."""

    def new_static_relay(self, host: str, port: int) -> IRelay:
        """Return what the host's name asks for."""
        if host.startswith("raise"):
            raise ZeroDivisionError(host)
        if host.startswith("odd"):
            return Odd(host)
        if host.startswith("held"):
            return MemoryRelay(otherwise="250 2.0.0 by hand")
        return super().new_static_relay(host, port)


class Odd(MemoryRelay):
    """Does what no relay may."""

    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Fail as its name says."""
        if "unknown" in self._host:
            return fail(ZeroDivisionError())
        if "short" in self._host:
            return succeed(Report(()))
        outcome = fault_outcome("lost", "", command="connect", ambiguous=True)
        return succeed(Report.uniform(outcome, len(envelope.recipients)))


class CustomTests(TwoExchangersTestCase):
    """Relays to hosts that are not ours (L3, L4)."""

    def setUp(self) -> None:
        """Use one that makes its own."""
        super().setUp()
        self.relay = Custom(runtime=self.runtime)

    def domain(self, host: str) -> None:
        """Let the domain prefer a host."""
        self.zone(d=[f"MX 1 {host}.example", "MX 2 m2.example"], **{host: [f"A {ONE}"]})

    def test_own(self) -> None:
        """What it makes is used."""
        self.domain("held")
        self.assertEqual(self.replies("u@d.example"), ["250 2.0.0 by hand"])

    def test_cannot_be_made(self) -> None:
        """A host to which no relay can be made is passed over."""
        self.domain("raise")
        self.assertEqual(self.replies("u@d.example"), [TAKEN])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unknown_error(self) -> None:
        """What nobody knows the meaning of may have been a success: no other host is asked."""
        for host in ("odd-unknown", "odd-short", "odd-lost"):
            self.relay = Custom(runtime=self.runtime)
            self.make_again(host)
            [outcome] = self.deliver("u@d.example")
            self.assertTrue(outcome.ambiguous)
        self.assertEqual(self.taken("m2"), [])
        self.flushLoggedErrors(ZeroDivisionError)

    def make_again(self, host: str) -> None:
        """Prefer a host, and forget what was known of the domain."""
        self.reactor.advance(4000)
        self.domain(host)


_FATES = (
    *("takes", "refuses", "busy", "greylists", "fails", "ambiguous"),
    *("silent", "gone", "down", "unknown"),
)
_TRANSIENT = {"refuses", "busy", "greylists", "silent", "gone", "down", "unknown"}
_NOWHERE = {"gone", "unknown"}


class AnyZoneTests(SynchronousTestCase):
    """For any zone and any behaviour of its hosts."""

    @settings(max_examples=120, deadline=None)
    @given(data=st.data())
    def test_any(self, data: st.DataObject) -> None:
        """The order of connections obeys RFC 5321 5.1, bounds hold, the report is complete, and
        each recipient's outcome is what the hosts that were asked said (L2, L4).
        """
        world = MxTestCase()
        world.setUp()
        count = data.draw(st.integers(1, 8))
        fates = [data.draw(st.sampled_from(_FATES)) for _ in range(count)]
        preferences = [data.draw(st.sampled_from((0, 10, 20, 65535))) for _ in range(count)]
        where: dict[str, int] = {}
        for number, fate in enumerate(fates):
            addresses = [f"192.0.2.{number * 4 + n}" for n in range(data.draw(st.integers(1, 3)))]
            where |= dict.fromkeys(addresses, number)
            _furnish(world, f"h{number}", fate, addresses)
        records = [f"MX {preferences[n]} h{n}.example" for n in range(count)]
        world.zone(d=data.draw(st.permutations(records)))
        recipients = data.draw(
            st.lists(st.sampled_from(["a@d.example", "b@d.example"]), min_size=1)
        )
        outcomes = world.deliver(*recipients)
        called = world.called()
        hosts = list(dict.fromkeys(where[each] for each in called))
        self.assertEqual(len(outcomes), len(recipients))
        self.assertEqual(len(set(called)), len(called))
        self.assertEqual([where[each] for each in called], sorted(
            (where[each] for each in called), key=hosts.index))  # fmt: skip
        asked = [preferences[each] for each in hosts]
        self.assertEqual(asked, sorted(asked))
        self.assertLessEqual((len(hosts), len(called)), (5, 10))
        self._check_end(world, hosts, fates, preferences, outcomes)

    def _check_end(
        self,
        world: MxTestCase,
        hosts: list[int],
        fates: list[str],
        preferences: list[int],
        outcomes: list[Outcome],
    ) -> None:
        final = [each for each in hosts if fates[each] not in _TRANSIENT]
        self.assertEqual(final, hosts[-1:] if final else [], "somebody was asked after the end")
        verdicts = {outcome.verdict for outcome in outcomes}
        if not final:
            silent = sum(each in _NOWHERE for each in fates)
            self.assertTrue(len(hosts) + silent >= min(5, len(fates)) or len(hosts) >= 3)
            expected = {Verdict.FAILED} if set(fates) == {"gone"} and len(fates) <= 5 else {
                Verdict.DEFERRED
            }  # fmt: skip
            self.assertEqual(verdicts, expected)
        elif fates[final[0]] == "takes":
            self.assertEqual(verdicts, {Verdict.DELIVERED})
            self.assertEqual(len(world.hosts[f"h{final[0]}"].messages), 1)
        elif fates[final[0]] == "fails":
            self.assertEqual(verdicts, {Verdict.FAILED})
        else:
            self.assertTrue(all(outcome.ambiguous for outcome in outcomes))
        if final:
            better = [n for n, each in enumerate(preferences) if each < preferences[final[0]]]
            missing = [n for n in better if n not in hosts and fates[n] not in _NOWHERE]
            self.assertEqual(missing, [], "a preferred host was left out")
        world.end()


def _furnish(world: MxTestCase, name: str, fate: str, addresses: list[str]) -> None:
    """Add a host that behaves in some way."""
    every: dict[str, dict[str, Any]] = {
        "refuses": {"GREETING": "554 5.7.1 not you"},
        "busy": {"MAIL": "451 4.3.0 busy"},
        "greylists": {"RCPT": "450 4.7.1 wait"},
        "fails": {"RCPT": "550 5.1.1 who"},
        "ambiguous": {"DOT": Close()},
    }
    world.host(name, *addresses, port=25, **every.get(fate, {}))
    if fate == "gone":
        world.names.zone[f"{name}.example"] = []
    if fate == "unknown":
        world.names.trouble[f"{name}.example"] = "SERVFAIL"
    if fate == "down":
        world.reactor.network.refusing.update(addresses)
    if fate == "silent":
        world.reactor.network.black_holes.update(addresses)
