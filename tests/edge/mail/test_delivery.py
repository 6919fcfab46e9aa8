# -*- test-case-name: tests.edge.mail.test_delivery -*-
"""A relay as the delivery of a server of twisted.mail."""

from __future__ import annotations

import gc
import re

from twisted.cred.portal import IRealm
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import StringTransport
from twisted.mail.interfaces import IMessageDelivery, IMessageDeliveryFactory
from twisted.mail.smtp import ESMTP, SMTPBadRcpt, User
from twisted.mail.smtp import Address as MailAddress
from zope.interface.verify import verifyObject

from slimtwist.address import Address, Recipient
from slimtwist.edge.access import Access
from slimtwist.edge.mail import RelayRealm
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.mail.transaction import Transaction
from slimtwist.edge.options import EdgeOptions
from slimtwist.envelope import Client
from slimtwist.limits import Limits
from slimtwist.reply import Reply
from tests.edge.mail.world import HELLO, LOGIN, MAIL, MESSAGE, MailTestCase
from tests.edge.spool import Spool
from tests.edge.world import STRANGER, code

_TRACE = re.compile(
    rb"Received: from client\.example \(\[[0-9.]+\]\)\r\n"
    rb"\tby relay\.example with (ESMTPA?) id [0-9a-f]+\.[0-9a-f]{12}\r\n"
    rb"\tfor <b@x\.example>; [^\r\n]+ \+0000\r\n"
)


class OutcomeTests(MailTestCase):
    """What becomes of a message."""

    def test_interfaces(self) -> None:
        """It is what twisted.mail and twisted.cred want."""
        self.serve()
        verifyObject(IMessageDelivery, self.delivery)
        verifyObject(IMessageDeliveryFactory, self.delivery)
        verifyObject(IRealm, RelayRealm(self.delivery))

    def test_delivered(self) -> None:
        """The octets go on below one trace field, and the next hop's reply comes back (L8, L11)."""
        self.serve()
        replies = self.send(self.met(), octets=b"Subject: x\r\n\r\n..a\r\n\xff\0\r\n\r\n")
        self.assertEqual(replies[-1], "250 2.0.0 taken")
        [message] = self.hop.messages
        found = _TRACE.match(message)
        assert found is not None, message
        self.assertEqual(found[1], b"ESMTP")
        self.assertEqual(message[found.end() :], b"Subject: x\r\n\r\n.a\r\n\xff\0\r\n\r\n")
        [envelope] = self.hop.envelopes
        self.assertEqual((str(envelope.sender), envelope.received), ("a@example.org", 1.7e9))
        self.assertEqual(
            envelope.client, Client("127.0.0.1", None, "client.example", "ESMTP", None, None)
        )

    def test_octets(self) -> None:
        """Whatever a message begins with, it goes on as it is (L8)."""
        self.serve()
        visitor = self.met()
        for octets in (b"hello\r\n", b"\r\nhello\r\n", b" x\r\n", b"..\r\n\r\n", b"\xff\0\r\n"):
            self.send(visitor, octets=octets)
            message = self.hop.messages[-1]
            _, _, below = message.partition(b" +0000\r\n")
            self.assertEqual(below, octets.removeprefix(b".") if octets[:1] == b"." else octets)

    def test_loop(self) -> None:
        """A message that comes back for the same recipient is refused as a loop; for another one it
        is not (ING-26).
        """
        self.serve()
        visitor = self.met()
        self.send(visitor)
        again = self.hop.messages[0]
        self.assertEqual(self.send(visitor, b"c@x.example", octets=again)[-1], "250 2.0.0 taken")
        self.assertEqual(code(self.send(visitor, octets=again)[-1]), "554 5.4.6")

    def test_refused(self) -> None:
        """A refusal has the next hop's code, enhanced code and text, and nothing transient becomes
        a failure (L2, L11).
        """
        self.serve()
        visitor = self.met()
        for answer in (
            "450 4.7.1 greylisted",
            "550 5.1.1 unknown",
            "250 2.0.0 taken",
            "421 4.3.2 closing",
        ):
            self.hop.answers = [answer]
            self.assertIsNone(visitor.lost)
            self.assertEqual(self.send(visitor)[-1], answer)
        self.assertIsNotNone(visitor.lost)

    def test_stock(self) -> None:
        """A server without true replies says 250 and 550, as it does of any delivery."""
        self.serve(true=False)
        visitor = self.met()
        self.assertEqual(code(self.send(visitor)[-1]), "250")
        self.hop.answers = ["450 4.7.1 greylisted"]
        self.assertEqual(self.send(visitor)[-1], "550 Could not send e-mail")
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_empty(self) -> None:
        """A message without a line is one (MSG-06)."""
        self.serve()
        self.assertEqual(self.send(self.met(), octets=b"")[-1], "250 2.0.0 taken")
        self.assertTrue(self.hop.messages[0].endswith(b" +0000\r\n"))


