# -*- test-case-name: tests.testing.test_smarthost -*-
"""The fake smart host: strict, and as obedient to its test as it is strict with its client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import Close, FakeSmarthost, MemoryReactor, Message, Reset, Stall, Wait
from tests.testing.worlds import Recorder


class SmarthostCase(SynchronousTestCase):
    """A client by hand and the fake smart host."""

    def connect(self, host: FakeSmarthost, client: Recorder | None = None) -> Recorder:
        """Return a client connected to the host."""
        self.reactor = MemoryReactor()
        self.reactor.add_host("mx.example", host)
        return self.again(client)

    def again(self, client: Recorder | None = None) -> Recorder:
        """Return one more client."""
        connected = client or Recorder()
        endpoint = HostnameEndpoint(self.reactor, "mx.example", 25)
        self.reactor.wait(connectProtocol(endpoint, connected))
        return connected

    def say(self, client: Recorder, *lines: str) -> list[str]:
        """Send lines one by one, and return the replies to them."""
        replies: list[str] = []
        for line in lines:
            client.octets.clear()
            client.transport.write(line.encode() + b"\r\n")
            self.reactor.flush()
            replies += client.octets.decode().splitlines()
        return replies

    def hello(self, host: FakeSmarthost, command: str = "EHLO") -> Recorder:
        """Return a client that has said hello."""
        client = self.connect(host)
        self.say(client, f"{command} me.example")
        return client

    def deliver(self, client: Recorder, *recipients: str) -> list[str]:
        """Send a message in lock-step, and return all replies."""
        return self.say(
            client,
            "MAIL FROM:<a@example.org>",
            *[f"RCPT TO:<{recipient}>" for recipient in recipients],
            "DATA",
            "Subject: x\r\n\r\n..dots\r\n.",
        )


class SmarthostTests(SmarthostCase):
    """What is said, and in which order."""

    def test_delivery(self) -> None:
        """A message is kept with its sender and recipients, without dot stuffing."""
        host = FakeSmarthost()
        client = self.connect(host)
        self.assertEqual(client.octets, b"220 mx.example ESMTP\r\n")
        self.assertEqual(
            self.say(client, "EHLO me.example"),
            ["250-mx.example", "250-PIPELINING", "250 8BITMIME"],
        )
        self.assertEqual(
            [reply[:3] for reply in self.deliver(client, "b@example.net", "c@example.net")],
            ["250", "250", "250", "354", "250"],
        )
        self.assertEqual(self.say(client, "QUIT"), ["221 2.0.0 mx.example closing"])
        self.assertIsInstance(client.reason, ConnectionDone)
        self.assertEqual(
            host.messages,
            [
                Message(
                    "a@example.org",
                    ("b@example.net", "c@example.net"),
                    b"Subject: x\r\n\r\n.dots\r\n",
                )
            ],
        )
        self.assertEqual(host.transcript[0], "S: 220 mx.example ESMTP")
        self.assertIn("C: [a message of 25 octets]", host.transcript)
        host.verify()

    def test_second_recipient_greylisted(self) -> None:
        """One line says that the second recipient is greylisted."""
        host = FakeSmarthost(replies={"RCPT": ["250 ok", "450 4.7.1 greylisted"]})
        client = self.hello(host)
        replies = self.deliver(client, "b@example.net", "c@example.net", "d@example.net")
        self.assertEqual(replies[1:4], ["250 ok", "450 4.7.1 greylisted", "250 2.1.5 ok"])
        self.assertEqual(host.messages[0].recipients, ("b@example.net", "d@example.net"))

    def test_rules(self) -> None:
        """A reply may be for always, for a mailbox, for its first time, or computed."""
        rules: dict[str, Any] = {
            "MAIL": "250-two\n250 lines",
            "RCPT": {
                "b@x": "550 5.1.1 unknown",
                "c@x": ["450 4.7.1 wait"],
                "d@x": ["450 4.7.1 wait"],
            },
            "NOOP": lambda argument: f"250 {argument.upper()}",
        }
        client = self.hello(FakeSmarthost(replies=rules))
        self.assertEqual(
            self.say(
                client,
                "MAIL FROM:<>",
                "RCPT TO:<b@x>",
                "RCPT TO:<b@x>",
                "RCPT TO:<c@x>",
                "RCPT TO:<d@x>",
                "RCPT TO:<c@x>",
                "NOOP hi",
            ),
            [
                "250-two",
                "250 lines",
                "550 5.1.1 unknown",
                "550 5.1.1 unknown",
                "450 4.7.1 wait",
                "450 4.7.1 wait",
                "250 2.1.5 ok",
                "250 HI",
            ],
        )

    def test_answers_that_are_no_replies(self) -> None:
        """An answer may be octets, a wait, a close, a reset, or silence (PEER-01, PEER-10)."""
        wait: tuple[Any, ...] = (Wait(30), "250 late")
        host = FakeSmarthost(replies={"NOOP": [b"25", wait, Stall()], "RSET": [Close(), Reset()]})
        client = self.connect(host)
        client.octets.clear()
        client.transport.write(b"NOOP\r\nNOOP\r\n")
        self.reactor.advance(29)
        self.assertEqual(client.octets, b"25")
        self.reactor.advance(1)
        self.assertEqual(client.octets, b"25250 late\r\n")
        self.assertEqual(self.say(client, "NOOP", "NOOP"), [])
        for error in (ConnectionDone, ConnectionLost):
            client = self.again()
            self.say(client, "RSET")
            self.assertIsInstance(client.reason, error)

    def test_greeting(self) -> None:
        """The greeting is an answer as well."""
        client = self.connect(FakeSmarthost(replies={"GREETING": "554 5.3.2 go away"}))
        self.assertEqual(client.octets, b"554 5.3.2 go away\r\n")

    def test_refusals(self) -> None:
        """Commands out of their order are refused."""
        host = FakeSmarthost()
        client = self.connect(host)
        self.assertEqual(self.say(client, "MAIL FROM:<a@x>"), ["503 5.5.1 say hello first"])
        self.assertEqual(self.say(client, "RCPT TO:<a@x>"), ["503 5.5.1 MAIL first"])
        self.say(client, "EHLO me")
        self.assertEqual(
            self.say(client, "RCPT TO:<a@x>", "DATA", "FOO", "LHLO me", "AUTH LOGIN", "VRFY x"),
            [
                "503 5.5.1 MAIL first",
                "503 5.5.1 MAIL first",
                "500 5.5.1 unknown command",
                "500 5.5.1 unknown command",
                "504 5.5.4 unknown mechanism",
                "252 2.5.0 try it",
            ],
        )
        self.say(client, "MAIL FROM:<a@x>")
        self.assertEqual(self.say(client, "DATA"), ["554 5.5.1 no valid recipients"])
        self.say(client, "RSET")
        self.assertEqual(self.say(client, "RCPT TO:<a@x>"), ["503 5.5.1 MAIL first"])
        host.verify()

    def test_transactions(self) -> None:
        """One transaction leaves nothing to the next, however its message came."""
        host = FakeSmarthost(extensions=())
        client = self.hello(host)
        self.say(client, "MAIL FROM:<a@x>", "RCPT TO:<1@x>", "DATA", "x" * 50, "x" * 9, ".")
        self.say(client, "MAIL FROM:<a@x>", "RCPT TO:<2@x>", "DATA\r\n" + "x" * 9 + "\r\n.")
        self.assertEqual([each.recipients for each in host.messages], [("1@x",), ("2@x",)])
        self.assertEqual([len(each.octets) for each in host.messages], [63, 11])

    def test_354_without_recipients(self) -> None:
        """A host that says 354 although all were refused takes a message for nobody (PEER-22)."""
        host = FakeSmarthost(replies={"RCPT": "550 no", "DATA": "354 go on"})
        client = self.hello(host)
        self.assertEqual(self.deliver(client, "b@x")[2:], ["354 go on", "250 2.0.0 taken"])
        self.assertEqual(host.messages, [])

    def test_data_answered_otherwise(self) -> None:
        """A host that says 250 to DATA waits for a command (PEER-25)."""
        host = FakeSmarthost(replies={"DATA": "250 ok"})
        client = self.hello(host)
        self.deliver(client, "b@x")
        self.assertEqual(host.messages, [])

    def test_refused_message(self) -> None:
        """A message that is refused is not kept, and the next transaction can begin."""
        host = FakeSmarthost(replies={".": ["550 5.7.1 spam"]})
        client = self.hello(host)
        self.assertEqual(self.deliver(client, "b@x")[-1], "550 5.7.1 spam")
        self.assertEqual(self.deliver(client, "b@x")[-1], "250 2.0.0 taken")
        self.assertEqual(len(host.messages), 1)

    def wrongs(self, octets: bytes, extensions: Sequence[str] = ("PIPELINING",)) -> list[str]:
        """Return what verify says of a client that sends these octets after its hello."""
        host = FakeSmarthost(extensions=extensions)
        client = self.hello(host)
        client.transport.write(octets)
        self.reactor.flush()
        return host.sessions[0].wrongs

    def test_pipelining(self) -> None:
        """Where it is offered, MAIL, RCPT and DATA may come at once; what ends a group may not."""
        group = b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n"
        self.assertEqual(self.wrongs(group), [])
        self.assertEqual(
            self.wrongs(group + b"x\r\n.\r\n"),
            ["connection 1: DATA: the client did not wait for the reply"],
        )
        self.assertEqual(len(self.wrongs(b"NOOP\r\nNOOP\r\n")), 1)

    def test_lock_step(self) -> None:
        """Where it is not offered, nothing may come at once."""
        self.assertEqual(
            self.wrongs(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n", ()),
            ["connection 1: MAIL: the client did not wait for the reply"],
        )

    def test_syntax(self) -> None:
        """Paths and parameters are looked at; what was not offered is refused."""
        for line in (
            "MAIL FROM: <a@x>",
            "MAIL FROM:a@x",
            "MAIL TO:<a@x>",
            "MAIL FROM:<a@x",
            "MAIL FROM:<a b@x>",
            "MAIL FROM:<a@x> BODY=8BITMIME",
            "MAIL FROM:<a@x> SIZE=1",
            "MAIL FROM:<a@x>  SIZE=1",
            "MAIL FROM:<a@x>\rRCPT",
            "MAIL FROM:<a@x>\n",
            "RCPT TO:<a@x> NOTIFY=NEVER",
        ):
            self.assertTrue(self.wrongs(line.encode() + b"\r\n"), line)
        for line in ("MAIL FROM:<>", 'MAIL FROM:<"a \\"> b"@x>', "MAIL FROM:<a@x> SIZE=1 RET=HDRS"):
            self.assertEqual(self.wrongs(line.encode() + b"\r\n", ("SIZE 9", "DSN")), [], line)

    def test_lone_line_ends(self) -> None:
        """A lone CR or LF in a message is told (SMO-01)."""
        for text, wrongs in [(b"a\r\n", 0), (b"a\nb\r\n", 1), (b"a\rb\r\n", 1), (b"\r\r\n", 1)]:
            host = FakeSmarthost()
            client = self.hello(host)
            self.say(client, "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA")
            client.transport.write(text + b".\r\n")
            self.reactor.flush()
            self.assertEqual(len(host.sessions[0].wrongs), wrongs, text)
            self.assertEqual(host.messages[0].octets, text)

    def test_verify(self) -> None:
        """Verify tells what went wrong, and what was said."""
        host = FakeSmarthost(extensions=())
        client = self.hello(host)
        self.say(client, "MAIL from a")
        error = self.assertRaises(AssertionError, host.verify)
        self.assertIn("connection 1: MAIL 'from a' has no syntax", str(error))
        self.assertIn("C: MAIL from a\nS: 501 5.5.4 syntax", str(error))

    def test_body_at_every_split(self) -> None:
        """A message is found however it is split."""
        octets = b"a\r\n..\r\n.\r\n"
        for split in range(len(octets)):
            host = FakeSmarthost()
            client = self.hello(host)
            self.say(client, "MAIL FROM:<a@x>", "RCPT TO:<b@x>", "DATA")
            for part in (octets[:split], octets[split:]):
                client.transport.write(part)
                self.reactor.flush()
            self.assertEqual([each.octets for each in host.messages], [b"a\r\n.\r\n"])
