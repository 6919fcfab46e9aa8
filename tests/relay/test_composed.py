# -*- test-case-name: tests.relay.test_composed -*-
"""Relays made of relays made of relays, at random: no recipient is lost, and no relay is asked for
one who may have his message already.

Each recipient of each message has an address of its own, so that what the relays at the bottom were
asked to do for him, and what they said, can be told apart.
"""

from __future__ import annotations

from itertools import count
from random import Random

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    AttemptCancelled,
    ConnectionLost,
    PermanentRelayError,
    RelayError,
    TransientRelayError,
)
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.policy.split import RecipientDomainSplit, RecipientSplit
from slimtwist.relay.fallback import FallbackRelay
from slimtwist.relay.limit import LimitRelay
from slimtwist.relay.line import Rate
from slimtwist.relay.policy import PolicyRelay
from slimtwist.relay.route import RouteRelay
from slimtwist.relay.shared import SharedRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryAttempt, MemoryReactor, MemoryRelay

SEEDS = 150
REPLIES = ("250 2.0.0 taken", "450 4.2.1 later", "550 5.1.1 never")
DOMAINS = ("a.example", "b.example", "c.example")
NEVER = Outcome.of(Reply.parse(REPLIES[2]))

#: What a relay at the bottom said of a recipient: the verdict, and whether that is ambiguous.
Said = tuple[Verdict, bool]


class Bottom(MemoryRelay):
    """A relay at the bottom: it keeps what it said, and what it should not have been asked.

    @ivar said: of each recipient, in order; shared by all at the bottom.
    """

    def __init__(self, said: dict[str, list[Said]], wrong: list[str]) -> None:
        super().__init__(hold=True)
        self._said = said
        self._wrong = wrong
        self._busy: set[str] = set()

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Look at who is asked for, and wait for the test's word."""
        names = [str(each.address) for each in envelope.recipients]
        for name in names:
            said = self._said.setdefault(name, [])
            if any(each != (Verdict.DEFERRED, False) for each in said) or name in self._busy:
                self._wrong.append(name)
        self._busy.update(names)
        done = super().attempt(envelope, attempts)
        return done.addBoth(self._note, names)

    def _note(self, result: Report | Failure, names: list[str]) -> Report | Failure:
        outcomes = result.outcomes if isinstance(result, Report) else _of(result) * len(names)
        for name, outcome in zip(names, outcomes, strict=True):
            self._said[name].append((outcome.verdict, outcome.ambiguous))
        self._busy.difference_update(names)
        return result


def _of(failure: Failure) -> tuple[Outcome, ...]:
    """Return what a failure says of each recipient; nobody knows what another error means."""
    error = failure.value
    unknown = TransientRelayError.at("", ambiguous=True)
    return (error.outcome if isinstance(error, RelayError) else unknown.outcome,)


