# -*- test-case-name: tests.edge.mail.test_domain -*-
"""A relay as a domain of a MailService."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import StringTransport
from twisted.mail.alias import AddressAlias
from twisted.mail.imap4 import PLAINCredentials
from twisted.mail.interfaces import IAliasableDomain, IDomain, IMessageSMTP
from twisted.mail.mail import MailService
from twisted.mail.maildir import AbstractMaildirDomain
from twisted.mail.smtp import ESMTP, Address, User
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.edge.access import Access
from slimtwist.edge.mail import RelayDomain, with_true_replies
from slimtwist.edge.mail.asking import asking
from slimtwist.edge.options import EdgeOptions
from slimtwist.interfaces import IQueue
from slimtwist.limits import Limits
from slimtwist.queue.direct import DirectQueue
from tests.edge.mail.world import LOGIN, MAIL, MESSAGE, MailTestCase
from tests.edge.spool import Spool
from tests.edge.world import STRANGER, code


@implementer(IMessageSMTP)
class Kept:
    """A message in a mailbox."""

    def __init__(self, mailbox: list[bytes], failure: Exception | None) -> None:
        self._mailbox = mailbox
        self._failure = failure
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        """Keep a line."""
        self._lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        """Keep the message."""
        if self._failure is not None:
            return fail(self._failure)
        self._mailbox.append(b"\n".join(self._lines))
        return succeed(None)

    def connectionLost(self) -> None:
        """Forget it."""
        self._lines.clear()


@implementer(IAliasableDomain)
class Mailboxes(AbstractMaildirDomain):
    """A domain of twisted.mail's, with mailboxes in memory.

    @ivar kept: the messages of alice, who is the only user.
    """

    def __init__(self, service: MailService) -> None:
        super().__init__(service, b"")
        self.kept: list[bytes] = []
        self.trouble: Exception | None = None

    def userDirectory(self, user: bytes) -> bytes | None:
        """Tell whether there is such a user."""
        return b"" if user == b"alice" else None

    def startMessage(self, user: User) -> IMessageSMTP:
        """Return what keeps a message."""
        message: IMessageSMTP = Kept(self.kept, self.trouble)
        return message

    def getCredentialsCheckers(self) -> list[object]:
        """Return none."""
        return []


class DomainTestCase(MailTestCase):
    """Has a mail service with a local domain, and a relay for the rest."""

    def domains(
        self,
        queue: IQueue | None = None,
        *,
        true: bool = True,
        local: bool = True,
        **choices: Any,  # noqa: ANN401 - those of RelayDomain
    ) -> None:
        """Let such a service listen."""
        self.service = service = MailService()
        self.mailboxes = Mailboxes(service)
        self.aliases: dict[bytes, AddressAlias] = {}
        self.mailboxes.setAliasGroup(self.aliases)
        service.addDomain(b"example.com", self.mailboxes)
        self.options = EdgeOptions()
        self.queue = queue or DirectQueue(self.runtime, self.hop)
        known = service.domains if local else None
        self.relay = RelayDomain(self.runtime, self.queue, local=known, **choices)
        service.domains.setDefaultDomain(self.relay)
        users = InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret")
        service.smtpPortal.registerChecker(users)
        service.smtpPortal.registerChecker(AllowAnonymousAccess())
        factory = service.getESMTPFactory()
        factory.challengers = {b"PLAIN": PLAINCredentials}
        self.open(with_true_replies(factory) if true else factory)


class DomainTests(DomainTestCase):
    """What stays, and what goes on."""

    def test_interface(self) -> None:
        """It is a domain, where nobody lives."""
        self.domains()
        verifyObject(IDomain, self.relay)
        self.assertEqual(self.relay.getCredentialsCheckers(), [])
        self.assertRaises(ValueError, self.relay.addUser, b"a", b"b")
        self.assertRaises(UnauthorizedLogin, self.relay.requestAvatar, b"a", None)

    def test_both(self) -> None:
        """Mail for a local domain stays, all other goes on, with the next hop's reply (L11)."""
        self.domains()
        visitor = self.met()
        self.assertEqual(code(self.send(visitor, b"alice@example.com")[-1]), "250 2.0.0")
        self.assertEqual(code(self.send(visitor, b"bob@example.com")[1]), "550")
        self.say(visitor, b"RSET\r\n")
        self.hop.answers = ["450 4.7.1 greylisted"]
        self.assertEqual(self.send(visitor)[-1], "450 4.7.1 greylisted")
        self.assertEqual((len(self.mailboxes.kept), len(self.hop.messages)), (1, 1))
        self.assertEqual(self.hop.messages[0].count(b"Received: "), 1)
        self.assertTrue(self.hop.messages[0].endswith(b"\r\n" + MESSAGE))

    def test_case(self) -> None:
        """A local domain is local however it is written, if the relay knows of it."""
        self.domains()
        self.assertEqual(code(self.send(self.met(), b"alice@Example.COM")[-1]), "250 2.0.0")
        self.assertEqual((len(self.mailboxes.kept), len(self.hop.messages)), (1, 0))

    def test_stranger(self) -> None:
        """Strangers may write to local domains only, and who has authenticated to all."""
        self.domains()
        stranger = self.met(STRANGER)
        self.assertEqual(code(self.send(stranger, b"alice@example.com")[-1]), "250 2.0.0")
        self.assertEqual(self.send(stranger)[1], "550 5.7.1 relaying denied")
        self.say(stranger, b"RSET\r\n" + LOGIN)
        self.assertEqual(code(self.send(stranger)[-1]), "250 2.0.0")
        self.assertEqual(self.hop.envelopes[0].client.auth, "alice")

    def test_check(self) -> None:
        """A check decides, if there is one."""
        self.domains(check=Access.parse(accept=["x.example"]).refusal)
        stranger = self.met(STRANGER)
        self.assertEqual(code(self.send(stranger)[-1]), "250 2.0.0")
        self.assertEqual(code(self.send(stranger, b"b@y.example")[1]), "550 5.7.1")

    def test_named(self) -> None:
        """It may be a domain like any other."""
        self.domains()
        hop = DirectQueue(self.runtime, self.hop)
        partner = RelayDomain(self.runtime, hop, check=lambda *_: None, local=self.service.domains)
        self.service.addDomain(b"partner.example", partner)
        stranger = self.met(STRANGER)
        self.assertEqual(code(self.send(stranger, b"b@partner.example")[-1]), "250 2.0.0")

    def test_sender(self) -> None:
        """A sender that cannot go on is refused with the first recipient who is elsewhere."""
        self.domains()
        replies = self.send(self.met(), mail=b'MAIL FROM:<"a\x01b"@x.example>\r\n')
        self.assertEqual(code(replies[1]), "501 5.1.7")

    def test_hello(self) -> None:
        """A client says hello first (ING-05)."""
        self.domains()
        codes = self.codes(self.visit(), MAIL + b"RCPT TO:<b@x.example>\r\n")
        self.assertEqual(codes, ["250", "503 5.5.1"])

    def test_stock(self) -> None:
        """It works behind a server without true replies as far as such a server goes: mail goes on
        with one trace field, and a refusal is 550.
        """
        self.domains(true=False)
        visitor = self.met()
        self.assertEqual(code(self.send(visitor)[-1]), "250")
        self.assertEqual(self.hop.messages[0].count(b"Received: "), 1)
        self.assertTrue(self.hop.messages[0].endswith(b"\r\n" + MESSAGE))
        self.hop.answers = ["450 4.7.1 greylisted"]
        self.assertEqual(code(self.send(visitor)[-1]), "550")
        self.assertEqual(len(self.flushLoggedErrors()), 1)


