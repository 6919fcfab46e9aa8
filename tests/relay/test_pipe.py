# -*- test-case-name: tests.relay.test_pipe -*-
"""Delivery by programs, from C{attempt} to the outcome, with programs that mean no good."""

# ruff: noqa: SLF001, SIM905, E501 - the command of a relay is nowhere else to be seen

from __future__ import annotations

import gc
import io
import os
import resource
import socket
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet.defer import DeferredList
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.content import BLOCK, Content
from slimtwist.envelope import Client
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Verdict
from slimtwist.relay import pipe, process
from slimtwist.relay.child import Child
from slimtwist.relay.dress import Dress
from slimtwist.relay.pipe import DovecotLdaRelay, MaildropRelay, PipeRelay
from slimtwist.runtime import Runtime
from slimtwist.settle import settle
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, ReactorDriver
from tests.relay.hostile import OCTETS, ProgramCase, message, reactor, running, zombies

ROOT = Child(allow_root=True)
BIG = b"x" * 78 + b"\r\n"


class PipeContractTests(RelayContract, TestCase):
    """It does what every relay must."""

    refused = "nobody@example.org"
    timeout = 60.0

    def build(self) -> tuple[IRelay, Driver]:
        """Return a relay to a program that refuses one."""
        driver = ReactorDriver(reactor, interval=0.02, patience=8.0)
        script = 'cat > /dev/null; case "$1" in nobody*) exit 67; esac'
        relay = PipeRelay(
            ["sh", "-c", script, "sh", "{recipient}"], child=ROOT, runtime=Runtime(reactor)
        )
        return relay, driver


