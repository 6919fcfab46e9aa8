# -*- test-case-name: tests.edge.test_auth -*-
"""Tests of AUTH."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable

from twisted.cred.checkers import (
    AllowAnonymousAccess,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import ICredentials, IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from slimtwist.edge.auth import Identity, IIdentity, Names, mechanisms, portal
from slimtwist.edge.options import EdgeOptions
from tests.edge.world import STRANGER, EdgeTestCase, Visitor
from tests.events import Events

MAIL = b"MAIL FROM:<a@b>\r\nRCPT TO:<c@any.example>\r\n"
DONE = ["235 2.7.0"]
WRONG = ["535 5.7.8"]


def coded(*parts: bytes) -> bytes:
    """Return a response, its parts apart by NUL."""
    return b64encode(b"\0".join(parts)) + b"\r\n"


@implementer(ICredentialsChecker)
class SlowChecker:
    """A checker that answers when a test says."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.waiting: list[Deferred[bytes | tuple[()]]] = []

    def requestAvatarId(self, credentials: ICredentials) -> Deferred[bytes | tuple[()]]:
        """Wait."""
        self.waiting.append(Deferred())
        return self.waiting[-1]


class Portals(SynchronousTestCase):
    """Portals made of checkers."""

    def test_mechanisms(self) -> None:
        """What is offered follows from what the checkers know."""
        both = portal([InMemoryUsernamePasswordDatabaseDontUse()])
        self.assertEqual(mechanisms(both), ("PLAIN", "LOGIN", "CRAM-MD5"))
        self.assertEqual(mechanisms(portal([SlowChecker()])), ("PLAIN", "LOGIN"))
        self.assertEqual(mechanisms(portal([AllowAnonymousAccess()])), ())
        self.assertEqual(mechanisms(None), ())

    def test_realm(self) -> None:
        """Everybody is what a checker calls him, and the name can be shown."""
        realm = Names()
        verifyObject(IRealm, realm)
        for avatar, name in [
            (b"joe", "joe"),
            (b"j\xff\n", "j\N{REPLACEMENT CHARACTER}?"),
            ((), "anonymous"),
        ]:
            interface, identity, logout = realm.requestAvatar(avatar, None, IIdentity)  # type: ignore[arg-type]
            self.assertIs(interface, IIdentity)
            verifyObject(IIdentity, identity)
            assert isinstance(identity, Identity)
            self.assertEqual(identity.name, name)
            logout()


