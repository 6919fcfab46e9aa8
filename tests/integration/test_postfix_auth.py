# -*- test-case-name: tests.integration.test_postfix_auth -*-
"""A Postfix of ours authenticates its clients, by Cyrus SASL or by a Dovecot."""

from __future__ import annotations

import hashlib
import hmac
import smtplib
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable

from tests.integration.case import ServerCase
from tests.integration.certificates import Authority
from tests.integration.dialogue import Said, in_thread, say, send, session, trusting
from tests.integration.dovecot import Dovecot, User
from tests.integration.postfix import Postfix
from tests.integration.setups import Setup

_PASSWORD = "se cret=,"
_MECHANISMS = {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"}

Login = Callable[[smtplib.SMTP], Said]


def _encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


def _plain(password: str) -> Login:
    response = _encoded(f"\0alice\0{password}")
    return lambda smtp: say(smtp, f"AUTH PLAIN {response}")


def _login(smtp: smtplib.SMTP) -> Said:
    return say(smtp, "AUTH LOGIN", _encoded("alice"), _encoded(_PASSWORD))


def _cram_md5(smtp: smtplib.SMTP) -> Said:
    _, challenge = say(smtp, "AUTH CRAM-MD5")
    digest = hmac.new(_PASSWORD.encode(), b64decode(challenge), "md5").hexdigest()
    return say(smtp, _encoded(f"alice {digest}"))


def _scram(smtp: smtplib.SMTP) -> Said:
    """Authenticate by SCRAM-SHA-256 (RFC 5802, RFC 7677), and check the server's signature."""
    bare = "n=alice,r=nonce"
    _, first = say(smtp, f"AUTH SCRAM-SHA-256 {_encoded('n,,' + bare)}")
    challenge = b64decode(first).decode()
    facts = dict(fact.split("=", 1) for fact in challenge.split(","))
    salted = hashlib.pbkdf2_hmac(
        "sha256", _PASSWORD.encode(), b64decode(facts["s"]), int(facts["i"])
    )
    final = f"c=biws,r={facts['r']}"
    signed = f"{bare},{challenge},{final}".encode()
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    _, last = say(smtp, _encoded(f"{final},p={b64encode(proof).decode()}"))
    expected = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
    assert b64decode(last) == b"v=" + b64encode(expected), last
    return say(smtp, "")


def _bearer(mechanism: str, token: str) -> Login:
    """Return a login by XOAUTH2 or OAUTHBEARER (RFC 7628), with the reply to a refusal."""
    head, answer = {"XOAUTH2": ("user=alice", ""), "OAUTHBEARER": ("n,a=alice,", "AQ==")}[mechanism]
    response = _encoded(f"{head}\1auth=Bearer {token}\1\1")

    def log_in(smtp: smtplib.SMTP) -> Said:
        code, text = say(smtp, f"AUTH {mechanism} {response}")
        return say(smtp, answer) if code == 334 else (code, text)

    return log_in


def _logged_in(postfix: Postfix, log_in: Login, tls: ssl.SSLContext | None) -> tuple[Said, Said]:
    """Return the replies to AUTH and to a message that is to be relayed."""
    with session(postfix.port, tls=tls) as smtp:
        said = log_in(smtp)
        return said, send(smtp, "s@a.test", ["r@far.test"], b"Subject: x\r\n\r\n")


def _sent(postfix: Postfix, recipient: str) -> Said:
    with session(postfix.port) as smtp:
        return send(smtp, "s@a.test", [recipient], b"Subject: x\r\n\r\n")


def _mechanisms(postfix: Postfix, tls: ssl.SSLContext | None) -> set[str]:
    with session(postfix.port, tls=tls) as smtp:
        return set(smtp.esmtp_features.get("auth", "").split())


class CyrusTests(ServerCase):
    """Accounts in a database of the Cyrus SASL library."""

    def setUp(self) -> None:
        """Make an authority for STARTTLS."""
        super().setUp()
        self.authority = Authority()
        self.tls = trusting(self.authority)
        self.certificate = self.authority.certificate("127.0.0.1")

    async def test_mechanisms(self) -> None:
        """Each mechanism works over TLS, and without TLS none is offered."""
        setup = Setup(certificate=self.certificate, accounts={"alice": _PASSWORD})
        postfix = self.serve(Postfix(setup))
        self.assertEqual(await in_thread(_mechanisms, postfix, None), set())
        self.assertEqual(await in_thread(_mechanisms, postfix, self.tls), _MECHANISMS)
        for log_in in (_plain(_PASSWORD), _login, _cram_md5, _scram):
            said, sent = await in_thread(_logged_in, postfix, log_in, self.tls)
            self.assertEqual((said[0], sent[0]), (235, 250), said)
        self.assertEqual(len(await postfix.arrived(4)), 4)

    async def test_refused(self) -> None:
        """A wrong password is 535, and then nothing is relayed."""
        setup = Setup(certificate=self.certificate, accounts={"alice": _PASSWORD})
        postfix = self.serve(Postfix(setup))
        said, sent = await in_thread(_logged_in, postfix, _plain("wrong"), self.tls)
        self.assertEqual((said[0], sent[0]), (535, 554))

    async def test_not_authenticated(self) -> None:
        """Without AUTH, only mail for its own domains is taken."""
        postfix = self.serve(Postfix(Setup(accounts={"alice": _PASSWORD}, auth_in_clear=True)))
        said = await in_thread(_sent, postfix, "r@far.test")
        self.assertEqual(said, (554, "5.7.1 <r@far.test>: Relay access denied"))
        self.assertEqual((await in_thread(_sent, postfix, "r@local.test"))[0], 250)

    async def test_in_clear(self) -> None:
        """AUTH without TLS is offered when the test wants it, with the mechanisms it wants."""
        accounts = {"bob": "x", "alice": _PASSWORD}
        setup = Setup(accounts=accounts, auth_in_clear=True, mechanisms=["LOGIN", "CRAM-MD5"])
        postfix = self.serve(Postfix(setup))
        self.assertEqual(await in_thread(_mechanisms, postfix, None), {"LOGIN", "CRAM-MD5"})
        said, sent = await in_thread(_logged_in, postfix, _cram_md5, None)
        self.assertEqual((said[0], sent[0]), (235, 250))


class DovecotTests(ServerCase):
    """Accounts, and access tokens, of a Dovecot."""

    def setUp(self) -> None:
        """Start a Dovecot, and a Postfix that asks it."""
        super().setUp()
        self.dovecot = self.serve(Dovecot([User("alice", _PASSWORD)]))
        setup = Setup(auth_socket=self.dovecot.auth_socket, auth_in_clear=True)
        self.postfix = self.serve(Postfix(setup))

    async def replies(self, log_in: Login) -> tuple[int, int]:
        """Return the codes for AUTH and for a message that is to be relayed."""
        said, sent = await in_thread(_logged_in, self.postfix, log_in, None)
        return said[0], sent[0]

    async def test_passwords(self) -> None:
        """Each mechanism that has a password works."""
        offered = await in_thread(_mechanisms, self.postfix, None)
        self.assertEqual(offered, _MECHANISMS | {"XOAUTH2", "OAUTHBEARER"})
        for log_in in (_plain(_PASSWORD), _login, _cram_md5, _scram):
            self.assertEqual(await self.replies(log_in), (235, 250))
        self.assertEqual(await self.replies(_plain("wrong")), (535, 554))

    async def test_tokens(self) -> None:
        """A token is taken; one that has expired or is forged is 334, and then 535."""
        good, old = self.dovecot.token("alice"), self.dovecot.token("alice", lifetime=-60)
        forged = self.dovecot.token("alice", key=b"another key")
        for mechanism in ("XOAUTH2", "OAUTHBEARER"):
            self.assertEqual(await self.replies(_bearer(mechanism, good)), (235, 250))
            self.assertEqual(await self.replies(_bearer(mechanism, old)), (535, 554))
            self.assertEqual(await self.replies(_bearer(mechanism, forged)), (535, 554))
