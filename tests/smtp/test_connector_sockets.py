# -*- test-case-name: tests.smtp.test_connector_sockets -*-
"""From a host's name to a session, by real handshakes on loopback sockets."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from slimtwist.destinations import Destinations
from slimtwist.errors import AttemptCancelled, ConnectionLost, RelayError, TLSFailed
from slimtwist.limits import Timeouts
from slimtwist.runtime import Runtime
from slimtwist.smtp.connector import Connector, Place
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.session import Session
from slimtwist.smtp.tls import TlsPolicy
from slimtwist.testing import Call, Ended, Reset, ScriptedPeer, Send, Stall, StartTls, Wait
from slimtwist.testing.script import Script
from slimtwist.testing.steps import Step
from tests.smtp.certificates import CLIENT, Issued, issue
from tests.smtp.dialogues import BYE, GREETING, HOST, INSECURE, PASSWORD, Answer, ehlo, policy
from tests.smtp.test_connector_tls import OFFER, PLAIN
from tests.smtp.test_scram import Server

AUTHORITY = issue(authority=True, common_name="authority")
GOOD = issue(HOST, issuer=AUTHORITY)


def server(issued: Issued) -> CertificateOptions:
    """Return a server's side."""
    return issued.identity.options()


class Loopback(TestCase):
    """A host on a loopback socket, and a client of it."""

    timeout = 30
    reactor: Any = reactor

    def connector(self, *scripts: Script, **options: Any) -> Connector:  # noqa: ANN401
        """Return a client of a host that plays these scripts."""

        async def look_up(_: str) -> Sequence[str]:
            return ("127.0.0.1",)

        self.peer = ScriptedPeer(*scripts)
        port = self.reactor.listenTCP(0, self.peer, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return Connector(
            Runtime(self.reactor),
            Place(HOST, port.getHost().port, resolve=look_up),
            ClientOptions(**{"ehlo_as": "client.example.org"} | options),
            Destinations(self.reactor),
        )

    async def ended(self) -> None:
        """Wait until all connections have ended."""
        for _ in range(500):
            if all(each.reason is not None for each in self.peer.conversations):
                return
            await deferLater(self.reactor, 0.01)
        raise AssertionError("a connection is left")

    async def session(self, *scripts: Script, **options: Any) -> Session:  # noqa: ANN401
        """Return the session, after its end."""
        session = await self.connector(*scripts, **options).open()
        session.channel.close(b"QUIT\r\n")
        await self.ended()
        return session

    async def error(self, *scripts: Script, **options: Any) -> RelayError:  # noqa: ANN401
        """Return the error when there is no session."""
        connector = self.connector(*scripts, **options)
        try:
            await connector.open()
        except RelayError as error:
            await self.ended()
            return error
        raise AssertionError("there is a session")


def tls(context: object) -> list[str | Step]:
    """Return STARTTLS with a real handshake."""
    return ["C: STARTTLS", "S: 220 go", StartTls(context)]


class HandshakeTests(Loopback):
    """Certificates and protocols that real handshakes meet."""

    async def test_verified(self) -> None:
        """A trusted certificate for the configured name is what C{verify} wants."""
        script = [*OFFER, *tls(server(GOOD)), *ehlo("DSN"), *BYE]
        wanted = policy("verify", trust=AUTHORITY.trust)
        session = await self.session(script, tls=wanted)
        assert session.tls is not None
        self.assertRegex(session.tls, r"\ATLSv1\.3 \S+ verified\Z")
        self.assertTrue(session.verified)
        self.peer.verify()

    async def test_reference(self) -> None:
        """TLS-13: the policy may name whom to expect in place of the configured name."""
        script = [*OFFER, *tls(server(issue("mail.example.net", issuer=AUTHORITY))), *ehlo(), *BYE]
        wanted = policy("verify", trust=AUTHORITY.trust, reference="mail.example.net")
        self.assertTrue((await self.session(script, tls=wanted)).verified)

    async def test_not_believed(self) -> None:
        """TLS-12: with C{verify} it defers, with the reason in the text, and no plaintext."""
        stranger = issue(authority=True, common_name="stranger")
        for issued, reason in (
            (issue(HOST), "self-signed certificate"),
            (issue(HOST, issuer=stranger), "certificate issuer is unknown"),
            (issue("other.example.com", issuer=AUTHORITY), "name mismatch: wanted mx.example.com"),
            (issue(HOST, issuer=AUTHORITY, days=(-9, -2)), "certificate has expired"),
        ):
            script = [*OFFER, *tls(server(issued)), Stall()]
            error = await self.error(script, tls=policy("verify", trust=AUTHORITY.trust))
            self.assertIs(type(error), TLSFailed)
            outcome = error.outcome
            self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.7.5"))
            self.assertIn(reason, outcome.reply.text)
            self.assertEqual(outcome.command, "STARTTLS")
            self.assertIn(f"{HOST} [127.0.0.1]:", str(outcome.host))
            self.assertEqual(len(self.peer.conversations), 1)

    async def test_untrusted(self) -> None:
        """TLS-12: opportunistic and C{encrypt} take a certificate of anybody, and say so."""
        for mode in ("opportunistic", "encrypt"):
            script = [*OFFER, *tls(server(issue("other.example.com"))), *ehlo(), *BYE]
            session = await self.session(script, tls=policy(mode))
            assert session.tls is not None
            self.assertRegex(session.tls, r" untrusted\Z")
            self.assertFalse(session.verified)

    async def test_outdated(self) -> None:
        """TLS-10: a host that speaks only TLS 1.1 gets plaintext, or nothing."""
        old = CertificateOptions(
            privateKey=server(GOOD).privateKey,
            certificate=server(GOOD).certificate,
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_0,
            lowerMaximumSecurityTo=TLSVersion.TLSv1_1,
        )
        old.getContext().set_cipher_list(b"ALL:@SECLEVEL=0")
        session = await self.session([*OFFER, *tls(old), Stall()], PLAIN)
        self.assertIsNone(session.tls)
        error = await self.error([*OFFER, *tls(old), Stall()], tls=policy("encrypt"))
        self.assertIs(type(error), TLSFailed)
        self.assertIn("the peer refused: protocol version", str(error.outcome.reply))

    async def test_wants_our_certificate(self) -> None:
        """TLS-10: in TLS 1.3 a host refuses us only when our handshake is over: all the same."""
        wanting = GOOD.identity.options(AUTHORITY.trust.root)
        session = await self.session([*OFFER, *tls(wanting), Stall()], PLAIN)
        self.assertIsNone(session.tls)
        error = await self.error([*OFFER, *tls(wanting), Stall()], tls=policy("encrypt"))
        self.assertIs(type(error), TLSFailed)
        self.assertIn("the peer refused", str(error.outcome.reply))
        ours = issue("client.example.org", issuer=AUTHORITY, usage=CLIENT).identity
        shown: TlsPolicy = policy("encrypt", certificate=ours)
        await self.session([*OFFER, *tls(wanting), *ehlo(), *BYE], tls=shown)
        self.peer.verify()

    async def test_reset(self) -> None:
        """TLS-10: a reset in the handshake is followed by plaintext, or nothing."""
        script = [*OFFER, "C: STARTTLS", "S: 220 go", Wait(0.05), Reset()]
        self.assertIsNone((await self.session(script, PLAIN)).tls)
        error = await self.error(script, tls=policy("encrypt"))
        self.assertIs(type(error), TLSFailed)

    async def test_stall(self) -> None:
        """TLS-11: a host that is silent after the ClientHello is given up in time."""
        waits = Timeouts(starttls=0.2)
        script = [*OFFER, "C: STARTTLS", "S: 220 go", Stall()]
        session = await self.session(script, PLAIN, timeouts=waits)
        self.assertIsNone(session.tls)
        error = await self.error(script, timeouts=waits, tls=policy("encrypt"))
        self.assertIs(type(error), TLSFailed)
        self.assertIn("no answer in time", str(error.outcome.reply))

    async def test_first(self) -> None:
        """TLS-20: TLS before the greeting, and hosts that do not know of it."""
        wanted = policy("verify", first=True, trust=AUTHORITY.trust)
        script = [StartTls(server(GOOD)), *GREETING, *ehlo("STARTTLS"), *BYE]
        session = await self.session(script, tls=wanted)
        self.assertTrue(session.verified)
        self.peer.verify()
        error = await self.error([*GREETING, Stall()], tls=wanted)
        self.assertIs(type(error), TLSFailed)
        self.assertIn("does not speak TLS", str(error.outcome.reply))


class SecureTests(Loopback):
    """Sessions inside real TLS."""

    async def test_tickets(self) -> None:
        """TLS-16: what TLS itself says on an idle connection is not taken for SMTP."""
        script = [*OFFER, *tls(server(GOOD)), *ehlo("DSN"), "C: NOOP", "S: 250 ok", *BYE]
        session = await self.connector(script).open()
        await deferLater(self.reactor, 0.1)
        self.assertTrue(session.channel.quiet())
        self.assertEqual(await session.command("MAIL", b"NOOP\r\n", 5), b"250 ok")
        session.channel.close(b"QUIT\r\n")
        await self.ended()
        self.peer.verify()

    async def test_cut(self) -> None:
        """TLS-15: an end without TLS's own is a lost connection: a cut reply is none."""
        for octets in (b"250-mx\r\n250", b"250-mx\r\n"):
            script = [*OFFER, *tls(server(GOOD)), "C: EHLO ...", Send(octets), Wait(0.1), Reset()]
            error = await self.error(script, tls=policy("encrypt"))
            self.assertIs(type(error), ConnectionLost)
            self.assertEqual(error.outcome.command, "EHLO")

    async def test_stalled_program(self) -> None:
        """OS-13: a reply that came while this program was busy is read, although it is late."""

        def busy() -> None:
            self.peer.conversations[-1].transport.socket.send(b"220 in time\r\n")
            time.sleep(0.4)

        script = [Wait(0.1), Call(busy), *ehlo("DSN"), *BYE]
        session = await self.session(script, timeouts=Timeouts(greeting=0.3))
        self.assertTrue(session.extensions.dsn)
        self.peer.verify()


class SlowProofTests(Loopback):
    """SCRAM with many iterations is computed in a thread."""

    def slow_host(self, *answers: str | Step) -> tuple[Script, dict[str, Any]]:
        """Return a host that wants many iterations, and options for a client of it."""
        host = Server(b"secret", iterations=900_000)

        def first(line: bytes) -> bytes:
            return b"334 " + b64encode(host.first(b64decode(line.split(b" ")[2])))

        hello: list[str | Step] = [*GREETING, *ehlo("AUTH SCRAM-SHA-256")]
        return [*hello, Answer(first), *answers], {"credentials": PASSWORD} | INSECURE

    async def test_slow(self) -> None:
        """The program goes on meanwhile, and then the proof is sent."""
        script, options = self.slow_host("C: ...", "S: 535 5.7.8 no", *BYE)
        opening = Deferred.fromCoroutine(self.error(script, **options))
        turns = 0
        while not opening.called:
            turns += 1
            await deferLater(self.reactor, 0.01)
        self.assertGreater(turns, 5)
        self.assertIn("535 5.7.8 no", str((await opening).outcome.reply))
        self.peer.verify()

    async def test_cancelled(self) -> None:
        """OS-14: cancelled meanwhile, it is that at once, and the proof is not sent."""
        script, options = self.slow_host(Ended())
        opening = Deferred.fromCoroutine(self.connector(script, **options).open())
        while not self.peer.transcript or "334" not in self.peer.transcript[-1]:
            await deferLater(self.reactor, 0.001)
        await deferLater(self.reactor, 0.01)
        opening.cancel()
        self.assertIs(type(self.failureResultOf(opening).value), AttemptCancelled)
        await self.ended()
        self.peer.verify()
