# -*- test-case-name: tests.relay.smtp.test_delivery_domains -*-
"""Several domains in one message: who shares a transaction, and who waits for whom."""

from __future__ import annotations

from twisted.internet.task import deferLater

from slimtwist.errors import AttemptCancelled
from slimtwist.outcome import Verdict
from slimtwist.relay.smtp.delivery import Route
from slimtwist.testing import Silence
from tests.relay.smtp.test_delivery import ONE, TAKEN, THREE, TwoExchangersTestCase


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
