# -*- test-case-name: tests.integration.test_postfix_client -*-
"""A Postfix of ours as a client: it hands messages to a next hop, and logs what it heard."""

from __future__ import annotations

from collections.abc import Sequence

from tests.integration.case import ServerCase
from tests.integration.dialogue import in_thread, send, session
from tests.integration.dovecot import Dovecot, User
from tests.integration.postfix import Postfix
from tests.integration.servers import free_port
from tests.integration.setups import Refusal, Setup
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches
from tests.integration.waiting import until

_MESSAGE = b"From: s@a.test\r\nSubject: x\r\n\r\n.hello\r\n"
_MIME = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
_FIVE = [f"r{number}@b.test" for number in range(5)]


def _sent(postfix: Postfix, recipients: Sequence[str], octets: bytes) -> int:
    with session(postfix.port) as smtp:
        return send(smtp, "s@a.test", recipients, octets, " BODY=8BITMIME")[0]


class ClientTests(ServerCase):
    """Next hops that take, refuse and are not there."""

    async def test_submitted(self) -> None:
        """A message given to sendmail(1) goes to five recipients in one transaction."""
        sink = self.serve(SmtpSink())
        postfix = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{sink.port}")))
        submitted = await postfix.submit("s@a.test", _FIVE, _MESSAGE)
        results = await postfix.finished(5)
        self.assertEqual(submitted.status, 0, submitted.text)
        self.assertEqual({each.recipient for each in results}, set(_FIVE))
        self.assertEqual({each.status for each in results}, {"sent"})
        self.assertEqual({each.relay for each in results}, {f"127.0.0.1[127.0.0.1]:{sink.port}"})
        [taken] = sink.messages()
        self.assertEqual(taken.recipients, tuple(f"<{each}> ORCPT=rfc822;{each}" for each in _FIVE))
        self.assertTrue(taken.octets.endswith(b"\r\n\r\n.hello\r\n"))

    async def test_addresses(self) -> None:
        """Recipients are passed on as they were given."""
        recipients = ["x!Y@short", "u%v@b.test", "User+Ext@B.test", '"odd @ one"@b.test']
        sink = self.serve(SmtpSink(Switches(without_dsn=True)))
        postfix = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{sink.port}")))
        await in_thread(_sent, postfix, recipients, _MESSAGE)
        await postfix.finished(4)
        taken = {recipient for each in sink.messages() for recipient in each.recipients}
        self.assertEqual(taken, {f"<{each}>" for each in recipients})

    async def test_octets(self) -> None:
        """Below the Received, Postfix passes on what it was given: long lines too, and 8-bit ones
        even to a next hop that does not offer 8BITMIME.
        """
        octets = _MIME + bytes(range(128, 256)) + b"x" * 5000 + b"\r\n.\r\n"
        hop = self.serve(Postfix(Setup(hidden=["8BITMIME", "SMTPUTF8"])))
        postfix = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{hop.port}")))
        self.assertEqual(await in_thread(_sent, postfix, ["r@b.test"], octets), 250)
        [message] = await hop.arrived(1)
        received, below = message.octets[: -len(octets)], message.octets[-len(octets) :]
        self.assertEqual(below, octets)
        self.assertEqual(received.count(b"\r\n"), received.count(b"\r\n\t") + 1)
        self.assertTrue(received.startswith(b"Received: from client.test "))

    async def test_refused(self) -> None:
        """Each recipient's own result is in the log, with the words of the next hop."""
        refusals = [
            Refusal("rcpt", "r1@b.test", "450 4.2.1 slow"),
            Refusal("rcpt", "r2@b.test", "550 5.1.1 gone"),
        ]
        hop = self.serve(Postfix(Setup(refusals=refusals)))
        postfix = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{hop.port}")))
        await in_thread(_sent, postfix, _FIVE[:3], _MESSAGE)
        results = {each.recipient: each for each in await postfix.finished(3)}
        statuses = [results[each].status for each in _FIVE[:3]]
        self.assertEqual(statuses, ["sent", "deferred", "bounced"])
        self.assertEqual(results["r1@b.test"].enhanced, "4.2.1")
        said = (
            "550 5.1.1 <r2@b.test>: Recipient address rejected: gone (in reply to RCPT TO command)"
        )
        self.assertEqual(results["r2@b.test"].text, f"host 127.0.0.1[127.0.0.1] said: {said}")

    async def test_bounce(self) -> None:
        """A bounce to a local domain comes back to the test."""
        hop = self.serve(Postfix(Setup(refusals=[Refusal("rcpt", "r@b.test", "550 5.1.1 gone")])))
        postfix = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{hop.port}")))
        await postfix.submit("s@local.test", ["r@b.test"], _MESSAGE)
        [bounce] = await postfix.arrived(1)
        self.assertEqual((bounce.sender, bounce.recipient), ("", "s@local.test"))
        self.assertIn(b"\r\nAction: failed\r\nStatus: 5.1.1\r\n", bounce.octets)

    async def test_tries_again(self) -> None:
        """What was deferred is tried again by command."""
        port = free_port()
        postfix = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{port}")))
        await in_thread(_sent, postfix, ["r@b.test"], _MESSAGE)
        queue = postfix.configuration.parent / "queue" / "deferred"
        await until(lambda: [path for path in queue.rglob("*") if path.is_file()], "deferral")
        sink = self.serve(SmtpSink(port=port))
        flushed = await postfix.flush()
        await postfix.finished(1, status="sent")
        self.assertEqual((flushed.status, len(sink.messages())), (0, 1))

    async def test_tries_again_by_itself(self) -> None:
        """What was deferred is tried again after C{retry_after}."""
        setup = Setup(relay_to=f"smtp:[127.0.0.1]:{free_port()}", retry_after=3)
        postfix = self.serve(Postfix(setup))
        await in_thread(_sent, postfix, ["r@b.test"], _MESSAGE)
        results = await postfix.finished(2, status="deferred")
        self.assertIn("Connection refused", results[1].text)

    async def test_lmtp(self) -> None:
        """By LMTP each recipient has a result after the end of data."""
        dovecot = self.serve(Dovecot([User("good"), User("full", quota=1)]))
        for where in (f"lmtp:[127.0.0.1]:{dovecot.port}", f"lmtp:unix:{dovecot.socket}"):
            postfix = self.serve(Postfix(Setup(relay_to=where)))
            recipients = ["good@b.test", "full@b.test", "unknown@b.test"]
            await in_thread(_sent, postfix, recipients, _MESSAGE + b"x" * 5000 + b"\r\n")
            results = {each.recipient: each for each in await postfix.finished(3)}
            told = [(results[each].status, results[each].enhanced) for each in recipients]
            self.assertEqual(told, [("sent", "2.0.0"), ("bounced", "5.2.2"), ("bounced", "5.1.1")])
        ends = [each.octets[-5010:] for each in dovecot.messages("good")]
        self.assertEqual(ends, [b".hello\r\n" + b"x" * 5000 + b"\r\n"] * 2)

    async def test_lmtp_sink(self) -> None:
        """smtp-sink takes LMTP from Postfix on a UNIX socket."""
        sink = self.serve(SmtpSink(Switches(lmtp=True), unix=True))
        postfix = self.serve(Postfix(Setup(relay_to=f"lmtp:unix:{sink.socket}")))
        await in_thread(_sent, postfix, _FIVE, _MESSAGE)
        results = await postfix.finished(5)
        self.assertEqual({each.status for each in results}, {"sent"})
        self.assertEqual(sink.messages()[0].protocol, "LMTP")
