# -*- test-case-name: tests.integration.test_sinks -*-
"""smtp-sink does what each of its switches says, and what it took can be read back."""

from __future__ import annotations

import os
import shutil
import smtplib
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.case import ServerCase
from tests.integration.dialogue import Said, in_thread, say, send, session
from tests.integration.sinks import SmtpSink, Taken, parse
from tests.integration.switches import Switches
from tests.integration.waiting import until

_HEAD = b"Subject: x\r\n\r\n"
_MESSAGE = _HEAD + b"hello\r\n"
_COMMANDS = ("EHLO client.test", "MAIL FROM:<s@a.test>", "RCPT TO:<r@b.test>", "DATA")
_UNKNOWN = (500, "5.5.1 Error: unknown command")
_FEATURES = {"PIPELINING", "8BITMIME", "AUTH", "XCLIENT", "XFORWARD", "ENHANCEDSTATUSCODES", "DSN"}


def _sent(sink: SmtpSink, octets: bytes = _MESSAGE, recipient: str = "r@b.test") -> Said:
    with session(sink.port, address=sink.address) as smtp:
        return send(smtp, "s@a.test", [recipient], octets)


def _features(sink: SmtpSink) -> set[str]:
    with session(sink.port) as smtp:
        return {name.upper() for name in smtp.esmtp_features}


def _codes(sink: SmtpSink, commands: Sequence[str]) -> list[int]:
    """Return the code of the greeting and of each reply; -1 where the connection ended."""
    smtp = smtplib.SMTP(timeout=20)
    codes = []
    try:
        codes.append(smtp.connect(sink.address, sink.port)[0])
        for command in (*commands, "."):
            codes.append(say(smtp, command)[0])  # noqa: PERF401 - those before an error count too
    except smtplib.SMTPServerDisconnected:
        codes.append(-1)
    finally:
        smtp.close()
    return codes


def _timed(sink: SmtpSink) -> float:
    begun = time.monotonic()
    _codes(sink, _COMMANDS)
    return time.monotonic() - begun


def _ended(sink: SmtpSink) -> bool:
    return not sink.running()


class ArgumentTests(SynchronousTestCase):
    """The command line of smtp-sink."""

    def test_none(self) -> None:
        """By default there is a dump, and nothing else."""
        self.assertEqual(list(Switches().arguments()), ["-d", "dump/"])

    def test_every_switch(self) -> None:
        """Each field is another switch of smtp-sink(1), and no switch is missing but -4 and -6."""
        switches = [each.metadata["switch"] for each in fields(Switches)]
        expected = [f"-{letter}" for letter in "8aAbBcCdDeEfFhHLmMnNpPqQrRsStTuvwW"]
        self.assertEqual(sorted(switches), sorted(expected))

    def test_values(self) -> None:
        """Numbers, texts and lists of commands are written as smtp-sink reads them."""
        switches = Switches(
            dump_each=None, abort_data_after=0, hostname="mx.test", hang_up=["MAIL", "."], pix=True
        )
        words = ["-A", "0", "-h", "mx.test", "-P", "-q", "MAIL,."]
        self.assertEqual(list(switches.arguments()), words)


class ParseTests(SynchronousTestCase):
    """Dumps of smtp-sink."""

    def test_incomplete(self) -> None:
        """A dump that breaks off is an error, not a shorter message."""
        whole = (
            b"X-Client-Addr: 127.0.0.1\nX-Client-Proto: ESMTP\nX-Helo-Args: c\n"
            b"X-Mail-Args: <> SIZE=3\nReceived: from c\n\tby smtp-sink\n\tSun\nab\n\n"
        )
        self.assertEqual(parse(whole), Taken("ESMTP", "c", "<> SIZE=3", (), b"ab\r\n"))
        for end in range(len(whole)):
            self.assertRaises(ValueError, parse, whole[:end])