class OutcomeTests(ProgramCase):
    """What the end of a program means."""

    async def test_delivered(self) -> None:
        """Status 0 is success; the program got the message, octet for octet (PIPE-25, L8)."""
        relay = self.relay("cat > message")
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(relay))
        self.assertEqual(OCTETS, (self.folder / "message").read_bytes())
        await self.tidy()

    async def test_statuses(self) -> None:
        """Other statuses are those of sysexits.h, with what was printed as the text."""
        relay = self.relay('echo "it was $2"; exit $1', "{localpart}", "{domain}")
        found = await self.replies(relay, message("75@one.example", "67@two.example", "1@three"))
        wanted = [
            "451 4.3.0 it was one.example",
            "554 5.1.1 it was two.example",
            "554 5.3.0 it was three",
        ]
        self.assertEqual(wanted, found)

    async def test_enhanced(self) -> None:
        """Output that begins with an enhanced status code decides, unless it was a success."""
        relay = self.relay('echo "$1"; exit $2', "{extension}", "{domain}")
        found = await self.deliver(relay, message("a+4.2.2@1", "a+5.2.2@75", "a+5.2.2@0"))
        self.assertEqual(["451 4.2.2 exit status 1"], [str(found[0].reply)])
        self.assertEqual(
            ["deferred", "failed", "delivered"], [each.verdict.value for each in found]
        )

    async def test_table(self) -> None:
        """The table can be changed."""
        relay = self.relay("exit $1", "{localpart}", exit_codes={9: "4.2.0", 99: "2.0.0"})
        found = await self.replies(relay, message("9@x", "99@x"))
        self.assertEqual(["451 4.2.0 exit status 9", "250 2.0.0 delivered"], found)

    async def test_signal(self) -> None:
        """A program that was killed, by whatever signal, defers (PIPE-16)."""
        relay = self.relay("cat >/dev/null; kill -$1 $$; sleep 9", "{localpart}")
        found = await self.deliver(relay, message("KILL@x", "SEGV@x", "TERM@x", "XCPU@x"))
        self.assertEqual(
            [f"451 4.3.0 internal error: {relay._program.command.program} was killed by signal {n};"
             " the message may be delivered more than once" for n in (9, 11, 15, 24)],
            [str(each.reply) for each in found],
        )  # fmt: skip
        self.assertTrue(all(each.ambiguous for each in found))

    async def test_output(self) -> None:
        """What is printed becomes printable, and short (PIPE-14, INJ-11)."""
        relay = self.relay(
            r"printf '250 ok\r\n\033[2J\377\0x\342\200\256\n'; cat >/dev/null; exit 1"
        )
        [outcome] = await self.deliver(relay)
        self.assertEqual(("250 ok", "?[2J\N{REPLACEMENT CHARACTER}?x?"), outcome.reply.lines)

    async def test_endless(self) -> None:
        """Of endless output the beginning and the end are kept, in bounded memory (L6)."""
        relay = self.relay(
            "cat >/dev/null; echo begin; seq 1 200000; echo end; exit 75",
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        [outcome] = await self.deliver(relay)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        self.assertEqual(("begin", "end"), (outcome.reply.lines[0], outcome.reply.lines[-1]))
        self.assertLessEqual(len(outcome.reply.lines), 64)
        self.assertLess(grown, 1024)

    async def test_prints_first(self) -> None:
        """A program may print more than a pipe holds before it reads anything."""
        relay = self.relay("seq 1 100000; wc -c; exit 75", timeout=20)
        [reply] = await self.replies(relay, message(octets=BIG * 5000))
        self.assertTrue(reply.endswith(" 400000"), reply)

    async def test_early(self) -> None:
        """A program that reads nothing, or a part, and exits 0 has taken it (PIPE-09)."""
        for text in ("exit 0", "exec <&-; sleep 0.1", "head -c 10 >/dev/null; exit 0"):
            for octets in (OCTETS, BIG * 5000):
                [reply] = await self.replies(self.relay(text), message(octets=octets))
                self.assertEqual("250 2.0.0 delivered", reply)
        await self.tidy()

    async def test_full_read(self) -> None:
        """Unless it is required to read all, however small the message is (PIPE-09)."""
        await self.watch()
        for text in ("exit 0", "exec <&-; sleep 0.1", "head -c 10 >/dev/null; exit 0"):
            for octets in (OCTETS, BIG * 5000):
                relay = self.relay(text, require_full_read=True)
                [reply] = await self.replies(relay, message(octets=octets))
                self.assertEqual(
                    f"451 4.3.0 internal error: {self.folder}/program did not read all of the"
                    " message",
                    reply,
                )
        for octets in (OCTETS, BIG * 5000, b""):
            relay = self.relay("cat >/dev/null", require_full_read=True)
            [reply] = await self.replies(relay, message(octets=octets))
            self.assertEqual("250 2.0.0 delivered", reply)
        relay = self.relay("exit 67", require_full_read=True)
        self.assertEqual(["554 5.1.1 exit status 67"], await self.replies(relay))
        await self.tidy()

    async def test_grandchild(self) -> None:
        """A grandchild that holds the pipes open holds nobody for long (PIPE-11)."""
        await self.watch()
        for octets in (OCTETS, BIG * 5000):
            (self.folder / "pid").unlink(missing_ok=True)
            relay = self.relay("sleep 60 & echo $! > pid; echo 4.2.1 busy; exit 1")
            start = reactor.seconds()
            [reply] = await self.replies(relay, message(octets=octets))
            self.assertEqual("451 4.2.1 busy", reply)
            self.assertLess(reactor.seconds() - start, 4)
            self.assertTrue(running(await self.pid()))
        await self.tidy()

    async def test_independent(self) -> None:
        """Each recipient has his own outcome and his own deadline (PIPE-22)."""
        text = 'case "$1" in slow) sleep 60;; bad) exit 65;; later) sleep 0.4;; esac'
        relay = self.relay(text, "{localpart}", timeout=0.6, concurrency=1)
        found = await self.replies(relay, message("later@x", "slow@x", "bad@x", "later@x"))
        self.assertEqual(["250", "451", "554", "250"], [each[:3] for each in found])
        self.assertIn("did not end in 0.6 s", found[1])

    async def test_unreadable(self) -> None:
        """A message that cannot be read to its end is never taken, whatever a program says (L1)."""
        content = Content.read(io.BytesIO(BIG * 5000), threshold=0)
        self.addCleanup(content.close)
        assert not isinstance(content.body, bytes)
        os.truncate(content.body.fileno(), 2 * BLOCK)
        relay = self.relay("trap 'exit 0' TERM; exec 3<&0; cat <&3 >/dev/null & wait; exit 0")
        [outcome] = await self.deliver(relay, replace(message(), content=content))
        self.assertEqual(Verdict.DEFERRED, outcome.verdict)
        self.assertIn("unreadable", str(outcome.reply))
        self.assertFalse(outcome.ambiguous)
        self.flushLoggedErrors(OSError)
        content.close()
        relay = self.relay("cat > message", "{message_id}")
        [outcome] = await self.deliver(relay, replace(message(), content=content))
        self.assertIn("the message cannot be read", str(outcome.reply))
        self.assertEqual((Verdict.DEFERRED, False), (outcome.verdict, outcome.ambiguous))
        self.flushLoggedErrors(OSError)
        await self.tidy()


class ArgumentTests(ProgramCase):
    """What a program is told."""

    async def told(self, envelope: Any, *arguments: str, **options: Any) -> list[bytes]:  # noqa: ANN401
        """Return the arguments that a program got."""
        relay = self.relay(
            r"printf '%s\0' " + '"$@" > argv; cat > /dev/null', *arguments, **options
        )
        [reply] = {*await self.replies(relay, envelope)}
        self.assertEqual("250 2.0.0 delivered", reply)
        return (self.folder / "argv").read_bytes().split(b"\0")[:-1]

    async def test_names(self) -> None:
        """Each name stands for what the documentation says."""
        client = Client("192.0.2.1", "c.example", "helo", "ESMTPSA", None, "me")
        envelope = replace(message("b+ext@example.net"), client=client, id="1a")
        names = ("sender recipient localpart domain extension message_id client_ip client_host"
                 " client_ehlo client_protocol client_auth envelope_id").split()  # fmt: skip
        told = await self.told(envelope, *(f"x={{{name}}}" for name in names))
        self.assertEqual(
            [b"x=a@example.org", b"x=b+ext@example.net", b"x=b+ext", b"x=example.net", b"x=ext",
             b"x=<1@x>", b"x=192.0.2.1", b"x=c.example", b"x=helo", b"x=ESMTPSA", b"x=me", b"x=1a"],
            told,
        )  # fmt: skip

    async def test_literally(self) -> None:
        """Nothing in a value means anything, to us or to a shell (PIPE-02, PIPE-05, INJ-15)."""
        values = [
            "{sender.__class__.__init__.__globals__}", "{0}", "{{", "%s", "$(id)", "`id`", "{sender}",
            ";|&$`(){}<>*?~!\"'\\ \n\t", "\udcff\udc80", "ä€😀",
        ]  # fmt: skip
        for value in values:
            envelope = replace(message(), client=Client(helo=value))
            told = await self.told(envelope, "{client_ehlo}", "<{client_ehlo}{sender}>")
            octets = value.encode("utf-8", "surrogateescape")
            self.assertEqual([octets, b"<" + octets + b"a@example.org>"], told)

    async def test_dash(self) -> None:
        """A value must not look like an option, unless that is allowed (PIPE-01)."""
        for address in ("-oQTMP/x@y.example", "--config=/x@y.example"):
            relay = self.relay("cat > message", "{recipient}")
            [outcome] = await self.deliver(relay, message(address))
            self.assertTrue(str(outcome.reply).startswith("550 5.1.3 "), outcome.reply)
            self.assertFalse((self.folder / "message").exists())
            octets = address.encode()
            for argument in ("--to={recipient}", "-f{recipient}"):
                wanted = argument.encode().replace(b"{recipient}", octets)
                self.assertEqual([wanted], await self.told(message(address), argument))
            told = await self.told(message(address), "{recipient}", leading_dash=True)
            self.assertEqual([octets], told)

    async def test_unfit(self) -> None:
        """NUL and too much fail that recipient only, and nothing runs for him (PIPE-03, PIPE-04)."""
        for value, code in (
            ("\0", "550 5.1.3 "),
            ("x" * 131072, "552 5.3.4 "),
            ("\ud800", "550 5.1.3"),
        ):
            relay = self.relay("exit 0", "{client_ehlo}")
            [reply] = await self.replies(relay, replace(message(), client=Client(helo=value)))
            self.assertTrue(reply.startswith(code), reply)
        relay = self.relay("exit 0", "{client_ehlo}")
        longest = replace(message(), client=Client(helo="x" * 131071))
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(relay, longest))

    async def test_too_much(self) -> None:
        """Too many arguments are the configuration's fault, and no crash (PIPE-04, E2BIG)."""
        envelope = replace(message(), client=Client(helo="x" * 100_000))
        for count in (11, 9):
            relay = self.relay("exit 0", *["{client_ehlo}"] * count)
            stack = {"stack": 1 << 19} if count == 9 else {}
            child = Child(allow_root=True, limits=stack)
            relay = self.relay("exit 0", *["{client_ehlo}"] * count, child=child)
            [reply] = await self.replies(relay, envelope)
            self.assertTrue(reply.startswith("451 4.3.5 "), reply)

    async def test_together(self) -> None:
        """One run for all has an argument for each, twice for who is there twice."""
        recipients = ["b@x", "c@x", "b@x"]
        told = await self.told(
            message(*recipients), "-f", "{sender}", "--", "{recipient}", per_recipient=False
        )
        self.assertEqual([b"-f", b"a@example.org", b"--", b"b@x", b"c@x", b"b@x"], told)

    async def test_together_unfit(self) -> None:
        """Who cannot be an argument does not fail the others (L10)."""
        relay = self.relay('echo "$*" > argv; exit 75', "{recipient}", per_recipient=False)
        found = await self.replies(relay, message("b@x", "-c@x", "d@x"))
        self.assertEqual(["451 4.3.0", "550 5.1.3", "451 4.3.0"], [each[:9] for each in found])
        self.assertEqual("b@x d@x\n", (self.folder / "argv").read_text())


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


