# -*- test-case-name: tests.edge.mail.test_protocol -*-
"""A server of twisted.mail with true replies, whatever is behind it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IAddress
from twisted.mail.interfaces import IMessageDelivery, IMessageSMTP
from twisted.mail.protocols import ESMTPFactory
from twisted.mail.smtp import ESMTP, SMTP, Address, SMTPBadRcpt, SMTPFactory, SMTPServerError, User
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from slimtwist.edge.mail import TrueReplies, with_true_replies
from slimtwist.edge.options import EdgeOptions
from tests.edge.mail.world import MAIL, MailTestCase, Servers
from tests.edge.world import code


@implementer(IMessageSMTP)
class Scripted:
    """A message that ends as a test says.

    @ivar lines: those that it was given.
    """

    def __init__(self, end: Deferred[Any]) -> None:
        self.lines: list[bytes] = []
        self.lost = 0
        self._end = end

    def lineReceived(self, line: bytes) -> None:
        """Keep a line, or refuse it."""
        if line.startswith(b"bad"):
            raise SMTPServerError(554, b"5.6.0 bad line")
        self.lines.append(line)

    def eomReceived(self) -> Deferred[Any]:
        """Return the end."""
        return self._end

    def connectionLost(self) -> None:
        """Note it."""
        self.lost += 1


@implementer(IMessageDelivery)
class Deliveries:
    """Somebody else's delivery.

    @ivar messages: those that it made.
    """

    def __init__(self, *ends: Deferred[Any]) -> None:
        self.messages: list[Scripted] = []
        self._ends = list(ends)

    def validateFrom(self, helo: tuple[bytes, bytes], origin: Address) -> Address:
        """Take everybody."""
        return origin

    def validateTo(self, user: User) -> Callable[[], Scripted]:
        """Take everybody but one."""
        if user.dest.local == b"nobody":
            raise SMTPBadRcpt(user)
        return self._make

    def receivedHeader(
        self, helo: tuple[bytes, bytes], origin: Address, recipients: list[User]
    ) -> bytes:
        """Return a header."""
        return b"Received: by somebody else"

    def _make(self) -> Scripted:
        self.messages.append(Scripted(self._ends.pop(0)))
        return self.messages[-1]


class OthersTests(MailTestCase):
    """Deliveries that know nothing of ours."""

    def hand_to_others(self, *ends: Deferred[Any]) -> Deliveries:
        """Let a server listen that hands its messages to somebody else's delivery."""
        self.options = EdgeOptions()
        deliveries = Deliveries(*ends)
        servers = with_true_replies(Servers())
        build = servers.buildProtocol

        def built(addr: IAddress | None) -> SMTP:
            server: SMTP = build(addr)
            server.delivery = deliveries
            return server

        servers.buildProtocol = built  # type: ignore[method-assign]
        self.open(servers)
        return deliveries

    def test_replies(self) -> None:
        """All who are content say 250; a failure says what it is, and an error without a reply that
        the client may come again (L2).
        """
        ends: list[tuple[Deferred[Any], str]] = [
            (succeed(None), "250 2.0.0 taken"),
            (fail(SMTPServerError(452, b"4.2.2 full")), "452 4.2.2 full"),
            (fail(SMTPBadRcpt(b"a@b")), "550 5.0.0 Cannot receive for specified address"),
            (fail(SMTPServerError(250, b"what")), "451 4.3.0 internal error"),
            (fail(OSError("disk")), "451 4.3.0 internal error"),
        ]
        self.hand_to_others(*(end for end, _ in ends))
        visitor = self.met()
        for _, wanted in ends:
            self.assertEqual(self.send(visitor)[-1], wanted)
        self.assertEqual(len(self.flushLoggedErrors(OSError, SMTPServerError)), 2)

    def test_several(self) -> None:
        """Several have one reply: a failure that will pass, or one that will not, or a success."""
        full, gone = SMTPServerError(452, b"4.2.2 full"), SMTPServerError(550, b"5.1.1 gone")
        group: Deferred[Any] = DeferredList([succeed(None), fail(full)], consumeErrors=True)
        self.hand_to_others(
            *(succeed(None), fail(gone)),
            *(fail(gone), fail(full)),
            *(succeed(None), group),
            *(succeed([]), succeed(None)),
        )
        visitor = self.met()
        for wanted in ("550 5.1.1", "452 4.2.2", "452 4.2.2", "250 2.0.0"):
            self.assertEqual(code(self.send(visitor, b"a@x", b"b@x")[-1]), wanted)

    def test_recipients(self) -> None:
        """Who is refused is refused, and the others have their message, below their own header."""
        deliveries = self.hand_to_others(succeed(None), succeed(None))
        replies = self.send(self.met(), b"nobody@x", b"b@x", b"c@x", octets=b"a: b\r\n")
        self.assertEqual(
            [code(r) for r in replies], ["250", "550", "250", "250", "354", "250 2.0.0"]
        )
        header = b"Received: by somebody else"
        self.assertEqual([each.lines for each in deliveries.messages], [[header, b"a: b"]] * 2)

    def test_header(self) -> None:
        """Where a message has no header, an empty line keeps the server's own apart; in ours there
        is none that was not sent (L8).
        """
        deliveries = self.hand_to_others(*[succeed(None)] * 3)
        visitor = self.met()
        for octets in (b"hello\r\na: b\r\n", b"..\r\n", b"\r\nhello\r\n"):
            self.send(visitor, octets=octets)
        lines = [each.lines[1:] for each in deliveries.messages]
        self.assertEqual(lines, [[b"", b"hello", b"a: b"], [b"", b"."], [b"", b"hello"]])

    def test_bad_line(self) -> None:
        """A message that refuses a line is dropped, and the reply is its own."""
        deliveries = self.hand_to_others(succeed(None))
        replies = self.send(self.met(), octets=b"a: b\r\nbad\r\nc: d\r\n")
        self.assertEqual(replies[-1], "554 5.6.0 bad line")
        self.assertEqual(
            (deliveries.messages[0].lines[1:], deliveries.messages[0].lost), ([b"a: b"], 1)
        )

    def test_long_line(self) -> None:
        """One that has a line too long is dropped likewise."""
        deliveries = self.hand_to_others(succeed(None))
        replies = self.send(self.met(), octets=b"x" * 20_000 + b"\r\n")
        self.assertEqual(replies[-1], "500 5.5.6 line too long")
        self.assertEqual(deliveries.messages[0].lost, 1)

    def test_lost(self) -> None:
        """One that breaks off is told so; one that was complete is not."""
        waiting: Deferred[Any] = Deferred()
        deliveries = self.hand_to_others(succeed(None), waiting)
        for number, octets in enumerate((b"a: b\r\n", b"a: b\r\n.\r\n")):
            visitor = self.met()
            self.say(visitor, MAIL + b"RCPT TO:<a@x>\r\nDATA\r\n" + octets)
            self.leave(visitor)
            self.assertEqual(deliveries.messages[number].lost, 1 - number)
        waiting.callback(None)
        self.assert_nothing_left()


class FactoryTests(SynchronousTestCase):
    """Factories of all kinds."""

    def test_kinds(self) -> None:
        """Any factory's servers get true replies, once, and stay what they were."""
        for factory, kind in (
            (SMTPFactory(), SMTP),
            (Servers(), ESMTP),
            (ESMTPFactory(None), ESMTP),
        ):
            self.assertIs(with_true_replies(factory), factory)
            made = factory.protocol
            self.assertTrue(issubclass(made, TrueReplies))
            self.assertTrue(issubclass(made, kind))
            self.assertIs(with_true_replies(factory).protocol, made)
        self.assertIs(SMTPFactory.protocol, SMTP)

    def test_wrong(self) -> None:
        """What makes something else is refused."""
        factory = SMTPFactory()
        factory.protocol = cast("type[SMTP]", partial(SMTP))
        self.assertRaises(TypeError, with_true_replies, factory)
