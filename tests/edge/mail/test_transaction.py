# -*- test-case-name: tests.edge.mail.test_transaction -*-
"""One message for all its recipients."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.mail.interfaces import IMessageSMTP
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.address import Address, Recipient
from slimtwist.edge.mail.transaction import RelayMessage, Transaction
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.setting import Setting
from slimtwist.envelope import Client
from slimtwist.limits import Limits
from slimtwist.queue.direct import DirectQueue
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor, MemoryRelay
from tests.edge.mail.test_serial import RCPT, Pending
from tests.edge.mail.world import MAIL, MailTestCase
from tests.edge.spool import Spool

B, C = Recipient.parse("b@x.example"), Recipient.parse("c@x.example")


class MessageTests(SynchronousTestCase):
    """What the server gets for its recipients."""

    def begin(self, *replies: str, queue: Spool | None = None, **options: bool) -> Transaction:
        """Begin a message."""
        self.queue = queue or Spool(*replies)
        runtime = Runtime(MemoryReactor())
        chosen = EdgeOptions(limits=Limits(message=60, hops=1), **options)  # type: ignore[arg-type]
        setting = Setting.of(runtime, self.queue, chosen)
        return Transaction(setting, Client("192.0.2.1"), Address.parse("a@b"), 100)

    def replies(self, *ends: Deferred[Reply]) -> list[str]:
        """Return what became of the message for each."""
        told = []
        for end in ends:
            seen: list[Reply] = []
            end.addCallbacks(seen.append, lambda f, seen=seen: seen.append(f.value.reply))
            told += [str(each) for each in seen] or ["nothing"]
        return told

    def test_interface(self) -> None:
        """It is what twisted.mail wants."""
        verifyObject(IMessageSMTP, RelayMessage(self.begin(), B))

    def test_each(self) -> None:
        """Each has his own recipient's reply, when all have all lines."""
        transaction = self.begin("250 2.0.0 kept", "450 4.2.2 full", trace=False)
        messages = [RelayMessage(transaction, each) for each in (B, C)]
        for message in messages:
            message.join()
        for line in (b"x: y", b"", b"z"):
            for message in messages:
                message.lineReceived(line)
        ends = [message.eomReceived() for message in messages]
        self.assertEqual(self.replies(*ends), ["250 2.0.0 kept", "450 4.2.2 full"])
        [envelope] = self.queue.envelopes
        self.assertEqual(
            (envelope.recipients, bytes(envelope.content)), ((B, C), b"x: y\r\n\r\nz\r\n")
        )

    def test_refused(self) -> None:
        """A message that is refused is refused for all, with what its last line made of it."""
        transaction = self.begin("250 2.0.0 kept")
        messages = [RelayMessage(transaction, each) for each in (B, C)]
        for message in messages:
            message.join()
            message.lineReceived(b"Received: x")
            message.lineReceived(b"Received: x")
        ends = [message.eomReceived() for message in messages]
        self.assertEqual(self.replies(*ends), ["554 5.4.6 routing loop: too many hops"] * 2)
        self.assertEqual(self.queue.envelopes, [])

    def test_silent(self) -> None:
        """One that was made and never used is not waited for."""
        transaction = self.begin("250 2.0.0 kept")
        RelayMessage(transaction, C)
        message = RelayMessage(transaction, B)
        self.assertEqual(self.replies(message.eomReceived()), ["250 2.0.0 kept"])
        self.assertEqual(self.queue.envelopes[0].recipients, (B,))

    def test_late(self) -> None:
        """One that first comes when the message is gone is told so, and not that it succeeded."""
        transaction = self.begin("250 2.0.0 kept")
        RelayMessage(transaction, B).eomReceived()
        late = RelayMessage(transaction, C).eomReceived()
        self.assertEqual(self.replies(late), ["451 4.3.0 internal error"])

    def test_queue(self) -> None:
        """A queue at fault promises nothing (L2)."""
        for queue in (
            Spool(error=ValueError()),
            Spool(error=ZeroDivisionError()),
            Spool("250 2.0.0 kept", "250 2.0.0 kept"),
        ):
            message = RelayMessage(self.begin(queue=queue), B)
            message.lineReceived(b"x")
            self.assertEqual(self.replies(message.eomReceived()), ["451 4.3.0 internal error"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError, ZeroDivisionError)), 2)

    def test_abandoned(self) -> None:
        """Of a message that nobody waits for nothing is kept; it may be told twice."""
        transaction = self.begin()
        message = RelayMessage(transaction, B)
        message.lineReceived(b"x")
        message.connectionLost()
        message.connectionLost()
        self.assertTrue(transaction.over)
        self.assertEqual(set(self.queue.sinks[0].ends.split()), {"abandoned"})

    def test_cancelled(self) -> None:
        """Who cancels waits no more; the queue is told, and does what it must."""
        queue = Pending()
        message = RelayMessage(self.begin(queue=queue), B)
        end = message.eomReceived()
        end.cancel()
        self.assertEqual(self.replies(end), ["451 4.4.2 the client left"])
        self.assertEqual(queue.left, 1)


