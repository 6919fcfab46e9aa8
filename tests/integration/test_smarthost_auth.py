# -*- test-case-name: tests.integration.test_smarthost_auth -*-
"""C{StaticSmtpRelay} and the AUTH of a real Postfix, by Cyrus SASL and by Dovecot."""

from __future__ import annotations

import re
from collections.abc import Sequence

from slimtwist.outcome import Outcome, Verdict
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.options import CredentialSource
from tests.integration.certificates import Authority
from tests.integration.dovecot import Dovecot, User
from tests.integration.postfix import Postfix
from tests.integration.setups import Setup
from tests.integration.smarthost import MESSAGE, SmarthostCase, verifying

_USER, _PASSWORD = "alice", "se cret=,\u00e4"
_GOOD = Credentials(_USER, _PASSWORD)
_WRONG = Credentials(_USER, "wrong")


class _Tokens:
    """Gives access tokens, each time another one.

    @ivar asked: how often.
    """

    def __init__(self, *tokens: str) -> None:
        self._tokens = tokens
        self.asked = 0

    async def __call__(self) -> Credentials:
        self.asked += 1
        return Credentials(_USER, token=self._tokens[self.asked - 1])


class _AuthCase(SmarthostCase):
    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.certificate = self.authority.certificate("127.0.0.1")

    def relay(self, postfix: Postfix, credentials: CredentialSource) -> StaticSmtpRelay:
        """Return a relay that verifies and authenticates."""
        policy = verifying(self.authority)
        return self.to(postfix.port, tls=policy, credentials=credentials)

    async def outcome(self, postfix: Postfix, credentials: CredentialSource) -> Outcome:
        """Return the outcome of a message that needs AUTH to be taken."""
        [outcome] = await self.send(self.relay(postfix, credentials), "r@far.test")
        return outcome

    def methods(self, postfix: Postfix) -> Sequence[str]:
        """Return the mechanisms by which messages were submitted, in the Postfix's own words."""
        return re.findall(r"sasl_method=(\S+), sasl_username=alice", postfix.log())


class CyrusTests(_AuthCase):
    """Passwords in a database of the Cyrus SASL library."""

    def cyrus(self, **setup: object) -> Postfix:
        """Start a Postfix that has one account."""
        setup = {"certificate": self.certificate, "accounts": {_USER: _PASSWORD}, **setup}
        return self.serve(Postfix(Setup(**setup)))  # type: ignore[arg-type]

    async def test_mechanisms(self) -> None:
        """Each mechanism works, by itself; of all of them SCRAM-SHA-256 is taken."""
        for offered, taken in [
            (["PLAIN"], "PLAIN"),
            (["LOGIN"], "LOGIN"),
            (["CRAM-MD5"], "CRAM-MD5"),
            (["SCRAM-SHA-256"], "SCRAM-SHA-256"),
            (["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"], "SCRAM-SHA-256"),
        ]:
            postfix = self.cyrus(mechanisms=offered)
            outcome = await self.outcome(postfix, _GOOD)
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
            [message] = await postfix.arrived(1)
            self.assertEqual((message.octets, message.sender), (MESSAGE, "s@a.test"))
            self.assertEqual(self.methods(postfix), [taken])

    async def test_wrong_password(self) -> None:
        """A wrong password defers, and the sender is told the server's words: a 5yz about a session
        is none about a message (PEER-08).
        """
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"):
            postfix = self.cyrus(mechanisms=[mechanism])
            outcome = await self.outcome(postfix, _WRONG)
            self.assertEqual((outcome.verdict, outcome.command), (Verdict.DEFERRED, "AUTH"))
            text = r"\A451 4\.7\.8 AUTH refused: 535 5\.7\.8 Error: authentication failed: .+"
            self.assertRegex(str(outcome.reply), text)
            self.assertNotIn("far.test", postfix.log())

    async def test_nothing_in_common(self) -> None:
        """Where no mechanism fits, the text says what the host offers."""
        postfix = self.cyrus(mechanisms=["LOGIN", "CRAM-MD5"])
        outcome = await self.outcome(postfix, Credentials(_USER, token="x"))
        wanted = "451 4.7.0 authentication failed: no mechanism in common, the host offers"
        self.assertEqual(str(outcome.reply), f"{wanted} CRAM-MD5 LOGIN")

    async def test_not_offered(self) -> None:
        """Where there is no AUTH at all, nothing is sent without it."""
        postfix = self.serve(Postfix(Setup(certificate=self.certificate)))
        outcome = await self.outcome(postfix, _GOOD)
        wanted = "451 4.7.0 authentication failed: no mechanism in common, the host offers nothing"
        self.assertEqual(str(outcome.reply), wanted)
        self.assertEqual(postfix.messages(), [])

    async def test_in_clear(self) -> None:
        """Without TLS there are credentials only where the option says so (TLS-21)."""
        postfix = self.cyrus(certificate=None, auth_in_clear=True, mechanisms=["PLAIN"])
        with self.assertRaises(ValueError):
            self.to(postfix.port, tls="none", credentials=_GOOD)
        relay = self.to(postfix.port, tls="none", credentials=_GOOD, auth_insecure=True)
        [outcome] = await self.send(relay, "r@far.test")
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)

    async def test_once_for_a_connection(self) -> None:
        """A connection that is used again is not asked again who it is."""
        postfix = self.cyrus()
        relay = self.relay(postfix, _GOOD)
        for _ in range(3):
            [outcome] = await self.send(relay, "r@far.test")
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        await relay.stop()
        await self.logged(postfix, "disconnect from ")
        self.assertRegex(postfix.log(), r"disconnect from \S+ ehlo=2 starttls=1 auth=1 mail=3 ")

    async def test_changed_password(self) -> None:
        """A callable is asked anew when what it gave is refused, and once only."""
        given = iter([_WRONG, _GOOD, _WRONG, _WRONG, _GOOD])
        postfix = self.cyrus(mechanisms=["PLAIN"])
        outcome = await self.outcome(postfix, lambda: next(given))
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        outcome = await self.outcome(postfix, lambda: next(given))
        self.assertEqual(outcome.reply.enhanced, "4.7.8", outcome)