class TroubleTests(ProgramCase):
    """When a program cannot be run."""

    async def test_cannot_run(self) -> None:
        """What cannot be executed defers, and is told once a minute (PIPE-17)."""
        loop = self.folder / "loop"
        loop.symlink_to(loop)
        plain = self.folder / "plain"
        plain.write_text("#!/bin/sh\nexit 0\n")
        text = self.script("", "text")
        (self.folder / "text").write_text("exit 0\n")
        programs = {
            "nosuch": ["nosuch-program"], "enoent": [str(self.folder / "nosuch")],
            "eacces": [str(plain)], "eloop": [str(loop)], "enoexec": [text],
            "directory": [str(self.folder)], "interpreter": [self.script("#!/nosuch\n", "lost")],
        }  # fmt: skip
        for name, command in programs.items():
            relay = PipeRelay(command, child=ROOT, runtime=Runtime(reactor))
            for _ in range(2):
                [reply] = await self.replies(relay)
                self.assertTrue(reply.startswith("451 4.3.5 "), f"{name}: {reply}")
            await relay.stop()

    async def test_root(self) -> None:
        """A daemon that is root runs nothing as root (allow_root)."""
        relay = self.relay("cat > message", child=Child(directory=str(self.folder)))
        [reply] = await self.replies(relay)
        self.assertIn("451 4.3.5 ", reply)
        self.assertIn("is not run as root", reply)
        self.assertFalse((self.folder / "message").exists())

    async def test_folder(self) -> None:
        """A folder that is not there, or goes at the last moment, defers (PIPE-24)."""
        lost = Child(allow_root=True, directory=str(self.folder / "nowhere"))
        [reply] = await self.replies(self.relay("exit 0", child=lost))
        self.assertIn("451 4.3.5 ", reply)
        self.patch(os, "access", lambda *_, **__: True)
        [reply] = await self.replies(self.relay("exit 0", child=lost))
        self.assertIn("451 4.3.5 ", reply)

    async def test_no_descriptors(self) -> None:
        """Without descriptors mail is deferred; there are as many as before after it (PIPE-18)."""
        await self.watch()
        relay = self.relay("cat >/dev/null; exit 0")
        held = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        try:
            while True:
                held.append(os.open("/dev/null", os.O_RDONLY))
        except OSError:
            pass
        try:
            for free in range(9):
                found = [str(each.reply)[:9] for each in await self.deliver(relay)]
                self.assertIn(found, (["451 4.3.5"], ["250 2.0.0"]))
                if free < 5:
                    self.assertEqual(["451 4.3.5"], found)
                os.close(held.pop())
        finally:
            for number in held:
                os.close(number)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(relay))
        self.flushLoggedErrors()
        await self.tidy()

    async def test_no_processes(self) -> None:
        """Without room for a process, mail is deferred (PIPE-18)."""

        def fork(*_: object) -> int:
            raise BlockingIOError(11, "Resource temporarily unavailable")

        await self.watch()
        relay = self.relay("exit 0")
        self.patch(os, "fork", fork)
        self.patch(os, "posix_spawnp", fork)
        [reply] = await self.replies(relay)
        self.assertIn("451 4.3.5 ", reply)
        self.assertIn("Resource temporarily unavailable", reply)
        await self.tidy()

    async def test_unexpected(self) -> None:
        """Whatever else goes wrong defers, and the place is free again."""
        relay = self.relay("exit 0", concurrency=1)

        def access(*_: object, **__: object) -> bool:
            raise RuntimeError("unexpected")

        with self.subTest():
            patch = self.patch(os, "access", access)
            [outcome] = await self.deliver(relay)
            patch.restore()
        self.assertEqual(Verdict.DEFERRED, outcome.verdict)
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))
        self.assertEqual(["250 2.0.0 delivered"], await self.replies(relay))
        await self.tidy()

    async def test_many_troubles(self) -> None:
        """A thousand recipients in line for a program that goes away all get an answer."""
        program = Path(self.script("rm $0; sleep 0.2"))
        relay = self.relay(str(program), concurrency=1)
        found = await self.replies(relay, message(*[f"{n}@x" for n in range(1000)]))
        self.assertEqual({"250", "451"}, {each[:3] for each in found})
        self.assertIn("4.3.5", found[-1])
        await self.tidy()


