# -*- test-case-name: tests.integration.test_smarthost_replies -*-
"""C{StaticSmtpRelay} and what a real Postfix refuses, or does not offer.

What the Postfix says comes back with code, enhanced code and text (L11), for the recipients whom it
is about (L10), and nothing else happens to the message (L1, L2).
"""

from __future__ import annotations

from slimtwist.outcome import Verdict
from tests.integration.postfix import Postfix
from tests.integration.setups import Refusal, Setup
from tests.integration.smarthost import MESSAGE, SmarthostCase

_HEAD = b"Subject: x\r\n\r\n"


class RefusalTests(SmarthostCase):
    """Refusals, wherever a Postfix has any."""

    def refusing(self, *refusals: Refusal, **setup: object) -> Postfix:
        """Start a Postfix that refuses."""
        return self.serve(Postfix(Setup(refusals=refusals, **setup)))  # type: ignore[arg-type]

    async def test_connect(self) -> None:
        """A refusal of the connection defers, 5yz too, since it is not about the message; the words
        are quoted (PEER-08).
        """
        for reply, told in [
            ("450 4.7.1 busy", "450 4.7.1"),
            ("554 5.7.1 go away", "451 4.7.1 greeting refused: 554 5.7.1"),
            ("521 5.3.2 no mail here", "521 5.3.2"),
        ]:
            postfix = self.refusing(Refusal("connect", "127.0.0.1", reply))
            [text] = await self.told(self.to(postfix.port))
            verdict = "failed" if told.startswith("521") else "deferred"
            words = reply.split(" ", 2)[2]
            wanted = f"<unknown[127.0.0.1]>: Client host rejected: {words}"
            self.assertEqual(text, f"{verdict} at greeting: {told} {wanted}")

    async def test_helo(self) -> None:
        """So does a refusal of our name."""
        rejected = "<relay.test>: Helo command rejected"
        for reply, told in [
            ("450 4.7.1 who", "450 4.7.1"),
            ("550 5.7.1 not you", "451 4.7.1 EHLO refused: 550 5.7.1"),
        ]:
            postfix = self.refusing(Refusal("helo", "relay.test", reply))
            [text] = await self.told(self.to(postfix.port))
            self.assertEqual(text, f"deferred at EHLO: {told} {rejected}: {reply.split(' ', 2)[2]}")

    async def test_mail(self) -> None:
        """A refused sender is refused for everybody, the null sender too; the next message over the
        same connection is not.
        """
        refusals = [
            Refusal("mail", "slow@a.test", "450 4.1.8 later"),
            Refusal("mail", "bad@a.test", "553 5.1.8 never"),
            Refusal("mail", "<>", "550 5.7.1 no bounces"),
        ]
        relay = self.to(self.refusing(*refusals).port)
        for sender, told in [
            ("slow@a.test", "deferred at MAIL: 450 4.1.8 <slow@a.test>: {}: later"),
            ("bad@a.test", "failed at MAIL: 553 5.1.8 <bad@a.test>: {}: never"),
            ("", "failed at MAIL: 550 5.7.1 <>: {}: no bounces"),
        ]:
            texts = await self.told(relay, "r1@b.test", "r2@b.test", sender=sender)
            self.assertEqual(texts, [told.format("Sender address rejected")] * 2)
        [text] = await self.told(relay)
        self.assertRegex(text, "^delivered at end of data: 250 2.0.0 Ok: queued as ")
        await relay.stop()

    async def test_rcpt(self) -> None:
        """Of many recipients each has his own reply, and those who are taken get the message."""
        refusals = [
            Refusal("rcpt", "full@b.test", "452 4.2.2 mailbox is full"),
            Refusal("rcpt", "gone@b.test", "550 5.1.1 no such user"),
        ]
        recipients = ["one@b.test", "full@b.test", "two@b.test", "gone@b.test", "three@b.test"]
        for hidden in ((), ("PIPELINING",)):
            postfix = self.refusing(*refusals, hidden=hidden)
            texts = await self.told(self.to(postfix.port), *recipients)
            taken = [texts[0], texts[2], texts[4]]
            self.assertRegex(taken[0], "^delivered at end of data: 250 2.0.0 Ok: queued as ")
            self.assertEqual(taken, [taken[0]] * 3)
            rejected = "Recipient address rejected"
            self.assertEqual(
                [texts[1], texts[3]],
                [
                    f"deferred at RCPT: 452 4.2.2 <full@b.test>: {rejected}: mailbox is full",
                    f"failed at RCPT: 550 5.1.1 <gone@b.test>: {rejected}: no such user",
                ],
            )
            messages = await postfix.arrived(3)
            arrived = {(each.recipient, each.octets) for each in messages}
            self.assertEqual(arrived, {(each, MESSAGE) for each in recipients[::2]})

    async def test_nobody(self) -> None:
        """Where no recipient is taken, no message is sent; without PIPELINING, where commands go
        one by one, not even DATA.
        """
        refusals = [
            Refusal("rcpt", "full@b.test", "452 4.2.2 mailbox is full"),
            Refusal("rcpt", "gone@b.test", "550 5.1.1 no such user"),
        ]
        for hidden, heard in [((), "data=1/2"), (("PIPELINING",), "data=1")]:
            postfix = self.refusing(*refusals, hidden=hidden)
            relay = self.to(postfix.port)
            texts = await self.told(relay, "full@b.test", "gone@b.test")
            self.assertRegex(texts[0], "^deferred at RCPT: 452 4.2.2 <full@b.test>: ")
            self.assertRegex(texts[1], "^failed at RCPT: 550 5.1.1 <gone@b.test>: ")
            [text] = await self.told(relay)
            self.assertRegex(text, "^delivered at ")
            self.assertEqual(len(await postfix.arrived(1)), 1)
            await relay.stop()
            await self.logged(postfix, "disconnect from ")
            self.assertIn(f" mail=2 rcpt=1/3 {heard} ", postfix.log())

    async def test_421(self) -> None:
        """A Postfix that closes the session in the middle defers whom it has not decided for."""
        postfix = self.refusing(
            Refusal("rcpt", "end@b.test", "421 4.3.2 closing"),
            Refusal("rcpt", "gone@b.test", "550 5.1.1 no such user"),
        )
        relay = self.to(postfix.port)
        texts = await self.told(relay, "gone@b.test", "one@b.test", "end@b.test", "two@b.test")
        self.assertRegex(texts[0], "^failed at RCPT: 550 5.1.1 ")
        for text in texts[1:]:
            self.assertRegex(text, r"^deferred at (RCPT|DATA): 4\d\d 4\.\d\.\d ")
        self.assertIn("421 4.3.2 <end@b.test>: Recipient address rejected: closing", texts[2])
        self.assertEqual(postfix.messages(), [])

    async def test_data(self) -> None:
        """A refusal of DATA is everybody's."""
        for reply, verdict in [("451 4.7.1 not now", "deferred"), ("554 5.7.1 no", "failed")]:
            postfix = self.refusing(Refusal("data", "s@a.test", reply))
            texts = await self.told(self.to(postfix.port), "one@b.test", "two@b.test")
            code, enhanced, words = reply.split(" ", 2)
            refused = f"{code} {enhanced} <s@a.test>: Sender address rejected: {words}"
            self.assertEqual(texts, [f"{verdict} at DATA: {refused}"] * 2)

    async def test_end_of_data(self) -> None:
        """So is one of the message, and it is not ambiguous."""
        for reply, verdict in [("451 4.3.2 disk full", "deferred"), ("554 5.6.0 bad", "failed")]:
            postfix = self.refusing(Refusal("end", "s@a.test", reply))
            texts = await self.told(self.to(postfix.port), "one@b.test", "two@b.test")
            code, enhanced, words = reply.split(" ", 2)
            refused = f"{code} {enhanced} <s@a.test>: Sender address rejected: {words}"
            self.assertEqual(texts, [f"{verdict} at end of data: {refused}"] * 2)

    async def test_forgets_nothing(self) -> None:
        """After a refusal by smtpd_end_of_data_restrictions a Postfix still has sender and
        recipients in mind; the next message goes to its own recipient only, and whole (L8, L10).
        """
        postfix = self.refusing(Refusal("end", "full@b.test", "552 5.2.2 quota"))
        relay = self.to(postfix.port, pool_size=1)
        first, second = (self.sent(relay, each) for each in ("full@b.test", "next@b.test"))
        self.assertEqual((await first).reply.enhanced, "5.2.2")
        self.assertEqual((await second).verdict, Verdict.DELIVERED)
        await self.logged(postfix, ": removed")
        messages = [(each.recipient, each.octets) for each in postfix.messages()]
        self.assertEqual(messages, [("next@b.test", MESSAGE)])

    async def test_content(self) -> None:
        """A message that is refused for what it holds; the next over the connection is taken."""
        checks = {"/^Subject: buy/": "REJECT 5.7.1 no sales", "/pills/": "REJECT 4.7.2 not today"}
        postfix = self.refusing(content_checks=checks)
        relay = self.to(postfix.port, pool_size=1)
        for octets, told in [
            (b"Subject: buy me\r\n\r\n", "failed at end of data: 550 5.7.1 no sales"),
            (_HEAD + b"pills\r\n", "deferred at end of data: 451 4.7.2 not today"),
        ]:
            self.assertEqual(await self.told(relay, octets=octets), [told])
        [text] = await self.told(relay)
        self.assertRegex(text, "^delivered at ")
        self.assertEqual(postfix.log().count(": connect from"), 1)


