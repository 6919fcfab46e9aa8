# -*- test-case-name: tests.edge.mail -*-
"""A server of twisted.mail, a relay behind it, and clients, all in memory."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.interfaces import IAddress
from twisted.mail.imap4 import PLAINCredentials
from twisted.mail.smtp import ESMTP, SMTP, SMTPFactory

from slimtwist.edge.mail import RelayDelivery, RelayRealm, with_true_replies
from slimtwist.edge.options import EdgeOptions
from slimtwist.interfaces import IQueue
from slimtwist.queue.direct import DirectQueue
from tests.edge.world import EdgeTestCase, Visitor

HELLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<a@example.org>\r\n"
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
LOGIN = b"AUTH PLAIN " + b64encode(b"\0alice\0secret") + b"\r\n"


class Servers(SMTPFactory):
    """Makes servers that offer AUTH PLAIN."""

    protocol = ESMTP
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> SMTP:
        """Return a server."""
        server: ESMTP = super().buildProtocol(addr)
        server.noisy = False
        server.challengers = {b"PLAIN": PLAINCredentials}
        return server


class MailTestCase(EdgeTestCase):
    """Has a server of twisted.mail with true replies in front of a next hop, and clients of it."""

    mail_factory: Any
    servers: list[Any]

    def serve(
        self,
        options: EdgeOptions | None = None,
        queue: IQueue | None = None,
        *,
        true: bool = True,
        **choices: Any,  # noqa: ANN401 - those of RelayDelivery
    ) -> None:
        """Let a server listen.

        @param true: whether it gives true replies.
        """
        self.options = options = options or EdgeOptions()
        self.queue = queue or DirectQueue(
            self.runtime, self.hop, limits=options.limits, timeouts=options.timeouts
        )
        self.delivery = RelayDelivery(self.runtime, self.queue, options, **choices)
        self.listen(RelayRealm(self.delivery), true=true)

    def listen(self, realm: IRealm, *, true: bool = True) -> None:
        """Let a server listen whose clients get what a realm gives."""
        users = InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret")
        servers = Servers(Portal(realm, [AllowAnonymousAccess(), users]))
        self.open(with_true_replies(servers) if true else servers)

    def open(self, factory: Any) -> None:  # noqa: ANN401 - any of twisted.mail's
        """Let a factory's servers listen, by TCP and on a UNIX socket; they keep our time."""
        build = factory.buildProtocol

        def built(addr: IAddress | None) -> Any:  # noqa: ANN401 - whatever the factory makes
            server = build(addr)
            server.callLater = self.reactor.callLater
            self.servers.append(server)
            return server

        factory.buildProtocol = built
        self.mail_factory = factory
        self.servers = []
        self.port = self.reactor.listenTCP(25, factory, interface="0.0.0.0")
        self.reactor.listenUNIX("/run/edge", factory)

    def met(self, ip: str = "127.0.0.1") -> Visitor:
        """Return a client that said hello."""
        visitor = self.visit(ip)
        self.say(visitor, HELLO)
        return visitor

    def leave(self, visitor: Visitor) -> None:
        """Let a client go without a word."""
        visitor.transport.abortConnection()
        self.reactor.flush()

    def send(
        self, visitor: Visitor, *recipients: bytes, octets: bytes = MESSAGE, mail: bytes = MAIL
    ) -> list[str]:
        """Send a message, each command after the reply to the one before; return all replies."""
        commands = [mail, *(b"RCPT TO:<%b>\r\n" % each for each in recipients or [b"b@x.example"])]
        replies = [self.say(visitor, command)[0] for command in commands]
        if any(reply.startswith("250") for reply in replies[1:]):
            replies += self.say(visitor, b"DATA\r\n")
            replies += self.say(visitor, octets + b".\r\n")
        return replies
