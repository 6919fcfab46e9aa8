# -*- test-case-name: tests.relay.test_pipe_memory -*-
"""Delivery by made-up programs in virtual time: what takes long with real ones, to the second."""

from __future__ import annotations

import errno
import random
import signal
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.relay.child import Child
from slimtwist.relay.pipe import DovecotLdaRelay, MaildropRelay, PipeRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import Driver, MemoryDriver, MemoryReactor, RelayContract
from slimtwist.testing.execution import Execution
from slimtwist.testing.programs import (
    Die,
    Exit,
    FakeProgram,
    Fork,
    Hang,
    Play,
    Print,
    Read,
    Shut,
    Trap,
)
from slimtwist.testing.steps import Stall, Wait

BIG = b"x" * 78 + b"\r\n"
LDA = "/usr/lib/dovecot/dovecot-lda"


def _unknown(run: Execution) -> list[Exit]:
    """Refuse one user."""
    return [Exit(67)] if run.argv[-1].startswith("nobody") else []


class PipeContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay to a program that refuses one."""
        reactor = MemoryReactor()
        reactor.programs["deliver"] = FakeProgram(Read(), _unknown)
        relay = PipeRelay(["deliver", "{recipient}"], runtime=Runtime(reactor))
        return relay, MemoryDriver(reactor)


class AnyOrderContractTests(RelayContract, SynchronousTestCase):
    """It does so in whatever order things happen that happen at one moment."""

    seeds = count()

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay to a program whose child lives on, in an order of its own."""
        reactor = MemoryReactor()
        reactor.pick = random.Random(next(self.seeds)).randrange
        reactor.programs["deliver"] = FakeProgram(Read(), Fork(Shut(0, 1)))
        return PipeRelay(["deliver"], runtime=Runtime(reactor)), MemoryDriver(reactor)


class MaildropContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must."""

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay to a maildrop that takes all."""
        reactor = MemoryReactor()
        reactor.programs["maildrop"] = FakeProgram(Read(pace=100_000))
        return MaildropRelay(runtime=Runtime(reactor)), MemoryDriver(reactor)


class DovecotContractTests(RelayContract, SynchronousTestCase):
    """It does what every relay must."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay to a delivery agent that refuses one."""
        reactor = MemoryReactor()
        reactor.programs[LDA] = FakeProgram(_unknown, Read())
        return DovecotLdaRelay(runtime=Runtime(reactor)), MemoryDriver(reactor)


