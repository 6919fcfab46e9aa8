# -*- test-case-name: tests.relay.test_shared -*-
"""One relay for several users: nobody's end is another's, and each outcome says who decided."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, ConnectionFailed, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report
from slimtwist.relay.shared import SharedRelay, part_of
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import FakeSmarthost, MemoryReactor, MemoryRelay, RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver

MESSAGE = Envelope.parse("a@b", ["c@d"], b"Subject: x\r\n\r\nx\r\n")


class SharedTestCase(SynchronousTestCase):
    """Has a relay that waits, with two users."""

    def setUp(self) -> None:
        """Share the relay."""
        self.memory = MemoryRelay(hold=True)
        self.shared = SharedRelay(self.memory, "primary")
        self.one, self.two = self.shared.use(), self.shared.use()


class NameTests(SharedTestCase):
    """Who decided."""

    def begin(self) -> Deferred[Report]:
        """Begin an attempt."""
        return self.one.attempt(MESSAGE, 0)

    def test_report(self) -> None:
        """Each outcome says the name, and nothing else of it has changed (L11)."""
        attempt = self.begin()
        self.memory.made[0].answer("450 4.7.1 later")
        [outcome] = self.successResultOf(attempt)
        self.assertEqual((outcome.relay, str(outcome.reply)), ("primary", "450 4.7.1 later"))

    def test_error(self) -> None:
        """So does an error that holds for all, which is the same error."""
        attempt, error = self.begin(), ConnectionFailed.at("refused", host="mx.example")
        self.memory.made[0].fail(error)
        failure = self.failureResultOf(attempt, ConnectionFailed)
        self.assertIs(failure.value, error)
        self.assertEqual((error.outcome.relay, error.outcome.host), ("primary", "mx.example"))

    def test_unknown_error(self) -> None:
        """Any other is passed on as it is."""
        attempt = self.begin()
        self.memory.made[0].fail(ZeroDivisionError())
        self.failureResultOf(attempt, ZeroDivisionError)

    def test_cancelled(self) -> None:
        """Cancelling reaches the relay (L3)."""
        attempt = self.begin()
        attempt.cancel()
        failure = self.failureResultOf(attempt, AttemptCancelled)
        self.assertEqual(failure.value.outcome.relay, "primary")
        self.assertTrue(self.memory.made[0].cancelled)

    def test_innermost(self) -> None:
        """A part that has a name of its own keeps it."""
        attempt = SharedRelay(self.one, "whole").use().attempt(MESSAGE, 0)
        self.memory.made[0].answer()
        self.assertEqual([each.relay for each in self.successResultOf(attempt)], ["primary"])

    def test_repr(self) -> None:
        """It is called by its name."""
        self.assertEqual(repr(self.one), "primary")

    def test_part(self) -> None:
        """A part without a name is called by its description."""
        runtime = Runtime(MemoryReactor(), defined={"primary": self.shared})
        for text, name in (
            ("blackhole:", "blackhole:"),
            ("[blackhole:]", "blackhole:"),
            ("primary", "primary"),
        ):
            self.assertEqual(repr(part_of(runtime, text)), name)


class StopTests(SharedTestCase):
    """Users come to their end one by one."""

    def test_last(self) -> None:
        """The relay is stopped with its last user, and once; until then it works for the others
        (L10).
        """
        self.successResultOf(self.one.stop())
        self.successResultOf(self.one.stop())
        self.failureResultOf(self.one.attempt(MESSAGE, 0), TransientRelayError)
        attempt = self.two.attempt(MESSAGE, 0)
        self.memory.made[0].answer()
        self.successResultOf(attempt)
        self.successResultOf(self.two.stop())
        self.failureResultOf(self.memory.attempt(MESSAGE, 0), TransientRelayError)

    def test_running(self) -> None:
        """Each waits for its own attempts, the last one for all (L2)."""
        first, second = self.one.attempt(MESSAGE, 0), self.two.attempt(MESSAGE, 0)
        ends = [self.one.stop(), self.one.stop(), self.two.stop()]
        self.memory.made[1].answer()
        for each in ends:
            self.assertNoResult(each)
        self.memory.made[0].answer()
        for each in ends:
            self.successResultOf(each)
        self.assertTrue(self.successResultOf(first) and self.successResultOf(second))

    def test_running_again(self) -> None:
        """What has ended before does not count: who still runs is waited for (L2)."""
        first = self.one.attempt(MESSAGE, 0)
        self.memory.made[0].answer()
        second = self.one.attempt(MESSAGE, 0)
        stopped = self.one.stop()
        self.assertNoResult(stopped)
        self.memory.made[1].answer()
        self.successResultOf(stopped)
        self.assertTrue(self.successResultOf(first) and self.successResultOf(second))

    def test_own(self) -> None:
        """One user does not wait for the other's attempts (L7)."""
        self.two.attempt(MESSAGE, 0)
        self.successResultOf(self.one.stop())
        self.assertEqual(len(self.memory.running), 1)
        self.memory.made[0].answer()


class UseContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Return the use of a relay to a smart host."""
        reactor = MemoryReactor()
        reactor.add_host("a.example", FakeSmarthost({"RCPT": {self.refused: "550 5.1.1 unknown"}}))
        relay = StaticSmtpRelay("a.example", runtime=Runtime(reactor))
        use = SharedRelay(relay, "a").use()
        self.assertTrue(verifyObject(IRelay, use))
        return use, MemoryDriver(reactor)
