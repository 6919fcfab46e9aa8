# -*- test-case-name: tests.integration.test_clients -*-
"""swaks and smtp-source send what a test tells them to, and end with a status that tells."""

from __future__ import annotations

from tests.integration.case import ServerCase
from tests.integration.certificates import Authority
from tests.integration.clients import run, smtp_source, stuffed, swaks
from tests.integration.postfix import Postfix
from tests.integration.programs import ProgramMissingError
from tests.integration.setups import Refusal, Setup
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches

_TO = ("--from", "s@a.test", "--to", "r@b.test")
_HEAD = b"Subject: x\r\n\r\n"


class RunTests(ServerCase):
    """Programs run to their end, or to the end of their time."""

    async def test_status(self) -> None:
        """Exit status and both outputs are returned."""
        finished = await run("postconf", "-c", "/nowhere", "myhostname")
        self.assertEqual(finished.status, 1)
        self.assertEqual(finished.output, b"")
        self.assertIn("/nowhere", finished.text)

    async def test_too_long(self) -> None:
        """A program that does not end is ended."""
        port = self.serve(SmtpSink(Switches(reply_after="EHLO:60"))).port
        finished = await swaks(port, *_TO, within=0.5)
        self.assertEqual(finished.status, 124)

    async def test_missing(self) -> None:
        """A program that is not installed is an error."""
        with self.assertRaises(KeyError):
            await run("no such program")
        self.assertTrue(issubclass(ProgramMissingError, Exception))


