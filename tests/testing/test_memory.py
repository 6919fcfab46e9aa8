# -*- test-case-name: tests.testing.test_memory -*-
"""The tests of L{slimtwist.testing.memory}."""

from __future__ import annotations

import io
import os

from twisted.internet.defer import AlreadyCalledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.address import Address, Recipient
from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, PermanentRelayError, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply
from slimtwist.settle import settle
from slimtwist.testing import MemoryReactor
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver
from slimtwist.testing.memory import MemoryRelay

ENVELOPE = Envelope.parse("a@example.com", ["b@example.net", "c@example.net"], b"Subject: x\r\n")


def replies(report: Report) -> list[str]:
    """What a report says."""
    return [str(outcome.reply) for outcome in report]


class MemoryRelayContractTests(RelayContract, SynchronousTestCase):
    """It is a relay like any other."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Build one that answers at once."""
        relay = MemoryRelay({self.refused: "550 5.1.1 no such user"})
        return relay, MemoryDriver(MemoryReactor())


class HeldContractTests(RelayContract, SynchronousTestCase):
    """It is one, too, when a test decides the moment."""

    def build(self) -> tuple[IRelay, Driver]:
        """Build one that is told to answer by a timer."""
        reactor = MemoryReactor()
        return Timed(reactor), MemoryDriver(reactor)


