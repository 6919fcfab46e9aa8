# -*- test-case-name: tests.relay.smtp.test_delivery -*-
"""Who is asked in an attempt, in which order and for whom, and what comes of it."""

from __future__ import annotations

from typing import Any

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Verdict
from slimtwist.testing import Close, Silence
from tests.relay.smtp.world import MxTestCase

TAKEN = "250 2.0.0 taken"
SLOW = "451 4.4.2 timed out: no answer in time"
OURS = "192.0.2.99"
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

    def test_gone_meanwhile(self) -> None:
        """L2: a host that has lost its address while another was asked is no reason to fail.

        Both were looked up at once, since either could be this host; the first was only slow.
        """
        for net, records, expected in ("198.51.100", [], TAKEN), ("203.0.113", [f"A {OURS}"], SLOW):
            self.make(own=[OURS])
            self.zone(d=["MX 10 m1.example", "MX 10 m2.example", "MX 20 m3.example"])
            self.host("m3", f"{net}.3")
            for name in ("m1", "m2"):
                self.host(name, f"{net}.{name[1]}", GREETING=Silence())
                self.zone(**{name: [f"1 A {net}.{name[1]}"]})
            attempt = self.begin("u@d.example")
            self.reactor.advance(1)
            other = "m2" if self.called() == [f"{net}.1"] else "m1"
            self.zone(**{other: records})
            self.assertEqual([str(each.reply) for each in self.reactor.wait(attempt)], [expected])

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

    def test_one_of_two_looked_up(self) -> None:
        """While one of two is looked up, the other is not asked after all (DNS-36, L3)."""
        self.zone(d=["MX 10 m1.example", "MX 10 m2.example"])
        self.host("m1", ONE)
        for silent in ("m1", "m2") * 4:  # in either order
            self.names.trouble = {f"{silent}.example": "SILENCE"}
            self.make(own=["[192.0.2.99]"])  # so that both have to be known first
            attempt = self.begin("u@d.example")
            self.reactor.advance(1)
            attempt.cancel()
            self.assertFalse(self.failureResultOf(attempt, AttemptCancelled).value.ambiguous)
            self.reactor.advance(100)  # until the look-up itself ends
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