class World:
    """A tree of relays, and the messages that go through it.

    @ivar said: of each recipient what the relays at the bottom said, in order.
    @ivar wrong: recipients for whom one was asked after he was done with, or twice at once.
    @ivar running: the attempts that have not ended, by the envelope's id.
    @ivar told: what each attempt fired with, with its envelope.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.reactor = MemoryReactor()
        self.said: dict[str, list[Said]] = {}
        self.wrong: list[str] = []
        self.running: dict[str, Deferred[None]] = {}
        self.told: list[tuple[Envelope, Report | Failure]] = []
        self.bottoms = [Bottom(self.said, self.wrong) for _ in range(3)]
        self._shared = [SharedRelay(each, "bottom") for each in self.bottoms]
        self._used: set[int] = set()
        self._runtime = Runtime(self.reactor)
        self._names = count()
        self.root = self._tree(3)
        self.used = [self.bottoms[each] for each in self._used]

    def _tree(self, depth: int) -> IRelay:
        kind = self.random.choice("fflppr") if depth else "b"
        if kind == "f":
            parts = [self._tree(depth - 1) for _ in range(self.random.randint(1, 3))]
            timeout = self.random.choice([None, 5.0])
            return FallbackRelay(parts, timeout=timeout, runtime=self._runtime)
        if kind == "l":
            rate, most = self.random.choice([(None, 1), (Rate(2, 3), None), (Rate(3, 1), 2)])
            part = self._tree(depth - 1)
            return LimitRelay(part, concurrency=most, rate=rate, runtime=self._runtime)
        if kind == "p":
            policies = [RecipientDomainSplit(), RecipientSplit(2)][self.random.randrange(2) :]
            return PolicyRelay(self._tree(depth - 1), policies, runtime=self._runtime)
        if kind == "r":
            routes = {domain: self._tree(depth - 1) for domain in DOMAINS[:2]}
            return RouteRelay(routes, self._tree(depth - 1), runtime=self._runtime)
        number = self.random.randrange(3)
        self._used.add(number)
        return self._shared[number].use()

    def step(self) -> None:
        """Let something happen."""
        what = self.random.random()
        attempts = self.asked()
        if what < 0.25:
            self._begin()
        elif what < 0.7 and attempts:
            self.answer(self.random.choice(attempts))
        elif what < 0.8 and self.running:
            self.running[self.random.choice([*self.running])].cancel()
        else:
            self.reactor.advance(self.random.choice([0.5, 1.0, 3.0]))

    def asked(self) -> list[MemoryAttempt]:
        """Return the attempts at the bottom that wait for an answer."""
        found = [made for each in self.bottoms for made in each.running]
        for made in found:
            made.ambiguous = bool(self.random.getrandbits(1))  # should it be cancelled
        return found

    def answer(self, made: MemoryAttempt) -> None:
        """Let an attempt at the bottom end, in whatever way."""
        errors = (
            ConnectionLost.at("", ambiguous=True),
            ConnectionLost.at(""),
            PermanentRelayError(NEVER),
            ZeroDivisionError(),
        )
        if self.random.random() < 0.3:
            made.fail(self.random.choice(errors))
        else:
            made.answer(*(self.random.choice(REPLIES) for _ in made.envelope.recipients))

    def _begin(self) -> None:
        recipients = [
            f"{next(self._names)}@{self.random.choice(DOMAINS)}"
            for _ in range(self.random.randint(1, 4))
        ]
        envelope = Envelope.parse("s@example.org", recipients, b"Subject: x\r\n\r\n")
        attempt = self.root.attempt(envelope, 0)
        ended = attempt.addBoth(self._tell, envelope)
        if not ended.called:
            self.running[envelope.id] = ended

    def _tell(self, result: Report | Failure, envelope: Envelope) -> None:
        self.told.append((envelope, result))
        self.running.pop(envelope.id, None)


class ComposedTests(SynchronousTestCase):
    """Whatever they are made of, and whatever happens."""

    def run_world(self, seed: int) -> World:
        """Return a world in which much has happened, and everything has ended."""
        world = World(seed)
        for _ in range(80):
            world.step()
        stopped = world.root.stop()
        for _ in range(1000):
            for made in world.asked():
                world.answer(made)
            if stopped.called:
                break
            world.reactor.advance(1.0)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual((world.running, world.reactor.leftovers().timers), ({}, ()))
        for each in world.used:
            late = each.attempt(Envelope.parse("a@b", ["c@d"], b""), 0)
            self.failureResultOf(late, TransientRelayError)
        self.flushLoggedErrors(ZeroDivisionError)
        return world

    def check(self, world: World, envelope: Envelope, result: Report | Failure) -> None:
        """Check what an attempt fired with against what was said at the bottom."""
        said = [world.said.get(str(each.address)) or [] for each in envelope.recipients]
        last = [each[-1] if each else (Verdict.DEFERRED, False) for each in said]
        if isinstance(result, Failure):
            # One outcome for all: nothing is forgotten that somebody has got, or may have got.
            outcomes = _of(result) * len(last)
            self.assertTrue(result.check(AttemptCancelled, RelayError))
        else:
            outcomes = result.outcomes
        self.assertEqual([each.verdict for each in outcomes], [verdict for verdict, _ in last])
        for outcome, (_, ambiguous) in zip(outcomes, last, strict=True):
            self.assertGreaterEqual(outcome.ambiguous, ambiguous)

    def test_random(self) -> None:
        """Each attempt fires once, with the last word on each recipient; no relay is asked for who
        has his message, or may have it; nothing is left at the end (L1, L2, L3, L4).
        """
        messages = verdicts = 0
        for seed in range(SEEDS):
            world = self.run_world(seed)
            self.assertEqual(world.wrong, [], seed)
            for envelope, result in world.told:
                self.check(world, envelope, result)
            messages += len(world.told)
            verdicts += len({each for said in world.said.values() for each in said})
        self.assertGreater(messages, 10 * SEEDS)
        self.assertGreater(verdicts, 3 * SEEDS)