class RecipientTests(MailTestCase):
    """Recipients of one message."""

    def test_one(self) -> None:
        """In front of a queue that promises what the next hop said, a transaction has one."""
        self.serve()
        visitor = self.met()
        replies = self.send(visitor, b"b@x.example", b"c@x.example", b"d@x.example")
        self.assertEqual(
            [code(reply) for reply in replies],
            ["250", "250", "452 4.5.3", "452 4.5.3", "354", "250 2.0.0"],
        )
        self.assertEqual(code(self.send(visitor, b"c@x.example")[-1]), "250 2.0.0")
        self.assertEqual(
            [[str(r.address) for r in each.recipients] for each in self.hop.envelopes],
            [["b@x.example"], ["c@x.example"]],
        )

    def test_many(self) -> None:
        """Those of one transaction share one envelope, with the queue's promise to all."""
        spool = Spool("250 2.0.0 kept", "250 2.0.0 kept", "250 2.0.0 kept")
        self.serve(queue=spool)
        replies = self.send(self.met(), b"b@x.example", b"c@x.example", b"b@x.example")
        self.assertEqual(replies[-1], "250 2.0.0 kept")
        [envelope] = spool.envelopes
        self.assertEqual(
            [str(r.address) for r in envelope.recipients],
            ["b@x.example", "c@x.example", "b@x.example"],
        )
        self.assertTrue(bytes(envelope.content).endswith(b"\r\n" + MESSAGE))
        self.assertEqual([sink.ends for sink in spool.sinks], ["finished "])

    def test_unlike(self) -> None:
        """A success for one is none for the others, and what will pass outdoes what will not."""
        spool = Spool()
        self.serve(queue=spool)
        visitor = self.met()
        for replies, wanted in (
            (("250 2.0.0 kept", "550 5.1.1 unknown"), "550 5.1.1 unknown"),
            (("450 4.2.0 later", "550 5.1.1 unknown"), "450 4.2.0 later"),
        ):
            spool.replies = [Reply.parse(each) for each in replies]
            said = self.send(visitor, b"b@x.example", b"c@x.example")
            self.assertEqual(said[-1], wanted)

    def test_too_many(self) -> None:
        """There is a limit to them."""
        spool = Spool("250 2.0.0 kept", "250 2.0.0 kept")
        self.serve(EdgeOptions(limits=Limits(recipients=2)), spool)
        replies = self.send(self.met(), b"b@x.example", b"c@x.example", b"d@x.example")
        self.assertEqual(replies[3], "452 4.5.3 too many recipients")
        self.assertEqual(len(spool.envelopes[0].recipients), 2)

    def test_reset(self) -> None:
        """After RSET, or another hello, nobody of the transaction is left."""
        self.serve()
        visitor = self.met()
        for reset in (b"RSET\r\n", HELLO):
            self.codes(visitor, MAIL + b"RCPT TO:<old@x.example>\r\n" + reset)
            self.assertEqual(code(self.send(visitor, b"new@x.example")[-1]), "250 2.0.0")
        recipients = [str(each.recipients[0].address) for each in self.hop.envelopes]
        self.assertEqual(recipients, ["new@x.example"] * 2)


