# -*- test-case-name: tests.queue.test_direct -*-
"""Tests of the queue that holds nothing."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.content import BareNewline, Content
from slimtwist.envelope import Envelope
from slimtwist.errors import ConnectionLost, PermanentRelayError
from slimtwist.interfaces import IQueue, IRelay
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Outcome, Report
from slimtwist.queue.direct import DirectQueue, promised
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from tests.edge.world import NextHop
from tests.events import Events

LIMITS, TIMEOUTS = Limits(), Timeouts()


@implementer(IRelay)
class Failing:
    """A relay whose every attempt ends with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Fail."""
        return fail(self.error)

    def stop(self) -> Deferred[None]:
        """Fail too."""
        raise self.error


class Unclosable(BytesIO):
    """A file on a device that is gone."""

    def close(self) -> None:
        """Fail."""
        raise OSError(errno.EIO, "gone")


class DirectTestCase(SynchronousTestCase):
    """Has a queue before a next hop, and sees its log."""

    def setUp(self) -> None:
        """Make both."""
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.hop = NextHop()
        self.queue = self.before(self.hop)
        self.events = Events.of(self)

    def before(
        self, relay: NextHop | Failing, *, limits: Limits = LIMITS, timeouts: Timeouts = TIMEOUTS
    ) -> DirectQueue:
        """Return a queue before a relay."""
        runtime = Runtime(self.clock)
        return DirectQueue(runtime, relay, name="hop", limits=limits, timeouts=timeouts)

    def submit(self, *recipients: str, queue: DirectQueue | None = None) -> Deferred[Any]:
        """Hand a message over that came 2 seconds ago."""
        content = Content.read(BytesIO(b"a" * 100 + b"\r\n"), threshold=10)
        envelope = Envelope.parse("a@b", recipients or ["c@d"], b"")
        self.envelope = replace(envelope, content=content, received=998.0)
        return (queue or self.queue).submit(self.envelope)

    def replies(self, submitted: Deferred[Sequence[Reply]]) -> list[str]:
        """Return what was promised."""
        return [str(reply) for reply in self.successResultOf(submitted)]

    def is_closed(self) -> bool:
        """Tell whether the content was given back."""
        return bool(self.envelope.content.body.closed)  # type: ignore[union-attr]


class Promises(DirectTestCase):
    """What a client is promised."""

    def test_interface(self) -> None:
        """It is a queue, and one that answers for each recipient (ING-24)."""
        verifyObject(IQueue, self.queue)
        verifyObject(IRelay, self.hop)
        self.assertTrue(self.queue.single)

    def test_sink(self) -> None:
        """Messages are written to memory up to the limit, then to a file."""
        queue = self.before(self.hop, limits=Limits(memory=10))
        for octets, kind in [(b"a" * 10, True), (b"a" * 11, False)]:
            sink = queue.sink()
            sink.write(octets)
            content = sink.finish()
            self.assertEqual(bytes(content), octets)
            self.assertEqual(isinstance(content.body, bytes), kind)
            content.close()
        self.assertRaises(BareNewline, queue.sink().write, b"\n\r\n")

    def test_waits_for_the_relay(self) -> None:
        """Nothing is promised before the relay has reported (OS-02)."""
        self.hop.slow = True
        submitted = self.submit()
        self.assertNoResult(submitted)
        self.assertFalse(self.is_closed())
        self.hop.answer("250 2.0.0 taken as 17")
        self.assertEqual(self.replies(submitted), ["250 2.0.0 taken as 17"])
        self.assertTrue(self.is_closed())

    def test_each_recipient(self) -> None:
        """Each recipient has his reply, in order, whoever is there twice (LMTP-04, OUT-04)."""
        self.hop.answers = ["250 2.1.5 yes", "550 5.1.1 no", "450 4.2.1 busy", "250 2.1.5 yes"]
        replies = self.replies(self.submit("a@b", "c@d", "a@b", "e@f"))
        self.assertEqual([reply[:9] for reply in replies], [a[:9] for a in self.hop.answers])

    def test_errors(self) -> None:
        """An error of the relay is the reply for all; an unknown one is transient (OS-15)."""
        refused = Outcome.of(Reply.parse("554 5.7.1 no"), host="mx", command="MAIL")
        for error, texts in [
            (PermanentRelayError(refused), ["554 5.7.1 no (mx, MAIL)"]),
            (ConnectionLost.at("gone", host="mx"), ["451 4.4.2 connection lost: gone (mx)"]),
            (ZeroDivisionError("x"), ["451 4.3.0", "more than once"]),
        ]:
            for reply in self.replies(self.submit("a@b", "c@d", queue=self.before(Failing(error)))):
                for text in texts:
                    self.assertIn(text, reply)
            self.assertTrue(self.is_closed())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_file_that_does_not_close(self) -> None:
        """Trouble with the message's file, when it is over, keeps no client waiting (L3)."""
        envelope = Envelope.parse("a@b", ["c@d"], b"")
        submitted = self.queue.submit(replace(envelope, content=Content(Unclosable(), 0)))
        self.assertEqual(self.replies(submitted), ["250 2.0.0 taken"])
        self.assertEqual(self.successResultOf(self.queue.stop()), None)

    def test_deadline(self) -> None:
        """The attempt ends before the client's 10 minutes do (ING-19)."""
        self.hop.slow = True
        submitted = self.submit()
        self.clock.advance(569)
        self.assertNoResult(submitted)
        self.clock.advance(1)
        (reply,) = self.replies(submitted)
        self.assertTrue(reply.startswith("451 4.4.7 "), reply)
        self.assertIn("may be delivered more than once", reply)
        self.assertEqual(self.hop.cancelled, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_log(self) -> None:
        """Each recipient of a finished attempt has its event, with the delay since it came."""
        self.hop.answers = ["250 2.0.0 yes", "550 5.1.1 no"]
        self.submit("a@b", "c@d")
        seen = [
            (e["recipient"], e["verdict"], e["relay"], e["delay"]) for e in self.events.attempts
        ]
        self.assertEqual(seen, [("a@b", "delivered", "hop", 2.0), ("c@d", "failed", "hop", 2.0)])


class Replies(SynchronousTestCase):
    """How outcomes become replies."""

    def test_success(self) -> None:
        """A success is 250 with the text of the next hop (OUT-01)."""
        for text in ("250 2.6.0 queued as 7", "251 2.6.0 queued as 7"):
            outcome = Outcome.of(Reply.parse(text), host="mx")
            self.assertEqual(str(promised(outcome)), "250 2.6.0 queued as 7")

    def test_refusal(self) -> None:
        """A refusal keeps its codes and text, and says who said it to what (OUT-01, L11)."""
        for codes in ("421 4.3.2", "450 4.1.1", "550 5.7.0", "599 5.0.0"):
            outcome = Outcome.of(
                Reply.parse(f"{codes} no"), host="mx [192.0.2.1]:25", command="RCPT"
            )
            self.assertEqual(str(promised(outcome)), f"{codes} no (mx [192.0.2.1]:25, RCPT)")

    def test_as_received(self) -> None:
        """Enhanced codes are of the code's class, and supplied if missing (OUT-02, OUT-03)."""
        for octets, text in [(b"450 5.1.1 x", "450 4.1.1 x"), (b"550 x", "550 5.0.0 x")]:
            self.assertEqual(str(promised(Outcome.of(Reply.received(octets)))), text)

    def test_lines(self) -> None:
        """All lines of a long refusal are there."""
        reply = Reply.received(b"550-5.7.1 one\r\n550 5.7.1 two")
        told = promised(Outcome.of(reply, host="mx"))
        self.assertEqual(told.encode(), b"550-5.7.1 one\r\n550 5.7.1 two (mx)\r\n")

    def test_silence(self) -> None:
        """A refusal without words says at least whose it is."""
        told = promised(Outcome.of(Reply(550, "5.0.0"), host="mx"))
        self.assertEqual(told.encode(), b"550 5.0.0 (mx)\r\n")

    def test_ambiguous(self) -> None:
        """The client is told that its message may arrive twice (OUT-07)."""
        error = ConnectionLost.at("reset", command="end of data", ambiguous=True)
        told = str(promised(error.outcome))
        self.assertTrue(told.startswith("451 4.4.2 "))
        self.assertIn("message may be delivered more than once", told)


class Leaving(DirectTestCase):
    """Clients that do not wait, and the end of the service."""

    def test_client_gone(self) -> None:
        """A delivery goes on when its client leaves, and its event says so (ING-18)."""
        self.hop.slow = True
        submitted = self.submit()
        submitted.cancel()
        self.failureResultOf(submitted, CancelledError)
        self.assertEqual((self.hop.cancelled, self.is_closed()), (0, False))
        self.hop.answer()
        self.assertEqual([event["client_gone"] for event in self.events.attempts], [True])
        self.assertTrue(self.is_closed())

    def test_stop_idle(self) -> None:
        """Without a message the relay is stopped at once; stopping again is no harm."""
        for _ in range(2):
            self.assertIsNone(self.successResultOf(self.queue.stop()))
        self.assertTrue(self.hop.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_refuses(self) -> None:
        """A message that comes too late is deferred, and given back (OS-01)."""
        self.queue.stop()
        self.assertEqual(
            self.replies(self.submit("a@b", "c@d")), ["451 4.3.2 service is stopping"] * 2
        )
        self.assertTrue(self.is_closed())
        self.assertEqual(self.hop.envelopes, [])

    def test_stop_waits(self) -> None:
        """What runs ends as it would, and the client hears of it before the end (OS-01)."""
        self.hop.slow = True
        submitted = self.submit()
        order: list[str] = []
        submitted.addCallback(lambda _: order.append("client"))
        stopped = self.queue.stop().addCallback(lambda _: order.append("stopped"))
        self.clock.advance(59)
        self.assertEqual((order, self.hop.stopped), ([], False))
        self.hop.answer()
        self.assertEqual(order, ["client", "stopped"])
        self.successResultOf(stopped)
        self.assertTrue(self.hop.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_cancels(self) -> None:
        """After a minute it is cancelled, and the client told to try again (OS-01)."""
        self.hop.slow = True
        submitted, stopped = self.submit(), self.queue.stop()
        self.clock.advance(60)
        (reply,) = self.replies(submitted)
        self.assertTrue(reply.startswith("451 4.3.2 "), reply)
        self.successResultOf(stopped)
        self.assertEqual(self.hop.cancelled, 1)

    def test_stop_does_not_wait_for_the_gone(self) -> None:
        """An attempt that nobody waits for is cancelled at once (OS-01)."""
        self.hop.slow = True
        submitted = self.submit()
        submitted.cancel()
        self.failureResultOf(submitted, CancelledError)
        self.successResultOf(self.queue.stop())
        self.assertEqual([event["verdict"] for event in self.events.attempts], ["deferred"])

    def test_relay_fails_to_stop(self) -> None:
        """A relay that cannot stop does not keep the service from stopping (OS-15)."""
        queue = self.before(Failing(ZeroDivisionError()))
        self.successResultOf(queue.stop())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_patience(self) -> None:
        """How long is waited can be set."""
        self.hop.slow = True
        queue = self.before(self.hop, timeouts=Timeouts(direct=5, stop=3))
        submitted = self.submit(queue=queue)
        self.clock.advance(5)
        self.assertEqual([reply[:9] for reply in self.replies(submitted)], ["451 4.4.7"])
        submitted = self.submit(queue=queue)
        queue.stop()
        self.clock.advance(3)
        self.assertEqual([reply[:9] for reply in self.replies(submitted)], ["451 4.3.2"])
