# -*- test-case-name: tests.edge.http.test_request_access -*-
"""Requests about which a policy decides: who may send to whom, and what is read meanwhile."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from slimtwist.address import Address, Recipient
from slimtwist.edge.access import Access
from slimtwist.edge.options import EdgeOptions
from slimtwist.envelope import Client
from slimtwist.reply import Reply
from tests.edge.http.world import MESSAGE, HttpEdgeCase, post
from tests.edge.world import STRANGER


class Judge(Access):
    """An access policy that needs time."""

    asked: list[Deferred[Reply | None]]

    def refusal(  # type: ignore[override]
        self, client: Client, sender: Address, recipient: Recipient
    ) -> Deferred[Reply | None]:
        """Ask the test."""
        self.asked.append(Deferred())
        return self.asked[-1]


class AccessTests(HttpEdgeCase):
    """Who may send to whom: as with SMTP."""

    def test_stranger(self) -> None:
        """Strangers may write to some domains only, and no body is asked of them for others."""
        self.edge()
        heard = self.one(post(body=b"", length=10), STRANGER)
        self.assertEqual((heard.status, heard.reply[:4]), (500, "550;"))
        self.assertEqual(self.one(post(recipients=["b@accepted.example"]), STRANGER).status, 204)

    def test_some(self) -> None:
        """Who is welcome gets the message; the others are told."""
        self.edge()
        recipients = ["b@elsewhere.example", "c@accepted.example", "d@elsewhere.example"]
        heard = self.one(post(recipients=recipients), STRANGER)
        self.assertEqual(heard.status, 503)
        self.assertEqual([code for _, code, _ in heard.results], [550, 250, 550])
        [envelope] = self.hop.envelopes
        self.assertEqual([str(each.address) for each in envelope.recipients], recipients[1:2])

    def test_slow_policy(self) -> None:
        """A policy may need time: no body is read meanwhile, and it has a deadline."""
        judge = Judge()
        object.__setattr__(judge, "asked", [])
        self.edge(EdgeOptions(access=judge))
        visitor = self.client()
        self.assertEqual(self.ask(visitor, post("Expect: 100-continue", body=b"", length=21)), [])
        judge.asked[0].callback(None)
        self.reactor.flush()
        self.assertEqual(bytes(visitor.octets), b"HTTP/1.1 100 Continue\r\n\r\n")
        visitor.octets.clear()
        [heard] = self.ask(visitor, MESSAGE)
        self.assertEqual(heard.status, 204)
        self.assertEqual(self.ask(visitor, post()), [])
        judge.asked[1].callback(Reply.parse("550 5.7.1 no"))
        self.reactor.flush()
        self.assertEqual(self.heard(visitor)[0].status, 500)
        for result in (None, ZeroDivisionError()):
            visitor = self.client()
            self.ask(visitor, post())
            if result is None:
                self.reactor.advance(301)
            else:
                judge.asked[-1].errback(result)
                self.reactor.flush()
            self.assertEqual(self.heard(visitor)[0].status, 503)
            self.flushLoggedErrors()


class WaitingTests(HttpEdgeCase):
    """Bodies that come before they are wanted."""

    def test_kept(self) -> None:
        """A little is kept, and the rest is not read (L6)."""
        judge = Judge()
        object.__setattr__(judge, "asked", [])
        self.edge(EdgeOptions(access=judge))
        visitor = self.client()
        body = MESSAGE + (b"y" * 998 + b"\r\n") * 1000
        self.assertEqual(self.ask(visitor, post(body=body)), [])
        self.assertLess(self.reactor.network.wires[0].up.arrived, 500_000)
        judge.asked[0].callback(None)
        self.reactor.flush()
        self.assertEqual([each.status for each in self.heard(visitor)], [204])
        self.assertTrue(self.hop.messages[0].endswith(body))