class DumpTests(ServerCase):
    """What it took."""

    async def test_octets(self) -> None:
        """Messages are kept; CR alone is lost, LF alone becomes a line end."""
        messages = [
            (_MESSAGE, _MESSAGE),
            (b"", b""),
            (b"\r\n", b"\r\n"),
            (b"no header\r\n.\r\n..\r\n\r\n\r\n", b"no header\r\n.\r\n..\r\n\r\n\r\n"),
            (bytes(set(range(256)) - {10, 13}) + b"\r\n",) * 2,
            (b"x" * 100_000 + b" \r\n",) * 2,
            (_HEAD + b"a\rb\r\r\nc\nd\r\n", _HEAD + b"ab\r\nc\r\nd\r\n"),
        ]
        sink = self.serve(SmtpSink())
        for number, (octets, _) in enumerate(messages):
            said = await in_thread(_sent, sink, octets, f"{number}@b.test")
            self.assertEqual(said[0], 250)
        taken = sorted(sink.messages(), key=lambda each: each.recipients)
        self.assertEqual([each.octets for each in taken], [kept for _, kept in messages])
        self.assertEqual((taken[0].protocol, taken[0].helo), ("ESMTP", "client.test"))
        self.assertEqual((taken[0].mail, taken[0].recipients), ("<s@a.test>", ("<0@b.test>",)))

    async def test_no_dump(self) -> None:
        """Without a dump there is nothing to read."""
        sink = self.serve(SmtpSink(Switches(dump_each=None)))
        await in_thread(_sent, sink)
        self.assertEqual(sink.messages(), [])

    async def test_dump_all(self) -> None:
        """All messages can go to one file, each after a text of the test's own."""
        switches = Switches(dump_each=None, dump_all="dump/all", start_string="From sink\\n")
        sink = self.serve(SmtpSink(switches))
        await in_thread(_sent, sink)
        await in_thread(_sent, sink)
        [file] = sink.files()
        self.assertEqual(file.read_bytes().count(b"From sink\nX-Client-Addr: 127.0.0.1\n"), 2)

    async def test_root(self) -> None:
        """It can be locked into a directory."""
        folder = tempfile.mkdtemp(prefix="slimtwist-root-")
        self.addCleanup(shutil.rmtree, folder)
        os.chmod(folder, 0o777)  # noqa: PTH101 - nothing else here is a Path
        sink = self.serve(SmtpSink(Switches(root=folder, user="nobody", dump_each="d/")))
        self.assertEqual((await in_thread(_sent, sink))[0], 250)
        self.assertEqual([len(files) for _, _, files in os.walk(f"{folder}/d")], [1])


class FeatureTests(ServerCase):
    """What it offers, and how it greets."""

    async def test_features(self) -> None:
        """Each extension can be left out."""
        for switches, missing in [
            (Switches(), set()),
            (Switches(without_pipelining=True), {"PIPELINING"}),
            (Switches(without_8bitmime=True), {"8BITMIME"}),
            (Switches(without_auth=True), {"AUTH"}),
            (Switches(without_enhanced_codes=True), {"ENHANCEDSTATUSCODES"}),
            (Switches(without_dsn=True), {"DSN"}),
            (Switches(without_xclient=True, without_xforward=True), {"XCLIENT", "XFORWARD"}),
        ]:
            sink = self.serve(SmtpSink(switches))
            self.assertEqual(await in_thread(_features, sink), _FEATURES - missing)

    async def test_no_esmtp(self) -> None:
        """EHLO can be unknown, and the greeting that of a CISCO PIX."""
        for switches in (Switches(without_esmtp=True), Switches(pix=True)):
            sink = self.serve(SmtpSink(switches))
            codes = await in_thread(_codes, sink, ["EHLO client.test", "HELO client.test"])
            self.assertEqual(codes[:3], [220, 500, 250])
        smtp = smtplib.SMTP()
        self.assertIn(
            b"220 ****", b"220 " + (await in_thread(smtp.connect, "127.0.0.1", sink.port))[1]
        )
        smtp.close()

    async def test_name(self) -> None:
        """Its name is the test's."""
        sink = self.serve(SmtpSink(Switches(hostname="mx.b.test"), address="127.0.0.2"))
        with smtplib.SMTP() as smtp:
            _, greeting = await in_thread(smtp.connect, sink.address, sink.port)
        self.assertEqual(greeting, b"mx.b.test ESMTP")

    async def test_lmtp(self) -> None:
        """LMTP has a reply for each recipient, and no EHLO."""
        sink = self.serve(SmtpSink(Switches(lmtp=True)))
        with session(sink.port) as smtp:
            self.assertEqual(await in_thread(say, smtp, "EHLO client.test"), _UNKNOWN)
        commands = ["LHLO client.test", *_COMMANDS[1:3], "RCPT TO:<q@b.test>", "DATA"]
        codes = await in_thread(_codes, sink, commands)
        self.assertEqual(codes, [220, 250, 250, 250, 250, 354, 250])
        self.assertEqual(sink.messages()[0].protocol, "LMTP")