class MixTests(DomainTestCase):
    """Recipients here and elsewhere, of one message."""

    def test_direct(self) -> None:
        """Where each recipient elsewhere has the next hop's own reply, he is alone in the
        transaction, so that nobody gets a message twice.
        """
        self.domains()
        visitor = self.met()
        both = (b"alice@example.com", b"b@x.example")
        for recipients in (both, both[::-1]):
            replies = self.send(visitor, *recipients)
            self.assertEqual(
                [code(reply) for reply in replies], ["250", "250", "452 4.5.3", "354", "250 2.0.0"]
            )
        self.assertEqual((len(self.mailboxes.kept), len(self.hop.messages)), (1, 1))

    def test_durable(self) -> None:
        """Where a queue promises for all, all are taken together."""
        spool = Spool("250 2.0.0 kept", "250 2.0.0 kept")
        self.domains(spool)
        replies = self.send(self.met(), b"b@x.example", b"alice@example.com", b"c@x.example")
        self.assertEqual(code(replies[-1]), "250 2.0.0")
        [envelope] = spool.envelopes
        self.assertEqual(
            [str(r.address) for r in envelope.recipients], ["b@x.example", "c@x.example"]
        )
        [kept] = self.mailboxes.kept
        self.assertTrue(kept.startswith(b"Received: "))

    def test_trouble(self) -> None:
        """What a local domain cannot keep now is asked for again; the others are not told that
        they succeeded.
        """
        self.domains(Spool("250 2.0.0 kept"))
        self.mailboxes.trouble = OSError("disk")
        replies = self.send(self.met(), b"b@x.example", b"alice@example.com")
        self.assertEqual(replies[-1], "451 4.3.0 internal error")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class AliasTests(DomainTestCase):
    """Aliases of the local domain."""

    def alias(self, name: bytes, address: str, original: str | None = None) -> None:
        """Let an alias stand for an address; the domain of C{original} is asked about it."""
        self.aliases[name] = AddressAlias(address, self.service.domains, original or address)

    def test_here(self) -> None:
        """One that stands for a local user still does, with or without his domain's name."""
        self.domains()
        self.alias(b"team", "alice@example.com")
        self.alias(b"nick", "team")
        self.alias(b"far", "alice@Example.com", "far")
        visitor = self.met(STRANGER)
        for name in (
            b"team@example.com",
            b"nick@example.com",
            b"nick@EXAMPLE.com",
            b"far@example.com",
        ):
            self.assertEqual(code(self.send(visitor, name)[-1]), "250 2.0.0")
        self.assertEqual((len(self.mailboxes.kept), len(self.hop.messages)), (4, 0))

    def test_in_vain(self) -> None:
        """Who was asked about, and then is no part of the message after all, is not waited for."""
        self.domains(spool := Spool("250 2.0.0 kept"))
        server = ESMTP()
        server.transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 1))
        user = User(b"<c@x.example>", (b"client.example", b""), server, Address(b"a@example.org"))
        with asking(user):
            self.relay.exists(User(b"<bob@x.example>", None, None, None), {})()  # type: ignore[operator]
        place: Any = self.relay.exists(user)
        message = self.successResultOf(place)()
        self.assertEqual(str(self.successResultOf(message.eomReceived())), "250 2.0.0 kept")
        self.assertEqual(len(spool.envelopes[0].recipients), 1)

    def test_circle(self) -> None:
        """Those that stand for each other stand for nobody."""
        self.domains()
        self.alias(b"one", "two@Example.com", "far")
        self.alias(b"two", "one@Example.com", "far")
        self.assertEqual(code(self.send(self.met(), b"one@example.com")[1]), "550")

    def test_elsewhere(self) -> None:
        """One that stands for somebody elsewhere sends his mail there, whoever it is from."""
        self.domains()
        self.alias(b"bob", "bob@x.example")
        stranger = self.met(STRANGER)
        self.assertEqual(self.send(stranger, b"bob@example.com")[-1], "250 2.0.0 taken")
        [envelope] = self.hop.envelopes
        self.assertEqual(
            (str(envelope.sender), str(envelope.recipients[0].address), envelope.client.ip),
            ("a@example.org", "bob@x.example", STRANGER),
        )
        self.assertEqual(self.hop.messages[0].count(b"Received: "), 1)

    def test_alone(self) -> None:
        """Such a one is alone in a transaction like any other who is elsewhere; who was named in
        vain is not waited for.
        """
        self.domains()
        self.alias(b"bob", "bob@x.example")
        visitor = self.met()
        both = (b"alice@example.com", b"bob@example.com")
        for recipients in (both, both[::-1]):
            self.assertEqual(code(self.send(visitor, *recipients)[2]), "452 4.5.3")
        self.assertEqual((len(self.mailboxes.kept), len(self.hop.messages)), (1, 1))

    def test_together(self) -> None:
        """One and somebody else elsewhere share a message, were it without a line."""
        for octets in (b"", MESSAGE):
            self.setUp()
            self.domains(spool := Spool("250 2.0.0 kept", "250 2.0.0 kept"))
            self.alias(b"bob", "bob@x.example")
            replies = self.send(self.met(), b"c@x.example", b"bob@example.com", octets=octets)
            self.assertEqual(replies[-1], "250 2.0.0 kept")
            self.assertEqual(len(spool.envelopes[0].recipients), 2)

    def test_too_many(self) -> None:
        """He counts as one of the message's recipients."""
        spool = Spool("250 2.0.0 kept")
        self.domains(spool, options=EdgeOptions(limits=Limits(recipients=1)))
        self.alias(b"bob", "bob@x.example")
        replies = self.send(self.met(), b"c@x.example", b"bob@example.com")
        self.assertEqual(replies[2], "452 4.5.3 too many recipients")
        self.assertEqual(len(spool.envelopes[0].recipients), 1)

    def test_reset(self) -> None:
        """Nothing is left of one who was named in vain."""
        self.domains(spool := Spool("250 2.0.0 kept"))
        self.alias(b"bob", "bob@x.example")
        visitor = self.met()
        self.say(visitor, MAIL + b"RCPT TO:<bob@example.com>\r\nRSET\r\n")
        self.assertEqual(spool.sinks, [])
        self.assertEqual(self.send(visitor)[-1], "250 2.0.0 kept")
        self.assertEqual(len(spool.envelopes[0].recipients), 1)

    def test_stock(self) -> None:
        """A server without true replies does not say whose message it is, so it has to wait; no
        mail is sent in the name of nobody.
        """
        self.domains(true=False)
        self.alias(b"bob", "bob@x.example")
        self.assertEqual(code(self.send(self.met(), b"bob@example.com")[1]), "451 4.3.5")
        self.assertEqual(self.hop.messages, [])

    def test_unknown(self) -> None:
        """A relay that does not know the local domains sends on what it is asked about."""
        self.domains(local=False)
        self.alias(b"team", "alice@example.com", "team")
        self.send(self.met(), b"team@example.com")
        self.assertEqual((len(self.mailboxes.kept), len(self.hop.messages)), (0, 1))
