# -*- test-case-name: tests.edge.http.test_identity -*-
"""Who HTTP clients are (HTI-09)."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from twisted.cred.checkers import ICredentialsChecker, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from slimtwist.edge.access import Access
from slimtwist.edge.auth import portal
from slimtwist.edge.http.identity import BearerToken, IBearerToken, Password, TokenFile
from slimtwist.edge.options import EdgeOptions
from tests.edge.http.world import HttpEdgeCase, post
from tests.edge.world import STRANGER

TOKEN = "0123456789abcdef"


@implementer(ICredentialsChecker)
class Thinker:
    """A checker that needs time."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self) -> None:
        self.answer: Deferred[bytes | tuple[()]] = Deferred()

    def requestAvatarId(self, credentials: object) -> Deferred[bytes | tuple[()]]:
        """Think."""
        return self.answer


def basic(text: str) -> str:
    """Return the field for a name and a password."""
    return f"Authorization: Basic {b64encode(text.encode()).decode()}"


class TokenFileTests(SynchronousTestCase):
    """Files of tokens."""

    def write(self, text: str) -> str:
        """Return the name of a file."""
        path = Path(self.mktemp())
        path.write_text(text)
        return str(path)

    def test_known(self) -> None:
        """A token says who its bearer is; the file may change."""
        path = self.write(f"# ours\n\nme:{TOKEN}\nyou:{TOKEN}:more\n")
        checker = TokenFile(path)
        self.assertTrue(verifyObject(ICredentialsChecker, checker))
        self.assertTrue(verifyObject(IBearerToken, BearerToken(b"")))
        for token, name in ((TOKEN, b"me"), (f"{TOKEN}:more", b"you")):
            found = checker.requestAvatarId(BearerToken(token.encode()))
            self.assertEqual(self.successResultOf(found), name)
        for token in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()):
            found = checker.requestAvatarId(BearerToken(token.encode()))
            self.failureResultOf(found, UnauthorizedLogin)
        Path(path).write_text("me:another-token-of-mine\n")
        found = checker.requestAvatarId(BearerToken(TOKEN.encode()))
        self.failureResultOf(found, UnauthorizedLogin)
        Path(path).unlink()
        self.failureResultOf(checker.requestAvatarId(BearerToken(TOKEN.encode())), ValueError)

    def test_wrong(self) -> None:
        """A malformed file is named, with the line, and nothing of it is shown."""
        for text, wanted in {
            "": "no token",
            "secret": "line 1 is not",
            f"me:{TOKEN}\nme:secret": "line 2 is not",
            f"me:{TOKEN} secret": "line 1 is not",
        }.items():
            with self.assertRaises(ValueError) as caught:
                TokenFile(self.write(text))
            self.assertIn(wanted, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))
        self.assertRaises(ValueError, TokenFile, "/nowhere/tokens")

    def test_password(self) -> None:
        """A password is compared as octets."""
        self.assertTrue(Password(b"me", b"secret").checkPassword("secret"))
        self.assertTrue(Password(b"me", b"secret").checkPassword(b"secret"))
        self.assertFalse(Password(b"me", b"secret").checkPassword(b"secreT"))