class ConnectionTests(MailTestCase):
    """Deliveries of one connection and of many."""

    def test_factory(self) -> None:
        """It is its own factory of deliveries, for servers that want one for each message."""
        self.serve()
        build = self.mail_factory.buildProtocol

        def built(addr: object) -> object:
            server = build(addr)
            server.portal, server.deliveryFactory = None, self.delivery
            return server

        self.mail_factory.buildProtocol = built
        visitor = self.met()
        for _ in range(2):
            self.assertEqual(code(self.send(visitor)[-1]), "250 2.0.0")

    def test_same_sender(self) -> None:
        """Where somebody in between always names the same sender, messages are still apart."""
        self.serve()
        same = MailAddress(b"a@example.org")
        self.patch(self.delivery, "validateFrom", lambda *_: same)
        visitor = self.met()
        for _ in range(2):
            self.assertEqual(code(self.send(visitor)[-1]), "250 2.0.0")

    def test_together(self) -> None:
        """Messages of several connections do not meet (L10)."""
        spool = Spool("250 2.0.0 kept")
        self.serve(queue=spool)
        visitors = [self.met(), self.met(), self.met()]
        said = (MAIL, b"RCPT TO:<%d@x.example>\r\n", b"DATA\r\n", b"a: %d\r\n", b".\r\n")
        for command in said:
            for number, visitor in enumerate(visitors):
                self.say(visitor, command % number if b"%" in command else command)
        self.assertEqual(
            [
                ([str(r.address) for r in each.recipients], bytes(each.content)[-6:])
                for each in spool.envelopes
            ],
            [([f"{n}@x.example"], b"a: %d\r\n" % n) for n in range(3)],
        )

    def test_memory(self) -> None:
        """Nothing is kept of transactions that came to nothing (L6)."""
        self.serve()
        visitor = self.met()
        for _ in range(100):
            self.say(visitor, MAIL + b"RCPT TO:<b@x.example>\r\nRSET\r\n")
        gc.collect()
        left = [each for each in gc.get_objects() if isinstance(each, Transaction)]
        self.assertLess(len(left), 3)

    def test_nowhere(self) -> None:
        """Who cannot be placed is not taken for somebody on this host."""
        self.serve()
        user = User(b"<b@x.example>", (b"client.example", b""), None, b"a@b")
        error = self.failureResultOf(self.delivery.validateTo(user), Refused)
        self.assertEqual(error.value.resp, "5.7.1 relaying denied")
        nobody = User(b"<>", (b"client.example", b""), None, b"a@b")
        error = self.failureResultOf(self.delivery.validateTo(nobody), Refused)
        self.assertEqual(error.value.resp, "5.1.3 bad recipient address syntax")