class FaultTests(ServerCase):
    """How it refuses, hangs up and waits."""

    async def test_rejections(self) -> None:
        """Each command can be refused, for now and for good."""
        expected = [220, 250, 250, 250, 354, 250]
        for index, command in enumerate(["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."]):
            for switches, code in [
                (Switches(reject_softly=[command], soft_reply="451 4.9.9 soft"), 451),
                (Switches(reject_hard=[command], hard_reply="551 5.9.9 hard"), 551),
            ]:
                sink = self.serve(SmtpSink(switches))
                codes = await in_thread(_codes, sink, _COMMANDS)
                self.assertEqual(codes[: index + 1], [*expected[:index], code], command)

    async def test_hang_ups(self) -> None:
        """It can hang up after each command, with 421 and without a reply."""
        expected = [220, 250, 250, 250, 354, 250]
        for index, command in enumerate(["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."]):
            sink = self.serve(SmtpSink(Switches(hang_up=[command])))
            codes = await in_thread(_codes, sink, _COMMANDS)
            self.assertEqual(codes, [*expected[:index], -1], command)
            sink = self.serve(SmtpSink(Switches(hang_up_421=[command])))
            codes = await in_thread(_codes, sink, _COMMANDS)
            self.assertEqual(codes[: index + 1], [*expected[:index], 421], command)

    async def test_abort_data(self) -> None:
        """It can refuse a message before it was sent."""
        sink = self.serve(SmtpSink(Switches(abort_data_after=0)))
        codes = await in_thread(_codes, sink, _COMMANDS)
        self.assertEqual(codes[-2:], [354, 550])
        self.assertEqual(sink.messages(), [])

    async def test_delays(self) -> None:
        """It can wait before it replies and before it reads."""
        for switches in (
            Switches(reply_to_data_after=1),
            Switches(read_data_after=1),
            Switches(reply_after="MAIL:1"),
        ):
            sink = self.serve(SmtpSink(switches))
            self.assertGreater(await in_thread(_timed, sink), 0.9)

    async def test_timeout(self) -> None:
        """It hangs up on who is silent."""
        sink = self.serve(SmtpSink(Switches(timeout=1)))
        with smtplib.SMTP() as smtp:
            await in_thread(smtp.connect, "127.0.0.1", sink.port)
            with self.assertRaises(smtplib.SMTPServerDisconnected):
                await in_thread(smtp.getreply)

    async def test_ends(self) -> None:
        """It ends by itself after so many messages, without a reply to the last, or QUITs."""
        sink = self.serve(SmtpSink(Switches(most_messages=1)))
        self.assertTrue(sink.running())
        codes = await in_thread(_codes, sink, _COMMANDS)
        self.assertEqual(codes, [220, 250, 250, 250, 354, -1])
        await until(partial(_ended, sink), "the end of smtp-sink")
        sink = self.serve(SmtpSink(Switches(most_quits=1, counters=True)))
        self.assertEqual((await in_thread(_sent, sink))[0], 250)
        await until(partial(_ended, sink), "the end of smtp-sink")

    async def test_log(self) -> None:
        """Its log has counters, and the dialogue, when asked for."""
        switches = Switches(counters=True, verbose=True, most_connections=1, window=4096)
        sink = self.serve(SmtpSink(switches))
        await in_thread(_sent, sink)
        await self.logged(sink, "RCPT TO:<r@b.test>")
        await self.logged(sink, "sess=1")
