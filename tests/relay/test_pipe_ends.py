# -*- test-case-name: tests.relay.test_pipe_ends -*-
"""Programs that are fed in parts, read what they like, and do not want to end."""

from __future__ import annotations

import gc
import resource
from dataclasses import replace
from functools import partial
from pathlib import Path

from slimtwist.content import Content
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.outcome import Verdict
from slimtwist.relay import process
from slimtwist.relay.dress import Dress
from slimtwist.settle import settle
from tests.relay.hostile import OCTETS, ProgramCase, message, reactor, running, zombies
from tests.relay.test_pipe import BIG


class FeedingTests(ProgramCase):
    """How a message gets to a program."""

    async def test_never_reads(self) -> None:
        """A program that never reads costs a block of memory, and its time ends (PIPE-08)."""
        content = Content.read(_Repeated(50 * 1024 * 1024), threshold=0)  # type: ignore[arg-type]
        self.addCleanup(content.close)
        relay = self.relay("sleep 60", timeout=0.5)
        gc.collect()
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        [outcome] = await self.deliver(relay, replace(message(), content=content))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        self.assertEqual("4.4.2", outcome.reply.enhanced)
        self.assertFalse(outcome.ambiguous)  # it cannot have seen the end
        self.assertLess(grown, 2048)  # KiB
        await self.tidy()

    async def test_big(self) -> None:
        """Fifty megabytes arrive as they are, in a program that reads slowly at first."""
        content = Content.read(_Repeated(50 * 1024 * 1024), threshold=0)  # type: ignore[arg-type]
        self.addCleanup(content.close)
        relay = self.relay("sleep 0.2; cksum; exit 75")
        [reply] = await self.replies(relay, replace(message(), content=content))
        self.assertTrue(reply.endswith(f" {content.size}"), reply)

    async def test_dress(self) -> None:
        """The message is dressed for its recipient (PIPE-25)."""
        dress = Dress(
            eol="lf", from_line=True, return_path=True, delivered_to=True, x_original_to=True
        )
        relay = self.relay("cat > message", dress=dress)
        await self.deliver(relay)
        line, *rest = (self.folder / "message").read_bytes().split(b"\n")
        self.assertTrue(line.startswith(b"From a@example.org "), line)
        fields = [
            b"Return-Path: <a@example.org>",
            b"X-Original-To: b@example.net",
            b"Delivered-To: b@example.net",
        ]
        self.assertEqual([*fields, *OCTETS.replace(b"\r\n", b"\n").split(b"\n")], rest)

    async def test_loop(self) -> None:
        """A message that was delivered to a recipient before is a loop; the others get it."""
        relay = self.relay("cat >> messages", dress=Dress(delivered_to=True), concurrency=1)
        octets = b"Delivered-To: B@Example.NET\r\n" + OCTETS
        found = await self.replies(relay, message("b@example.net", "c@example.net", octets=octets))
        self.assertEqual(["554 5.4.6", "250 2.0.0"], [each[:9] for each in found])
        self.assertNotIn(b"Delivered-To: b@", (self.folder / "messages").read_bytes())
        plain = self.relay("cat >> messages")
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(plain, message(octets=octets)))


class _Repeated:
    """A file of one line, so many octets long."""

    def __init__(self, size: int) -> None:
        self._left = size // len(BIG)

    def read(self, _: int) -> bytes:
        """Return the next lines."""
        count = min(self._left, 800)
        self._left -= count
        return BIG * count


