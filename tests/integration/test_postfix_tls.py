# -*- test-case-name: tests.integration.test_postfix_tls -*-
"""A Postfix of ours does TLS as its setup says."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

from tests.integration.case import ServerCase
from tests.integration.certificates import Authority, self_signed
from tests.integration.dialogue import Said, in_thread, say, send, session, trusting
from tests.integration.postfix import Postfix
from tests.integration.setups import Setup

_MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


def _sent(postfix: Postfix, recipient: str, tls: ssl.SSLContext | None) -> Said:
    with session(postfix.port, tls=tls) as smtp:
        return send(smtp, "s@a.test", [recipient], _MESSAGE)


def _said(postfix: Postfix, command: str) -> Said:
    with session(postfix.port) as smtp:
        return say(smtp, command)


def _sent_after_tls(postfix: Postfix, tls: ssl.SSLContext) -> Said:
    assert postfix.tls_port is not None
    with smtplib.SMTP_SSL("127.0.0.1", postfix.tls_port, "client.test", context=tls) as smtp:
        smtp.ehlo()
        return send(smtp, "s@a.test", ["r@b.test"], _MESSAGE)


def _features(postfix: Postfix, tls: ssl.SSLContext | None) -> set[str]:
    with session(postfix.port, tls=tls) as smtp:
        return set(smtp.esmtp_features)


class TLSTests(ServerCase):
    """STARTTLS, and TLS at once."""

    def setUp(self) -> None:
        """Make an authority."""
        super().setUp()
        self.authority = Authority()
        self.certificate = self.authority.certificate("127.0.0.1", "mx.b.test")

    async def test_starttls(self) -> None:
        """STARTTLS is offered, verified by name, and not offered again."""
        postfix = self.serve(Postfix(Setup(certificate=self.certificate)))
        tls = trusting(self.authority)
        self.assertIn("starttls", await in_thread(_features, postfix, None))
        self.assertNotIn("starttls", await in_thread(_features, postfix, tls))
        self.assertEqual((await in_thread(_sent, postfix, "r@b.test", tls))[0], 250)
        [message] = await postfix.arrived(1)
        self.assertEqual(message.octets, _MESSAGE)
        self.assertIn(b"with ESMTPS ", message.own)

    async def test_bad_certificates(self) -> None:
        """Who verifies does not go on with a certificate that is bad."""
        tls = trusting(self.authority)
        for certificate, words in [
            (self.authority.expired("127.0.0.1"), "expired"),
            (self.authority.certificate("127.0.0.2"), "IP address mismatch"),
            (self_signed("127.0.0.1"), "self-signed"),
        ]:
            postfix = self.serve(Postfix(Setup(certificate=certificate)))
            with self.assertRaises(ssl.SSLCertVerificationError) as caught:
                await in_thread(_sent, postfix, "r@b.test", tls)
            self.assertIn(words, caught.exception.verify_message)

    async def test_required(self) -> None:
        """A Postfix that requires TLS says so at MAIL."""
        setup = Setup(certificate=self.certificate, require_tls=True)
        postfix = self.serve(Postfix(setup))
        said = await in_thread(_sent, postfix, "r@b.test", None)
        self.assertEqual(said, (530, "5.7.0 Must issue a STARTTLS command first"))
        said = await in_thread(_sent, postfix, "r@b.test", trusting(self.authority))
        self.assertEqual(said[0], 250)

    async def test_implicit(self) -> None:
        """On the second port TLS comes first."""
        setup = Setup(certificate=self.certificate, implicit_tls=True)
        postfix = self.serve(Postfix(setup))
        said = await in_thread(_sent_after_tls, postfix, trusting(self.authority))
        self.assertEqual(said[0], 250)

    async def test_versions(self) -> None:
        """What Postfix negotiates can be limited by a setting."""
        settings = {"smtpd_tls_protocols": ">=TLSv1.2, <=TLSv1.2"}
        setup = Setup(certificate=self.certificate, settings=settings)
        postfix = self.serve(Postfix(setup))
        await in_thread(_sent, postfix, "r@b.test", trusting(self.authority))
        await self.logged(postfix, "TLSv1.2 with cipher")

    async def test_client_certificate(self) -> None:
        """Who shows a certificate of the right authority may relay; who does not may not."""
        setup = Setup(certificate=self.certificate, client_authority=self.authority)
        postfix = self.serve(Postfix(setup))
        tls = trusting(self.authority)
        said = await in_thread(_sent, postfix, "r@far.test", tls)
        self.assertEqual(said, (554, "5.7.1 <r@far.test>: Relay access denied"))
        self.assertEqual((await in_thread(_sent, postfix, "r@local.test", tls))[0], 250)
        path = self.authority.certificate("client.test").save(Path(self.mktemp()))
        tls.load_cert_chain(path)
        self.assertEqual((await in_thread(_sent, postfix, "r@far.test", tls))[0], 250)

    async def test_not_offered(self) -> None:
        """Without a certificate there is no STARTTLS."""
        postfix = self.serve(Postfix())
        self.assertNotIn("starttls", await in_thread(_features, postfix, None))
        said = await in_thread(_said, postfix, "STARTTLS")
        self.assertEqual(said[0], 502)
