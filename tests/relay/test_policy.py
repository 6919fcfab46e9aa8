# -*- test-case-name: tests.relay.test_policy -*-
"""Policies look at each message; what they do to one is nobody else's business."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    PermanentRelayError,
    TransientRelayError,
)
from slimtwist.interfaces import IRelay, IRelayPolicy
from slimtwist.outcome import Outcome, Report
from slimtwist.policy.forward import Forward
from slimtwist.policy.headers import AddHeader
from slimtwist.policy.parts import Part
from slimtwist.policy.split import RecipientDomainSplit, RecipientSplit
from slimtwist.relay.policy import PolicyRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.settle import settle
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay, RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver

OCTETS = b"Subject: x\r\n\r\nx\r\n"
NO = Outcome.of(Reply.parse("550 5.7.1 no"))


@implementer(IRelayPolicy)
class Says:
    """A policy that does what a function says."""

    def __init__(self, what: Callable[[Envelope], Any]) -> None:
        self.what = what
        self.seen: list[list[str]] = []

    def apply(self, envelope: Envelope) -> Any:  # noqa: ANN401 - also what no policy returns
        """Do it."""
        self.seen.append([str(each.address) for each in envelope.recipients])
        return self.what(envelope)


def message(*recipients: str) -> Envelope:
    """Return an envelope for some recipients."""
    return Envelope.parse("sender@example.org", recipients, OCTETS)


def failing(error: Exception) -> Callable[[Envelope], Any]:
    """Return what raises an error."""

    def fail(_: Envelope) -> Any:  # noqa: ANN401 - never
        raise error

    return fail


def becoming(content: Content) -> Callable[[Envelope], Envelope]:
    """Return what gives a message another content."""

    def become(envelope: Envelope) -> Envelope:
        return replace(envelope, content=content)

    return become


class PolicyTestCase(SynchronousTestCase):
    """Has a relay behind policies."""

    def setUp(self) -> None:
        """Begin with a clock."""
        self.reactor = MemoryReactor()
        self.behind = MemoryRelay()

    def relay(self, *policies: IRelayPolicy) -> PolicyRelay:
        """Return the relay with these policies."""
        return PolicyRelay(self.behind, policies, runtime=Runtime(self.reactor))

    def attempt(self, policies: list[IRelayPolicy], *recipients: str) -> list[Outcome]:
        """Return what became of each recipient."""
        attempt = self.relay(*policies).attempt(message(*recipients), 2)
        return [*self.successResultOf(attempt)]

    def asked(self) -> list[list[str]]:
        """Return the recipients of each attempt behind."""
        return [
            [str(each.address) for each in made.envelope.recipients] for made in self.behind.made
        ]


class DecisionTests(PolicyTestCase):
    """What a policy may do."""

    def test_interface(self) -> None:
        """Relay and policies are what they say."""
        self.assertTrue(verifyObject(IRelay, self.relay()))
        self.assertTrue(verifyObject(IRelayPolicy, Says(lambda envelope: envelope)))

    def test_none(self) -> None:
        """Without a policy nothing is changed."""
        self.attempt([], "a@x", "b@x")
        self.assertEqual(self.asked(), [["a@x", "b@x"]])
        self.assertEqual(self.behind.made[0].attempts, 2)

    def test_replaced(self) -> None:
        """Each policy sees what the ones before have made of the message, and so does the relay."""
        self.attempt([AddHeader("A", "1"), AddHeader("B", "2")], "a@x")
        self.assertEqual(self.behind.made[0].octets, b"B: 2\r\nA: 1\r\n" + OCTETS)

    def test_each_attempt(self) -> None:
        """It is asked anew before each attempt, about the message as it was."""
        relay, given = self.relay(AddHeader("A", "1")), message("a@x")
        for _ in range(2):
            self.successResultOf(relay.attempt(given, 0))
        self.assertEqual([each.octets for each in self.behind.made], [b"A: 1\r\n" + OCTETS] * 2)

    def test_split(self) -> None:
        """A split message is delivered side by side, and each outcome gets back to its recipient,
        also through several policies, and where an address occurs twice (L11).
        """
        codes = {"b@x": "550 5.1.1 b", "c@y": "450 4.2.1 c", "e@x": "250 2.0.0 e"}
        self.behind = MemoryRelay(codes)
        policies: list[IRelayPolicy] = [
            Says(lambda envelope: [Part.of(envelope, [4, 2, 0]), Part.of(envelope, [1, 3])]),
            RecipientDomainSplit(),
            RecipientSplit(1),
        ]
        found = self.attempt(policies, "b@x", "c@y", "d@z", "b@x", "e@x")
        wanted = ["550 5.1.1 b", "450 4.2.1 c", "250 2.0.0 delivered", "550 5.1.1 b", "250 2.0.0 e"]
        self.assertEqual([str(each.reply) for each in found], wanted)
        self.assertEqual(sorted(self.asked()), [["b@x"], ["b@x"], ["c@y"], ["d@z"], ["e@x"]])

    def test_side_by_side(self) -> None:
        """A slow part delays no other (L7)."""
        self.behind = MemoryRelay(hold=True)
        attempt = self.relay(RecipientSplit(1)).attempt(message("a@x", "b@x"), 0)
        self.behind.made[1].answer("250 2.0.0 b")
        self.assertNoResult(attempt)
        self.assertEqual(len(self.reactor.leftovers().timers), 1)
        self.behind.made[0].answer("550 5.1.1 a")
        self.assertEqual([each.reply.code for each in self.successResultOf(attempt)], [550, 250])

    def test_forwarded(self) -> None:
        """Who has another address keeps his position."""
        self.behind = MemoryRelay({"new@y": "550 5.1.1 unknown"})
        found = self.attempt([Forward({"old@x": "new@y"})], "a@x", "old@x")
        self.assertEqual(self.asked(), [["a@x", "new@y"]])
        self.assertEqual([each.reply.code for each in found], [250, 550])

    def test_refused(self) -> None:
        """Who is refused, for now or for good, is not attempted, nor seen by later policies."""
        for error in (PermanentRelayError(NO), TransientRelayError.at("not now")):
            later = Says(lambda envelope: envelope)
            found = self.attempt([Says(failing(error)), later], "a@x", "b@x")
            self.assertEqual(found, [error.outcome] * 2)
            self.assertEqual((self.asked(), later.seen), ([], []))

    def test_some_refused(self) -> None:
        """Some may be refused, and the others go on."""

        def choosy(envelope: Envelope) -> list[Part]:
            return [Part.refused([0, 2], "550 5.7.1 no"), Part.of(envelope, [1])]

        later = Says(lambda envelope: envelope)
        found = self.attempt([Says(choosy), later], "a@x", "b@x", "c@x")
        self.assertEqual([each.reply.code for each in found], [550, 250, 550])
        self.assertEqual((self.asked(), later.seen), ([["b@x"]], [["b@x"]]))

    def test_later(self) -> None:
        """A policy may take its time, by a Deferred or a coroutine."""
        waiting: list[Deferred[Envelope]] = []

        def later(_: Envelope) -> Deferred[Envelope]:
            waiting.append(Deferred())
            return waiting[-1]

        async def slow(envelope: Envelope) -> Envelope:
            return await later(envelope)

        given = message("a@x")
        for policy in (Says(later), Says(slow)):
            attempt = self.relay(policy).attempt(given, 0)
            self.assertNoResult(attempt)
            waiting[-1].callback(given)
            self.assertEqual([each.reply.code for each in self.successResultOf(attempt)], [250])


class FaultTests(PolicyTestCase):
    """Policies that are wrong."""

    def test_raises(self) -> None:
        """An unknown exception defers the message, which was not sent, and is logged; others are
        not disturbed (L2, L10).
        """

        def bad(envelope: Envelope) -> Envelope:
            if str(envelope.recipients[0].address) == "bad@x":
                raise ZeroDivisionError
            return envelope

        policies: list[IRelayPolicy] = [RecipientSplit(1), Says(bad)]
        found = self.attempt(policies, "a@x", "bad@x", "c@x")
        self.assertEqual([each.reply.code for each in found], [250, 451, 250])
        self.assertFalse(found[1].ambiguous)
        text = "451 4.3.0 internal error: ZeroDivisionError of policy Says"
        self.assertEqual(str(found[1].reply), text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_loses(self) -> None:
        """A policy that loses or adds a recipient, or returns nothing, defers all, and the log says
        what it did (L2).
        """
        for what in (
            lambda envelope: envelope.subset([0]),
            lambda envelope: envelope.subset([0, 1, 1]),
            lambda envelope: [Part.of(envelope, [1])],
            lambda _: None,
            lambda _: succeed(None),
        ):
            found = self.attempt([Says(what)], "a@x", "b@x")
            self.assertEqual([each.reply.enhanced for each in found], ["4.3.0"] * 2)
            [failure] = self.flushLoggedErrors(ValueError)
            self.assertRegex(str(failure.value), "recipients|neither one envelope nor parts")
        self.assertEqual(self.asked(), [])

    def test_broken_relay(self) -> None:
        """The relay's faults stay with their part (L10)."""
        self.behind = MemoryRelay(hold=True)
        attempt = self.relay(RecipientSplit(1)).attempt(message("a@x", "b@x"), 0)
        self.behind.made[0].fail(ZeroDivisionError())
        self.behind.made[1].answer()
        found = [(each.reply.code, each.ambiguous) for each in self.successResultOf(attempt)]
        self.assertEqual(found, [(451, True), (250, False)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class CancelTests(PolicyTestCase):
    """An attempt that nobody wants any more."""

    def test_policy(self) -> None:
        """While a policy thinks: it is cancelled, and nothing is sent (L3)."""
        thinking: list[Deferred[Envelope]] = []

        def think(_: Envelope) -> Deferred[Envelope]:
            thinking.append(Deferred())
            return thinking[-1]

        last = Says(lambda envelope: envelope)
        attempt = self.relay(RecipientSplit(1), Says(think), last).attempt(message("a@x", "b@x"), 0)
        attempt.cancel()
        failure = self.failureResultOf(attempt, AttemptCancelled)
        self.assertFalse(failure.value.ambiguous)
        self.assertEqual((self.asked(), last.seen), ([], []))

    def test_stubborn_policy(self) -> None:
        """A policy that goes on all the same is not listened to."""

        async def stubborn(envelope: Envelope) -> Envelope:
            try:
                await Deferred()
            except BaseException:  # noqa: BLE001 - it is that stubborn
                return envelope
            return envelope

        attempt = self.relay(Says(stubborn)).attempt(message("a@x"), 0)
        attempt.cancel()
        self.failureResultOf(attempt, AttemptCancelled)
        self.assertEqual(self.asked(), [])

    def test_parts(self) -> None:
        """While parts are delivered: all are cancelled, and what was delivered is told (L2, L4)."""
        self.behind = MemoryRelay(hold=True)
        attempt = self.relay(RecipientSplit(1)).attempt(message("a@x", "b@x"), 0)
        self.behind.made[0].answer()
        attempt.cancel()
        found = [each.reply.enhanced for each in self.successResultOf(attempt)]
        self.assertEqual(found, ["2.0.0", "4.3.2"])
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_deadline(self) -> None:
        """A policy that never comes to an end takes no more than the attempt's time (L3)."""
        relay = self.relay(Says(lambda _: Deferred()))
        attempt = settle(self.reactor, relay, message("a@x"), 0, 10)
        self.reactor.advance(10)
        [outcome] = self.successResultOf(attempt)
        self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.4.7", False))


class ContentTests(PolicyTestCase):
    """What policies make is closed, and nothing else."""

    def content(self) -> Content:
        """Return a content in a file."""
        content = Content.read(io.BytesIO(OCTETS), threshold=0)
        self.addCleanup(content.close)
        return content

    def closed(self, content: Content) -> bool:
        """Tell whether it can be read no more."""
        try:
            bytes(content)
        except OSError:
            return True
        return False

    def test_closed(self) -> None:
        """Content that a policy has made is closed when the attempt is over, also that which the
        next policy has replaced; the message's own is not, with or without fields on top.
        """
        self.behind = MemoryRelay(hold=True)
        made = [self.content(), self.content()]
        policies = [Says(becoming(each)) for each in made]
        given = replace(message("a@x"), content=self.content())
        for relay, theirs in (
            (self.relay(*policies), made),
            (self.relay(AddHeader("X", "y")), []),
        ):
            attempt = relay.attempt(given, 0)
            self.assertEqual([self.closed(each) for each in theirs], [False] * len(theirs))
            self.behind.made[-1].answer()
            self.successResultOf(attempt)
            self.assertEqual([self.closed(each) for each in theirs], [True] * len(theirs))
            self.assertFalse(self.closed(given.content))

    def test_cancelled(self) -> None:
        """So it is when the attempt is cancelled."""
        self.behind = MemoryRelay(hold=True)
        made = self.content()
        policy = Says(becoming(made))
        attempt = self.relay(policy).attempt(message("a@x"), 0)
        attempt.cancel()
        self.failureResultOf(attempt, AttemptCancelled)
        self.assertTrue(self.closed(made))


class StopTests(PolicyTestCase):
    """The end."""

    def test_thinking(self) -> None:
        """What a policy thinks about when the relay is stopped is still delivered (L2)."""
        thinking: Deferred[Envelope] = Deferred()
        given = message("a@x")
        relay = self.relay(Says(lambda _: thinking))
        attempt = relay.attempt(given, 0)
        stopped = relay.stop()
        self.failureResultOf(relay.attempt(given, 0), TransientRelayError)
        thinking.callback(given)
        self.assertIsInstance(self.successResultOf(attempt), Report)
        self.successResultOf(stopped)
        self.failureResultOf(self.behind.attempt(given, 0), TransientRelayError)

    def test_repr(self) -> None:
        """Operators see who thinks and who delivers."""
        self.assertIn("<AddHeader b'A: 1", repr(self.relay(AddHeader("A", "1"))))
        self.assertIn("<MemoryRelay", repr(self.relay()))


class PolicyContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must, with policies that split and add."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Return policies before a smart host."""
        reactor = MemoryReactor()
        reactor.add_host("a.example", FakeSmarthost({"RCPT": {self.refused: "550 5.1.1 unknown"}}))
        runtime = Runtime(reactor)
        relay = StaticSmtpRelay("a.example", runtime=runtime)
        policies = [AddHeader("X-Via", "us"), RecipientSplit(2)]
        return PolicyRelay(relay, policies, runtime=runtime), MemoryDriver(reactor)
