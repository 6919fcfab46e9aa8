# -*- test-case-name: tests.integration.test_relay -*-
"""The main job: a real client, ``twistd relay``, and a real Postfix that wants STARTTLS and AUTH.

Octets that arrive are the octets that were sent, and what the Postfix refuses comes back to the
client with its code and text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from tests.integration.certificates import Authority, self_signed
from tests.integration.clients import smtp_source, swaks
from tests.integration.daemons import DaemonCase, RelayDaemon, below_trace
from tests.integration.dialogue import in_thread, send, session
from tests.integration.postfix import Postfix
from tests.integration.servers import free_port
from tests.integration.setups import Refusal, Setup
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n.\r\n..\xc3\xa4\r\n"
_LOGIN = "alice:se:cret"
_FROM = ("--from", "s@a.test", "--to", "r@far.test")


def _send_all(port: int, recipients: Sequence[str]) -> list[tuple[int, str]]:
    with session(port) as smtp:
        return [send(smtp, "s@a.test", [each], _MESSAGE) for each in recipients]


class MainTests(DaemonCase):
    """By STARTTLS and AUTH to a Postfix."""

    def setUp(self) -> None:
        """Make an authority for STARTTLS."""
        super().setUp()
        self.authority = Authority()

    def hop(self, *refusals: Refusal, **setup: object) -> Postfix:
        """Start a Postfix that relays for one account only."""
        certificate = self.authority.certificate("127.0.0.1")
        account = dict([_LOGIN.split(":", 1)])
        setup = {"certificate": certificate, "require_tls": True, "accounts": account, **setup}
        return self.serve(Postfix(Setup(refusals=refusals, **setup)))  # type: ignore[arg-type]

    def both(self, *refusals: Refusal, **setup: object) -> tuple[Postfix, RelayDaemon]:
        """Start such a Postfix, and a relay to it that has this account."""
        postfix = self.hop(*refusals, **setup)
        return postfix, self.relay(self.submission(self.authority, postfix.port, _LOGIN))

    async def test_swaks(self) -> None:
        """What swaks sends arrives, and its last reply is the Postfix's own."""
        postfix, relay = self.both()
        finished = await swaks(relay.port, *_FROM, "--helo", "client.test", octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)
        [message] = await postfix.arrived(1)
        self.assertEqual((message.sender, message.recipient), ("s@a.test", "r@far.test"))
        self.assertEqual(below_trace(message.octets), ("ESMTP", _MESSAGE))
        self.assertIn(b"Received: from client.test ([127.0.0.1])\r\n", message.octets)
        self.assertIn(b"\r\n\tfor <r@far.test>; ", message.octets)
        self.assertIn(b"with ESMTPSA ", message.own)
        queued = re.search(r"<-  (250 2\.0\.0 Ok: queued as \w+)", finished.text)
        assert queued is not None, finished.text
        [event] = relay.events()
        for words in (
            " from=<s@a.test> to=<r@far.test> relay=smtp:127.0.0.1:",
            f" peer=127.0.0.1 [127.0.0.1]:{postfix.port} tls=TLSv1.3 ",
            f" verdict=delivered ambiguous=False client_gone=False reply={queued[1]}",
        ):
            self.assertIn(words, event)
        self.assertNotIn("cret", relay.log())

    async def test_pipelined(self) -> None:
        """A client that sends MAIL, RCPT and DATA in one write has its replies in order."""
        postfix, relay = self.both()
        finished = await swaks(relay.port, *_FROM, "--pipeline", octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)
        [message] = await postfix.arrived(1)
        self.assertEqual(below_trace(message.octets), ("ESMTP", _MESSAGE))

    async def test_source(self) -> None:
        """Messages of smtp-source, four at a time, arrive once each; they share connections."""
        postfix, relay = self.both()
        finished = await smtp_source(
            relay.port,
            recipient="@far.test",
            messages=200,
            sessions=4,
            length=3000,
            arguments=["-N"],
        )
        self.assertEqual(finished.status, 0, finished.text)
        messages = await postfix.arrived(200)
        recipients = Counter(each.recipient for each in messages)
        self.assertEqual((len(recipients), set(recipients.values())), (200, {1}))
        self.assertGreater(min(len(below_trace(each.octets)[1]) for each in messages), 3000)
        # Four at once, and another for each that has carried a hundred messages.
        self.assertLessEqual(postfix.log().count(": connect from"), 4 + 2)

    async def test_refusals(self) -> None:
        """Each refusal of a message comes back with code, enhanced code, text, and who said it to
        what (L11, OUT-01); mail for others goes through meanwhile (L10).
        """
        refusals = [
            Refusal("mail", "mail4@a.test", "450 4.1.8 slow"),
            Refusal("mail", "mail5@a.test", "553 5.1.8 never"),
            Refusal("rcpt", "rcpt4@far.test", "452 4.2.2 full"),
            Refusal("rcpt", "rcpt5@far.test", "550 5.1.1 gone"),
            Refusal("rcpt", "rcpt421@far.test", "421 4.3.2 closing"),
            Refusal("data", "data4@a.test", "451 4.7.1 wait"),
            Refusal("data", "data5@a.test", "554 5.7.1 no data"),
            Refusal("end", "end4@a.test", "451 4.3.1 disk"),
            Refusal("end", "end5@a.test", "554 5.6.0 bad"),
            Refusal("end", "end6@far.test", "552 5.2.2 quota"),
        ]
        postfix, relay = self.both(*refusals)
        where = f"(127.0.0.1 [127.0.0.1]:{postfix.port}, "
        stages = {"mail": "MAIL)", "rcpt": "RCPT)", "data": "DATA)", "end": "end of data)"}
        for refusal in refusals:
            code, enhanced, words = refusal.reply.split(" ", 2)
            sent = "s@a.test" if "far" in refusal.key else refusal.key
            to = refusal.key if "far" in refusal.key else "r@far.test"
            who = "Sender" if to == "r@far.test" else "Recipient"
            finished = await swaks(relay.port, "--from", sent, "--to", to, octets=_MESSAGE)
            wanted = f"{code} {enhanced} <{refusal.key}>: {who} address rejected: {words}"
            self.assertIn(f" {wanted} {where}{stages[refusal.stage]}\n", finished.text)
            self.assertEqual(finished.status, 26)
            finished = await swaks(relay.port, *_FROM, octets=_MESSAGE)
            self.assertEqual(finished.status, 0, finished.text)
        await postfix.arrived(len(refusals))
        self.assertEqual({each.recipient for each in postfix.messages()}, {"r@far.test"})

    async def test_content(self) -> None:
        """So does a refusal for what a message holds, and for its size, which is not sent."""
        checks = {"/^Subject: buy/": "REJECT 5.7.1 no sales"}
        _, relay = self.both(content_checks=checks, message_size_limit=5000)
        for octets, wanted in [
            (b"Subject: buy\r\n\r\n", "550 5.7.1 no sales ("),
            (_MESSAGE + b"x" * 5000 + b"\r\n", "552 5.3.4 message of "),
        ]:
            finished = await swaks(relay.port, *_FROM, octets=octets)
            self.assertEqual(finished.status, 26, finished.text)
            self.assertIn(wanted, finished.text)

    async def test_session_refused(self) -> None:
        """A Postfix that does not like the relay defers mail, whatever code it says: a wrong
        password, a name, an address.
        """
        name = Refusal("helo", "relay.test", "550 5.7.1 not you")
        address = Refusal("connect", "127.0.0.1", "554 5.7.1 go away")
        troubles = [
            (self.hop(accounts={"alice": "other"}), "451 4.7.8 AUTH refused: 535 5.7.8 Error: "),
            (self.hop(name), "451 4.7.1 EHLO refused: 550 5.7.1 <relay.test>: Helo command "),
            (self.hop(address), "451 4.7.1 greeting refused: 554 5.7.1 <unknown[127.0.0.1]>: "),
            (self.hop(certificate=self_signed("127.0.0.1")), "451 4.7.5 TLS failed: self-signed"),
        ]
        hops = [self.submission(self.authority, each.port, _LOGIN) for each, _ in troubles]
        routes = [f"--route=hop{number}.test={hop}" for number, hop in enumerate(hops)]
        relay = self.relay("blackhole:", *routes)
        for number, (_, wanted) in enumerate(troubles):
            to = ("--from", "s@a.test", "--to", f"r@hop{number}.test")
            finished = await swaks(relay.port, *to, octets=_MESSAGE)
            self.assertEqual(finished.status, 26, finished.text)
            self.assertIn(wanted, finished.text)
            self.assertIn(" verdict=deferred ", relay.events()[-1])

    async def test_restarted(self) -> None:
        """While the Postfix is away mail is deferred; when it is back each goes there, once."""
        port = free_port()
        relay = self.relay(f"smtp:127.0.0.1:port={port}")
        codes = []
        for _ in range(2):
            before = self.serve(Postfix(port=port))
            codes += await in_thread(_send_all, relay.port, ["one@b.test", "two@b.test"])
            self.assertEqual(len(await before.arrived(2)), 2)
            self.assertEqual(before.log().count(": client="), 2)
            before.stop()
            codes += await in_thread(_send_all, relay.port, ["three@b.test"])
        self.assertEqual([code for code, _ in codes], [250, 250, 451, 250, 250, 451])
        self.assertRegex(
            codes[-1][1], r"^4\.4\.1 cannot connect: 127\.0\.0\.1: .*onnection refused"
        )