class AuthTestCase(EdgeTestCase):
    """Has an edge that knows joe."""

    def setUp(self) -> None:
        """Let it listen."""
        super().setUp()
        self.serve([InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")])

    def serve(self, checkers: Iterable[ICredentialsChecker], *, clear: bool = True) -> None:
        """Have an edge with checkers."""
        EdgeTestCase.setUp(self)
        self.edge(
            EdgeOptions(
                portal=portal(checkers), certificate=CertificateOptions(), auth_in_clear=clear
            )
        )

    def met(self, *, tls: bool = False) -> Visitor:
        """Return a stranger that said hello."""
        visitor = self.visit(STRANGER)
        if tls:
            self.say(visitor, b"EHLO x\r\nSTARTTLS\r\n")
            visitor.transport.startTLS(CertificateOptions())
        self.offer = self.say(visitor, b"EHLO x\r\n")[0]
        return visitor

    def dialogue(self, visitor: Visitor, *lines: bytes) -> list[str]:
        """Say lines, each after the reply to the one before, and return the last replies."""
        codes: list[str] = []
        for line in lines:
            codes = self.codes(visitor, line)
        return codes


class Proofs(AuthTestCase):
    """Mechanisms (RFC 4954)."""

    def test_plain(self) -> None:
        """PLAIN is taken with the command and after it (RFC 4616)."""
        for role in (b"", b"joe"):
            response = coded(role, b"joe", b"secret")
            self.assertEqual(self.codes(self.met(), b"AUTH PLAIN " + response), DONE)
            self.assertEqual(self.dialogue(self.met(), b"auth plain\r\n", response), DONE)

    def test_login(self) -> None:
        """LOGIN asks for name and password, and takes the name with the command."""
        visitor = self.met()
        (asked,) = self.say(visitor, b"AUTH LOGIN\r\n")
        self.assertEqual(b64decode(asked[4:]), b"Username:")
        (asked,) = self.say(visitor, coded(b"joe"))
        self.assertEqual(b64decode(asked[4:]), b"Password:")
        self.assertEqual(self.codes(visitor, coded(b"secret")), DONE)
        lines = (b"AUTH LOGIN " + coded(b"joe"), coded(b"secret"))
        self.assertEqual(self.dialogue(self.met(), *lines), DONE)

    def test_cram_md5(self) -> None:
        """CRAM-MD5 proves the password without saying it; each challenge is new (RFC 2195)."""
        challenges = set()
        for password, wanted in [(b"secret", DONE), (b"Secret", WRONG)]:
            visitor = self.met()
            (asked,) = self.say(visitor, b"AUTH CRAM-MD5\r\n")
            challenge = b64decode(asked[4:])
            self.assertRegex(challenge, rb"<\d+\.1700000000@relay\.example>")
            challenges.add(challenge)
            digest = hmac.digest(password, challenge, "md5").hex().encode()
            self.assertEqual(self.codes(visitor, coded(b"joe " + digest)), wanted)
        self.assertEqual(len(challenges), 2)

    def test_pipelined(self) -> None:
        """The same replies come when all is said at once (ING-21)."""
        said = b"AUTH LOGIN\r\n" + coded(b"joe") + coded(b"secret") + MAIL
        codes = [code[:3] for code in self.codes(self.met(), said)]
        self.assertEqual(codes, ["334", "334", "235", "250", "250"])

    def test_relay(self) -> None:
        """Who has authenticated may write to all, and the message says who it was (ING-27)."""
        visitor = self.met()
        self.assertEqual(self.codes(visitor, MAIL)[-1], "550 5.7.1")
        self.say(visitor, b"RSET\r\nAUTH PLAIN " + coded(b"", b"joe", b"secret"))
        codes = self.codes(visitor, MAIL + b"DATA\r\nx\r\n.\r\n")
        self.assertEqual(codes[-1], "250 2.0.0")
        client = self.hop.envelopes[0].client
        self.assertEqual((client.auth, client.protocol), ("joe", "ESMTPA"))
        self.assertNotIn(b"joe", self.hop.messages[0])

    def test_in_tls(self) -> None:
        """In TLS it is ESMTPSA (RFC 3848)."""
        visitor = self.met(tls=True)
        self.say(visitor, b"AUTH PLAIN " + coded(b"", b"joe", b"secret"))
        self.say(visitor, MAIL + b"DATA\r\nx\r\n.\r\n")
        self.assertEqual(self.hop.envelopes[0].client.protocol, "ESMTPSA")


class Refusals(AuthTestCase):
    """What proves nothing (ING-20)."""

    def test_wrong(self) -> None:
        """Wrong names, passwords and roles are told apart by nobody."""
        for parts in [
            (b"", b"joe", b"Secret"),
            (b"", b"joey", b"secret"),
            (b"boss", b"joe", b"secret"),
        ]:
            visitor = self.met()
            reply = self.say(visitor, b"AUTH PLAIN " + coded(*parts))
            self.assertEqual(reply, ["535 5.7.8 authentication failed"])
            self.assertEqual(self.codes(visitor, MAIL)[-1], "550 5.7.1")

    def test_malformed(self) -> None:
        """Bad base64 and wrong parts are 501; the session lives (ING-20)."""
        visitor = self.met()
        for line in (
            b"AUTH PLAIN !!!!\r\n",
            b"AUTH PLAIN " + coded(b"", b"joe", b"secret").replace(b"A", b"A!", 1),
            b"AUTH PLAIN " + coded(b"", b"joe", b"secret").replace(b"=", b""),
            b"AUTH PLAIN =\r\n",
            b"AUTH PLAIN " + coded(b"joe", b"secret"),
            b"AUTH PLAIN " + coded(b"", b"joe", b"secret", b""),
            b"AUTH PLAIN " + coded(b"", b"joe", b""),
            b"AUTH CRAM-MD5 " + coded(b"joe x"),
        ):
            self.assertEqual(self.codes(visitor, line), ["501 5.5.2"], line)
        self.assertEqual(self.dialogue(visitor, b"AUTH CRAM-MD5\r\n", coded(b"joe")), ["501 5.5.2"])
        self.assertEqual(self.codes(visitor, b"AUTH\r\n"), ["501 5.5.4"])
        self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["250 2.0.0"])

    def test_aborted(self) -> None:
        """A star ends it (ING-20)."""
        for begin in (b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"AUTH CRAM-MD5\r\n"):
            self.assertEqual(self.dialogue(self.met(), begin, b"*\r\n"), ["501 5.7.0"])

    def test_long(self) -> None:
        """A response may have 12,288 octets, not more (ING-01, ING-20)."""
        visitor = self.met()
        long = coded(b"", b"joe", b"x" * 9200)
        self.assertLess(len(long), 12288)
        self.assertEqual(self.dialogue(visitor, b"AUTH PLAIN\r\n", long), WRONG)
        self.assertEqual(
            self.dialogue(visitor, b"AUTH PLAIN\r\n", b"x" * 12287 + b"\r\n"), ["500 5.5.6"]
        )
        self.assertEqual(self.codes(visitor, b"NOOP\r\n"), ["250 2.0.0"])

    def test_unknown(self) -> None:
        """An unknown mechanism, or one that no checker knows, is 504 (ING-20)."""
        for line in (b"AUTH GSSAPI\r\n", b"AUTH x\r\n"):
            self.assertEqual(self.codes(self.met(), line), ["504 5.5.4"])
        self.serve([SlowChecker()])
        self.assertEqual(self.codes(self.met(), b"AUTH CRAM-MD5\r\n"), ["504 5.5.4"])

    def test_misplaced(self) -> None:
        """Before EHLO, twice, and within a message it is 503 (ING-20)."""
        said = b"AUTH PLAIN " + coded(b"", b"joe", b"secret")
        self.assertEqual(self.codes(self.visit(), said), ["503 5.5.1"])
        visitor = self.met()
        self.assertEqual(self.codes(visitor, b"MAIL FROM:<a@b>\r\n" + said)[1:], ["503 5.5.1"])
        self.assertEqual(self.codes(visitor, b"RSET\r\n" + said)[1:], DONE)
        self.assertEqual(self.codes(visitor, said), ["503 5.5.1"])

    def test_in_clear(self) -> None:
        """Without TLS it is neither offered nor taken, unless allowed (ING-20, L9)."""
        said = b"AUTH PLAIN " + coded(b"", b"joe", b"secret")
        visitor = self.met()
        self.assertIn("\n250-AUTH PLAIN LOGIN CRAM-MD5\n", self.offer)
        self.serve([InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")], clear=False)
        visitor = self.met()
        self.assertNotIn("AUTH", self.offer)
        self.assertEqual(self.codes(visitor, said), ["538 5.7.11"])
        visitor = self.met(tls=True)
        self.assertIn("AUTH PLAIN", self.offer)
        self.assertEqual(self.codes(visitor, said), DONE)

    def test_dripping(self) -> None:
        """A response that comes octet by octet gets no more time than a command (ING-13)."""
        visitor = self.met()
        began = self.reactor.seconds()
        self.say(visitor, b"AUTH LOGIN\r\n")
        while visitor.lost is None:
            visitor.transport.write(b"a")
            self.reactor.advance(30)
        self.assertEqual(self.reactor.seconds() - began, 300)
        self.assertEqual(visitor.replies(), ["421 4.4.2 timed out"])

    def test_guessing(self) -> None:
        """After three wrong passwords nothing is looked at, and the client is cut off (ING-20)."""
        for guess in (b"guess", b"secret"):
            visitor = self.met()
            said = b"AUTH PLAIN " + coded(b"", b"joe", b"guess")
            last = b"AUTH PLAIN " + coded(b"", b"joe", guess)
            self.assertEqual(self.codes(visitor, said * 3 + last * 97), WRONG * 3 + ["421 4.7.0"])
            self.assertIsNotNone(visitor.lost)

    def test_guessing_in_tls(self) -> None:
        """Guesses before TLS count as well (ING-20, TLS-06)."""
        visitor = self.met()
        wrong = b"AUTH PLAIN " + coded(b"", b"joe", b"guess")
        self.assertEqual(self.codes(visitor, wrong * 2), WRONG * 2)
        self.say(visitor, b"STARTTLS\r\n")
        visitor.transport.startTLS(CertificateOptions())
        self.say(visitor, b"EHLO x\r\n")
        self.assertEqual(self.codes(visitor, wrong * 2), [*WRONG, "421 4.7.0"])

    def test_every_mechanism(self) -> None:
        """Who tries one password by each mechanism learns that it is wrong (RFC 4954 6)."""
        visitor = self.met()
        ways = {
            b"CRAM-MD5": (b"AUTH CRAM-MD5\r\n", coded(b"joe 00")),
            b"PLAIN": (b"AUTH PLAIN " + coded(b"", b"joe", b"guess"),),
            b"LOGIN": (b"AUTH LOGIN " + coded(b"joe"), coded(b"guess")),
        }
        offered = self.offer.partition("AUTH ")[2].partition("\n")[0]
        self.assertEqual({*offered.encode().split()}, {*ways})
        for lines in ways.values():
            self.assertEqual(self.dialogue(visitor, *lines), WRONG)
        self.assertEqual(self.codes(visitor, b"QUIT\r\n"), ["221 2.0.0"])


class Checkers(AuthTestCase):
    """Checkers that take their time, or are in trouble."""

    said = b"AUTH PLAIN " + coded(b"", b"joe", b"secret") + b"NOOP\r\n"

    def setUp(self) -> None:
        """Have an edge with a slow checker."""
        super().setUp()
        self.checker = SlowChecker()
        self.serve([self.checker])

    def test_slow(self) -> None:
        """No command is looked at before the answer is known (ING-21)."""
        visitor = self.met()
        self.assertEqual(self.say(visitor, self.said), [])
        self.checker.waiting.pop().callback(b"joe")
        self.reactor.flush()
        self.assertEqual([r[:9] for r in visitor.replies()], ["235 2.7.0", "250 2.0.0"])

    def test_refusing(self) -> None:
        """A refusal that comes later is one."""
        visitor = self.met()
        self.say(visitor, self.said)
        self.checker.waiting.pop().errback(UnauthorizedLogin())
        self.reactor.flush()
        self.assertEqual([r[:9] for r in visitor.replies()], ["535 5.7.8", "250 2.0.0"])

    def test_failing(self) -> None:
        """A checker in trouble is no wrong password; nor is one that never answers (OS-15, L7)."""
        visitor = self.met()
        for _ in range(5):
            self.say(visitor, self.said)
            self.checker.waiting.pop().errback(ZeroDivisionError())
            self.reactor.flush()
            self.assertEqual([r[:9] for r in visitor.replies()], ["454 4.7.0", "250 2.0.0"])
        self.say(visitor, self.said)
        self.reactor.advance(120)
        self.assertEqual([r[:9] for r in visitor.replies()], ["454 4.7.0", "250 2.0.0"])
        self.assertEqual(len(self.flushLoggedErrors()), 6)

    def test_gone(self) -> None:
        """A client that leaves meanwhile is not waited for (ING-17)."""
        visitor = self.met()
        self.say(visitor, self.said)
        visitor.transport.abortConnection()
        self.reactor.flush()
        self.assert_nothing_left()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_secrets(self) -> None:
        """No event of the log has credentials in it, not even in trouble."""
        events = Events.of(self)
        for error in (UnauthorizedLogin(), ZeroDivisionError()):
            visitor = self.met()
            self.say(visitor, self.said)
            self.checker.waiting.pop().errback(error)
            self.reactor.flush()
        self.flushLoggedErrors()
        text = repr([{k: str(v) for k, v in event.items()} for event in events])
        for secret in ("secret", "AGpvZQ", "joe"):
            self.assertNotIn(secret, text)


@implementer(IRealm)
class CountingRealm:
    """A realm that knows who is there."""

    def __init__(self) -> None:
        self.present = 0

    def requestAvatar(
        self,
        avatarId: bytes | tuple[()],  # noqa: N803 - IRealm names it so
        mind: object,
        *interfaces: type[Interface],
    ) -> tuple[type[Interface], object, Callable[[], None]]:
        """Let somebody in."""
        self.present += 1
        return IIdentity, Identity("joe"), self.leave

    def leave(self) -> None:
        """Let somebody out."""
        self.present -= 1


class Logouts(EdgeTestCase):
    """The end of an identity."""

    def test_logout(self) -> None:
        """Who was let in is let out when the connection ends, or TLS begins (TLS-06)."""
        realm = CountingRealm()
        users = InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")
        self.edge(
            EdgeOptions(
                portal=Portal(realm, [users]), certificate=CertificateOptions(), auth_in_clear=True
            )
        )
        said = b"EHLO x\r\nAUTH PLAIN " + coded(b"", b"joe", b"secret")
        for end in (b"QUIT\r\n", b"STARTTLS\r\n", b"\n", b""):
            visitor = self.visit()
            self.say(visitor, said)
            self.assertEqual(realm.present, 1)
            self.say(visitor, end)
            if not end:
                visitor.transport.abortConnection()
                self.reactor.flush()
            self.assertEqual(realm.present, 0, end)