class Timed(MemoryRelay):
    """Is told to answer in a second."""

    def __init__(self, reactor: MemoryReactor) -> None:
        super().__init__(hold=True)
        self.reactor = reactor

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Set the timer, unless the attempt has ended already."""
        done = super().attempt(envelope, attempts)
        if not done.called:
            timer = self.reactor.callLater(1, self.made[-1].answer)

            def forget(failure: Failure) -> Failure:
                timer.cancel()
                return failure

            done.addErrback(forget)
        return done


class AnswerTests(SynchronousTestCase):
    """A test writes down what recipients get."""

    def test_interface(self) -> None:
        """It provides what it says."""
        self.assertTrue(verifyObject(IRelay, MemoryRelay()))

    def test_delivered(self) -> None:
        """Without a word everything is delivered."""
        report = self.successResultOf(MemoryRelay().attempt(ENVELOPE, 0))
        self.assertEqual(["250 2.0.0 delivered"] * 2, replies(report))

    def test_by_address(self) -> None:
        """The second recipient is greylisted, in one line."""
        relay = MemoryRelay({"c@example.net": "450 4.7.1 greylisted"})
        report = self.successResultOf(relay.attempt(ENVELOPE, 0))
        self.assertEqual(["250 2.0.0 delivered", "450 4.7.1 greylisted"], replies(report))

    def test_otherwise(self) -> None:
        """What all others get can be said."""
        relay = MemoryRelay({"c@example.net": "250 ok"}, otherwise="550 5.7.1 no")
        report = self.successResultOf(relay.attempt(ENVELOPE, 0))
        self.assertEqual(["550 5.7.1 no", "250 2.0.0 ok"], replies(report))

    def test_wrong_reply(self) -> None:
        """A reply that is none, or not final, is found when it is written down."""
        for text in ("ok", "354 go"):
            self.assertRaises(ValueError, MemoryRelay, {"c@example.net": text})
            self.assertRaises(ValueError, MemoryRelay, otherwise=text)

    def test_kept(self) -> None:
        """What it was asked is kept: message, octets, attempts made before, and their end."""
        relay = MemoryRelay()
        self.successResultOf(relay.attempt(ENVELOPE, 3))
        (made,) = relay.made
        self.assertIs(ENVELOPE, made.envelope)
        self.assertEqual((3, b"Subject: x\r\n"), (made.attempts, made.octets))
        self.assertFalse(made.running or made.cancelled)
        self.assertEqual("<MemoryRelay 0 running of 1>", repr(relay))

    def test_unreadable(self) -> None:
        """A message that cannot be read is transient, and kept."""
        content = Content.read(io.BytesIO(b"x" * 100), threshold=0)
        self.addCleanup(content.close)
        assert not isinstance(content.body, bytes)
        os.truncate(content.body.fileno(), 0)
        relay = MemoryRelay()
        broken = Envelope(Address(b""), (Recipient.parse("b@example.net"),), content)
        self.failureResultOf(relay.attempt(broken, 0), TransientRelayError)
        self.assertEqual([False], [made.running for made in relay.made])

    def test_series(self) -> None:
        """A list is gone through once: a recipient that is greylisted is taken the second time."""
        relay = MemoryRelay({"c@example.net": ["450 4.7.1 greylisted", "452 4.2.2 full"]})
        said = [replies(self.successResultOf(relay.attempt(ENVELOPE, n)))[1] for n in range(3)]
        self.assertEqual(said, ["450 4.7.1 greylisted", "452 4.2.2 full", "250 2.0.0 delivered"])
        self.assertRaises(ValueError, MemoryRelay, {"c@example.net": ["250 ok", "354 go on"]})


class HoldTests(SynchronousTestCase):
    """A test decides when an attempt ends, and how."""

    def setUp(self) -> None:
        """Make a relay that waits, and an attempt."""
        self.relay = MemoryRelay({"c@example.net": "450 4.7.1 greylisted"}, hold=True)
        self.done = self.relay.attempt(ENVELOPE, 0)
        (self.made,) = self.relay.made

    def test_waits(self) -> None:
        """Nothing happens before the test says so."""
        self.assertNoResult(self.done)
        self.assertTrue(self.made.running)
        self.assertEqual([self.made], self.relay.running)
        self.assertEqual("<MemoryRelay 1 running of 1>", repr(self.relay))

    def test_answer(self) -> None:
        """Without replies, those that were written down are given."""
        self.made.answer()
        report = self.successResultOf(self.done)
        self.assertEqual(["250 2.0.0 delivered", "450 4.7.1 greylisted"], replies(report))
        self.assertEqual([], self.relay.running)

    def test_answer_all(self) -> None:
        """One reply is for all."""
        self.made.answer("550 5.7.1 no")
        self.assertEqual(["550 5.7.1 no"] * 2, replies(self.successResultOf(self.done)))

    def test_answer_each(self) -> None:
        """Several are one for each, in order."""
        self.made.answer("550 5.1.1 no", "250 2.0.0 ok")
        report = self.successResultOf(self.done)
        self.assertEqual(["550 5.1.1 no", "250 2.0.0 ok"], replies(report))

    def test_answer_wrongly(self) -> None:
        """A mistake in a test is an error, and ends nothing."""
        for given in (("250 ok",) * 3, ("ok",), ("354 go",), ("250 ok", "354 go")):
            self.assertRaises(ValueError, self.made.answer, *given)
        self.assertTrue(self.made.running)
        self.made.answer()
        self.successResultOf(self.done)

    def test_answer_one_of_one(self) -> None:
        """One reply for one recipient, and no more."""
        done = self.relay.attempt(ENVELOPE.subset([0]), 0)
        self.assertRaises(ValueError, self.relay.made[1].answer, "250 ok", "250 ok")
        self.relay.made[1].answer("250 ok")
        self.assertEqual(["250 2.0.0 ok"], replies(self.successResultOf(done)))

    def test_fail(self) -> None:
        """An attempt can fail, with an error of ours or any other."""
        error = PermanentRelayError(Outcome.of(Reply.parse("550 5.7.1 no")))
        self.made.fail(error)
        self.assertIs(error, self.failureResultOf(self.done).value)
        again = self.relay.attempt(ENVELOPE, 1)
        self.relay.made[1].fail(LookupError())
        self.failureResultOf(again, LookupError)

    def test_twice(self) -> None:
        """An attempt ends once."""
        self.made.answer()
        self.assertRaises(AlreadyCalledError, self.made.answer)
        self.assertRaises(AlreadyCalledError, self.made.fail, LookupError())
        self.successResultOf(self.done)

    def test_any_order(self) -> None:
        """Attempts end in the order that the test wants."""
        second = self.relay.attempt(ENVELOPE, 0)
        self.relay.made[1].answer("250 ok")
        self.successResultOf(second)
        self.assertNoResult(self.done)
        self.made.answer()
        self.successResultOf(self.done)

    def test_cancel(self) -> None:
        """A cancelled attempt says whether its end is open, as the test wants it."""
        for ambiguous in (False, True):
            done = self.relay.attempt(ENVELOPE, 0)
            made = self.relay.made[-1]
            made.ambiguous = ambiguous
            done.cancel()
            error = self.failureResultOf(done, AttemptCancelled).value
            self.assertIs(ambiguous, error.ambiguous)
            self.assertTrue(made.cancelled)
            self.assertFalse(made.running)

    def test_settled(self) -> None:
        """A queue's deadline cancels it."""
        clock = Clock()
        settled = settle(clock, self.relay, ENVELOPE, 0, 10.0)
        self.relay.made[1].ambiguous = True
        clock.advance(10)
        outcome = self.successResultOf(settled)[0]
        self.assertEqual("4.4.7", outcome.reply.enhanced)
        self.assertTrue(outcome.ambiguous)

    def test_stop(self) -> None:
        """It stops when the last attempt has ended, and takes none from the first moment."""
        second = self.relay.attempt(ENVELOPE, 0)
        stopped = self.relay.stop()
        self.failureResultOf(self.relay.attempt(ENVELOPE, 0), TransientRelayError)
        self.made.answer()
        self.successResultOf(self.done)
        self.assertNoResult(stopped)
        self.relay.made[1].answer()
        self.successResultOf(second)
        self.successResultOf(stopped)
        self.assertEqual(2, len(self.relay.made))
