# -*- test-case-name: tests.integration.test_smarthost_tls -*-
"""C{StaticSmtpRelay} and the TLS of a real Postfix: what each policy takes, and what it refuses.

What was encrypted is seen by the Postfix, which says so in its log and in its Received field.
"""

from __future__ import annotations

import re
from pathlib import Path

from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Verdict
from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.tls import Identity, TlsMode, TlsPolicy
from tests.integration.certificates import Authority, Certificate, self_signed
from tests.integration.postfix import Postfix
from tests.integration.setups import Setup
from tests.integration.smarthost import MESSAGE, SmarthostCase, verifying

_ENCRYPTED = b"with ESMTPS "
_PLAIN = b"with ESMTP "


class _TLSCase(SmarthostCase):
    def setUp(self) -> None:
        super().setUp()
        self.authority = Authority()
        self.good = self.authority.certificate("127.0.0.1")

    def postfix(self, certificate: Certificate, **setup: object) -> Postfix:
        """Start a Postfix with a certificate."""
        return self.serve(Postfix(Setup(certificate=certificate, **setup)))  # type: ignore[arg-type]

    def bad(self) -> list[tuple[Certificate, str]]:
        """Return certificates that prove nothing, each with the reason that is to be told."""
        name = "127.0.0.1"
        return [
            (
                self.authority.certificate("mx.b.test"),
                "name mismatch: wanted 127.0.0.1, certificate has mx.b.test",
            ),
            (self_signed(name), "self-signed certificate"),
            (self.authority.expired(name), "certificate has expired"),
            (self.authority.premature(name), "certificate is not yet valid"),
            (Authority().certificate(name), "certificate issuer is unknown"),
            (self.authority.nameless(name), "name mismatch: wanted 127.0.0.1"),
        ]

    async def assert_told_nothing(self, postfix: Postfix) -> None:
        """Check that a Postfix heard of no message and no credentials (L9).

        At the end of a session it logs how often it heard each command.
        """
        await self.logged(postfix, "disconnect from ")
        heard = re.findall(r"disconnect from \S+ (.*)", postfix.log())
        self.assertNotRegex("".join(heard), "mail=|auth=")


