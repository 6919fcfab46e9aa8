# -*- test-case-name: tests.integration.test_postfix -*-
"""A Postfix of ours takes, refuses and offers what its setup says."""

from __future__ import annotations

import smtplib

from tests.integration.case import ServerCase
from tests.integration.dialogue import Said, in_thread, say, send, session
from tests.integration.postfix import Postfix
from tests.integration.servers import listening
from tests.integration.setups import Refusal, Setup

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def _features(postfix: Postfix) -> set[str]:
    with session(postfix.port) as smtp:
        return {name.upper() for name in smtp.esmtp_features}


def _sent(postfix: Postfix, sender: str, *recipients: str, octets: bytes = _MESSAGE) -> Said:
    with session(postfix.port, address=postfix.address) as smtp:
        return send(smtp, sender, recipients, octets)


def _said(postfix: Postfix, *commands: str) -> Said:
    with session(postfix.port) as smtp:
        return say(smtp, *commands)


class DeliveryTests(ServerCase):
    """What arrives."""

    async def test_delivered(self) -> None:
        """A message is kept for each recipient, with sender and recipient as they were given."""
        postfix = self.serve(Postfix())
        recipients = ["User+Ext@A.test", '"odd @ one"@b.test', "c@[127.0.0.1]", "d@[192.0.2.1]"]
        code, _ = await in_thread(_sent, postfix, "S+x@c.test", *recipients)
        messages = await postfix.arrived(4)
        self.assertEqual(code, 250)
        self.assertEqual({each.sender for each in messages}, {"S+x@c.test"})
        self.assertEqual({each.recipient for each in messages}, set(recipients))
        self.assertEqual([each.octets for each in messages], [_MESSAGE] * 4)

    async def test_null_sender(self) -> None:
        """The null sender is the empty string."""
        postfix = self.serve(Postfix())
        await in_thread(_sent, postfix, "", "a@b.test")
        [message] = await postfix.arrived(1)
        self.assertEqual(message.sender, "")

    async def test_several_at_once(self) -> None:
        """Postfixes do not know of each other, also on other addresses of the loopback."""
        one, other = self.serve(Postfix()), self.serve(Postfix(address="127.0.0.3"))
        await in_thread(_sent, one, "s@a.test", "one@b.test")
        await in_thread(_sent, other, "s@a.test", "other@b.test")
        self.assertEqual([each.recipient for each in await one.arrived(1)], ["one@b.test"])
        self.assertEqual([each.recipient for each in await other.arrived(1)], ["other@b.test"])

    async def test_stopped(self) -> None:
        """A Postfix that was stopped does not listen, and its log can still be read."""
        postfix = Postfix()
        self.addCleanup(postfix.stop)
        postfix.start()
        self.assertTrue(listening(postfix.address, postfix.port))
        await self.logged(postfix, "daemon started")
        postfix.stop()
        self.assertFalse(listening(postfix.address, postfix.port))
        self.assertIn("daemon started", postfix.log())


