# -*- test-case-name: tests.edge.http.test_factory -*-
"""How many HTTP clients are taken, and how the edge stops."""

from __future__ import annotations

from slimtwist.edge.options import EdgeOptions
from slimtwist.limits import Limits, Timeouts
from tests.edge.http.world import HttpEdgeCase, post
from tests.edge.world import STRANGER

STOPPING = '421; message="4.3.2 service is stopping"'


class CrowdTests(HttpEdgeCase):
    """How many are taken (L6)."""

    def test_from_one_address(self) -> None:
        """One address has so many connections; this host any number."""
        self.edge(EdgeOptions(limits=Limits(clients_per_address=2)))
        first, _ = self.client(STRANGER), self.client(STRANGER)
        third = self.client(STRANGER)
        [heard] = self.heard(third)
        self.assertEqual((heard.status, heard.reply[:4]), (503, "421;"))
        self.assertIsNotNone(third.lost)
        self.client("203.0.113.8")
        first.transport.loseConnection()
        self.reactor.flush()
        self.assertEqual(self.heard(self.client(STRANGER)), [])
        for _ in range(5):
            self.assertEqual(self.one(post()).status, 204)

    def test_all(self) -> None:
        """All together have so many."""
        self.edge(EdgeOptions(limits=Limits(clients=1)))
        self.client()
        self.assertEqual([each.status for each in self.heard(self.client())], [503])


class StopTests(HttpEdgeCase):
    """The end."""

    def test_idle(self) -> None:
        """Who has asked nothing is sent away at once."""
        self.edge()
        visitor = self.client()
        self.ask(visitor, post())
        self.reactor.wait(self.factory.stop())
        self.reactor.flush()
        self.assertIsNotNone(visitor.lost)
        self.assertEqual(self.heard(visitor), [])
        self.assertTrue(self.factory.stop().called)
        self.assert_nothing_left()

    def test_under_way(self) -> None:
        """What is under way ends with its true answer, and is the last of its connection."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post() + post())
        stopped = self.factory.stop()
        self.reactor.flush()
        self.assertFalse(stopped.called)
        self.hop.answer("250 2.0.0 done")
        self.reactor.flush()
        [heard] = self.heard(visitor)
        self.assertEqual(
            (heard.reply, heard.fields["connection"]), ('250; message="2.0.0 done"', "close")
        )
        self.assertTrue(stopped.called)
        self.assertEqual(len(self.hop.envelopes), 1)

    def test_in_the_header(self) -> None:
        """A request that was not complete is not taken any more."""
        self.edge()
        visitor = self.client()
        self.ask(visitor, post()[:30])
        stopped = self.factory.stop()
        [heard] = self.ask(visitor, post()[30:])
        self.assertEqual((heard.status, heard.reply), (503, STOPPING))
        self.reactor.wait(stopped)

    def test_too_long(self) -> None:
        """Nobody is waited for for longer than C{stop}; his outcome is not promised."""
        self.edge(EdgeOptions(timeouts=Timeouts(stop=10.0)))
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post())
        begun = self.reactor.seconds()
        self.reactor.wait(self.factory.stop())
        self.assertAlmostEqual(self.reactor.seconds() - begun, 10, delta=0.1)
        self.assertEqual([each.reply for each in self.heard(visitor)], [STOPPING])

    def test_newcomer(self) -> None:
        """Who comes while it stops is told so."""
        self.edge()
        self.factory.stop()
        self.assertEqual([each.reply for each in self.heard(self.client())], [STOPPING])

    def test_health(self) -> None:
        """A load balancer is told as well."""
        self.edge()
        visitor = self.client()
        self.ask(visitor, b"GET /health HTTP/1.1\r\n")
        self.factory.stop()
        self.assertEqual(self.ask(visitor, b"Host: x\r\n\r\n")[0].status, 503)

    def test_words(self) -> None:
        """It says what it speaks, and how long it may take."""
        self.edge(EdgeOptions(timeouts=Timeouts(stop=7.0)))
        self.assertEqual((self.factory.speaks, self.factory.patience), ("HTTP", 7.0))