class LeavingTests(MailTestCase):
    """Clients that leave, with true replies and without."""

    def test_in_message(self) -> None:
        """A message that breaks off is none, and nothing of it is kept (ING-20)."""
        for true in (True, False):
            self.setUp()
            self.serve(queue=(spool := Spool()), true=true)
            visitor = self.met()
            self.say(visitor, MAIL + RCPT)
            self.say(visitor, b"DATA\r\n")
            self.say(visitor, b"Subject: x\r\n\r\n.")
            self.leave(visitor)
            self.assertEqual(spool.envelopes, [])
            self.assertEqual(set(spool.sinks[0].ends.split()), {"abandoned"})
            self.assert_nothing_left()

    def test_in_delivery(self) -> None:
        """A client that leaves while its message is under way is not waited for; the message goes
        its way, and the log says that nobody heard of it (L2).
        """
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        visitor = self.met()
        self.say(visitor, MAIL + RCPT + b"DATA\r\nx\r\n.\r\n")
        self.leave(visitor)
        [attempt] = relay.running
        self.assertFalse(attempt.cancelled)
        stopped = self.queue.stop()
        self.assertTrue(attempt.cancelled)
        self.successResultOf(stopped)
        self.assert_nothing_left()

    def test_stopped(self) -> None:
        """While the queue stops, running messages come to their end, and no more begin."""
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        first, second = self.met(), self.met()
        self.say(first, MAIL + RCPT + b"DATA\r\nx\r\n.\r\n")
        stopped = self.queue.stop()
        self.assertEqual(self.send(second)[-1], "451 4.3.2 service is stopping")
        self.assertNoResult(stopped)
        relay.made[0].answer("250 2.0.0 in time")
        self.reactor.flush()
        self.assertEqual(first.replies()[-1], "250 2.0.0 in time")
        self.successResultOf(stopped)

    def test_too_late(self) -> None:
        """One that takes too long is cancelled, and its client asked to come again (L3)."""
        relay = MemoryRelay(hold=True)
        self.serve(queue=DirectQueue(self.runtime, relay))
        visitor = self.met()
        self.say(visitor, MAIL + RCPT + b"DATA\r\nx\r\n.\r\n")
        stopped = self.queue.stop()
        self.reactor.advance(self.options.timeouts.stop)
        self.reactor.flush()
        self.assertIn("451 4.3.2 attempt cancelled", visitor.replies()[-1])
        self.successResultOf(stopped)


class RefusalTests(MailTestCase):
    """What a client is told whose message is refused."""

    def test_replies(self) -> None:
        """The refusal comes at the end of data, with its codes (SMI, ING-11), and whatever the
        server is where a line shows it.
        """
        loop, bare = b"Received: x\r\n" * 3, "521 5.5.2 CR or LF alone in the message"
        for true, octets, wanted in (
            (True, loop, "554 5.4.6 routing loop: too many hops"),
            (False, loop, "550 Could not send e-mail"),
            *((true, b"x" * 60 + b"\r\n", "552 5.3.4 message too large") for true in (True, False)),
            *((true, b"a\nb\r\n", bare) for true in (True, False)),
            *((true, b"x\n.\nMAIL\r\n", bare) for true in (True, False)),
        ):
            self.setUp()
            self.serve(EdgeOptions(limits=Limits(message=60, hops=2)), true=true)
            visitor = self.met()
            self.assertEqual(self.send(visitor, octets=octets)[-1], wanted)
            self.assertEqual(self.hop.messages, [])
            # Who cannot tell where a message ends is not listened to any more.
            self.assertEqual(visitor.lost is not None, true and wanted == bare)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_over(self) -> None:
        """The next message is another one."""
        self.serve(EdgeOptions(limits=Limits(message=30)))
        visitor = self.met()
        self.assertEqual(self.send(visitor, octets=b"x" * 30 + b"\r\n")[-1][:3], "552")
        self.assertEqual(self.send(visitor, octets=b"x\r\n")[-1], "250 2.0.0 taken")
