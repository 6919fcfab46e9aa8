# -*- test-case-name: tests.integration.test_relay_postfix -*-
"""``twistd relay`` behind a real Postfix, which has the queue that the relay does not have.

Whatever the next hop says to each recipient is what this Postfix does with him.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.integration.clients import smtp_source, swaks
from tests.integration.daemons import DaemonCase, below_trace
from tests.integration.dialogue import in_thread, send, session
from tests.integration.postfix import Postfix
from tests.integration.setups import Refusal, Setup
from tests.integration.sinks import SmtpSink
from tests.integration.switches import Switches

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n.\r\n" + b"y" * 2000 + b"\r\n"
_FIVE = tuple(f"r{number}@b.test" for number in range(5))
_REFUSALS = (
    Refusal("rcpt", "r1@b.test", "450 4.2.1 busy"),
    Refusal("rcpt", "r3@b.test", "550 5.1.1 no such user"),
)


def _submit(postfix: Postfix, recipients: Sequence[str]) -> int:
    with session(postfix.port) as smtp:
        return send(smtp, "s@local.test", recipients, _MESSAGE)[0]


class ESMTPTests(DaemonCase):
    """By ESMTP, where a transaction takes one recipient."""

    async def test_five_recipients(self) -> None:
        """A message to five recipients reaches all five, each once; those who were too many in one
        transaction are sent again (ING-24).
        """
        hop = self.serve(Postfix())
        relay = self.relay(f"smtp:127.0.0.1:port={hop.port}")
        # With 1 second its queue manager may come back before the client has let go of the message,
        # says "skipped, still being delivered", and leaves it alone for as long as it runs.
        front = self.serve(Postfix(Setup(relay_to=f"smtp:[127.0.0.1]:{relay.port}", retry_after=3)))
        self.assertEqual(await in_thread(_submit, front, _FIVE), 250)
        await front.finished(5, status="sent")
        messages = await hop.arrived(5)
        self.assertEqual(sorted(each.recipient for each in messages), list(_FIVE))
        for message in messages:
            protocol, below = below_trace(message.octets)
            self.assertEqual(protocol, "ESMTP")
            self.assertTrue(below.startswith(b"Received: from client.test "))
            self.assertTrue(below.endswith(b"\r\n" + _MESSAGE))
        self.assertEqual(len(relay.events()), 5)
        deferred = {each.enhanced for each in front.results() if each.status == "deferred"}
        self.assertEqual(deferred, {"4.5.3"})

    async def test_refusals(self) -> None:
        """Each recipient's own result is known to the Postfix, with the words of the next hop; a
        refusal for good comes back to the sender.

        It is set up as docs/edge-esmtp.rst has it. Else it would name the recipient who is deferred
        first in each transaction, and those behind him would wait as long as he does.
        """
        hop = self.serve(Postfix(Setup(refusals=_REFUSALS)))
        relay = self.relay(f"smtp:127.0.0.1:port={hop.port}")
        one = {"smtp_destination_recipient_limit": "1"}
        setup = Setup(relay_to=f"smtp:[127.0.0.1]:{relay.port}", settings=one)
        front = self.serve(Postfix(setup))
        await in_thread(_submit, front, _FIVE)
        # Three to the next hop, and the bounce.
        await front.finished(4, status="sent")
        await front.finished(1, status="deferred")
        [bounced] = [each for each in front.results() if each.status == "bounced"]
        self.assertEqual((bounced.recipient, bounced.enhanced), ("r3@b.test", "5.1.1"))
        said = "550 5.1.1 <r3@b.test>: Recipient address rejected: no such user (127.0.0.1 "
        self.assertIn(f"said: {said}", bounced.text)
        busy = [each for each in front.results() if each.enhanced == "4.2.1"]
        self.assertEqual({each.recipient for each in busy}, {"r1@b.test"})
        self.assertIn("450 4.2.1 <r1@b.test>: Recipient address rejected: busy", busy[0].text)
        [bounce] = await front.arrived(1)
        self.assertIn(b"Status: 5.1.1\r\n", bounce.octets)
        arrived = sorted(each.recipient for each in await hop.arrived(3))
        self.assertEqual(arrived, ["r0@b.test", "r2@b.test", "r4@b.test"])


class LMTPTests(DaemonCase):
    """By LMTP, where each recipient has a reply of his own."""

    async def test_one_transaction(self) -> None:
        """Postfix's lmtp client hands over five recipients at once and hears of each."""
        hop = self.serve(Postfix(Setup(refusals=_REFUSALS)))
        relay = self.relay(f"smtp:127.0.0.1:port={hop.port}", lmtp=True)
        front = self.serve(Postfix(Setup(relay_to=f"lmtp:unix:{relay.socket}")))
        await in_thread(_submit, front, _FIVE)
        results = {each.recipient: each for each in await front.finished(5)}
        statuses = [results[each].status for each in _FIVE]
        self.assertEqual(statuses, ["sent", "deferred", "sent", "bounced", "sent"])
        for name, words in [
            ("r0@b.test", "250 2.0.0 Ok: queued as "),
            ("r1@b.test", "450 4.2.1 <r1@b.test>: Recipient address rejected: busy ("),
            ("r3@b.test", "550 5.1.1 <r3@b.test>: Recipient address rejected: no such user ("),
        ]:
            self.assertIn(words, results[name].text)
        messages = await hop.arrived(3)
        self.assertEqual({below_trace(each.octets)[0] for each in messages}, {"LMTP"})
        # One envelope id, so one transaction.
        self.assertEqual(len({line.split(": from=")[0][-15:] for line in relay.events()}), 1)

    async def test_swaks(self) -> None:
        """Swaks speaks LMTP, and gets its reply."""
        hop = self.serve(Postfix())
        relay = self.relay(f"smtp:127.0.0.1:port={hop.port}", lmtp=True)
        options = ("--protocol", "LMTP", "--from", "s@a.test", "--to", "r@b.test")
        finished = await swaks(str(relay.socket), *options, octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)
        self.assertIn("<-  250 2.0.0 Ok: queued as ", finished.text)
        [message] = await hop.arrived(1)
        self.assertEqual(below_trace(message.octets), ("LMTP", _MESSAGE))

    async def test_source(self) -> None:
        """smtp-source speaks LMTP, with many recipients."""
        sink = self.serve(SmtpSink(Switches()))
        relay = self.relay(f"smtp:127.0.0.1:port={sink.port}", lmtp=True)
        finished = await smtp_source(
            str(relay.socket), lmtp=True, messages=20, recipients=10, length=5000, sessions=3
        )
        self.assertEqual(finished.status, 0, finished.text)
        messages = sink.messages()
        self.assertEqual(len(messages), 20)
        self.assertEqual({len(each.recipients) for each in messages}, {10})
        self.assertEqual(len(relay.events()), 200)