class DovecotTests(_AuthCase):
    """Passwords, and access tokens, that a Dovecot checks for the Postfix."""

    def setUp(self) -> None:
        """Start both."""
        super().setUp()
        self.dovecot = self.serve(Dovecot([User(_USER, "se cret")]))
        setup = Setup(auth_socket=self.dovecot.auth_socket, certificate=self.certificate)
        self.postfix = self.serve(Postfix(setup))

    def offering(self, *without: str) -> Postfix:
        """Start a Postfix that hides some of the mechanisms."""
        filters = ", ".join([*(f"!{each}" for each in without), "static:all"])
        setup = Setup(
            auth_socket=self.dovecot.auth_socket,
            certificate=self.certificate,
            settings={"smtpd_sasl_mechanism_filter": filters},
        )
        return self.serve(Postfix(setup))

    async def test_passwords(self) -> None:
        """Each mechanism works that has a password."""
        best_first = ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"]
        for count, mechanism in enumerate(best_first):
            postfix = self.offering(*best_first[:count])
            outcome = await self.outcome(postfix, Credentials(_USER, "se cret"))
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
            self.assertEqual(self.methods(postfix), [mechanism])

    async def test_wrong_password(self) -> None:
        """A wrong password defers, with the server's words."""
        outcome = await self.outcome(self.postfix, _WRONG)
        self.assertRegex(str(outcome.reply), r"\A451 4\.7\.8 AUTH refused: 535 5\.7\.8 Error: ")

    async def test_tokens(self) -> None:
        """A token is taken, by OAUTHBEARER rather than by XOAUTH2."""
        for hidden, mechanism in [((), "OAUTHBEARER"), (("OAUTHBEARER",), "XOAUTH2")]:
            postfix = self.offering(*hidden)
            outcome = await self.outcome(postfix, _Tokens(self.dovecot.token(_USER)))
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
            self.assertEqual(self.methods(postfix), [mechanism])

    async def test_expired_token(self) -> None:
        """A token that has expired is asked for anew, over the same connection; nobody notices."""
        for hidden in ((), ("OAUTHBEARER",)):
            postfix = self.offering(*hidden)
            old = self.dovecot.token(_USER, lifetime=-60)
            tokens = _Tokens(old, self.dovecot.token(_USER))
            outcome = await self.outcome(postfix, tokens)
            self.assertEqual((outcome.verdict, tokens.asked), (Verdict.DELIVERED, 2), outcome)
            self.assertEqual(len(await postfix.arrived(1)), 1)
            self.assertEqual(postfix.log().count(": connect from"), 1)

    async def test_refused_tokens(self) -> None:
        """Tokens that are refused twice defer with the server's words, and are not asked for a
        third time.
        """
        for hidden in ((), ("OAUTHBEARER",)):
            forged = self.dovecot.token(_USER, key=b"another key")
            tokens = _Tokens(forged, forged)
            outcome = await self.outcome(self.offering(*hidden), tokens)
            text = r"\A451 4\.7\.8 AUTH refused: 535 5\.7\.8 Error: authentication failed"
            self.assertRegex(str(outcome.reply), text)
            self.assertEqual((outcome.verdict, tokens.asked), (Verdict.DEFERRED, 2))

    async def test_no_token(self) -> None:
        """A callable that fails defers, and no word of its exception goes to the sender."""

        def no_token() -> Credentials:
            raise OSError("the secret of the token server")

        outcome = await self.outcome(self.postfix, no_token)
        wanted = "451 4.7.0 authentication failed: no credentials: OSError"
        self.assertEqual((str(outcome.reply), outcome.command), (wanted, "AUTH"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
