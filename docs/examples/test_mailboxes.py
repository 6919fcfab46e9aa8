# -*- test-case-name: tests.test_documentation -*-
"""What becomes of messages for local users when their delivery agent has its troubles."""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.relay.pipe import MaildropRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import Exit, FakeProgram, MemoryReactor, Print, Read, Trap, Wait

MESSAGE = Envelope.parse("me@example.com", ["b@example.net"], b"Subject: x\r\n\r\nhello\r\n")


class MailboxTests(SynchronousTestCase):
    """maildrop is what each test makes of it."""

    def deliver(self, program: FakeProgram) -> str:
        """Make an attempt; return the reply."""
        self.reactor = MemoryReactor()
        self.reactor.programs["maildrop"] = program
        relay = MaildropRelay(timeout=30, runtime=Runtime(self.reactor))
        [outcome] = self.reactor.wait(relay.attempt(MESSAGE, 0))
        self.reactor.wait(relay.stop())
        self.assertFalse(self.reactor.leftovers())
        return str(outcome.reply)

    def test_full(self) -> None:
        """What the program prints reaches the sender; it got the message with its line ends."""
        program = FakeProgram(Read(), Print("4.2.2 mailbox full\n"), Exit(75))
        self.assertEqual(self.deliver(program), "451 4.2.2 mailbox full")
        [run] = program.runs
        self.assertEqual(run.argv[1:], ["-f", "me@example.com"])
        self.assertEqual(run.octets, b"Subject: x\n\nhello\n")

    def test_hangs(self) -> None:
        """One that hangs, and does not want to end, is killed; the message is tried again."""
        program = FakeProgram(Trap(signal.SIGTERM), Read(), Wait(3600))
        self.assertIn("did not end in 30 s", self.deliver(program))
        self.assertEqual(self.reactor.seconds(), 35)
