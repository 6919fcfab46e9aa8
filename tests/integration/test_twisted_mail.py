# -*- test-case-name: tests.integration.test_twisted_mail -*-
"""Servers of twisted.mail in front of a real Postfix, with real clients.

A server of C{twisted.mail.smtp} runs in this process, on the reactor's own sockets; its clients run
in threads, or are programs. The mail service is the one of the documentation, under ``twistd``.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IAddress
from twisted.mail.imap4 import PLAINCredentials
from twisted.mail.smtp import ESMTP, SMTPFactory

from slimtwist.edge.access import Access
from slimtwist.edge.mail import MailEdge, RelayDelivery, RelayRealm
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.peer import Certificate
from slimtwist.limits import Timeouts
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from slimtwist.service import Listener, RelayService
from slimtwist.smtp.pem import server_options
from tests.daemon import environment
from tests.integration.case import ServerCase
from tests.integration.certificates import Authority
from tests.integration.clients import Finished, swaks
from tests.integration.daemons import HOSTNAME, below_trace
from tests.integration.dialogue import in_thread, send, session
from tests.integration.postfix import Postfix
from tests.integration.servers import ServerProcess, free_port, listening
from tests.integration.setups import Refusal, Setup
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches
from tests.integration.test_relay_octets import _ODD, _send_each, _thousand
from tests.integration.waiting import until

_EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "mail_service.tac"
_MESSAGE = b"Subject: x\r\n\r\nhello\r\n.\r\n..\xc3\xa4\r\n"
_FROM = ("--from", "s@a.test", "--to", "r@far.test")
_SESSIONS = 4


class Servers(SMTPFactory):
    """Makes servers as Twisted has them, with STARTTLS and AUTH where there is a certificate."""

    protocol = ESMTP
    noisy = False
    certificate: Certificate | None = None

    def buildProtocol(self, addr: IAddress | None) -> ESMTP:
        """Return a server."""
        server: ESMTP = super().buildProtocol(addr)
        if self.certificate is not None:
            server.ctx = self.certificate
            server.challengers = {b"PLAIN": PLAINCredentials}
        return server


class MailCase(ServerCase):
    """A test with a server of twisted.mail and a relay behind it."""

    def mail(
        self,
        port: int,
        timeouts: Timeouts | None = None,
        *,
        options: EdgeOptions | None = None,
        certificate: Certificate | None = None,
    ) -> RelayService:
        """Start a server whose messages go to a port of this host.

        @param certificate: of the server; with it alice may log in.
        """
        runtime = Runtime(reactor, hostname=HOSTNAME)
        timeouts = timeouts or Timeouts()
        relay = runtime.relay(f"smtp:127.0.0.1:port={port}")
        queue = DirectQueue(runtime, relay, timeouts=timeouts)
        realm = RelayRealm(RelayDelivery(runtime, queue, options or EdgeOptions()))
        alice = InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret")
        servers = Servers(Portal(realm, [AllowAnonymousAccess(), alice]))
        servers.certificate = certificate
        edge = MailEdge(runtime, servers, timeouts)
        endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1")
        service = RelayService(runtime, queue, [Listener(endpoint, edge, "mail")])
        service.startService()
        self.addCleanup(service.stopService)
        return service

    def port(self, service: RelayService) -> int:
        """Return where a server listens."""
        (address,) = service.addresses
        assert isinstance(address, IPv4Address)
        return address.port


class OctetTests(MailCase):
    """What goes in comes out, below one trace field (L8)."""

    async def test_thousand(self) -> None:
        """Of a thousand messages each arrives at a Postfix once, as it was sent (MSG-02 to MSG-06);
        but lines of more than 16,384 octets are refused, as the server wants it.
        """
        postfix = self.serve(Postfix())
        port = self.port(self.mail(postfix.port))
        messages = _thousand()
        numbered = list(enumerate(messages))
        parts = [numbered[start::_SESSIONS] for start in range(_SESSIONS)]
        codes = await gatherResults(in_thread(_send_each, port, part) for part in parts)
        long = {
            n for n, octets in numbered if max(map(len, octets.split(b"\r\n"))) > ESMTP.MAX_LENGTH
        }
        for part, replies in zip(parts, codes, strict=True):
            for (number, _), code in zip(part, replies, strict=True):
                self.assertEqual((number, code), (number, 500 if number in long else 250))
        self.assertGreater(len(long), 0)
        arrived = await postfix.arrived(len(messages) - len(long))
        got = {
            int(each.recipient[1:].split("@")[0]): below_trace(each.octets)[1] for each in arrived
        }
        self.assertEqual(len(got), len(messages) - len(long))
        self.assertEqual([number for number in got if got[number] != messages[number]], [])

    async def test_odd(self) -> None:
        """So do messages that Postfix would alter, at an smtp-sink (MSG-04, MSG-05)."""
        sink = self.serve(SmtpSink())
        port = self.port(self.mail(sink.port))
        octets = [each for each in _ODD.values() if len(each) < ESMTP.MAX_LENGTH]
        codes = await in_thread(_send_each, port, list(enumerate(octets)))
        self.assertEqual(codes, [250] * len(octets))
        arrived = {each.recipients[0]: below_trace(each.octets)[1] for each in sink.messages()}
        wrong = [
            sent for number, sent in enumerate(octets) if arrived[f"<m{number}@far.test>"] != sent
        ]
        self.assertEqual(wrong, [])

    async def test_bare_line_ends(self) -> None:
        """A CR or LF alone is refused; nothing of such a message goes on (SMI)."""
        sink = self.serve(SmtpSink())
        port = self.port(self.mail(sink.port))
        for octets in (b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"x\n.\nMAIL FROM:<evil@a.test>\r\n"):
            [code] = await in_thread(_send_each, port, [(1, octets)])
            self.assertEqual(code, 521)
        self.assertEqual(sink.messages(), [])


class OutcomeTests(MailCase):
    """What a client is told."""

    async def test_refusals(self) -> None:
        """Each refusal of a Postfix comes back with code, enhanced code, text, and who said it to
        what (L11, OUT-01); mail for others goes through meanwhile (L10).
        """
        refusals = [
            Refusal("mail", "mail4@a.test", "450 4.1.8 slow"),
            Refusal("rcpt", "rcpt4@far.test", "452 4.2.2 full"),
            Refusal("rcpt", "rcpt5@far.test", "550 5.1.1 gone"),
            Refusal("data", "data5@a.test", "554 5.7.1 no data"),
            Refusal("end", "end4@a.test", "451 4.3.1 disk"),
            Refusal("end", "end6@far.test", "552 5.2.2 quota"),
        ]
        postfix = self.serve(Postfix(Setup(refusals=refusals)))
        port = self.port(self.mail(postfix.port))
        stages = {"mail": "MAIL)", "rcpt": "RCPT)", "data": "DATA)", "end": "end of data)"}
        for refusal in refusals:
            code, enhanced, words = refusal.reply.split(" ", 2)
            sent = "s@a.test" if "far" in refusal.key else refusal.key
            to = refusal.key if "far" in refusal.key else "r@far.test"
            who = "Sender" if to == "r@far.test" else "Recipient"
            finished = await swaks(port, "--from", sent, "--to", to, octets=_MESSAGE)
            wanted = f"{code} {enhanced} <{refusal.key}>: {who} address rejected: {words}"
            where = f"(127.0.0.1 [127.0.0.1]:{postfix.port}, {stages[refusal.stage]}"
            self.assertIn(f" {wanted} {where}\n", finished.text)
            finished = await swaks(port, *_FROM, octets=_MESSAGE)
            self.assertEqual(finished.status, 0, finished.text)
        arrived = await postfix.arrived(len(refusals))
        self.assertEqual({each.recipient for each in arrived}, {"r@far.test"})
        self.assertEqual({below_trace(each.octets) for each in arrived}, {("ESMTP", _MESSAGE)})

    async def test_faults(self) -> None:
        """No fault of the next hop becomes a success, nor a failure for good (L1, L2)."""
        lost = "451 4.4.2 connection lost: the peer closed the connection"
        for switches, wanted in (
            (Switches(hang_up=["DATA"]), f"{lost} ("),
            (Switches(hang_up=["."]), f"{lost}; the message may be delivered more than once ("),
            (Switches(reject_softly=["."]), "450 4.3.0 Error: command failed ("),
        ):
            port = self.port(self.mail(self.serve(SmtpSink(switches)).port))
            finished = await swaks(port, *_FROM, octets=_MESSAGE)
            self.assertIn(f" {wanted}", finished.text)
        port = self.port(self.mail(free_port()))
        finished = await swaks(port, *_FROM, octets=_MESSAGE)
        self.assertIn(" 451 4.4.1 cannot connect: 127.0.0.1: ", finished.text)

    async def test_postfix(self) -> None:
        """A Postfix as the client sends each recipient's message, and keeps what is deferred."""
        refusals = [Refusal("rcpt", "later@far.test", "450 4.7.1 greylisted")]
        hop = self.serve(Postfix(Setup(refusals=refusals)))
        port = self.port(self.mail(hop.port))
        client = self.serve(
            Postfix(
                Setup(
                    relay_to=f"smtp:[127.0.0.1]:{port}",
                    settings={"smtp_destination_recipient_limit": "1"},
                )
            )
        )
        recipients = ["one@far.test", "later@far.test", "two@far.test"]
        await client.submit("s@a.test", recipients, b"Subject: x\r\n\r\nhello\r\n")
        arrived = await hop.arrived(2)
        self.assertEqual({each.recipient for each in arrived}, {"one@far.test", "two@far.test"})
        await client.finished(1, status="deferred")
        self.assertIn("450 4.7.1 <later@far.test>: Recipient address rejected", client.log())