class TimeTests(SynchronousTestCase):
    """When it is over, in virtual seconds."""

    def setUp(self) -> None:
        """Begin with a reactor."""
        self.reactor = MemoryReactor()

    def begin(self, *plays: Play, octets: bytes = b"x\r\n", **options: Any) -> Deferred[Report]:  # noqa: ANN401
        """Begin an attempt with a program."""
        self.program = self.reactor.programs["deliver"] = FakeProgram(*plays)
        self.relay = PipeRelay(["deliver"], runtime=Runtime(self.reactor), **options)
        return self.relay.attempt(Envelope.parse("a@x.example", ["b@y.example"], octets), 0)

    def deliver(self, *plays: Play, **options: Any) -> tuple[Outcome, float]:  # noqa: ANN401
        """Make an attempt; return its outcome, and how long it took."""
        attempt = self.begin(*plays, **options)
        start = self.reactor.seconds()
        [outcome] = self.reactor.wait(attempt)
        return outcome, self.reactor.seconds() - start

    def tidy(self) -> None:
        """Stop the relay; nothing is left."""
        self.reactor.wait(self.relay.stop())
        self.assertFalse(self.reactor.leftovers(), self.reactor.leftovers())

    def test_slow(self) -> None:
        """A program that reads slowly is given time, and all octets (L8)."""
        outcome, seconds = self.deliver(Read(pace=1000), octets=BIG * 1000)
        self.assertEqual((Verdict.DELIVERED, 80.0), (outcome.verdict, seconds))
        self.assertEqual(BIG * 1000, self.program.runs[0].octets)
        self.tidy()

    def test_default_timeout(self) -> None:
        """Who never reads is ended after 1,000 s (PIPE-08)."""
        outcome, seconds = self.deliver(Stall(), octets=BIG * 5000)
        self.assertEqual(("4.4.2", 1000.0), (outcome.reply.enhanced, seconds))
        self.assertEqual([signal.SIGTERM], [run.status for run in self.program.runs])
        self.tidy()

    def test_shut_and_hang(self) -> None:
        """Who closes its input and hangs is ended, and is deferred (PIPE-10)."""
        outcome, seconds = self.deliver(Shut(0), Wait(60), timeout=9)
        self.assertEqual((Verdict.DEFERRED, 9.0), (outcome.verdict, seconds))
        self.tidy()

    def test_ignores_term(self) -> None:
        """Who ignores TERM is killed 5 s later (PIPE-12)."""
        outcome, seconds = self.deliver(Trap(signal.SIGTERM), Read(), Wait(60), timeout=9)
        self.assertEqual((Verdict.DEFERRED, True), (outcome.verdict, outcome.ambiguous))
        self.assertEqual(14.0, seconds)
        self.assertEqual(signal.SIGKILL, self.program.runs[0].status)
        self.tidy()

    def test_reads_too_late(self) -> None:
        """Who reads on after its time is over sees no end of the message that is none (L8)."""
        late = (Trap(signal.SIGTERM), Wait(12), Read(), Print("it was whole"))
        outcome, seconds = self.deliver(*late, octets=BIG * 5000, timeout=9)
        self.assertEqual((Verdict.DEFERRED, False), (outcome.verdict, outcome.ambiguous))
        self.assertEqual((14.0, signal.SIGKILL), (seconds, self.program.runs[0].status))
        self.assertLess(len(self.program.runs[0].octets), len(BIG) * 5000)
        self.tidy()

    def test_cannot_be_killed(self) -> None:
        """Who waits for a device, and cannot be killed, is let go of 10 s after its time (L3)."""
        outcome, seconds = self.deliver(Hang(60), timeout=9)
        self.assertEqual((Verdict.DEFERRED, 19.0), (outcome.verdict, seconds))
        self.assertTrue(self.program.runs[0].running)
        self.reactor.advance(60)
        self.assertFalse(self.program.runs[0].running)
        self.tidy()

    def test_grandchild(self) -> None:
        """A grandchild that has the pipes keeps the outcome for a second, no more (PIPE-11)."""
        outcome, seconds = self.deliver(Read(), Fork(Wait(60)), Print("4.2.1 busy"), Exit(75))
        self.assertEqual(("451 4.2.1 busy", 1.0), (str(outcome.reply), seconds))
        self.reactor.wait(self.relay.stop())
        self.assertEqual(1, len(self.reactor.leftovers().programs))
        self.reactor.advance(60)
        self.tidy()

    def test_survivor(self) -> None:
        """The outcome waits until all of the group is dead, but not for ever (PIPE-10, L3).

        Nothing delivers a message behind our back that was said to be deferred.
        """
        for seconds, wanted in ((3.0, 12.0), (60.0, 14.0)):
            for pipes in ((), (Shut(0, 1, 2),)):
                self.reactor.programs.clear()
                outcome, took = self.deliver(Fork(*pipes, Hang(9 + seconds)), Wait(60), timeout=9)
                self.assertEqual(Verdict.DEFERRED, outcome.verdict)
                # It is looked for less and less often; and open pipes are waited for a second.
                self.assertTrue(wanted <= took <= wanted + 1, took)
                self.reactor.wait(self.relay.stop())
                self.reactor.advance(60)
                self.tidy()

    def test_survivor_of_cancelled(self) -> None:
        """A cancelled attempt ends at once; the relay stops when all of the group is dead."""
        attempt = self.begin(Fork(Shut(0, 1, 2), Hang(5)), Wait(60))
        self.reactor.advance(1)
        attempt.cancel()
        self.failureResultOf(attempt, AttemptCancelled)
        stopped = self.relay.stop()
        self.reactor.advance(3.9)
        self.assertNoResult(stopped)
        self.reactor.advance(4)
        self.successResultOf(stopped)
        self.tidy()

    def test_killed(self) -> None:
        """A program that the system kills defers (PIPE-16)."""
        outcome, _ = self.deliver(Read(), Die(signal.SIGKILL))
        self.assertIn("was killed by signal 9", str(outcome.reply))
        self.assertEqual((Verdict.DEFERRED, True), (outcome.verdict, outcome.ambiguous))
        self.tidy()

    def test_not_read(self) -> None:
        """A program that leaves octets in the pipe has not taken the message (PIPE-09)."""
        for required, wanted in ((True, Verdict.DEFERRED), (False, Verdict.DELIVERED)):
            outcome, _ = self.deliver(Read(2), require_full_read=required)
            self.assertEqual(wanted, outcome.verdict)
            self.tidy()
        outcome, _ = self.deliver(Read(), require_full_read=True)
        self.assertEqual(Verdict.DELIVERED, outcome.verdict)
        self.tidy()

    def test_not_there(self) -> None:
        """A program that is not there, or goes at the last moment, defers (PIPE-17)."""
        relay = PipeRelay(["nosuch"], runtime=Runtime(self.reactor))
        envelope = Envelope.parse("a@x.example", ["b@y.example"], b"")
        [outcome] = self.reactor.wait(relay.attempt(envelope, 0))
        self.assertEqual("4.3.5", outcome.reply.enhanced)
        attempt = self.begin(Read())
        del self.reactor.programs["deliver"]
        [outcome] = self.reactor.wait(attempt)
        self.assertEqual("4.3.5", outcome.reply.enhanced)
        self.tidy()

    def test_no_room(self) -> None:
        """Without room for a process mail is deferred (PIPE-18)."""
        self.reactor.system.trouble = errno.EAGAIN
        outcome, _ = self.deliver(Read())
        self.assertEqual("4.3.5", outcome.reply.enhanced)
        self.assertIn("Resource temporarily unavailable", str(outcome.reply))
        self.tidy()

    def test_too_much(self) -> None:
        """More arguments than the system takes defer (PIPE-04, E2BIG)."""
        self.program = self.reactor.programs["deliver"] = FakeProgram(Read())
        arguments = ["x" * 100_000] * 21
        self.relay = PipeRelay(["deliver", *arguments], runtime=Runtime(self.reactor))
        attempt = self.relay.attempt(Envelope.parse("a@x.example", ["b@y.example"], b""), 0)
        [outcome] = self.reactor.wait(attempt)
        self.assertEqual("4.3.5", outcome.reply.enhanced)
        self.tidy()

    def test_no_folder(self) -> None:
        """A folder that cannot be entered defers (PIPE-24)."""
        self.reactor.system.closed.add("/nowhere")
        outcome, _ = self.deliver(Read(), child=Child(directory="/nowhere"))
        self.assertEqual("4.3.5", outcome.reply.enhanced)
        self.tidy()

    def test_user(self) -> None:
        """Root runs a program as its user; nobody else can."""
        self.reactor.system.uid = self.reactor.system.gid = 0
        self.deliver(Read(), child=Child(user="nobody", limits={"cpu": 7}, umask=0o27))
        [run] = self.program.runs
        self.assertEqual((65534, ["cpu=7"]), (run.surroundings.uid, run.limits))
        self.assertEqual((run.pid, ["deliver"]), (run.group, [run.argv[0].rpartition("/")[2]]))
        self.tidy()
        self.reactor.system.uid = 1000
        outcome, _ = self.deliver(Read(), child=Child(user="nobody"))
        self.assertEqual("4.3.5", outcome.reply.enhanced)
        self.tidy()

    def test_somebody_else_waits(self) -> None:
        """Who else waits for our child takes its status along; it is deferred (PIPE-20)."""
        attempt = self.begin(Read(), Wait(0.5))
        self.reactor.flush()
        self.reactor.system.steal(self.program.runs[0].pid)
        self.assertEqual(Verdict.DEFERRED, self.reactor.wait(attempt)[0].verdict)
        self.assertEqual(1.0, self.reactor.seconds())
        self.tidy()

    def test_nobody_tells(self) -> None:
        """Without a handler of SIGCHLD, its end is seen within a second (PIPE-20)."""
        self.reactor.system.telling = False
        outcome, seconds = self.deliver(Fork(Wait(60)), Read(), Wait(0.5), Exit(67))
        self.assertEqual(("5.1.1", 2.0), (outcome.reply.enhanced, seconds))
        self.reactor.advance(60)
        self.tidy()

    def test_cancelled(self) -> None:
        """A cancelled attempt ends at once; the relay stops when its program is dead (PIPE-21)."""
        attempt = self.begin(Trap(signal.SIGTERM), Read(), Wait(60))
        self.reactor.advance(1)
        attempt.cancel()
        error = self.failureResultOf(attempt, AttemptCancelled).value
        self.assertTrue(error.outcome.ambiguous)
        stopped = self.relay.stop()
        self.reactor.advance(4)
        self.assertNoResult(stopped)
        self.reactor.wait(stopped)
        self.assertEqual(6.0, self.reactor.seconds())
        self.tidy()
