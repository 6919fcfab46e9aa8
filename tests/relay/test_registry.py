# -*- test-case-name: tests.relay.test_registry -*-
"""A bounded number of relays."""

from __future__ import annotations

from random import Random

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.interfaces import IRelay
from slimtwist.relay.registry import Relays
from slimtwist.testing.memory import MemoryRelay


class Stubborn(MemoryRelay):
    """Raises when it is stopped."""

    def stop(self) -> Deferred[None]:
        """Fail."""
        raise ZeroDivisionError


class RelaysTests(SynchronousTestCase):
    """Who gets which relay, and when."""

    def setUp(self) -> None:
        """Begin with room for two."""
        self.made: list[str] = []
        self.kept: list[Deferred[str]] = []
        self.relays: Relays[str] = Relays(self.make, 2)

    def make(self, key: str) -> IRelay:
        """Make a relay."""
        if key == "bad":
            raise ValueError(key)
        self.made.append(key)
        return Stubborn() if key == "stubborn" else MemoryRelay()

    def use(self, key: str) -> tuple[Deferred[str], Deferred[str], list[IRelay]]:
        """Use a relay until the second Deferred fires; the first fires then."""
        until: Deferred[str] = Deferred()
        got: list[IRelay] = []

        def what(relay: IRelay) -> Deferred[str]:
            got.append(relay)
            return until

        self.kept.append(until)  # or the user, whom nothing else holds, is collected and ends
        return Deferred.fromCoroutine(self.relays.use(key, what)), until, got

    def visit(self, key: str) -> IRelay:
        """Use a relay for a moment."""
        done, until, got = self.use(key)
        until.callback(key)
        self.assertEqual(self.successResultOf(done), key)
        return got[0]

    def test_kept(self) -> None:
        """A relay is made when it is needed, and kept for the next who needs it."""
        self.assertEqual(len(self.relays), 0)
        self.assertIs(self.visit("a"), self.visit("a"))
        self.assertEqual((self.made, len(self.relays)), (["a"], 1))

    def test_shared(self) -> None:
        """Any number may use one relay at once; nobody else waits for that (L7)."""
        users = [self.use("a") for _ in range(100)]
        self.assertEqual(len({id(got[0]) for _, _, got in users}), 1)
        self.visit("b")

    def test_longest_unused(self) -> None:
        """The longest unused makes room."""
        for key in ("a", "b", "a", "c"):
            self.visit(key)
        self.assertEqual(len(self.relays), 2)
        self.visit("a")
        self.assertEqual(self.made, ["a", "b", "c"])
        self.visit("b")
        self.assertEqual(self.made, ["a", "b", "c", "b"])

    def test_waits(self) -> None:
        """When all are in use the next waits, and gets the place of the first that is not."""
        _, until_a, _ = self.use("a")
        self.use("b")
        c, until_c, got_c = self.use("c")
        d, _, got_d = self.use("d")
        self.assertEqual((got_c, got_d, len(self.relays)), ([], [], 2))
        until_a.callback("a")
        self.assertEqual((len(got_c), got_d, len(self.relays)), (1, [], 2))
        until_c.callback("c")
        self.assertEqual(self.successResultOf(c), "c")
        self.assertEqual(len(got_d), 1)
        self.assertNoResult(d)

    def test_waits_together(self) -> None:
        """All who wait for one relay go on when it is there."""
        _, until, _ = self.use("a")
        self.use("b")
        waiting = [self.use("c"), self.use("d"), self.use("c")]
        until.callback("a")
        self.assertEqual([len(got) for _, _, got in waiting], [1, 0, 1])

    def test_many_wait(self) -> None:
        """A thousand who wait, and are done in no time, need no deep stack."""
        _, until, _ = self.use("a")
        self.use("b")
        waiting = [self.use(f"c{n}") for n in range(1000)]
        for _, each, _ in waiting:
            each.callback("c")
        until.callback("a")
        for done, _, _ in waiting:
            self.assertEqual(self.successResultOf(done), "c")

    def test_cancelled(self) -> None:
        """Who waits no more has left the line."""
        _, until, _ = self.use("a")
        self.use("b")
        c, _, got_c = self.use("c")
        _, _, got_d = self.use("d")
        c.cancel()
        self.failureResultOf(c, CancelledError)
        until.callback("a")
        self.assertEqual((len(got_c), len(got_d)), (0, 1))

    def test_cannot_be_made(self) -> None:
        """What its making raises is told, and leaves nothing behind."""
        _, until, _ = self.use("a")
        self.use("b")
        bad, _, _ = self.use("bad")
        _, _, got = self.use("c")
        until.callback("a")
        self.failureResultOf(bad, ValueError)
        self.assertEqual((len(got), len(self.relays)), (1, 2))

    def test_stop(self) -> None:
        """All are stopped; one that cannot be is logged, and not waited for."""
        relay = self.visit("a")
        self.visit("stubborn")
        self.successResultOf(self.relays.stop())
        self.assertEqual(len(self.relays), 0)
        self.assertIsNotNone(relay)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_stop_waits(self) -> None:
        """Stopping waits for those that are stopped already, too."""
        slow = MemoryRelay(hold=True)
        relays: Relays[str] = Relays(lambda _: slow, 1)
        self.successResultOf(Deferred.fromCoroutine(relays.use("a", _nothing)))
        ending: Deferred[None] = Deferred()
        slow.stop = lambda: ending  # type: ignore[method-assign]
        self.successResultOf(Deferred.fromCoroutine(relays.use("b", _nothing)))
        stopped = relays.stop()
        self.assertNoResult(stopped)
        ending.callback(None)
        self.successResultOf(stopped)

    def test_random(self) -> None:
        """Whatever is used, cancelled and ended, there are never more, and none stays in use."""
        random = Random(1)
        self.relays = Relays(self.make, 5)
        running: list[tuple[Deferred[str], Deferred[str], list[IRelay]]] = []
        for _ in range(5000):
            if random.random() < 0.5:
                running.append(self.use(f"h{random.randrange(12)}"))
            elif running:
                done, until, got = running.pop(random.randrange(len(running)))
                if got and random.random() < 0.7:
                    until.callback("x")
                    self.successResultOf(done)
                else:
                    done.cancel()
                    self.failureResultOf(done, CancelledError)
            self.assertLessEqual(len(self.relays), 5)
        for done, _, _ in running:
            done.cancel()
            self.failureResultOf(done, CancelledError)
        self.successResultOf(self.relays.stop())
        self.assertEqual(len(self.relays), 0)

    def test_wrong(self) -> None:
        """There has to be room for one."""
        self.assertRaises(ValueError, Relays, self.make, 0)


async def _nothing(_: IRelay) -> None:
    """Use a relay for nothing."""