class AccessTests(MailCase):
    """Who may send."""

    def certificate(self) -> Certificate:
        """Return one for a server."""
        made = Authority().certificate("127.0.0.1")
        return server_options(str(made.save(Path(self.mktemp()).resolve())))

    async def test_login(self) -> None:
        """Who is not known may send nothing, and who has logged in by STARTTLS may; the trace field
        says how the message came (ING-27).
        """
        options = EdgeOptions(access=Access.parse(relay_from=[]))
        postfix = self.serve(Postfix())
        service = self.mail(postfix.port, options=options, certificate=self.certificate())
        port = self.port(service)
        finished = await swaks(port, *_FROM, "--tls", octets=_MESSAGE)
        self.assertIn(" 550 5.7.1 relaying denied", finished.text)
        login = ("--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "secret")
        finished = await swaks(port, *_FROM, "--tls", *login, octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)
        [message] = await postfix.arrived(1)
        self.assertEqual(below_trace(message.octets), ("ESMTPSA", _MESSAGE))


class EndTests(MailCase):
    """Clients that leave, and servers that stop, in the middle of a delivery."""

    def slow(self, seconds: int) -> SmtpSink:
        """Start a sink that takes its time before it replies to a message."""
        return self.serve(SmtpSink(Switches(reply_after=f".:{seconds}")))

    def halfway(self, port: int) -> socket.socket:
        """Return the connection of a client that has sent a message, and has no reply yet."""
        client = socket.create_connection(("127.0.0.1", port), timeout=30)
        client.sendall(b"HELO c\r\nMAIL FROM:<s@a.test>\r\nRCPT TO:<r@far.test>\r\nDATA\r\n")
        client.sendall(_MESSAGE.replace(b"\n.", b"\n..") + b".\r\n")
        return client

    def heard(self, client: socket.socket) -> bytes:
        """Return all that a server says until it closes the connection."""
        with client, client.makefile("rb") as stream:
            return stream.read()

    async def test_stopped(self) -> None:
        """A service that stops waits for the message that is under way, and its client has the true
        reply before it is sent away.
        """
        sink = self.slow(2)
        service = self.mail(sink.port)
        client = await in_thread(self.halfway, self.port(service))
        await self.logged_mail(sink)
        stopped = service.stopService()
        said = await in_thread(self.heard, client)
        self.assertRegex(
            said, rb"\r\n250 2\.0\.0 [^\r\n]+\r\n421 4\.3\.2 service is stopping\r\n\Z"
        )
        await stopped
        self.assertEqual(len(sink.messages()), 1)

    async def test_cancelled(self) -> None:
        """It does not wait for ever: what takes longer is cancelled, and the client is asked to
        come again (L3).
        """
        sink = self.slow(60)
        service = self.mail(sink.port, Timeouts(stop=1.0))
        client = await in_thread(self.halfway, self.port(service))
        await self.logged_mail(sink)
        await service.stopService()
        said = await in_thread(self.heard, client)
        self.assertRegex(said, rb"\r\n354 [^\r\n]+\r\n421 4\.3\.2 service is stopping\r\n\Z")

    async def test_client_leaves(self) -> None:
        """A client that leaves does not end the delivery (L2)."""
        sink = self.slow(1)
        service = self.mail(sink.port)
        client = await in_thread(self.halfway, self.port(service))
        await self.logged_mail(sink)
        client.close()
        await until(sink.messages, "a message")
        await service.stopService()

    def logged_mail(self, sink: SmtpSink) -> Deferred[object]:
        """Wait until a message is on its way to the sink."""
        return until(sink.files, "a file of the sink")


class MailServiceProcess:
    """The mail service of the documentation, with another smart host and another port.

    @ivar name: what it is, and its port.
    @ivar port: where it takes ESMTP on 127.0.0.1.
    """

    def __init__(self, smarthost: int) -> None:
        self.port = free_port()
        self.name = f"mail-service-{self.port}"
        self._process = ServerProcess(self.name)
        code = _EXAMPLE.read_text(encoding="utf-8")
        for there, here in (
            ("smtp:smarthost.example.com:port=587", f"smtp:127.0.0.1:port={smarthost}"),
            ("tcp:2525:interface=127.0.0.1", f"tcp:{self.port}:interface=127.0.0.1"),
        ):
            assert there in code
            code = code.replace(there, here)
        self._tac = self._process.directory / "mail_service.tac"
        self._tac.write_text(code, encoding="utf-8")

    def start(self) -> None:
        """Start it and wait until it takes mail."""
        program = str(Path(sys.executable).with_name("twistd"))
        command = [program, "-ny", str(self._tac), "--pidfile="]
        self._process.start(command, self._listens, environment=environment())

    def _listens(self) -> bool:
        return listening("127.0.0.1", self.port)

    def terminate(self) -> None:
        """Ask it to stop, as a supervisor does."""
        os.kill(self._process.pid, signal.SIGTERM)

    def running(self) -> bool:
        """Tell whether it has not ended."""
        return self._process.running()

    def stop(self) -> None:
        """End it at once."""
        self._process.stop()

    def log(self) -> str:
        """Return what it logged."""
        return self._process.log()

    def kept(self) -> list[bytes]:
        """Return the messages in the postmaster's Maildir."""
        folder = self._process.directory / "maildirs" / "postmaster" / "new"
        return [path.read_bytes() for path in folder.iterdir()]


def _send_all(port: int, recipients: list[str]) -> list[tuple[int, str]]:
    with session(port) as smtp:
        return [send(smtp, "s@a.test", [each], _MESSAGE) for each in recipients]


class ServiceTests(ServerCase):
    """A mail service with a local domain, and a relay for the rest."""

    async def test_both(self) -> None:
        """What is for its domain is kept, all else goes to the Postfix, whose replies come back."""
        refusals = [Refusal("rcpt", "no@far.test", "450 4.7.1 greylisted")]
        postfix = self.serve(Postfix(Setup(refusals=refusals)))
        service = self.serve(MailServiceProcess(postfix.port))
        recipients = ["postmaster@example.com", "nobody@example.com", "r@far.test", "no@far.test"]
        replies = await in_thread(_send_all, service.port, recipients)
        self.assertEqual([code for code, _ in replies], [250, 550, 250, 450])
        self.assertIn("4.7.1 <no@far.test>: Recipient address rejected: greylisted", replies[3][1])
        [kept] = service.kept()
        self.assertTrue(kept.endswith(b"\n" + _MESSAGE.replace(b"\r", b"")), kept)
        [message] = await postfix.arrived(1)
        self.assertEqual((message.sender, message.recipient), ("s@a.test", "r@far.test"))
        self.assertTrue(message.octets.endswith(b"\r\n" + _MESSAGE))
        self.assertEqual(message.octets.count(b"Received: "), 1)

    async def test_stopped(self) -> None:
        """It ends when it is asked to, after the message that is under way (L2)."""
        sink = self.serve(SmtpSink(Switches(reply_after=".:2")))
        service = self.serve(MailServiceProcess(sink.port))
        sending: Deferred[Finished] = swaks(service.port, *_FROM, octets=_MESSAGE)
        await until(sink.files, "a file of the sink")
        service.terminate()
        finished = await sending
        self.assertIn("<-  250 2.0.0 ", finished.text)
        await until(lambda: not service.running(), "the end of the service")
        self.assertEqual(len(sink.messages()), 1)