class ExtensionTests(SmarthostCase):
    """What a Postfix offers, and what it does not."""

    def hiding(self, *keywords: str, **setup: object) -> Postfix:
        """Start a Postfix that does not offer some extensions."""
        return self.serve(Postfix(Setup(hidden=keywords, **setup)))  # type: ignore[arg-type]

    async def test_size(self) -> None:
        """A message that is larger than declared is refused without a word of it (5.3.4); one that
        is as large is taken.
        """
        postfix = self.hiding(message_size_limit=20_000)
        relay = self.to(postfix.port)
        octets = _HEAD.ljust(20_000 - 2, b"x") + b"\r\n"
        wanted = "failed at MAIL: 552 5.3.4 message of 20001 octets, the host takes 20000"
        self.assertEqual(await self.told(relay, "a@b.test", octets=b"x" + octets), [wanted])
        # Postfix counts what it adds, too; so what it says to the second is its own.
        [text] = await self.told(relay, "c@b.test", octets=octets)
        self.assertEqual(text, "failed at end of data: 552 5.3.4 Error: message file too big")
        [text] = await self.told(relay, "c@b.test", octets=octets[2000:])
        self.assertRegex(text, "^delivered at ")
        await relay.stop()
        await self.logged(postfix, "disconnect from ")
        self.assertRegex(postfix.log(), r"disconnect from \S+ ehlo=1 mail=2 ")

    async def test_size_not_declared(self) -> None:
        """A limit that is not declared is found out at the end of data."""
        postfix = self.hiding("SIZE", message_size_limit=2000)
        [text] = await self.told(self.to(postfix.port), octets=_HEAD + b"x\r\n" * 1000)
        self.assertEqual(text, "failed at end of data: 552 5.3.4 Error: message file too big")

    async def test_no_eight_bit(self) -> None:
        """8-bit content goes as it is to a Postfix without 8BITMIME, or is refused where the option
        says so, or is converted (5.6.3).
        """
        octets = _HEAD + b"\xc3\xa4\xff\r\n"
        postfix = self.hiding("8BITMIME", "SMTPUTF8")
        [text] = await self.told(self.to(postfix.port, eight_bit="reject"), octets=octets)
        wanted = "554 5.6.3 the content has 8-bit octets, the host takes 7-bit only"
        self.assertEqual(text, f"failed at MAIL: {wanted}")
        [text] = await self.told(self.to(postfix.port), octets=octets)
        self.assertRegex(text, "^delivered at ")
        [message] = await postfix.arrived(1)
        self.assertEqual(message.octets, octets)

    async def test_smtputf8(self) -> None:
        """An address in UTF-8 goes to a Postfix that can, and is refused where it cannot (5.6.7);
        other recipients of the message get it all the same.
        """
        recipients = ["m\u00fcller@b.test", "r@b.test"]
        postfix = self.hiding()
        texts = await self.told(self.to(postfix.port), *recipients)
        self.assertEqual([text[:10] for text in texts], ["delivered "] * 2)
        messages = await postfix.arrived(2)
        self.assertEqual({each.recipient for each in messages}, set(recipients))
        postfix = self.hiding("SMTPUTF8")
        relay = self.to(postfix.port)
        texts = await self.told(relay, *recipients)
        wanted = "550 5.6.7 the host does not offer SMTPUTF8"
        self.assertEqual(texts[0], f"failed at RCPT: {wanted}")
        self.assertRegex(texts[1], "^delivered at ")
        texts = await self.told(relay, sender="\u00e4@a.test")
        self.assertEqual(texts, [f"failed at MAIL: {wanted}"])

    async def test_addresses(self) -> None:
        """Addresses arrive as they were given: quoted, literal, with an extension, empty."""
        postfix = self.serve(Postfix())
        recipients = ["User+Ext@A.test", '"odd @ one"@b.test', "c@[127.0.0.1]", "d@[192.0.2.1]"]
        texts = await self.told(self.to(postfix.port), *recipients, sender="")
        self.assertEqual({text[:10] for text in texts}, {"delivered "})
        messages = await postfix.arrived(4)
        self.assertEqual({each.recipient for each in messages}, set(recipients))
        self.assertEqual({each.sender for each in messages}, {""})