class LoginTests(HttpEdgeCase):
    """Requests with credentials."""

    def setUp(self) -> None:
        """Know a token and a password."""
        super().setUp()
        path = self.mktemp()
        Path(path).write_text(f"bearer:{TOKEN}\n")
        users = InMemoryUsernamePasswordDatabaseDontUse()
        users.addUser(b"me", b"sec:ret")
        self.portal = portal([users, TokenFile(path)])

    def guarded(self, *, in_clear: bool = True) -> None:
        """Let an edge listen that trusts nobody who has not proved who he is."""
        access = Access.parse(relay_from=["192.0.2.77"])
        self.edge(EdgeOptions(access=access, portal=self.portal, auth_in_clear=in_clear))

    def test_known(self) -> None:
        """A token or a password lets a client send to anywhere, under its name."""
        self.guarded()
        for field, name in (
            (f"Authorization: Bearer {TOKEN}", "bearer"),
            (f"authorization: bearer  {TOKEN}", "bearer"),
            (basic("me:sec:ret"), "me"),
        ):
            self.assertEqual(self.one(post(field), STRANGER).status, 204, field)
            self.assertEqual(self.hop.envelopes[-1].client.auth, name)

    def test_wrong(self) -> None:
        """Wrong or malformed credentials are 401 with 535; missing ones, where they would help,
        401 with 530; and the schemes are named.
        """
        self.guarded()
        for fields, code in (
            ([basic("me:wrong")], "535"),
            ([basic("nobody:x")], "535"),
            ([basic("me")], "535"),
            (["Authorization: Basic %%%"], "535"),
            (["Authorization: Basic"], "535"),
            (["Authorization: Bearer wrong"], "535"),
            (["Authorization: Bearer"], "535"),
            (["Authorization: Digest x"], "535"),
            ([], "530"),
        ):
            heard = self.one(post(*fields, body=b"", length=9), STRANGER)
            self.assertEqual((heard.status, heard.reply[:3]), (401, code), fields)
            self.assertIn("www-authenticate", heard.fields)
        self.assertEqual(self.hop.envelopes, [])
        heard = self.one(post(basic("me:sec:ret"), basic("me:sec:ret")), STRANGER)
        self.assertEqual(heard.status, 400)

    def test_schemes(self) -> None:
        """Both schemes are offered where both can be dealt with."""
        self.guarded()
        visitor = self.client(STRANGER)
        visitor.transport.write(post(length=0, body=b""))
        self.reactor.flush()
        self.assertIn(
            b'\r\nWww-Authenticate: Bearer realm="mail"\r\n',
            visitor.octets.title().replace(b'Realm="Mail"', b'realm="mail"'),
        )
        self.assertIn(b"asic", visitor.octets)

    def test_wrong_is_wrong(self) -> None:
        """Wrong credentials are refused also from who may send without any."""
        self.edge(EdgeOptions(portal=self.portal))
        self.assertEqual(self.one(post(basic("me:wrong"))).status, 401)

    def test_in_clear(self) -> None:
        """Credentials are taken under TLS, or from this host."""
        self.edge(EdgeOptions(portal=self.portal))
        heard = self.one(post(basic("me:sec:ret")), STRANGER)
        self.assertEqual((heard.status, heard.reply[:4]), (403, "538;"))
        self.assertEqual(self.one(post(basic("me:sec:ret"))).status, 204)

    def test_not_asked_for(self) -> None:
        """Where nobody checks credentials, they prove nothing."""
        self.edge()
        self.assertEqual(self.one(post(basic("me:sec:ret"))).status, 204)
        self.assertIsNone(self.hop.envelopes[0].client.auth)

    def test_checker(self) -> None:
        """A checker may need time, fail, or never answer; then it is not the client's fault."""
        for result, status in (
            (b"someone", 204),
            (ZeroDivisionError(), 503),
            (None, 503),
            (UnauthorizedLogin(), 401),
        ):
            self.setUp()
            thinker = Thinker()
            self.portal = portal([thinker])
            self.guarded()
            visitor = self.client(STRANGER)
            self.assertEqual(self.ask(visitor, post(basic("a:b"))), [])
            if isinstance(result, Exception):
                thinker.answer.errback(result)
            elif result is not None:
                thinker.answer.callback(result)
            self.reactor.advance(121)
            self.assertEqual([each.status for each in self.heard(visitor)], [status])
            self.flushLoggedErrors()

    def test_leaves(self) -> None:
        """A client that leaves meanwhile leaves nothing behind."""
        thinker = Thinker()
        self.portal = portal([thinker])
        self.guarded()
        visitor = self.client(STRANGER)
        self.ask(visitor, post(basic("a:b")))
        visitor.transport.abortConnection()
        self.reactor.flush()
        self.assert_nothing_left()