class SinkTests(DaemonCase):
    """By way of the daemon, to a sink at fault."""

    async def test_faults(self) -> None:
        """No fault of the next hop becomes a success for the client (L1), and after an end that may
        have been one the client is told so.
        """
        lost = "451 4.4.2 connection lost: the peer closed the connection"
        faults = [
            (Switches(hang_up=["DATA"]), f"{lost} (", 0),
            (Switches(hang_up=["."]), f"{lost}; the message may be delivered more than once (", 1),
            (Switches(hang_up_421=["."]), "421 4.0.0 Server closing connection (", 1),
            (Switches(reject_softly=["."]), "450 4.3.0 Error: command failed (", 1),
            (Switches(reject_hard=["RCPT"]), "500 5.3.0 Error: command failed (", 0),
            (Switches(abort_data_after=1), "550 5.0.0 This violates SMTP (", 0),
        ]
        sinks = [self.serve(SmtpSink(switches)) for switches, _, _ in faults]
        hops = [f"smtp:127.0.0.1:port={sink.port}" for sink in sinks]
        routes = [f"--route=hop{number}.test={hop}" for number, hop in enumerate(hops)]
        relay = self.relay("blackhole:", *routes)
        for number, (sink, (_, wanted, taken)) in enumerate(zip(sinks, faults, strict=True)):
            to = ("--from", "s@a.test", "--to", f"r@hop{number}.test")
            finished = await swaks(relay.port, *to, octets=_MESSAGE)
            self.assertEqual(finished.status, 26, finished.text)
            self.assertIn(f" {wanted}", finished.text)
            self.assertEqual(len(sink.messages()), taken)

    async def test_slow(self) -> None:
        """An attempt that takes too long for the client ends before the client's patience does."""
        sink = self.serve(SmtpSink(Switches(reply_after=".:30")))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}", "--timeout", "direct=1")
        finished = await swaks(relay.port, *_FROM, octets=_MESSAGE)
        self.assertIn(" 451 4.4.7 attempt took too long", finished.text)
        self.assertIn("the message may be delivered more than once", finished.text)
        self.assertIn(" verdict=deferred ambiguous=True ", relay.events()[0])
