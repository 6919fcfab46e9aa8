# -*- test-case-name: tests.relay.test_pipe -*-
"""Delivery by programs, from C{attempt} to the outcome: what they are given, and what they say."""

# ruff: noqa: SLF001, SIM905, E501 - the command of a relay is nowhere else to be seen

from __future__ import annotations

import io
import os
import resource
from dataclasses import replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.content import BLOCK, Content
from slimtwist.envelope import Client
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Verdict
from slimtwist.relay import pipe
from slimtwist.relay.child import Child
from slimtwist.relay.dress import Dress
from slimtwist.relay.pipe import DovecotLdaRelay, MaildropRelay, PipeRelay
from slimtwist.runtime import Runtime
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, ReactorDriver
from tests.relay.hostile import OCTETS, ProgramCase, message, reactor, running

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