class ManyTests(ProgramCase):
    """Many deliveries."""

    timeout = 120.0

    async def test_many(self) -> None:
        """Deliveries leave no zombie, descriptor or timer; so many run at once (PIPE-19).

        C{SLIMTWIST_DELIVERIES=10000} makes it as many as the case wants.
        """
        count = int(os.environ.get("SLIMTWIST_DELIVERIES", "300"))
        relay = self.relay("echo + >> log; cat >/dev/null; echo - >> log", concurrency=7)
        await self.deliver(relay)
        await self.watch()
        for _ in range(count // 100):
            recipients = [f"{number}@x" for number in range(10)]
            attempts = [relay.attempt(message(*recipients), 0) for _ in range(10)]
            for _, report in await DeferredList(attempts):
                self.assertEqual({Verdict.DELIVERED}, {each.verdict for each in report})
        at_once = most = 0
        for line in (self.folder / "log").read_text().split():
            at_once += 1 if line == "+" else -1
            most = max(most, at_once)
        self.assertEqual(0, at_once)
        self.assertLessEqual(most, 7)
        await self.tidy()

    async def test_descriptors(self) -> None:
        """A program has the descriptors 0, 1 and 2 only, of thousands (PIPE-07)."""
        held = [socket.socket() for _ in range(5000)]
        for each in held:
            os.set_inheritable(each.fileno(), True)
            self.addCleanup(each.close)
        for directory in (self.folder, Path.cwd()):  # forked, and by posix_spawn
            text = f"cat >/dev/null; echo $$ > {self.folder}/pid; exec sleep 60"
            child = Child(allow_root=True, directory=str(directory))
            attempt = self.relay(text, child=child).attempt(message(), 0)
            pid = await self.pid()
            await self.until(partial(_has_standard_descriptors, pid))
            attempt.cancel()
            self.failureResultOf(attempt, AttemptCancelled)
            (self.folder / "pid").unlink()
        await self.tidy()


def _is_gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def _has_standard_descriptors(pid: int) -> bool:
    """Tell whether a program that has begun to sleep has no others."""
    names = {path.name for path in Path(f"/proc/{pid}/fd").iterdir()}
    return b"sleep" in Path(f"/proc/{pid}/cmdline").read_bytes() and names == {"0", "1", "2"}


class WrongTests(SynchronousTestCase):
    """Relays that cannot be."""

    def test_wrong(self) -> None:
        """What contradicts itself, or cannot be, is refused at once."""
        cases: dict[str, dict[str, Any]] = {
            "concurrency=0": {"concurrency": 0},
            "timeout=0": {"timeout": 0},
            "timeout=nan": {"timeout": float("nan")},
            "delivered_to": {"dress": Dress(delivered_to=True), "per_recipient": False},
            "x_original_to": {"dress": Dress(x_original_to=True), "per_recipient": False},
            "exit status 300": {"exit_codes": {300: "4.0.0"}},
        }
        for text, options in cases.items():
            error = self.assertRaises(
                ValueError, PipeRelay, ["true"], runtime=Runtime(reactor), **options
            )
            self.assertIn(text.removeprefix("exit status "), str(error))

    def test_defaults(self) -> None:
        """Without a word, 20 run at once, for 1,000 seconds."""
        self.assertEqual((20, 1000.0), (pipe.AT_ONCE, pipe.TIMEOUT))

    def test_programs(self) -> None:
        """The programs maildrop and dovecot-lda have their own options, then those that are given."""
        cases = (
            (MaildropRelay(), "maildrop -f {sender}"),
            (
                MaildropRelay("/x/maildrop", 9, ["-d", "{localpart}"]),
                "/x/maildrop -f {sender} -d {localpart}",
            ),
            (DovecotLdaRelay(), "/usr/lib/dovecot/dovecot-lda -e -f {sender} -d {recipient}"),
        )
        for relay, wanted in cases:
            templates = relay._program.command.templates
            self.assertEqual(wanted, " ".join(template.text for template in templates))
            self.assertEqual("lf", relay._program.dress.eol)
        self.assertEqual(f"<MaildropRelay {'maildrop'}>", repr(MaildropRelay()))