class SwaksTests(ServerCase):
    """swaks."""

    async def test_octets(self) -> None:
        """A message arrives as it is: dots, tokens, 8-bit octets, long lines, none at all."""
        messages = [
            _HEAD + b"hello\r\n",
            _HEAD + b".\r\n..\r\n.a\r\n",
            b".\r\n",
            _HEAD + b"%FROM_ADDRESS% \\n %BODY%\r\n",
            _HEAD + bytes(set(range(256)) - {10, 13}) + b"\r\n",
            _HEAD + b"x" * 100_000 + b"\r\n",
            b"",
        ]
        sink = self.serve(SmtpSink())
        for octets in messages:
            finished = await swaks(sink.port, *_TO, octets=octets)
            self.assertEqual(finished.status, 0, finished.text)
        taken = [each.octets for each in sink.messages()]
        self.assertEqual(sorted(taken), sorted(messages))

    async def test_pipelined(self) -> None:
        """MAIL, all RCPT and DATA are pipelined when the test says so."""
        postfix = self.serve(Postfix())
        options = ["--pipeline", "--to", "one@b.test,two@b.test", "--from", "s@a.test"]
        finished = await swaks(postfix.port, *options, octets=_HEAD)
        self.assertEqual(finished.status, 0, finished.text)
        self.assertEqual(len(await postfix.arrived(2)), 2)

    async def test_tls_and_auth(self) -> None:
        """STARTTLS with a certificate that swaks verifies, and AUTH."""
        authority = Authority()
        certificate = authority.certificate("127.0.0.1")
        setup = Setup(certificate=certificate, accounts={"alice": "se cret"}, implicit_tls=True)
        postfix = self.serve(Postfix(setup))
        options = ["--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "se cret"]
        for port, tls in [(postfix.port, "--tls"), (postfix.tls_port, "--tls-on-connect")]:
            assert port is not None
            finished = await swaks(port, tls, *options, *_TO)
            self.assertEqual(finished.status, 0, finished.text)
            self.assertIn("235 2.7.0 Authentication successful", finished.text)

    async def test_refused(self) -> None:
        """The status says what was refused, and the text in which words."""
        refusals = [
            Refusal("mail", "m@a.test", "450 4.1.8 slow"),
            Refusal("rcpt", "r@a.test", "550 5.1.1 gone"),
            Refusal("end", "e@a.test", "451 4.3.2 full"),
        ]
        postfix = self.serve(Postfix(Setup(refusals=refusals)))
        for sender, recipient, status, words in [
            ("m@a.test", "x@b.test", 23, "450 4.1.8 "),
            ("s@a.test", "r@a.test", 24, "550 5.1.1 "),
            ("e@a.test", "x@b.test", 26, "451 4.3.2 "),
        ]:
            finished = await swaks(postfix.port, "--from", sender, "--to", recipient)
            self.assertEqual(finished.status, status, finished.text)
            self.assertIn(words, finished.text)

    async def test_nobody(self) -> None:
        """Where nobody listens, the status is that of the connection."""
        self.assertEqual((await swaks(1, *_TO)).status, 2)

    async def test_lmtp(self) -> None:
        """LMTP on a UNIX socket."""
        sink = self.serve(SmtpSink(Switches(lmtp=True), unix=True))
        finished = await swaks(str(sink.socket), *_TO, "--protocol", "LMTP", octets=_HEAD)
        self.assertEqual(finished.status, 0, finished.text)
        [taken] = sink.messages()
        self.assertEqual((taken.protocol, taken.octets), ("LMTP", _HEAD))


class SourceTests(ServerCase):
    """smtp-source."""

    async def test_many(self) -> None:
        """Many messages, with recipients and a length, over connections that are kept."""
        sink = self.serve(SmtpSink(Switches(counters=True)))
        finished = await smtp_source(
            sink.port,
            sender="s@a.test",
            recipient="r@b.test",
            messages=20,
            recipients=3,
            sessions=4,
            length=800,
            subject="many",
            keep_connection=True,
        )
        self.assertEqual(finished.status, 0, finished.text)
        messages = sink.messages()
        self.assertEqual(len(messages), 20)
        self.assertEqual({each.mail for each in messages}, {"<s@a.test>"})
        self.assertEqual(messages[0].recipients, ("<3r@b.test>", "<2r@b.test>", "<r@b.test>"))
        self.assertEqual({len(each.octets.split(b"\r\n\r\n", 1)[1]) for each in messages}, {802})
        self.assertIn(b"\r\nSubject: many\r\n", messages[0].octets)

    async def test_octets(self) -> None:
        """A message of the test's own arrives as it is."""
        octets = b"Subject: \xc3\xa4\r\n\r\n.\r\n..a\r\n" + b"x" * 5000 + b"\r\n\r\n"
        sink = self.serve(SmtpSink())
        finished = await smtp_source(sink.port, octets=octets, messages=2)
        self.assertEqual(finished.status, 0, finished.text)
        self.assertEqual([each.octets for each in sink.messages()], [octets] * 2)

    async def test_octets_that_it_cannot_send(self) -> None:
        """What smtp-source would not send as it is, is an error."""
        for octets in (b"", b"a\r\n", b"\r\n", b"a\0\r\n\r\n"):
            with self.assertRaises(ValueError):
                await smtp_source(1, octets=octets)

    async def test_lmtp(self) -> None:
        """LMTP on a UNIX socket, with another name."""
        sink = self.serve(SmtpSink(Switches(lmtp=True), unix=True))
        finished = await smtp_source(str(sink.socket), lmtp=True, hostname="other.test")
        self.assertEqual(finished.status, 0, finished.text)
        self.assertEqual(
            (sink.messages()[0].protocol, sink.messages()[0].helo), ("LMTP", "other.test")
        )

    async def test_refused(self) -> None:
        """At the first refusal it ends with 1, or goes on if told to.

        At the end of the data: after a refused RCPT it would go on with DATA and the message, and
        take what the sink says to each of its lines for something else.
        """
        sink = self.serve(SmtpSink(Switches(reject_softly=["."])))
        finished = await smtp_source(sink.port)
        self.assertEqual(finished.status, 1)
        self.assertIn("450 4.3.0", finished.text)
        finished = await smtp_source(sink.port, go_on=True, messages=3)
        self.assertEqual(finished.status, 0, finished.text)

    async def test_other_arguments(self) -> None:
        """Any other argument can be given."""
        sink = self.serve(SmtpSink())
        finished = await smtp_source(sink.port, messages=2, arguments=["-N"])
        self.assertEqual(finished.status, 0, finished.text)
        self.assertEqual(len({each.recipients for each in sink.messages()}), 2)


class StuffedTests(ServerCase):
    """Octets on the wire."""

    def test_stuffed(self) -> None:
        """Dots at the beginning of a line are doubled, and the end is marked."""
        self.assertEqual(stuffed(b".a\r\n.\r\nb.\r\n"), b"..a\r\n..\r\nb.\r\n.\r\n")
        self.assertEqual(stuffed(b""), b".\r\n")