class PolicyTests(_TLSCase):
    """STARTTLS under each policy."""

    async def test_verify(self) -> None:
        """A trusted certificate for the right name is verified, and the octets arrive."""
        postfix = self.postfix(self.good, require_tls=True)
        [outcome] = await self.send(self.to(postfix.port, tls=verifying(self.authority)))
        self.assertRegex(str(outcome.reply), r"\A250 2\.0\.0 Ok: queued as \w+\Z")
        self.assertRegex(outcome.tls or "", r"\ATLSv1\.3 TLS_\w+ verified\Z")
        self.assertEqual(outcome.host, f"127.0.0.1 [127.0.0.1]:{postfix.port}")
        [message] = await postfix.arrived(1)
        self.assertEqual(message.octets, MESSAGE)
        self.assertIn(_ENCRYPTED, message.own)

    async def test_intermediate(self) -> None:
        """A chain by way of an authority in between is followed to its anchor."""
        certificate = self.authority.intermediate().certificate("127.0.0.1")
        postfix = self.postfix(certificate)
        [outcome] = await self.send(self.to(postfix.port, tls=verifying(self.authority)))
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)

    async def test_reference(self) -> None:
        """Another name than the host's is verified when the policy says so."""
        postfix = self.postfix(self.authority.certificate("mx.b.test"))
        policy = verifying(self.authority, reference="mx.b.test")
        [outcome] = await self.send(self.to(postfix.port, tls=policy))
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)

    async def test_bad_certificates(self) -> None:
        """Whoever does not prove his name gets nothing under C{verify}; the sender is told why
        (TLS-12, L9). C{encrypt} takes the same host, encrypted.
        """
        for certificate, reason in self.bad():
            postfix = self.postfix(certificate)
            refusing = self.to(postfix.port, tls=verifying(self.authority))
            [text] = await self.told(refusing)
            self.assertTrue(
                text.startswith(f"deferred at STARTTLS: 451 4.7.5 TLS failed: {reason}")
            )
            await self.assert_told_nothing(postfix)
            [outcome] = await self.send(self.to(postfix.port, tls="encrypt"))
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
            self.assertRegex(outcome.tls or "", " untrusted$")
            [message] = await postfix.arrived(1)
            self.assertIn(_ENCRYPTED, message.own)

    async def test_opportunistic(self) -> None:
        """Without a policy any certificate will do, and the connection is encrypted."""
        for certificate, _ in self.bad()[:2]:
            postfix = self.postfix(certificate)
            [outcome] = await self.send(self.to(postfix.port))
            self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
            [message] = await postfix.arrived(1)
            self.assertIn(_ENCRYPTED, message.own)

    async def test_none(self) -> None:
        """C{none} does not begin TLS, though it is offered."""
        postfix = self.postfix(self.good)
        [outcome] = await self.send(self.to(postfix.port, tls="none"))
        self.assertIsNone(outcome.tls)
        [message] = await postfix.arrived(1)
        self.assertIn(_PLAIN, message.own)

    async def test_none_where_it_is_required(self) -> None:
        """A Postfix that wants TLS refuses MAIL without it, and the sender is told so."""
        postfix = self.postfix(self.good, require_tls=True)
        [text] = await self.told(self.to(postfix.port, tls="none"))
        wanted = "failed at MAIL: 530 5.7.0 Must issue a STARTTLS command first"
        self.assertEqual(text, wanted)

    async def test_not_offered(self) -> None:
        """Without STARTTLS, C{opportunistic} sends in clear and the others defer (TLS-08)."""
        postfix = self.serve(Postfix())
        for policy in ("encrypt", verifying(self.authority)):
            [text] = await self.told(self.to(postfix.port, tls=policy))
            wanted = "451 4.7.4 TLS is required: STARTTLS is not offered"
            self.assertEqual(text, f"deferred at STARTTLS: {wanted}")
        await self.assert_told_nothing(postfix)
        [outcome] = await self.send(self.to(postfix.port))
        self.assertEqual((outcome.verdict, outcome.tls), (Verdict.DELIVERED, None))

    async def test_broken_handshake(self) -> None:
        """Where no handshake succeeds, C{opportunistic} sends in clear over a new connection, and
        goes there at once the next time; C{encrypt} defers (TLS-10).
        """
        # Never is there a cipher in common, since TLS 1.2 has these ciphers for RSA keys only.
        settings = {"smtpd_tls_protocols": ">=TLSv1.2, <=TLSv1.2"}
        settings |= {
            "smtpd_tls_mandatory_ciphers": "high",
            "tls_high_cipherlist": "AES256-GCM-SHA384",
        }
        postfix = self.postfix(self.good, settings=settings | {"smtpd_tls_ciphers": "high"})
        [text] = await self.told(self.to(postfix.port, tls="encrypt"))
        wanted = "deferred at STARTTLS: 451 4.7.5 TLS failed: the peer refused: handshake failure"
        self.assertEqual(text, wanted)
        await self.assert_told_nothing(postfix)
        relay = self.to(postfix.port, limits=Limits(uses=1))
        for _ in range(2):
            [outcome] = await self.send(relay)
            self.assertEqual((outcome.verdict, outcome.tls), (Verdict.DELIVERED, None))
        messages = await postfix.arrived(2)
        self.assertEqual([_PLAIN in each.own for each in messages], [True, True])
        self.assertEqual(postfix.log().count("SSL_accept error"), 2)

    async def test_old_version(self) -> None:
        """TLS 1.2 is taken too."""
        postfix = self.postfix(self.good, settings={"smtpd_tls_protocols": "<=TLSv1.2"})
        [outcome] = await self.send(self.to(postfix.port, tls=verifying(self.authority)))
        self.assertRegex(outcome.tls or "", r"\ATLSv1\.2 \S+ verified\Z")


