# -*- test-case-name: tests.edge.test_transaction -*-
"""Tests of mail transactions: recipients, bodies, final replies."""

from __future__ import annotations

import errno

from zope.interface.verify import verifyObject

from slimtwist.edge.access import Access
from slimtwist.edge.options import EdgeOptions
from slimtwist.interfaces import IQueue
from slimtwist.limits import Limits
from slimtwist.reply import Reply
from tests.edge.spool import MAIL, Spool, TransactionTestCase
from tests.edge.world import STRANGER


class Recipients(TransactionTestCase):
    """Who is taken."""

    def test_one_at_a_time(self) -> None:
        """Before a direct queue SMTP takes one recipient, and puts others off (ING-24)."""
        self.edge()
        replies = self.send(self.met(), b"a@b", b"c@d", b"e@f")
        self.assertEqual(
            [r[:9] for r in replies],
            ["250 2.1.5", "452 4.5.3", "452 4.5.3", "354 end w", "250 2.0.0"],
        )
        self.assertEqual([str(r.address) for r in self.hop.envelopes[0].recipients], ["a@b"])

    def test_refused_does_not_count(self) -> None:
        """After a refused recipient there is room for another (ING-24)."""
        self.edge()
        said = MAIL + b"RCPT TO:<a@any.example>\r\nRCPT TO:<a@accepted.example>\r\n"
        codes = self.codes(self.met(STRANGER), said)
        self.assertEqual(codes[1:], ["550 5.7.1", "250 2.1.5"])

    def test_relaying(self) -> None:
        """Strangers may write to accepted domains only, this host to all (ING-27)."""
        self.edge()
        for visitor, codes in [
            (self.met(STRANGER), ["550 5.7.1", "250 2.1.5"]),
            (self.met(), ["250 2.1.5", "452 4.5.3"]),
        ]:
            said = MAIL + b"RCPT TO:<a@any.example>\r\nRCPT TO:<a@accepted.example>\r\n"
            self.assertEqual(self.codes(visitor, said)[1:], codes)

    def test_unix(self) -> None:
        """A client of a UNIX socket is on this host (ING-27)."""
        self.edge()
        visitor = self.visit_by_unix()
        self.say(visitor, b"EHLO x\r\n")
        self.assertEqual(self.send(visitor, b"a@any.example")[0][:9], "250 2.1.5")
        self.assertTrue(self.hop.messages[0].startswith(b"Received: from x\r\n"))

    def test_most(self) -> None:
        """The 1,001st recipient is put off, the first 1,000 are kept (ING-06)."""
        self.edge(EdgeOptions(lmtp=True))
        recipients = [b"r%d@x" % i for i in range(1001)]
        visitor = self.met()
        codes = self.codes(visitor, MAIL + b"".join(b"RCPT TO:<%b>\r\n" % r for r in recipients))
        self.assertEqual(codes[1:], ["250 2.1.5"] * 1000 + ["452 4.5.3"])
        self.assertEqual(len(self.codes(visitor, b"DATA\r\nx\r\n.\r\n")), 1001)

    def test_many_before_a_spool(self) -> None:
        """Before a queue that answers for all at once SMTP takes them all, with DSN."""
        spool = Spool("250 2.0.0 queued")
        spool.replies *= 2
        self.edge(queue=spool)
        visitor = self.visit()
        self.assertIn("DSN", self.say(visitor, b"EHLO x\r\n")[0])
        said = (
            b"MAIL FROM:<a@b> RET=HDRS ENVID=x\r\nRCPT TO:<c@d> NOTIFY=NEVER\r\nRCPT TO:<e@f>\r\n"
        )
        self.assertEqual(len(self.codes(visitor, said + b"DATA\r\n.\r\n")), 5)
        (envelope,) = spool.envelopes
        self.assertEqual((envelope.ret, envelope.envid), ("HDRS", "x"))
        self.assertEqual([r.notify for r in envelope.recipients], [("NEVER",), ()])

    def test_international(self) -> None:
        """UTF-8 addresses go through unchanged when SMTPUTF8 was said (RFC 6531)."""
        self.edge()
        visitor = self.met()
        said = "MAIL FROM:<ä@b> SMTPUTF8\r\nRCPT TO:<ü@d>\r\nDATA\r\nx\r\n.\r\n".encode()
        self.assertEqual(self.codes(visitor, said)[-1], "250 2.0.0")
        envelope = self.hop.envelopes[0]
        self.assertEqual(str(envelope.sender), "ä@b")
        self.assertTrue(envelope.smtputf8)
        self.assertIn(b"with UTF8SMTP id", self.hop.messages[0])
        self.assertEqual(self.codes(visitor, MAIL + "RCPT TO:<ü@d>\r\n".encode())[1], "553 5.6.7")

    def test_size(self) -> None:
        """A size announced above the limit is refused before the message (ING-09)."""
        self.edge(EdgeOptions(limits=Limits(message=1000)))
        for size, code in [
            (b"1000", "250 2.1.0"),
            (b"1001", "552 5.3.4"),
            (b"%d" % 2**63, "552 5.3.4"),
        ]:
            self.assertEqual(self.codes(self.met(), b"MAIL FROM:<a@b> SIZE=%b\r\n" % size), [code])

    def test_null_sender(self) -> None:
        """The null sender is one like others (OUT-06)."""
        self.edge()
        said = b"MAIL FROM:<> SIZE=3 BODY=8BITMIME\r\nRCPT TO:<c@d>\r\nDATA\r\n\xff\r\n.\r\n"
        self.assertEqual(self.codes(self.met(), said)[-1], "250 2.0.0")
        envelope = self.hop.envelopes[0]
        self.assertEqual((envelope.sender.octets, envelope.body), (b"", "8BITMIME"))