class EndTests(ProgramCase):
    """Programs that do not want to end."""

    def setUp(self) -> None:
        """Have little mercy."""
        super().setUp()
        self.patch(process, "MERCY", 0.4)

    async def test_timeout(self) -> None:
        """A program that closes its input and hangs is ended, with its group (PIPE-10)."""
        await self.watch()
        relay = self.relay("exec <&-; sleep 60 & echo $! > pid; wait", timeout=0.3)
        [outcome] = await self.deliver(relay)
        self.assertEqual(
            f"451 4.4.2 timed out: {self.folder}/program did not end in 0.3 s;"
            " the message may be delivered more than once",
            str(outcome.reply),
        )
        self.assertTrue(outcome.ambiguous)
        # Nothing of it is left that could deliver what was said to be deferred.
        self.assertFalse(running(await self.pid()))
        await self.tidy()

    async def test_term_is_asked_first(self) -> None:
        """It may clean up when it is asked to end; a success said then is none (L1)."""
        relay = self.relay("trap 'touch cleaned; exit 0' TERM; sleep 60 & wait", timeout=0.3)
        [outcome] = await self.deliver(relay)
        self.assertEqual(Verdict.DEFERRED, outcome.verdict)
        self.assertTrue((self.folder / "cleaned").exists())

    async def test_ignores_term(self) -> None:
        """Who ignores that is killed, after a while (PIPE-12)."""
        await self.watch()
        relay = self.relay("trap '' TERM; echo $$ > pid; while :; do sleep 1; done", timeout=0.3)
        start = reactor.seconds()
        [outcome] = await self.deliver(relay)
        self.assertGreater(reactor.seconds() - start, 0.7)
        self.assertEqual("4.4.2", outcome.reply.enhanced)
        self.assertFalse(running(await self.pid()))
        await self.tidy()

    async def test_grandchild_ignores_term(self) -> None:
        """What it left behind, and ignores that, is killed as well: nothing delivers later."""
        await self.watch()
        for pipes in ("", "exec </dev/null >/dev/null 2>&1;"):
            (self.folder / "pid").unlink(missing_ok=True)
            ignoring = f"({pipes} trap '' TERM; while :; do sleep 0.1; done)"
            relay = self.relay(f"{ignoring} & echo $! > pid; exec sleep 60", timeout=0.3)
            await self.deliver(relay)
            self.assertFalse(running(await self.pid()))
        await self.tidy()

    async def test_no_group_yet(self) -> None:
        """A program is ended in whatever moment after its start (the moment before setsid)."""
        for wait in (0.0001, 0.0005, 0.001, 0.002, 0.005, 0.01):
            relay = self.relay("echo $$ > pid; sleep 60", timeout=wait)
            start = reactor.seconds()
            [outcome] = await self.deliver(relay)
            self.assertEqual(Verdict.DEFERRED, outcome.verdict)
            self.assertLess(reactor.seconds() - start, 3)
        await self.tidy()

    async def test_cancel(self) -> None:
        """A cancelled attempt ends at once, and says whether all had been told (L3, L4)."""
        await self.watch()
        cases = (("cat > /dev/null; echo > read; sleep 60", OCTETS, True),
                 ("echo > read; sleep 60", BIG * 5000, False))  # fmt: skip
        for text, octets, ambiguous in cases:
            (self.folder / "read").unlink(missing_ok=True)
            relay = self.relay(f"echo $$ > pid; {text}")
            attempt = relay.attempt(message(octets=octets), 0)
            await self.until((self.folder / "read").exists)
            attempt.cancel()
            error = self.failureResultOf(attempt, AttemptCancelled).value
            self.assertEqual(ambiguous, error.outcome.ambiguous)
            pid = await self.pid()
            await relay.stop()
            self.assertFalse(running(pid))
        await self.tidy()

    async def test_cancel_waiting(self) -> None:
        """Who waits for a place leaves the line, and nothing runs for him."""
        relay = self.relay("echo >> runs; cat >/dev/null; sleep $1", "{localpart}", concurrency=1)
        first = relay.attempt(message("0.3@x"), 0)
        second = relay.attempt(message("0@x"), 0)
        third = relay.attempt(message("0@x"), 0)
        second.cancel()
        error = self.failureResultOf(second, AttemptCancelled).value
        self.assertFalse(error.outcome.ambiguous)
        for attempt in (first, third):
            [outcome] = await attempt
            self.assertEqual(Verdict.DELIVERED, outcome.verdict)
        self.assertEqual("\n\n", (self.folder / "runs").read_text())
        await self.tidy()

    async def test_cancel_after_the_end(self) -> None:
        """A program whose output is still waited for has said what it had to say (L1, L2)."""
        for status, wanted in ((0, "250 2.0.0 delivered"), (67, "554 5.1.1 exit status 67")):
            relay = self.relay(f"sleep 30 & echo $! > pid; echo $$ > own; exit {status}")
            attempt = relay.attempt(message(), 0)
            own = await self.pid("own")
            await self.until(partial(_is_gone, own))
            attempt.cancel()
            [outcome] = self.successResultOf(attempt)
            self.assertEqual(wanted, str(outcome.reply))
            await self.pid()
            for name in ("own", "pid"):
                (self.folder / name).unlink()
        await self.tidy()

    async def test_stop(self) -> None:
        """A stopped relay waits for its programs, and refuses new mail (PIPE-21)."""
        relay = self.relay("cat >/dev/null; sleep 0.3; echo > done")
        attempt = relay.attempt(message(), 0)
        stopped = relay.stop()
        self.failureResultOf(relay.attempt(message(), 0), TransientRelayError)
        self.assertNoResult(stopped)
        await stopped
        self.assertTrue((self.folder / "done").exists())
        [outcome] = self.successResultOf(attempt)
        self.assertEqual(Verdict.DELIVERED, outcome.verdict)
        self.assertEqual([], zombies())

    async def test_stop_after_cancel(self) -> None:
        """It waits for programs whose attempts were given up, until they are dead (PIPE-21)."""
        await self.watch()
        relay = self.relay("trap '' TERM; echo $$ > pid; while :; do sleep 1; done")
        attempt = relay.attempt(message(), 0)
        pid = await self.pid()
        attempt.cancel()
        self.failureResultOf(attempt, AttemptCancelled)
        stopped = relay.stop()
        self.assertNoResult(stopped)
        self.assertTrue(running(pid))
        await stopped
        self.assertFalse(running(pid))
        await self.tidy()

    async def test_settled(self) -> None:
        """Behind a queue's deadline it is ended by cancelling (L3)."""
        relay = self.relay("cat >/dev/null; sleep 60")
        report = await settle(reactor, relay, message(), 0, 0.4)
        self.assertEqual((Verdict.DEFERRED, True), (report[0].verdict, report[0].ambiguous))
        await self.tidy()


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()