class RefusalTests(ServerCase):
    """What is refused, where, and with which words."""

    def refusing(self, *refusals: Refusal) -> Postfix:
        """Start a Postfix that refuses."""
        return self.serve(Postfix(Setup(refusals=refusals)))

    async def test_mail(self) -> None:
        """Senders are refused with 4yz and 5yz, the null sender too."""
        postfix = self.refusing(
            Refusal("mail", "slow@a.test", "450 4.1.8 come later"),
            Refusal("mail", "bad@a.test", "553 5.1.8 never come"),
            Refusal("mail", "<>", "550 5.7.1 no bounces"),
        )
        for sender, code, text in [
            ("slow@a.test", 450, "4.1.8 <slow@a.test>: Sender address rejected: come later"),
            ("bad@a.test", 553, "5.1.8 <bad@a.test>: Sender address rejected: never come"),
            ("", 550, "5.7.1 <>: Sender address rejected: no bounces"),
        ]:
            said = await in_thread(_said, postfix, f"MAIL FROM:<{sender}>")
            self.assertEqual(said, (code, text))
        self.assertEqual((await in_thread(_sent, postfix, "good@a.test", "r@b.test"))[0], 250)

    async def test_rcpt(self) -> None:
        """One recipient is refused and the next is taken; 421 ends the session."""
        postfix = self.refusing(
            Refusal("rcpt", "full@b.test", "452 4.2.2 mailbox is full"),
            Refusal("rcpt", "gone@b.test", "550 5.1.1 no such user"),
            Refusal("rcpt", "end@b.test", "421 4.3.2 closing"),
        )
        for recipient, said in [
            (
                "full@b.test",
                (452, "4.2.2 <full@b.test>: Recipient address rejected: mailbox is full"),
            ),
            ("gone@b.test", (550, "5.1.1 <gone@b.test>: Recipient address rejected: no such user")),
            ("good@b.test", (250, "2.1.5 Ok")),
        ]:
            heard = await in_thread(
                _said, postfix, "MAIL FROM:<a@a.test>", f"RCPT TO:<{recipient}>"
            )
            self.assertEqual(heard, said)
        code, _ = await in_thread(_said, postfix, "MAIL FROM:<>", "RCPT TO:<end@b.test>")
        self.assertEqual(code, 421)

    async def test_data(self) -> None:
        """DATA is refused after the recipients were taken."""
        postfix = self.refusing(Refusal("data", "late@a.test", "451 4.7.1 not now"))
        commands = ["MAIL FROM:<late@a.test>", "RCPT TO:<a@b.test>"]
        self.assertEqual((await in_thread(_said, postfix, *commands))[0], 250)
        said = await in_thread(_said, postfix, *commands, "DATA")
        self.assertEqual(said, (451, "4.7.1 <late@a.test>: Sender address rejected: not now"))

    async def test_end(self) -> None:
        """The end of data is refused with 4yz and 5yz, by sender or by the only recipient."""
        postfix = self.refusing(
            Refusal("end", "slow@a.test", "451 4.3.2 disk is full"),
            Refusal("end", "bad@a.test", "554 5.6.0 we do not like it"),
            Refusal("end", "only@b.test", "452 4.2.2 over quota"),
        )
        for sender, recipients, said in [
            (
                "slow@a.test",
                ["x@b.test", "y@b.test"],
                (451, "4.3.2 <slow@a.test>: Sender address rejected: disk is full"),
            ),
            (
                "bad@a.test",
                ["x@b.test", "y@b.test"],
                (554, "5.6.0 <bad@a.test>: Sender address rejected: we do not like it"),
            ),
            (
                "good@a.test",
                ["only@b.test"],
                (452, "4.2.2 <only@b.test>: Recipient address rejected: over quota"),
            ),
        ]:
            self.assertEqual(await in_thread(_sent, postfix, sender, *recipients), said)
        self.assertEqual((await in_thread(_sent, postfix, "good@a.test", "x@b.test"))[0], 250)
        self.assertEqual(len(await postfix.arrived(1)), 1)

    async def test_content(self) -> None:
        """A message is refused for what it holds, in words of the test's own."""
        checks = {"/^Subject: buy/": "REJECT 5.7.1 no sales", "/viagra/": "REJECT 5.7.2 no pills"}
        postfix = self.serve(Postfix(Setup(content_checks=checks)))
        for octets, said in [
            (b"Subject: buy me\r\n\r\n", (550, "5.7.1 no sales")),
            (b"Subject: x\r\n\r\nviagra\r\n", (550, "5.7.2 no pills")),
        ]:
            heard = await in_thread(_sent, postfix, "a@a.test", "b@b.test", octets=octets)
            self.assertEqual(heard, said)

    async def test_connect_and_helo(self) -> None:
        """A client is refused by its address in the greeting, or by its name."""
        postfix = self.refusing(Refusal("helo", "client.test", "450 4.7.1 who are you"))
        self.assertEqual((await in_thread(_said, postfix, "EHLO client.test"))[0], 450)
        self.assertEqual((await in_thread(_said, postfix, "MAIL FROM:<>"))[0], 503)
        refusing = self.refusing(Refusal("connect", "127.0.0.1", "554 5.7.1 go away"))
        with self.assertRaises(smtplib.SMTPConnectError) as caught:
            await in_thread(_said, refusing, "NOOP")
        self.assertEqual(caught.exception.smtp_code, 554)


class ExtensionTests(ServerCase):
    """What EHLO offers."""

    async def test_offered(self) -> None:
        """By default, all that Postfix has but TLS, AUTH and a limit."""
        postfix = self.serve(Postfix())
        offered = {"PIPELINING", "SIZE", "VRFY", "ETRN", "ENHANCEDSTATUSCODES", "8BITMIME", "DSN"}
        expected = offered | {"SMTPUTF8", "CHUNKING"}
        self.assertEqual(await in_thread(_features, postfix), expected)

    async def test_hidden(self) -> None:
        """Each extension can be hidden."""
        hidden = ["PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "DSN", "SIZE"]
        postfix = self.serve(Postfix(Setup(hidden=hidden)))
        left = {"VRFY", "ETRN", "ENHANCEDSTATUSCODES"}
        self.assertEqual(await in_thread(_features, postfix), left)

    async def test_size(self) -> None:
        """A limit is declared, and held at MAIL and at the end of data."""
        postfix = self.serve(Postfix(Setup(message_size_limit=2000)))
        said = await in_thread(_said, postfix, "EHLO client.test")
        self.assertIn("SIZE 2000\n", said[1])
        self.assertEqual((await in_thread(_said, postfix, "MAIL FROM:<> SIZE=3000"))[0], 552)
        said = await in_thread(_sent, postfix, "", "a@b.test", octets=b"x\r\n" * 1000)
        self.assertEqual(said, (552, "5.3.4 Error: message file too big"))

    async def test_smtputf8(self) -> None:
        """An address in UTF-8 is taken and kept."""
        postfix = self.serve(Postfix())
        with_utf8 = await in_thread(_utf8, postfix, "m\u00fcller@b.test")
        [message] = await postfix.arrived(1)
        self.assertEqual((with_utf8[0], message.recipient), (250, "m\u00fcller@b.test"))

    async def test_settings(self) -> None:
        """A parameter of the test's own has the last word."""
        postfix = self.serve(Postfix(Setup(settings={"smtpd_banner": "mx.b.test ESMTP here"})))
        with smtplib.SMTP() as smtp:
            said = await in_thread(smtp.connect, "127.0.0.1", postfix.port)
        self.assertEqual(said, (220, b"mx.b.test ESMTP here"))


def _utf8(postfix: Postfix, recipient: str) -> Said:
    with session(postfix.port) as smtp:
        smtp.command_encoding = "utf-8"
        return send(smtp, "s@a.test", [recipient], _MESSAGE, " BODY=8BITMIME SMTPUTF8")