class Messages(TransactionTestCase):
    """What reaches the queue."""

    def sent(self, octets: bytes) -> bytes:
        """Return what the next hop got of a message, without the trace field."""
        field, _, rest = octets.partition(b"+0000\r\n")
        self.assertTrue(field.startswith(b"Received: from x ([127.0.0.1])\r\n"))
        return rest

    def test_identical(self) -> None:
        """Octets come out as they went in (MSG-02, MSG-04, MSG-05, MSG-06)."""
        self.edge()
        visitor = self.met()
        for body in [
            b"",
            b"\r\n",
            b"Subject: x\r\n",
            b"\r\nbody\r\n",
            b"From x\r\nA:b\r\nA :  c\r\n\t \r\n\td\r\n\r\n\xff\xfe\0\r\n",
            b"x" * 998 + b"\r\n" + b"y" * 70_000 + b"\r\n",
            b"..\r\n...\r\n. \r\n",
            bytes(set(range(256)) - {10, 13, 46}) + b"\r\n",
        ]:
            stuffed = (b"\r\n" + body).replace(b"\r\n.", b"\r\n..")[2:]
            self.assertEqual(self.send(visitor, body=stuffed)[-1], "250 2.0.0 taken")
            self.assertEqual(self.sent(self.hop.messages[-1]), body)

    def test_large(self) -> None:
        """A large message is in a file, and as it was (L6, L8)."""
        self.edge()
        body = b"".join(b"line %d\r\n" % i for i in range(50_000))
        self.send(self.met(), body=body)
        self.assertEqual(self.sent(self.hop.messages[0]), body)
        self.assertNotIsInstance(self.hop.envelopes[0].content.body, bytes)

    def test_sinks(self) -> None:
        """Each sink is finished or abandoned, and nothing else (L6)."""
        begin = MAIL + b"RCPT TO:<c@d>\r\n"
        for said, ends in [
            (b"DATA\r\nx\r\n.\r\n", "finished "),
            (b"BDAT 1\r\nxBDAT 1 LAST\r\nx", "finished "),
            (b"DATA\r\nx", "abandoned "),
            (b"BDAT 9\r\nx", "abandoned "),
            (b"BDAT 1\r\nx", "abandoned "),
            (b"BDAT 1\r\nxRSET\r\n", "abandoned "),
            (b"BDAT 1\r\nxEHLO x\r\n", "abandoned "),
        ]:
            self.setUp()
            spool = Spool("250 2.0.0 queued")
            self.edge(queue=spool)
            visitor = self.met()
            self.say(visitor, begin + said)
            visitor.transport.abortConnection()
            self.reactor.flush()
            self.assertEqual([sink.ends for sink in spool.sinks], [ends], said)

    def test_no_trace(self) -> None:
        """Without a trace field nothing is added (MSG-13)."""
        self.edge(EdgeOptions(trace=False))
        self.send(self.met(), body=b"a: b\r\n\r\n")
        self.assertEqual(self.hop.messages, [b"a: b\r\n\r\n"])

    def test_facts(self) -> None:
        """The queue learns who sent it, and when."""
        self.edge()
        self.send(self.met(STRANGER), b"c@accepted.example")
        envelope = self.hop.envelopes[0]
        self.assertEqual((envelope.client.ip, envelope.client.helo), (STRANGER, "x"))
        self.assertEqual((envelope.client.protocol, envelope.client.auth), ("ESMTP", None))
        self.assertEqual(envelope.received, self.reactor.seconds())
        self.assertIn(b" id %b\r\n" % envelope.id.encode(), self.hop.messages[0])

    def test_evil_helo(self) -> None:
        """What a client calls itself does not break the trace field (INJ-13)."""
        self.edge()
        visitor = self.visit()
        self.say(visitor, b"EHLO a);X:y\r\n")
        self.send(visitor)
        self.assertTrue(
            self.hop.messages[0].startswith(b"Received: from [127.0.0.1] ([127.0.0.1])\r\n\tby")
        )

    def test_loop(self) -> None:
        """A message that was here for the same recipient is refused (ING-28)."""
        self.edge()
        visitor = self.met()
        self.send(visitor)
        again = self.hop.messages[0]
        self.assertEqual(self.send(visitor, body=again)[-1][:9], "554 5.4.6")
        self.assertEqual(self.send(visitor, b"e@f", body=again)[-1][:9], "250 2.0.0")

    def test_hops(self) -> None:
        """With 50 trace fields a message passes, with 51 it does not (ING-28)."""
        self.edge()
        visitor = self.met()
        for count, code in [(50, "250 2.0.0"), (51, "554 5.4.6")]:
            replies = self.send(visitor, body=b"Received: x\r\n" * count)
            self.assertEqual(replies[-1][:9], code)

    def test_too_large(self) -> None:
        """A message too large is 552 after its end; the session goes on (SMI-16, SMI-17)."""
        self.edge(EdgeOptions(limits=Limits(message=1000)))
        visitor = self.met()
        for body in (b"x" * 100_000 + b"\r\n", b"x\r\n" * 400, b"x" * 2000 + b" RSET\r\nMAIL\r\n"):
            self.assertEqual(self.send(visitor, body=body)[-1][:9], "552 5.3.4")
            self.assertEqual(self.codes(visitor, b"RSET\r\n"), ["250 2.0.0"])
        self.assertEqual(self.hop.messages, [])

    def test_smuggling(self) -> None:
        """What looks like an end to others is 521, and nothing behind it runs (SMI-01..06)."""
        self.edge()
        evil = b"MAIL FROM:<evil@x>\r\nRCPT TO:<victim@x>\r\nDATA\r\nevil\r\n.\r\n"
        for end in (b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r\n", b"\r.\n", b"\n.\r", b"\r\n.\r"):
            visitor = self.met()
            replies = self.send(visitor, body=b"x" + end + evil)
            self.assertEqual(replies[-1][:9], "521 5.5.2", end)
            self.assertIsNotNone(visitor.lost)
        self.assertEqual(self.hop.messages, [])

    def test_normalized(self) -> None:
        """When they are normalized they are text, and still end nothing (SMI-01..06)."""
        self.edge(EdgeOptions(bare_newline="normalize"))
        visitor = self.met()
        self.assertEqual(self.send(visitor, body=b"x\n.\nMAIL\r.\r\ny\r\n")[-1][:9], "250 2.0.0")
        self.assertEqual(self.sent(self.hop.messages[0]), b"x\r\n.\r\nMAIL\r\n.\r\ny\r\n")
        self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["250 2.0.0"])


