# -*- test-case-name: tests.integration.test_relay_access -*-
"""Who may send through ``twistd relay``: real clients with and without TLS, login and leave.

Clients are strangers when ``--relay-from`` names a network that they are not in.
"""

from __future__ import annotations

from pathlib import Path
from smtplib import SMTPAuthenticationError

from tests.integration.certificates import Authority
from tests.integration.clients import swaks
from tests.integration.daemons import DaemonCase, RelayDaemon, below_trace
from tests.integration.dialogue import in_thread, say, session, trusting
from tests.integration.postfix import Postfix
from tests.integration.setups import Setup

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
_FAR = ("--from", "s@a.test", "--to", "r@far.test")
_STRANGERS = ("--relay-from", "192.0.2.0/24")
_LOGIN = ("--auth-user", "alice", "--auth-password", "se cret")


def _mechanisms(port: int, authority: Authority | None) -> str:
    with session(port, tls=trusting(authority) if authority else None) as smtp:
        return smtp.esmtp_features.get("auth", "").strip()


def _in_clear(port: int) -> tuple[int, str]:
    with session(port) as smtp:
        return say(smtp, "AUTH PLAIN AGFsaWNlAHNlIGNyZXQ=")


def _refusal(port: int, authority: Authority) -> int:
    with session(port, tls=trusting(authority)) as smtp:
        try:
            smtp.login("alice", "wrong")
        except SMTPAuthenticationError as error:
            return error.smtp_code
    return 0


class AccessTests(DaemonCase):
    """TLS, AUTH, and domains that are open to everybody."""

    def setUp(self) -> None:
        """Start the next hop."""
        super().setUp()
        self.authority = Authority()
        self.hop = self.serve(Postfix())

    def guarded(self, *arguments: str) -> RelayDaemon:
        """Start a relay with a certificate and one account, which knows nobody else."""
        certificate = self.authority.certificate("127.0.0.1").save(Path(self.mktemp()).resolve())
        accounts = self.credentials("alice:se cret")
        return self.relay(
            f"smtp:127.0.0.1:port={self.hop.port}",
            *("--certificate", str(certificate), "--auth", f"file:{accounts}"),
            *_STRANGERS,
            *arguments,
        )

    async def test_stranger(self) -> None:
        """Who is not known gets 550 5.7.1, over TLS too, and nothing goes on (ING-27)."""
        relay = self.guarded()
        for tls in ((), ("--tls",)):
            finished = await swaks(relay.port, *_FAR, *tls, octets=_MESSAGE)
            self.assertEqual(finished.status, 24, finished.text)
            self.assertIn(" 550 5.7.1 ", finished.text)
        self.assertEqual((self.hop.messages(), relay.events()), ([], []))

    async def test_login(self) -> None:
        """Who authenticates over TLS may send to anywhere, by each mechanism that is offered; the
        trace field says so.
        """
        relay = self.guarded()
        self.assertEqual(await in_thread(_mechanisms, relay.port, None), "")
        offered = await in_thread(_mechanisms, relay.port, self.authority)
        self.assertEqual(set(offered.split()), {"PLAIN", "LOGIN", "CRAM-MD5"})
        for mechanism in offered.split():
            finished = await swaks(
                relay.port, *_FAR, "--tls", "--auth", mechanism, *_LOGIN, octets=_MESSAGE
            )
            self.assertEqual(finished.status, 0, finished.text)
        messages = await self.hop.arrived(3)
        self.assertEqual(
            [below_trace(each.octets) for each in messages], [("ESMTPSA", _MESSAGE)] * 3
        )
        self.assertNotIn("se cret", relay.log())

    async def test_verified(self) -> None:
        """Clients can verify the certificate."""
        relay = self.guarded()
        verify = ("--tls", "--tls-verify", "--tls-ca-path", self.anchors(self.authority))
        login = ("--auth", "PLAIN", *_LOGIN)
        finished = await swaks(relay.port, *_FAR, *verify, *login, octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)

    async def test_wrong_password(self) -> None:
        """A wrong password is 535 5.7.8, and does not open the relay."""
        relay = self.guarded()
        wrong = ("--auth", "PLAIN", "--auth-user", "alice", "--auth-password", "wrong")
        finished = await swaks(relay.port, *_FAR, "--tls", *wrong, octets=_MESSAGE)
        self.assertEqual(finished.status, 28, finished.text)
        self.assertIn(" 535 5.7.8 ", finished.text)
        optional = ("--auth-optional", "PLAIN", *wrong[2:])
        finished = await swaks(relay.port, *_FAR, "--tls", *optional, octets=_MESSAGE)
        self.assertEqual(finished.status, 24, finished.text)
        self.assertIn(" 550 5.7.1 ", finished.text)

    async def test_wrong_everywhere(self) -> None:
        """A client that tries one password by each mechanism is told 535, not 421."""
        code = await in_thread(_refusal, self.guarded().port, self.authority)
        self.assertEqual(code, 535)

    async def test_in_clear(self) -> None:
        """A password in clear is not even looked at."""
        code, text = await in_thread(_in_clear, self.guarded().port)
        self.assertEqual((code, text[:6]), (538, "5.7.11"), text)

    async def test_accepted_domain(self) -> None:
        """Mail for a domain of ``--accept`` is taken from anybody, and for no other."""
        relay = self.guarded("--accept", "b.test", "--accept", "*.c.test")
        for domain, status in [
            ("b.test", 0),
            ("B.TEST", 0),
            ("sub.b.test", 24),
            ("x.c.test", 0),
            ("c.test", 24),
            ("b.test.far.test", 24),
        ]:
            to = ("--from", "s@a.test", "--to", f"r@{domain}")
            finished = await swaks(relay.port, *to, octets=_MESSAGE)
            self.assertEqual(finished.status, status, finished.text)
        arrived = {each.recipient for each in await self.hop.arrived(3)}
        self.assertEqual(arrived, {"r@b.test", "r@B.TEST", "r@x.c.test"})

    async def test_neighbours(self) -> None:
        """Clients on this host may send to anywhere unless something else is said."""
        relay = self.relay(f"smtp:127.0.0.1:port={self.hop.port}")
        finished = await swaks(relay.port, *_FAR, octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)

    async def test_tls_first(self) -> None:
        """A next hop where TLS comes first is verified and served, too (RFC 8314)."""
        setup = Setup(certificate=self.authority.certificate("127.0.0.1"), implicit_tls=True)
        hop = self.serve(Postfix(setup))
        trust = self.anchors(self.authority)
        relay = self.relay(f"smtp:127.0.0.1:port={hop.tls_port}:tls_first=yes:trust={trust}")
        finished = await swaks(relay.port, *_FAR, octets=_MESSAGE)
        self.assertEqual(finished.status, 0, finished.text)
        [message] = await hop.arrived(1)
        self.assertIn(b"with ESMTPS ", message.own)