class CheckTests(MailTestCase):
    """Who may send to whom."""

    def test_default(self) -> None:
        """Clients on this host and those that have authenticated may send to anywhere, and nobody
        else to anybody.
        """
        self.serve()
        stranger = self.met(STRANGER)
        self.assertEqual(self.send(stranger)[1], "550 5.7.1 relaying denied")
        self.assertEqual(code(self.say(stranger, b"RSET\r\n" + LOGIN)[-1]), "235")
        self.assertEqual(code(self.send(stranger)[-1]), "250 2.0.0")
        self.assertEqual(self.hop.envelopes[0].client.auth, "alice")
        self.assertIn(b" with ESMTPA id ", self.hop.messages[0])

    def test_unix(self) -> None:
        """A client of a UNIX socket is on this host; its address is nowhere."""
        self.serve()
        for hello in (HELLO, b"HELO client.example\r\n"):
            visitor = self.visit_by_unix()
            self.assertEqual(self.codes(visitor, hello), ["250"])
            self.assertEqual(code(self.send(visitor)[-1]), "250 2.0.0")
        self.assertEqual([each.client.ip for each in self.hop.envelopes], [None, None])

    def test_access(self) -> None:
        """The policy of the options decides, if no check is given."""
        access = Access.parse(accept=["accepted.example"], relay_from=[])
        self.serve(EdgeOptions(access=access))
        visitor = self.met()
        self.assertEqual(code(self.send(visitor, b"b@other.example")[1]), "550 5.7.1")
        self.say(visitor, b"RSET\r\n")
        self.assertEqual(code(self.send(visitor, b"b@accepted.example")[-1]), "250 2.0.0")

    def test_check(self) -> None:
        """A check is asked about each recipient, with all that is known."""
        asked: list[tuple[Client, Address, Recipient]] = []

        def check(client: Client, sender: Address, recipient: Recipient) -> Reply | None:
            asked.append((client, sender, recipient))
            return Reply.parse("450 4.7.1 not now") if len(asked) == 1 else None

        self.serve(check=check)
        visitor = self.met(STRANGER)
        replies = self.send(visitor, b"b@x.example", b"c@x.example")
        self.assertEqual(
            [code(each) for each in replies[1:]], ["450 4.7.1", "250", "354", "250 2.0.0"]
        )
        client, sender, recipient = asked[0]
        self.assertEqual((client.ip, client.helo), (STRANGER, "client.example"))
        self.assertEqual((str(sender), str(recipient.address)), ("a@example.org", "b@x.example"))

    def test_slow_check(self) -> None:
        """It may take its time, but not for ever; what follows waits for it."""
        answers: list[Deferred[Reply | None]] = [Deferred(), Deferred()]
        self.serve(check=lambda *_: answers.pop(0))
        visitor = self.met()
        first, second = answers
        said = MAIL + b"RCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\n"
        self.assertEqual(self.codes(visitor, said), ["250"])
        first.callback(Reply.parse("550 5.7.1 never"))
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["550 5.7.1 never"])
        self.assertFalse(second.called)
        self.reactor.advance(self.options.timeouts.rcpt)
        self.reactor.flush()
        self.assertEqual([reply[:4] for reply in visitor.replies()], ["451 "])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_room(self) -> None:
        """It is not asked about whom there is no room for; and who was asked about together with
        others may find none when he is judged.
        """
        answers: list[Deferred[Reply | None]] = []

        def check(*_: object) -> Deferred[Reply | None]:
            answers.append(Deferred())
            return answers[-1]

        self.serve(check=check)
        server = ESMTP()
        server.transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        sender = MailAddress(b"a@example.org")
        users = [
            User(b"<%d@x.example>" % n, (b"client.example", b""), server, sender) for n in range(3)
        ]
        first, second = map(self.delivery.validateTo, users[:2])
        for answer in answers:
            answer.callback(None)
        self.successResultOf(first)
        for late in (second, self.delivery.validateTo(users[2])):
            self.assertEqual(self.failureResultOf(late, Refused).value.code, 452)
        self.assertEqual(len(answers), 2)

    def test_error(self) -> None:
        """It may fail with twisted.mail's own errors; with any other, the client may come again."""
        results: list[Deferred[Reply | None]] = [
            fail(SMTPBadRcpt(b"b@x.example", 551, "5.1.6 moved")),
            fail(ZeroDivisionError()),
            succeed(None),
        ]
        self.serve(check=lambda *_: results.pop(0))
        visitor = self.met()
        rcpt = b"RCPT TO:<b@x.example>\r\n"
        self.assertEqual(
            self.codes(visitor, MAIL + rcpt + rcpt + rcpt), ["250", "551 5.1.6", "451", "250"]
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_addresses(self) -> None:
        """What cannot go on as an address is refused (L5)."""
        self.serve()
        visitor = self.met()
        for mail, rcpt, wanted in (
            (b'<"a\x01b"@x.example>', b"<b@x.example>", ["501 5.1.7", "503"]),
            (b'<"\xc3\xa4"@x.example>', b"<b@x.example>", ["553 5.6.7", "503"]),
            (b"<a@x.example>", b'<"a\tb"@x.example>', ["250", "501 5.1.3"]),
            (b"<>", b'<"\xc3\xa4"@x.example>', ["250", "553 5.6.7"]),
        ):
            said = b"RSET\r\nMAIL FROM:" + mail + b"\r\nRCPT TO:" + rcpt + b"\r\n"
            self.assertEqual(self.codes(visitor, said), ["250", *wanted])

    def test_null_sender(self) -> None:
        """A notification is a message like any other."""
        self.serve()
        replies = self.send(self.met(), mail=b"MAIL FROM:<>\r\n")
        self.assertEqual(code(replies[-1]), "250 2.0.0")
        self.assertFalse(self.hop.envelopes[0].sender)

    def test_hello(self) -> None:
        """A client says hello first (ING-05)."""
        self.serve()
        self.assertEqual(self.codes(self.visit(), MAIL), ["503 5.5.1"])
