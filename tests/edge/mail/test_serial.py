# -*- test-case-name: tests.edge.mail.test_serial -*-
"""A server of twisted.mail that does one thing after the other."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.mail.smtp import SMTPFactory

from slimtwist.edge.mail import with_true_replies
from slimtwist.edge.options import EdgeOptions
from slimtwist.envelope import Envelope
from slimtwist.reply import Reply
from tests.edge.mail.world import HELLO, LOGIN, MAIL, MESSAGE, MailTestCase
from tests.edge.spool import Spool
from tests.edge.world import Visitor

RCPT = b"RCPT TO:<b@x.example>\r\n"
ALL = MAIL + RCPT + b"DATA\r\n" + MESSAGE + b".\r\n"


class Pending(Spool):
    """A queue that promises when a test says so.

    @ivar promises: what submitters wait for.
    @ivar left: how many of them wait no more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.promises: list[Deferred[Sequence[Reply]]] = []
        self.left = 0

    def submit(self, envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Keep the message."""
        self.envelopes.append(envelope)
        self.promises.append(Deferred(self._leave))
        return self.promises[-1]

    def promise(self, reply: str) -> None:
        """Answer who waits longest."""
        self.promises.pop(0).callback([Reply.parse(reply)])

    def _leave(self, _: object) -> None:
        self.left += 1


class OrderTests(MailTestCase):
    """Commands, and the replies to them."""

    def test_pipelined(self) -> None:
        """Whatever comes in one write is answered in its order, message after message (ING-21,
        SMI-14).
        """
        self.serve()
        codes = self.codes(self.visit(), HELLO + ALL + ALL + b"QUIT\r\n")
        one = ["250", "250", "354", "250 2.0.0"]
        self.assertEqual(codes, ["250", *one, *one, "221"])
        self.assertEqual(len(self.hop.messages), 2)

    def test_octet_by_octet(self) -> None:
        """It does not matter how octets come in."""
        self.serve()
        visitor = self.visit()
        codes = [c for octet in HELLO + ALL for c in self.codes(visitor, bytes([octet]))]
        self.assertEqual(codes, ["250", "250", "250", "354", "250 2.0.0"])

    def test_eight_bit(self) -> None:
        """A command that is not ASCII is unknown; the session lives, nothing failed (ING-03)."""
        self.serve()
        codes = self.codes(self.met(), b"\xff\r\nM\xc3\xa4IL FROM:<a@b>\r\n" + ALL)
        self.assertEqual(codes, ["500", "500", "250", "250", "354", "250 2.0.0"])

    def test_no_mechanism(self) -> None:
        """AUTH without an argument is refused; the session lives (ING-04)."""
        self.serve()
        codes = self.codes(self.met(), b"AUTH\r\nAUTH  \r\nRSET\r\n")
        self.assertEqual(codes, ["501 5.5.4", "501 5.5.4", "250"])

    def test_malformed_login(self) -> None:
        """A response without the parts of its mechanism is refused; the session lives (ING-20)."""
        self.serve()
        for octets in (
            b"AUTH PLAIN YQ==\r\n",
            b"AUTH PLAIN YQBiAGMAZA==\r\n",
            b"AUTH PLAIN\r\nYQ==\r\n",
        ):
            visitor = self.met()
            self.assertEqual(self.codes(visitor, octets)[-1], "501 5.5.2")
            self.assertEqual(self.codes(visitor, LOGIN + b"RSET\r\n"), ["235", "250"])

    def test_smtp(self) -> None:
        """A server that knows no EHLO still knows none."""
        self.options = EdgeOptions()
        self.open(with_true_replies(SMTPFactory()))
        self.assertEqual(self.codes(self.visit(), HELLO + b"HELO x\r\n"), ["500", "250"])

    def test_held(self) -> None:
        """What follows a message waits until it is known what became of that (L1, L12)."""
        self.serve(queue=(queue := Pending()))
        visitor = self.met()
        self.assertEqual(self.codes(visitor, ALL + MAIL + RCPT), ["250", "250", "354"])
        queue.promise("250 2.0.0 kept")
        self.reactor.flush()
        self.assertEqual([each[:9] for each in visitor.replies()][:1], ["250 2.0.0"])
        self.assertEqual(self.codes(visitor, b"DATA\r\n"), ["354"])

    def test_flood(self) -> None:
        """Not much is kept while a client is to wait (L6)."""
        self.serve(queue=(queue := Pending()))
        visitor = self.met()
        self.say(visitor, ALL)
        visitor.transport.write(b"NOOP\r\n" * 50_000)
        self.reactor.flush()
        (server,) = self.servers
        self.assertLess(server.unread, 300_000)
        queue.promise("250 2.0.0 kept")
        self.reactor.flush()
        self.assertEqual(len(visitor.replies()), 50_001)

    def test_421(self) -> None:
        """A reply of 421 ends the connection, as it says, whatever the client has sent."""
        self.serve(queue=(queue := Pending()))
        visitor = self.met()
        self.say(visitor, ALL + MAIL)
        queue.promise("421 4.3.2 closing")
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["421 4.3.2 closing"])
        self.assertIsNotNone(visitor.lost)

    def test_early_tls(self) -> None:
        """Nothing may follow STARTTLS (ING-16)."""
        self.serve()
        visitor = self.met()
        self.assertEqual(self.codes(visitor, b"STARTTLS\r\n" + MAIL), ["503 5.5.1"])
        self.assertIsNotNone(visitor.lost)
        self.assertEqual(self.codes(self.met(), b"STARTTLS\r\n"), ["454"])

    def test_error(self) -> None:
        """A server that fails closes the connection, also when its turn came late."""
        self.serve(queue=(queue := Pending()))
        visitor = self.met()

        def fail(_: bytes) -> None:
            raise RuntimeError("planted")

        self.servers[0].do_HELP = fail
        self.say(visitor, ALL + b"HELP\r\nNOOP\r\n")
        queue.promise("250 2.0.0 kept")
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["250 2.0.0 kept"])
        self.assertIsNotNone(visitor.lost)
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class LineTests(MailTestCase):
    """Lines that are too long for the server."""

    def test_command(self) -> None:
        """One that is no part of a message gets one reply, in whatever pieces it comes."""
        self.serve()
        visitor = self.met()
        self.assertEqual(
            self.codes(visitor, b"NOOP" + b"x" * 20_000 + b"\r\nRSET\r\n"), ["500", "250"]
        )
        for _ in range(100):
            self.assertEqual(self.codes(visitor, b"x" * 20_000), [])
        (server,) = self.servers
        self.assertLessEqual(server.unread, 1)
        for end in (b"x\r", b"x" * 20_000 + b"\r"):  # a line end may be cut in two
            self.assertEqual(self.codes(visitor, end), [])
            self.assertEqual(self.codes(visitor, b"\nRSET\r\n"), ["500", "250"])
            self.say(visitor, b"x" * 20_000)
        self.assertEqual(self.codes(visitor, b"\r\nRSET\r\n"), ["500", "250"])

    def test_message(self) -> None:
        """One in a message refuses it at its end; nothing of it is ever a command, and nothing is
        kept (SMI).
        """
        self.serve(queue=(spool := Spool("250 2.0.0 kept")))
        visitor = self.met()
        line = b"x" * 16_384
        for octets in (line + b"x\r\nQUIT\r\n", line * 5 + b"\r\nQUIT\r\n" + line * 5 + b"\r\n"):
            self.assertEqual(self.send(visitor, octets=octets)[-1], "500 5.5.6 line too long")
        self.assertIsNone(visitor.lost)
        self.assertEqual(self.send(visitor, octets=line + b"\r\n")[-1], "250 2.0.0 kept")
        self.assertEqual(len(spool.envelopes), 1)

    def test_lost(self) -> None:
        """The client may leave after it."""
        self.serve(queue=(spool := Spool("250 2.0.0 kept")))
        visitor = self.met()
        self.say(visitor, MAIL + RCPT + b"DATA\r\na: b\r\n" + b"x" * 20_000 + b"\r\n")
        self.leave(visitor)
        self.assertEqual(spool.sinks[0].ends[:9], "abandoned")


class TimeTests(MailTestCase):
    """Who waits for whom."""

    def test_server(self) -> None:
        """A client that waits for its message is not sent away (L1)."""
        self.serve(queue=(queue := Pending()))
        visitor = self.met()
        self.say(visitor, ALL)
        self.reactor.advance(5000)
        queue.promise("250 2.0.0 kept")
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["250 2.0.0 kept"])

    def test_client(self) -> None:
        """One that says nothing is, by the server's own time limit."""
        self.serve()
        visitor = self.met()
        self.reactor.advance(601)
        self.reactor.flush()
        self.assertEqual([reply[:4] for reply in visitor.replies()], ["421 "])
        self.assertIsNotNone(visitor.lost)

    def test_no_more(self) -> None:
        """Nothing is left of a client that went away (L10)."""
        self.serve()
        visitor: Visitor = self.met()
        self.say(visitor, ALL)
        self.leave(visitor)
        self.assert_nothing_left()