class FinalReplies(TransactionTestCase):
    """What is promised at the end of data."""

    def test_passed_on(self) -> None:
        """The next hop's reply is the client's, line for line (OUT-01, L11)."""
        self.edge()
        visitor = self.met()
        for text in (
            "250 2.6.0 queued as 7",
            "450 4.1.1 busy",
            "554 5.7.1 spam",
            "421 4.3.2 going",
        ):
            self.assertIsNone(visitor.lost)
            self.hop.answers = [text]
            self.assertEqual(self.send(visitor)[-1], text)

    def test_421(self) -> None:
        """421 ends the connection behind it, as it says (RFC 5321 3.8)."""
        for lmtp in (False, True):
            self.setUp()
            self.edge(EdgeOptions(lmtp=lmtp))
            visitor = self.met()
            self.hop.answers = ["421 4.3.2 going"]
            self.assertEqual(self.send(visitor)[-1], "421 4.3.2 going")
            self.assertIsNotNone(visitor.lost)

    def test_evil_reply(self) -> None:
        """Whatever the next hop said, the client gets one legal reply (INJ-11)."""
        evil = b"550-5.7.1 a\rb\x1b[2J\0\r\n550 \xe2\x80\xae" + b"x" * 100_000 + b"\xff"
        reply = Reply.received(evil)
        self.edge(queue=Spool(str(reply)))
        visitor = self.met()
        visitor.transport.write(MAIL + b"RCPT TO:<c@d>\r\nDATA\r\n.\r\n")
        self.reactor.flush()
        lines = bytes(visitor.octets).split(b"354 ")[1].split(b"\r\n")[1:-1]
        self.assertGreater(len(lines), 2)
        for line in lines:
            self.assertRegex(line, rb"\A550[- ]5\.7\.1 [ -~]{0,500}\Z")
        self.assertEqual([line[3:4] for line in lines], [b"-"] * (len(lines) - 1) + [b" "])

    def test_lmtp(self) -> None:
        """In LMTP each accepted recipient has a reply of his own, in order (LMTP-01, 04, 05)."""
        self.edge(EdgeOptions(lmtp=True, access=Access.parse(accept=["d"])))
        self.hop.answers = ["250 2.1.5 one", "550 5.1.1 two", "450 4.2.1 three"]
        replies = self.send(self.met(STRANGER), b"x@d", b"nobody@e", b"y@d", b"X@d")
        self.assertEqual([r[:3] for r in replies[:5]], ["250", "550", "250", "250", "354"])
        self.assertEqual(replies[5:], ["250 2.1.5 one", "550 5.1.1 two", "450 4.2.1 three"])

    def test_lmtp_chunks(self) -> None:
        """The same after the last chunk (RFC 2033 4.2, RFC 3030)."""
        self.edge(EdgeOptions(lmtp=True))
        self.hop.answers = ["250 2.1.5 one", "550 5.1.1 two"]
        said = MAIL + b"RCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nBDAT 1\r\naBDAT 1 LAST\r\nb"
        self.assertEqual(self.say(self.met(), said)[4:], ["250 2.1.5 one", "550 5.1.1 two"])

    def test_lmtp_no_recipient(self) -> None:
        """Without a recipient DATA is 503 (LMTP-07)."""
        self.edge(EdgeOptions(lmtp=True))
        self.assertEqual(self.codes(self.met(), MAIL + b"DATA\r\n")[1:], ["503 5.5.1"])

    def test_lmtp_refusals(self) -> None:
        """A message that is refused here is so for each recipient (RFC 2033 4.2)."""
        self.edge(EdgeOptions(lmtp=True, limits=Limits(message=10)))
        visitor = self.met()
        replies = self.send(visitor, b"a@b", b"c@d", body=b"x" * 20 + b"\r\n")
        self.assertEqual([r[:9] for r in replies[3:]], ["552 5.3.4"] * 2)
        replies = self.send(visitor, b"a@b", b"c@d", body=b"x\n\r\n")
        self.assertEqual([r[:9] for r in replies[3:]], ["521 5.5.2"] * 2)
        self.assertIsNotNone(visitor.lost)

    def test_lmtp_421(self) -> None:
        """Among several, 421 would hide those behind it, and is 451 (RFC 5321 3.8)."""
        self.edge(EdgeOptions(lmtp=True))
        self.hop.answers = ["421 4.3.2 going", "250 2.0.0 taken"]
        replies = self.send(self.met(), b"a@b", b"c@d")
        self.assertEqual(replies[3:], ["451 4.3.2 going", "250 2.0.0 taken"])

    def test_never_250(self) -> None:
        """One reply for several is a success only if all are one (ING-24, L1)."""
        for replies, said in [
            (["250 2.0.0 a", "550 5.1.1 b"], "550 5.1.1 b"),
            (["550 5.1.1 b", "450 4.1.1 c", "250 2.0.0 a"], "450 4.1.1 c"),
            (["250 2.0.0 a", "250 2.0.0 b", "250 2.0.0 c"], "250 2.0.0 a"),
        ]:
            self.setUp()
            self.edge(queue=Spool(*replies))
            recipients = [b"x@y"] * len(replies)
            self.assertEqual(self.send(self.met(), *recipients)[-1], said)

    def test_one_refusal(self) -> None:
        """In SMTP a message for several that is refused here has one reply."""
        limits = Limits(message=10)
        self.edge(EdgeOptions(limits=limits), queue=Spool("250 2.0.0 queued"))
        replies = self.send(self.met(), b"a@b", b"c@d", body=b"x" * 20 + b"\r\n")
        self.assertEqual([r[:9] for r in replies[3:]], ["552 5.3.4"])

    def test_broken_queue(self) -> None:
        """A queue that raises, fails or says too little defers the message (OS-15, L3)."""
        for queue in (
            Spool(error=ZeroDivisionError()),
            Spool(error=ValueError()),
            Spool("250 2.0.0 a"),
        ):
            self.setUp()
            self.edge(queue=queue)
            visitor = self.met()
            self.assertEqual(self.send(visitor, b"a@b", b"c@d")[-1][:9], "451 4.3.0")
            self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["250 2.0.0"])
        self.assertEqual(len(self.flushLoggedErrors()), 2)

    def test_full_disk(self) -> None:
        """Where nothing can be written, DATA and BDAT are 452, and octets are read (OS-03)."""
        spool = Spool("250 2.0.0 queued")
        spool.sink_error = OSError(errno.ENOSPC, "full")
        self.edge(queue=spool)
        visitor = self.met()
        said = MAIL + b"RCPT TO:<c@d>\r\nDATA\r\n"
        self.assertEqual(self.codes(visitor, said)[2:], ["452 4.3.1"])
        spool.sink_error = None
        self.assertEqual(self.codes(visitor, b"DATA\r\nx\r\n.\r\n"), ["354", "250 2.0.0"])
        spool.sink_error = OSError(errno.ENOSPC, "full")
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
        self.assertEqual(self.codes(visitor, said)[2:], ["452 4.3.1", "250 2.0.0"])

    def test_interfaces(self) -> None:
        """What stands for a queue here is one."""
        verifyObject(IQueue, Spool())