class FirstTests(_TLSCase):
    """TLS that comes before everything else."""

    async def test_verify(self) -> None:
        """The certificate is verified, and the message arrives (RFC 8314)."""
        postfix = self.postfix(self.good, implicit_tls=True)
        assert postfix.tls_port is not None
        relay = self.to(postfix.tls_port, tls=verifying(self.authority, first=True))
        [outcome] = await self.send(relay)
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)
        self.assertRegex(outcome.tls or "", r"\ATLSv1\.3 TLS_\w+ verified\Z")
        [message] = await postfix.arrived(1)
        self.assertEqual(message.octets, MESSAGE)

    async def test_bad_certificates(self) -> None:
        """Here too nobody is believed who proves nothing; and C{opportunistic} has no plaintext to
        fall back to, but does not mind who it is.
        """
        postfix = self.postfix(self_signed("127.0.0.1"), implicit_tls=True)
        assert postfix.tls_port is not None
        relay = self.to(postfix.tls_port, tls=verifying(self.authority, first=True))
        [text] = await self.told(relay)
        self.assertEqual(
            text, "deferred at STARTTLS: 451 4.7.5 TLS failed: self-signed certificate"
        )
        await self.assert_told_nothing(postfix)
        policy = TlsPolicy(TlsMode.OPPORTUNISTIC, first=True)
        [outcome] = await self.send(self.to(postfix.tls_port, tls=policy))
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)

    async def test_wrong_port(self) -> None:
        """TLS to the port that greets in clear, and a clear dialogue with the port that does not,
        are deferred with words that say so (TLS-20).
        """
        postfix = self.postfix(self.good, implicit_tls=True)
        assert postfix.tls_port is not None
        relay = self.to(postfix.port, tls=TlsPolicy(TlsMode.ENCRYPT, first=True))
        [text] = await self.told(relay)
        wanted = "451 4.7.5 TLS failed: the peer does not speak TLS"
        self.assertEqual(text, f"deferred at STARTTLS: {wanted}")
        relay = self.to(postfix.tls_port, tls="none", timeouts=Timeouts(greeting=0.5))
        [text] = await self.told(relay)
        self.assertEqual(text, "deferred at greeting: 451 4.4.2 timed out: no answer in time")


class ClientCertificateTests(_TLSCase):
    """Who we are, by certificate."""

    async def test_shown(self) -> None:
        """A Postfix that relays for a certificate's owner relays for nobody else."""
        postfix = self.postfix(self.good, client_authority=self.authority)
        anchors = verifying(self.authority)
        [text] = await self.told(self.to(postfix.port, tls=anchors), "r@far.test")
        self.assertEqual(text, "failed at RCPT: 554 5.7.1 <r@far.test>: Relay access denied")
        path = self.authority.certificate("relay.test").save(Path(self.mktemp()))
        policy = verifying(self.authority, certificate=Identity.read(path))
        [outcome] = await self.send(self.to(postfix.port, tls=policy), "r@far.test")
        self.assertEqual(outcome.verdict, Verdict.DELIVERED, outcome)


class CredentialTests(_TLSCase):
    """Credentials and certificates."""

    async def test_never_given_away(self) -> None:
        """To a host that does not prove who it is no credentials are given (TLS-21, L9)."""
        for certificate, _ in self.bad()[:2]:
            postfix = self.postfix(certificate, accounts={"alice": "secret"})
            relay = self.to(
                postfix.port,
                tls=verifying(self.authority),
                credentials=Credentials("alice", "secret"),
            )
            [outcome] = await self.send(relay)
            self.assertEqual(outcome.reply.enhanced, "4.7.5", outcome)
            await self.assert_told_nothing(postfix)
