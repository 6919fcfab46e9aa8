# -*- test-case-name: tests.testing.test_contract -*-
"""What every relay must do, as tests that a relay's own test case mixes in.

The test case says how the relay is built, with a next hop that takes every message, and what lets
time pass for the two::

    class MyRelayContractTests(RelayContract, SynchronousTestCase):
        refused = "nobody@example.org"

        def build(self):
            reactor = MemoryReactor()
            answers = {"RCPT": {"nobody@example.org": "550 5.1.1 no such user"}}
            reactor.add_host("mx.example", FakeSmarthost(answers))
            return MyRelay("mx.example", runtime=Runtime(reactor)), MemoryDriver(reactor)

A relay that needs the real reactor is tested by C{twisted.trial.unittest.TestCase}, with a
L{ReactorDriver<slimtwist.testing.drivers.ReactorDriver>}.

What is asked for is what L{IRelay} promises.  An attempt that is cancelled must have ended when
C{cancel} returns, with all it knows: nobody waits for it any longer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.content import BLOCK, Content
from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, PermanentRelayError, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.testing.bench import PATIENCE, Attempt, Bench, scene
from slimtwist.testing.drivers import Driver

_OCTETS: Final = b"Subject: contract\r\n\r\n.a line\r\n" + b"b" * 70 + b"\r\n"
if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object


class RelayContract(_Case):
    """Tests that every L{IRelay} must pass.

    @cvar sender: whom the messages are from.
    @cvar recipients: some addresses that the next hop takes mail for.
    @cvar refused: an address that it refuses for good, so that the order of a report can be seen;
        C{None} if it cannot refuse one of several recipients.
    @cvar reads_content: whether the relay reads messages, so that one which cannot be read fails.
    """

    sender: ClassVar[str] = "sender@example.com"
    recipients: ClassVar[Sequence[str]] = (
        "one@example.org",
        "two@example.org",
        "three@example.org",
    )
    refused: ClassVar[str | None] = None
    reads_content: ClassVar[bool] = True

    def build(self) -> tuple[IRelay, Driver]:
        """Build a new relay and its world: to be written by who mixes this in.

        @return: the relay, and what lets time pass for it and its next hop.
        """
        raise self.failureException("the test case does not say how its relay is built")

    @scene
    async def test_interface(self) -> None:
        """It provides L{IRelay}."""
        bench = self._bench()
        self.assertTrue(verifyObject(IRelay, bench.relay))
        await bench.leave()

    @scene
    async def test_report(self) -> None:
        """An attempt fires with an outcome for each recipient, also if one is there twice."""
        one = self.recipients[0]
        for addresses in ([one], self.recipients, [one, one], [*self.recipients, one] * 3):
            bench = self._bench()
            for attempts in (0, 7):
                attempt = bench.begin(self._envelope(addresses), attempts)
                await bench.until(attempt)
                self._assert_delivered(attempt)
            await bench.leave()

    @scene
    async def test_order(self) -> None:
        """The outcomes stand in the order of the recipients."""
        if self.refused is None:
            return
        one, bad = self.recipients[0], self.refused
        for addresses in ([bad, one], [one, bad], [one, bad, bad, one, bad]):
            bench = self._bench()
            attempt = bench.begin(self._envelope(addresses))
            await bench.until(attempt)
            expected = [Verdict.FAILED if each == bad else Verdict.DELIVERED for each in addresses]
            self.assertEqual(expected, [each.verdict for each in self._report(attempt)])
            await bench.leave()

    @scene
    async def test_refused(self) -> None:
        """A refusal for good of the only recipient is told as that, by a report or an error."""
        if self.refused is None:
            return
        bench = self._bench()
        attempt = bench.begin(self._envelope([self.refused]))
        await bench.until(attempt)
        if not attempt.failed_with(PermanentRelayError):
            self.assertEqual([Verdict.FAILED], [each.verdict for each in self._report(attempt)])
        await bench.leave()

    @scene
    async def test_cancel(self) -> None:
        """Cancelled at any moment, an attempt has ended at once, and harms no later one."""
        for moment in range(PATIENCE):
            bench = self._bench()
            attempt = bench.begin(self._envelope(self.recipients))
            await bench.steps(moment, attempt)
            over = attempt.ended
            attempt.cancel()
            self._assert_cancelled(attempt)
            after = bench.begin(self._envelope(self.recipients))
            await bench.until(after)
            self._assert_delivered(after)
            await bench.leave()
            if over:
                break

    @scene
    async def test_cancel_last(self) -> None:
        """A relay whose only attempt is cancelled, at any moment, can be stopped at once."""
        for moment in range(PATIENCE):
            bench = self._bench()
            attempt = bench.begin(self._envelope(self.recipients))
            await bench.steps(moment, attempt)
            over = attempt.ended
            attempt.cancel()
            attempt.cancel()
            self._assert_cancelled(attempt)
            await bench.leave()
            if over:
                break

    @scene
    async def test_stop(self) -> None:
        """Stopped at any moment, a relay refuses new attempts and lets the running one end."""
        for moment in range(PATIENCE):
            bench = self._bench()
            attempt = bench.begin(self._envelope(self.recipients))
            await bench.steps(moment, attempt)
            over = attempt.ended
            stopped = bench.stop()
            refused = bench.begin(self._envelope(self.recipients))
            await bench.until(stopped)
            self.assertTrue(attempt.ended, "stop() did not wait for a running attempt")
            self._assert_delivered(attempt)
            await self._assert_stopped(bench, refused)
            await bench.leave()
            if over:
                break

    @scene
    async def test_stop_idle(self) -> None:
        """A relay that has nothing to do, or never had, can be stopped."""
        for busy_before in (False, True):
            bench = self._bench()
            if busy_before:
                await bench.until(bench.begin(self._envelope(self.recipients)))
            await bench.until(bench.stop())
            await self._assert_stopped(bench, bench.begin(self._envelope(self.recipients)))
            await bench.leave()

    @scene
    async def test_stop_twice(self) -> None:
        """A relay may be stopped again, while it stops and afterwards; each time it is told."""
        bench = self._bench()
        attempt = bench.begin(self._envelope(self.recipients))
        await bench.until(bench.stop(), bench.stop())
        self._assert_delivered(attempt)
        await bench.until(bench.stop())
        await self._assert_stopped(bench, bench.begin(self._envelope(self.recipients)))
        await bench.leave()

    @scene
    async def test_unreadable_content(self) -> None:
        """A message that cannot be read, or not to its end, is transient; the relay lives on."""
        for readable in (0, BLOCK):
            bench = self._bench()
            attempt = bench.begin(self._unreadable(bench, readable))
            await bench.until(attempt)
            self._assert_unreadable(attempt)
            after = bench.begin(self._envelope(self.recipients))
            await bench.until(after)
            self._assert_delivered(after)
            await bench.leave()
        self.flushLoggedErrors(OSError)

    @scene
    async def test_content_is_only_read(self) -> None:
        """The content is as before when an attempt has ended, and not needed any more."""
        bench = self._bench()
        octets = _OCTETS * 1000
        content = bench.content(octets)
        attempt = bench.begin(self._envelope(self.recipients, content))
        unchanged: list[bool] = []
        attempt.then(lambda: unchanged.append(bytes(content) == octets))
        attempt.then(content.close)
        await bench.until(attempt)
        self._assert_delivered(attempt)
        self.assertEqual([True], unchanged, "the content was closed or changed")
        await bench.leave()

    @scene
    async def test_independent(self) -> None:
        """What becomes of one attempt changes nothing for those beside it."""
        bench, one = self._bench(), self.recipients[:1]
        good = [bench.begin(self._envelope(one))]
        bad = bench.begin(self._unreadable(bench, BLOCK))
        good.append(bench.begin(self._envelope([*one, *one])))
        cancelled = bench.begin(self._envelope(self.recipients))
        good.append(bench.begin(self._envelope(self.recipients)))
        await bench.steps(3, cancelled)
        cancelled.cancel()
        self._assert_cancelled(cancelled)
        await bench.until(bad, *good)
        self._assert_unreadable(bad)
        for attempt in good:
            self._assert_delivered(attempt)
        await bench.leave()
        self.flushLoggedErrors(OSError)

    @scene
    async def test_attempt_within(self) -> None:
        """The next attempt may begin in the very moment in which one ends."""
        bench = self._bench()
        second: list[Attempt] = []
        first = bench.begin(self._envelope(self.recipients))
        first.then(lambda: second.append(bench.begin(self._envelope(self.recipients))))
        await bench.until(first)
        await bench.until(*second)
        self.assertEqual(1, len(second))
        self._assert_delivered(second[0])
        await bench.leave()

    # What the tests share

    def _bench(self) -> Bench:
        return Bench(self, *self.build())

    def _envelope(self, addresses: Sequence[str], content: Content | None = None) -> Envelope:
        envelope = Envelope.parse(self.sender, addresses, _OCTETS)
        return envelope if content is None else replace(envelope, content=content)

    def _unreadable(self, bench: Bench, readable: int) -> Envelope:
        """Return a message in a file that ends too early."""
        content = bench.content(_OCTETS * (3 * BLOCK // len(_OCTETS)))
        if not isinstance(content.body, bytes):
            os.truncate(content.body.fileno(), readable)
        return self._envelope(self.recipients, content)

    def _report(self, attempt: Attempt) -> Report:
        report = attempt.result
        if not isinstance(report, Report):
            raise self.failureException(f"{attempt.what} fired with {report}")
        self.assertEqual(attempt.count, len(report), "not one outcome for each recipient")
        for outcome in report:
            self.assertIsInstance(outcome, Outcome)
        return report

    def _assert_delivered(self, attempt: Attempt) -> None:
        verdicts = {outcome.verdict for outcome in self._report(attempt)}
        self.assertEqual({Verdict.DELIVERED}, verdicts)

    def _assert_cancelled(self, attempt: Attempt) -> None:
        """Check that it has ended, by saying that it was cancelled or how it ended otherwise."""
        self.assertTrue(attempt.ended, "cancel() left the attempt running")
        if not attempt.failed_with(AttemptCancelled):
            self._report(attempt)

    def _assert_unreadable(self, attempt: Attempt) -> None:
        if attempt.failed_with(TransientRelayError):
            return
        allowed = (
            {Verdict.DEFERRED} if self.reads_content else {Verdict.DEFERRED, Verdict.DELIVERED}
        )
        self.assertLessEqual({outcome.verdict for outcome in self._report(attempt)}, allowed)

    async def _assert_stopped(self, bench: Bench, attempt: Attempt) -> None:
        await bench.until(attempt)
        self.assertTrue(
            attempt.failed_with(TransientRelayError),
            f"an attempt after stop() fired with {attempt.result}",
        )
