# -*- test-case-name: tests.test_service -*-
"""A relay begins whole or not at all, and ends without leaving anything half said."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.task import deferLater
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.envelope import Envelope
from slimtwist.queue.direct import DirectQueue
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.service import Listener, ListeningFailed, RelayService
from slimtwist.testing import FakeSmarthost, Stall
from tests.events import Events
from tests.relaying import RelayTestCase, mail


@implementer(IStreamServerEndpoint)
class Slow:
    """An endpoint that needs time to listen."""

    def __init__(self) -> None:
        self.listening: Deferred[Any] = Deferred()

    def listen(self, protocolFactory: object) -> Deferred[Any]:  # noqa: N803 - named so in the interface
        """Wait."""
        return self.listening


class StubbornRelay(BlackholeRelay):
    """A relay that cannot end."""

    def stop(self) -> Deferred[None]:
        """Never."""
        return Deferred()


class StartTests(RelayTestCase):
    """From nothing to listening."""

    def test_interface(self) -> None:
        """It is a service like any other."""
        self.assertTrue(verifyObject(IService, self.service()))

    def test_once(self) -> None:
        """It listens once, whether privileges were dropped in between or not."""
        self.assertEqual(len(self.start().addresses), 1)
        service = self.service(smtp=["unix:/run/other"])
        service.startService()
        self.assertEqual(len(service.addresses), 1)

    def test_about(self) -> None:
        """The log says what it listens on, where mail goes, and that a transaction takes one
        recipient (issue 2, 5).
        """
        events = Events.of(self)
        self.start(route=["a.example=blackhole:"])
        lines = [event.get("line", "") for event in events]
        self.assertIn("mail goes to smtp:smarthost.example", lines)
        self.assertIn("mail for a.example goes to blackhole:", lines)
        self.assertIn("an SMTP transaction takes one recipient", "".join(lines))
        self.assertIn("is for clients that ignore refused recipients", "".join(lines))
        self.assertIn("tcp:2525:interface=127.0.0.1", [event.get("name") for event in events])

    def test_addresses(self) -> None:
        """Addresses are logged as people write them."""
        events = Events.of(self)
        self.start(
            smtp=["tcp:25:interface=127.0.0.1", "tcp6:25:interface=\\:\\:1"],
            lmtp=["unix:/l"],
            http=["unix:/h"],
        )
        places = [(event["protocol"], event["address"]) for event in events if "protocol" in event]
        wanted = [("ESMTP", "127.0.0.1:25"), ("ESMTP", "[::1]:25"), ("LMTP", "/l"), ("HTTP", "/h")]
        self.assertEqual(places, wanted)

    def test_lmtp_about(self) -> None:
        """Where nobody is limited to one recipient, nothing is said of it."""
        events = Events.of(self)
        self.start(lmtp=["unix:/run/lmtp"])
        self.assertNotIn("one recipient", "".join(event.get("line", "") for event in events))

    def test_port_taken(self) -> None:
        """A port that is taken is named, and nothing is half started (OS-12)."""
        self.reactor.listenTCP(25, FakeSmarthost(), interface="127.0.0.1")
        before = len(self.reactor.leftovers().ports)
        service = self.service(smtp=["tcp:2525:interface=127.0.0.1", "tcp:25:interface=127.0.0.1"])
        error = self.assertRaises(ListeningFailed, service.privilegedStartService)
        self.assertEqual(
            str(error),
            "cannot listen on 'tcp:25:interface=127.0.0.1': Address already in use; "
            "another program listens there",
        )
        self.assertEqual(service.addresses, [])
        self.reactor.flush()
        self.assertEqual(len(self.reactor.leftovers().ports), before)

    def test_slow_endpoint(self) -> None:
        """An endpoint that fails later is told of, and the others go on."""
        events, slow = Events.of(self), Slow()
        queue = DirectQueue(self.runtime, BlackholeRelay())
        other = serverFromString(self.reactor, "tcp:2525:interface=127.0.0.1")
        edges = [SmtpEdgeFactory(self.runtime, queue) for _ in range(2)]
        listeners = [Listener(slow, edges[0], "slow:"), Listener(other, edges[1], "tcp:")]
        service = RelayService(self.runtime, queue, listeners)
        service.startService()
        slow.listening.errback(OSError(13, "Permission denied"))
        told = [event for event in events if event["log_level"].name == "critical"]
        self.assertIn(
            "cannot listen on 'slow:': Permission denied; ports below 1024 need root", str(told)
        )
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 gone")

    def test_stopped_before_it_listens(self) -> None:
        """An endpoint that still needs time is given up when the service stops."""
        events, slow = Events.of(self), Slow()
        queue = DirectQueue(self.runtime, BlackholeRelay())
        service = RelayService(
            self.runtime, queue, [Listener(slow, SmtpEdgeFactory(self.runtime, queue), "slow:")]
        )
        service.startService()
        self.reactor.wait(service.stopService())
        self.assertTrue(slow.listening.called)
        told = [event for event in events if event["log_level"].name == "critical"]
        self.assertEqual(told, [])


class ComposeTests(RelayTestCase):
    """As a part of something larger."""

    def test_two(self) -> None:
        """Two relays with different ways live under one parent, and end with it."""
        parent = MultiService()
        self.service().setServiceParent(parent)
        self.service(smtp=["unix:/run/b"], relay="blackhole:").setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        self.assertEqual(self.send("b@example.net"), "250 2.0.0 taken")
        self.assertEqual(self.send("b@example.net", "unix:/run/b"), "250 2.0.0 gone")
        self.reactor.wait(parent.stopService())
        self.assertEqual(len(self.hop.messages), 1)


class StopTests(RelayTestCase):
    """The end, while clients are there."""

    def begin(self, **choices: object) -> RelayService:
        """Return a relay before a hop whose answers to messages are a long time coming."""
        self.hop.answers.rules = {".": ()}
        self.before = self.reactor.leftovers().ports
        return self.start(**choices)

    def answer(self, reply: str) -> None:
        """Let the hop answer the message."""
        self.hop.sessions[-1].transport.write(reply.encode() + b"\r\n")
        self.reactor.flush()

    def assert_nothing_left(self) -> None:
        """Check that no timer, connection, producer or port is left."""
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections, left.producers), ((), (), ()))
        self.assertEqual(left.ports, self.before)

    def test_true_reply(self) -> None:
        """Nobody new comes in, who is idle goes, and a running transaction ends with its own
        reply, good or bad (OS-01, L11).
        """
        for reply in ("250 2.0.0 stored as 7", "550 5.7.1 spam", "451 4.3.1 disk full"):
            service = self.begin()
            idle, busy = self.visit(), self.visit()
            self.say(busy, mail("b@example.net"))
            stopped = service.stopService()
            self.reactor.flush()
            self.assertRaises(Refused, self.visit)
            self.assertEqual(idle.replies(), ["421 4.3.2 service is stopping"])
            self.assertIsNotNone(idle.lost)
            self.reactor.advance(20)
            self.assertFalse(stopped.called)
            self.answer(reply)
            final, goodbye = busy.replies()
            self.assertTrue(final.startswith(reply), final)
            self.assertTrue(goodbye.startswith("421 4.3.2"), goodbye)
            self.reactor.wait(stopped, within=10)
            self.assert_nothing_left()

    def test_in_time(self) -> None:
        """A transaction that does not end in time is deferred, and its outcome logged (OS-01)."""
        events = Events.of(self)
        service = self.begin(timeout=["stop=60"])
        busy = self.visit()
        self.say(busy, mail("b@example.net"))
        stopped = service.stopService()
        self.reactor.advance(59)
        self.assertEqual((busy.replies(), stopped.called), ([], False))
        self.reactor.wait(stopped, within=2)
        self.assertEqual([reply[:3] for reply in busy.replies()], ["421"])
        (attempt,) = events.attempts
        self.assertEqual((attempt["verdict"], attempt["ambiguous"]), ("deferred", True))
        self.assert_nothing_left()

    def test_every_point_of_the_hop(self) -> None:
        """Wherever the next hop falls silent, the service ends in time, and the outcome is known:
        deferred, and ambiguous only after the end of data (OS-01, L3, L4).
        """
        for point in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."):
            events = Events.of(self)
            service = self.begin()
            self.hop.answers.rules = {point: Stall()}
            busy = self.visit()
            self.say(busy, mail("b@example.net"))
            self.reactor.wait(service.stopService(), within=70)
            self.assertEqual(busy.replies()[-1][:3], "421", point)
            (attempt,) = events.attempts
            told = (attempt["verdict"], attempt["ambiguous"])
            self.assertEqual(told, ("deferred", point == "."), point)
            self.assert_nothing_left()

    def test_every_point_of_the_client(self) -> None:
        """Wherever a client is in its dialogue, it may end its transaction and is told the truth,
        or is sent away; and if it stays silent, too (OS-01, L2).
        """
        said = mail("b@example.net")
        for taken in range(0, len(said), 7):
            for goes_on in (True, False):
                self.hop.messages.clear()
                service = self.begin()
                self.hop.answers.rules = {}
                visitor = self.visit()
                replies = self.say(visitor, said[:taken])
                stopped = service.stopService()
                self.reactor.flush()
                replies += visitor.replies()
                if goes_on and visitor.lost is None:
                    replies += self.say(visitor, said[taken:])
                self.reactor.wait(stopped, within=70)
                replies += visitor.replies()
                self.assertEqual(replies[-1][:9], "421 4.3.2", said[:taken])
                delivered = replies[-2:-1] == ["250 2.0.0 taken"]
                self.assertEqual(len(self.hop.messages), delivered, said[:taken])
                self.assert_nothing_left()

    def test_message_under_way(self) -> None:
        """A client in the middle of its message may end it, and is told the truth (OS-01)."""
        service = self.start()
        visitor = self.visit()
        said = mail("b@example.net")
        self.say(visitor, said[:-10])
        stopped = service.stopService()
        self.reactor.flush()
        self.assertEqual(self.codes(visitor, said[-10:]), ["250 2.0.0", "421 4.3.2"])
        self.reactor.wait(stopped, within=10)

    def test_message_of_another(self) -> None:
        """A message that did not come in by the service is waited for as long, and its connection
        then has the time to end (OS-01).
        """
        self.before = self.reactor.leftovers().ports
        queue = DirectQueue(self.runtime, self.runtime.relay("smtp:smarthost.example"))
        service = RelayService(self.runtime, queue, [self.listener(queue)])
        service.startService()
        self.hop.answers.rules = {".": Stall()}
        promise = queue.submit(Envelope.parse("a@example.org", ["b@example.net"], b"x\r\n"))
        self.reactor.advance(1)
        self.reactor.wait(service.stopService(), within=70)
        self.assertEqual([reply.code for reply in self.reactor.wait(promise, 0)], [451])
        self.assert_nothing_left()
        self.assertEqual(self.flushLoggedErrors(), [])

    def listener(self, queue: DirectQueue) -> Listener:
        """Return where a service in front of a queue listens."""
        endpoint = serverFromString(self.reactor, "tcp:2525:interface=127.0.0.1")
        return Listener(endpoint, SmtpEdgeFactory(self.runtime, queue), "tcp:")

    def test_slow_relay(self) -> None:
        """A relay has time for all that its own waits allow: RSET and QUIT, or a program that
        cannot be ended; then nothing is told of it.
        """
        clock = self.reactor

        class SlowRelay(BlackholeRelay):
            def stop(self) -> Deferred[None]:
                return deferLater(clock, 25)

        queue = DirectQueue(self.runtime, SlowRelay())
        service = RelayService(self.runtime, queue, [])
        service.startService()
        self.reactor.wait(service.stopService(), within=26)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stubborn_relay(self) -> None:
        """A relay that never stops cannot keep the service from it; it is told of (L3)."""
        queue = DirectQueue(self.runtime, StubbornRelay())
        service = RelayService(self.runtime, queue, [self.listener(queue)])
        service.startService()
        # systemd's own patience ends after 90 s.
        self.reactor.wait(service.stopService(), within=89)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_failing_queue(self) -> None:
        """A queue that fails to stop is told of, and the service has stopped."""

        class Failing(DirectQueue):
            def stop(self) -> Deferred[None]:
                return fail(ZeroDivisionError())

        service = RelayService(self.runtime, Failing(self.runtime, BlackholeRelay()), [])
        service.startService()
        self.assertIsNone(self.reactor.wait(service.stopService(), within=1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_order(self) -> None:
        """The queue is stopped when no client is left, and not before."""
        stops: list[float] = []
        clock = self.reactor

        class Noting(DirectQueue):
            def stop(self) -> Deferred[None]:
                stops.append(clock.seconds())
                return succeed(None)

        endpoint = serverFromString(self.reactor, "tcp:2525:interface=127.0.0.1")
        queue = Noting(self.runtime, BlackholeRelay())
        service = RelayService(
            self.runtime, queue, [Listener(endpoint, SmtpEdgeFactory(self.runtime, queue), "tcp:")]
        )
        service.startService()
        visitor = self.visit()
        self.say(visitor, b"EHLO me\r\nMAIL FROM:<>\r\n")
        stopped = service.stopService()
        self.reactor.advance(1)
        self.assertEqual(stops, [])
        self.say(visitor, b"RSET\r\n")
        self.assertEqual(len(stops), 1)
        self.reactor.wait(stopped, within=0)
