# -*- test-case-name: tests.edge.mail.test_edge -*-
"""Servers of twisted.mail under a service."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress
from twisted.mail.smtp import SMTPFactory

from slimtwist.edge.mail import MailEdge
from slimtwist.queue.direct import DirectQueue
from slimtwist.service import Listener, RelayService
from slimtwist.testing import MemoryRelay
from tests.edge.mail.test_serial import ALL, RCPT
from tests.edge.mail.world import MAIL, MailTestCase


class Unwilling(SMTPFactory):
    """Wants nobody."""

    def buildProtocol(self, addr: IAddress | None) -> None:
        """Return nothing."""


class EdgeTests(MailTestCase):
    """An edge among a service's."""

    def open(self, factory: Any) -> None:  # noqa: ANN401 - any of twisted.mail's
        """Let an edge with that factory listen."""
        self.mail = MailEdge(self.runtime, factory, self.options.timeouts)
        super().open(self.mail)

    def stop(self) -> Deferred[None]:
        """Stop the edge."""
        stopped = self.mail.stop()
        self.reactor.flush()
        return stopped

    def test_idle(self) -> None:
        """Who does nothing is sent away at once."""
        self.serve()
        visitors = [self.visit(), self.met()]
        self.successResultOf(self.stop())
        for visitor in visitors:
            self.assertEqual(visitor.replies(), ["421 4.3.2 service is stopping"])
            self.assertIsNotNone(visitor.lost)
        self.assert_nothing_left()

    def test_nobody(self) -> None:
        """Without clients there is nothing to wait for, however often it is asked."""
        self.serve()
        self.successResultOf(self.stop())
        self.successResultOf(self.stop())

    def test_in_message(self) -> None:
        """A message that has begun comes to its end, and then its client leaves."""
        self.serve()
        visitor = self.met()
        self.say(visitor, MAIL)
        stopped = self.stop()
        self.assertEqual(self.codes(visitor, RCPT + b"DATA\r\nx\r\n"), ["250", "354"])
        self.assertNoResult(stopped)
        self.assertEqual(self.codes(visitor, b".\r\nNOOP\r\n"), ["250 2.0.0", "421 4.3.2"])
        self.successResultOf(stopped)

    def test_in_delivery(self) -> None:
        """One that is under way is waited for, and its client has the true reply (L11)."""
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        visitor = self.met()
        self.say(visitor, ALL)
        stopped = self.stop()
        self.assertNoResult(stopped)
        relay.made[0].answer("450 4.2.1 in time")
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["450 4.2.1 in time", "421 4.3.2 service is stopping"])
        self.successResultOf(stopped)
        self.assert_nothing_left()

    def test_leaves(self) -> None:
        """A client that leaves meanwhile is not waited for, whatever it was at (L7)."""
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        visitors = [self.met(), self.met(), self.met()]
        for visitor, said in zip(
            visitors, (MAIL, MAIL + RCPT + b"DATA\r\nx\r\n", ALL), strict=True
        ):
            self.say(visitor, said)
        stopped = self.stop()
        for visitor in visitors:
            self.assertNoResult(stopped)
            self.leave(visitor)
        self.successResultOf(stopped)
        self.assertFalse(relay.made[0].cancelled)
        self.queue.stop()
        self.assertTrue(relay.made[0].cancelled)
        self.assert_nothing_left()

    def test_too_long(self) -> None:
        """Nobody is waited for longer than C{Timeouts.stop}; who waits for his message is told to
        come again (L7).
        """
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        visitors = [self.met(), self.met(), self.met()]
        self.say(visitors[0], MAIL)
        self.say(visitors[1], ALL)
        self.say(visitors[2], MAIL + RCPT + b"DATA\r\nx\r\n")
        stopped = self.stop()
        self.reactor.advance(self.options.timeouts.stop)
        self.reactor.flush()
        self.successResultOf(stopped)
        for visitor in visitors:
            self.assertEqual(visitor.replies()[-1], "421 4.3.2 service is stopping")
            self.assertIsNotNone(visitor.lost)
        relay.made[0].answer()
        self.assert_nothing_left()

    def test_deaf(self) -> None:
        """One who does not take his last reply is cut off (L7)."""
        self.serve()
        visitor = self.met()
        self.say(visitor, MAIL)
        visitor.transport.pauseProducing()
        visitor.transport.write(b"HELP\r\n" * 200_000)
        self.reactor.flush()
        stopped = self.stop()
        self.reactor.advance(self.options.timeouts.stop)
        self.reactor.flush()
        self.assertNoResult(stopped)
        self.reactor.advance(self.mail.patience - self.options.timeouts.stop)
        self.reactor.flush()
        self.successResultOf(stopped)

    def test_new(self) -> None:
        """One who comes while it stops is sent away."""
        self.serve()
        first = self.met()
        self.say(first, MAIL)
        stopped = self.stop()
        second = self.visit(greeting=False)
        self.assertEqual([reply[:4] for reply in second.replies()], ["220 ", "421 "])
        self.leave(first)
        self.successResultOf(stopped)

    def test_service(self) -> None:
        """With a service, the queue stops when the last client has gone."""
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        endpoint = serverFromString(self.reactor, "tcp:2526")
        service = RelayService(
            self.runtime, self.queue, [Listener(endpoint, self.mail, "tcp:2526")]
        )
        service.startService()
        self.assertEqual(self.mail.speaks, "ESMTP")
        visitor = self.met()
        self.say(visitor, ALL)
        stopped = service.stopService()
        self.reactor.flush()
        self.assertNoResult(stopped)
        relay.made[0].answer()
        self.reactor.flush()
        self.assertEqual(visitor.replies()[0], "250 2.0.0 delivered")
        self.reactor.wait(stopped)

    def test_factory(self) -> None:
        """The factory is told when it is listened with, and may want nobody."""
        factory = Unwilling()
        edge = MailEdge(self.runtime, factory)
        self.assertIsNone(edge.buildProtocol(None))
        edge.doStart()
        self.assertEqual((factory.numPorts, edge.speaks), (1, "SMTP"))
        edge.doStop()
        self.assertEqual(factory.numPorts, 0)
