# -*- test-case-name: tests.smtp.test_handshake -*-
"""Tests of how handshakes are told about."""

from __future__ import annotations

import ssl
from pathlib import Path

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.handshake import describe, explain
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from tests.smtp.certificates import issue
from tests.smtp.handshakes import shake

HOST = "mail.example.com"


class DescribeTests(SynchronousTestCase):
    """How a connection is protected."""

    def test_versions(self) -> None:
        """Version and cipher are named, and whether the peer proved who he is (TLS-12)."""
        made = issue(HOST)
        server = made.identity.options()
        verify = TlsPolicy(TlsMode.VERIFY, trust=made.trust)
        for policy, trust in ((verify, "verified"), (TlsPolicy(), "untrusted")):
            self.assertRegex(
                shake(server, policy.creator(HOST)).described, rf"\ATLSv1\.[23] TLS_[\w]+ {trust}\Z"
            )

    def test_plaintext(self) -> None:
        """Nothing is said of a connection without TLS."""
        self.assertEqual(describe(StringTransport()), "")
        self.assertEqual(describe(None), "")


class ExplainTests(SynchronousTestCase):
    """Why a handshake failed."""

    def server(self) -> ssl.SSLContext:
        """Return what makes servers, which can be told to be odd."""
        path = Path(self.mktemp())
        path.write_bytes(issue(HOST, usage=None).pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.load_cert_chain(path)
        context.load_verify_locations(path)
        return context

    def reason(self, server: ssl.SSLContext | bytes) -> str:
        """Return the reason that an opportunistic client gives."""
        return shake(server, TlsPolicy().creator(HOST)).refused

    def test_no_tls(self) -> None:
        """TLS-10, TLS-20: a peer that does not speak TLS."""
        for said in (
            b"220 mail.example.com ESMTP\r\n",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"SSH-2.0",
        ):
            self.assertEqual(self.reason(said), "the peer does not speak TLS", said)

    def test_old_versions(self) -> None:
        """TLS-10: TLS 1.0 and 1.1 are not taken, by either side's word."""
        server = self.server()
        server.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            server.maximum_version = version
            self.assertEqual(self.reason(server), "the peer refused: protocol version")

    def test_no_common_cipher(self) -> None:
        """TLS-10: no cipher in common."""
        server = self.server()
        server.maximum_version = ssl.TLSVersion.TLSv1_2
        server.set_ciphers("AECDH:@SECLEVEL=0")
        self.assertEqual(self.reason(server), "the peer refused: handshake failure")

    def test_client_certificate_wanted(self) -> None:
        """A peer that wants a client certificate says so."""
        server = self.server()
        server.verify_mode = ssl.CERT_REQUIRED
        self.assertEqual(self.reason(server), "the peer refused: certificate required")

    def test_closed(self) -> None:
        """TLS-15: the end of a connection without an end of TLS is a lost connection."""
        connected = shake(self.server(), TlsPolicy().creator(HOST))
        assert connected.server.transport is not None
        connected.server.transport.loseConnection()
        connected.pump.flush()
        assert connected.client.lost is not None
        self.assertTrue(connected.client.lost.check(error.ConnectionLost))
        self.assertEqual(explain(connected.client.lost), "the peer closed the connection")

    def test_other_contexts(self) -> None:
        """The verdict of Twisted's own contexts, given by an application, is told as well."""
        made = issue("www.example.com")
        policy = TlsPolicy(TlsMode.ENCRYPT, context=optionsForClientTLS(HOST))
        connected = shake(made.identity.options(), policy.creator(HOST))
        self.assertEqual(connected.refused, "certificate is for another name")

    def test_errors(self) -> None:
        """Whatever ends a connection has a text, and it is one printable line (L5)."""
        for problem, text in (
            (error.ConnectionDone(), "the peer closed the connection"),
            (error.ConnectionAborted(), "connection aborted"),
            (error.TimeoutError(), "User timeout caused connection failure."),
            (SSL.SysCallError(104, "ECONNRESET"), "connection lost: ECONNRESET"),
            (SSL.Error(), "the peer closed the connection"),
            (SSL.Error([]), "the peer closed the connection"),
            (SSL.Error([("", "", "a\r\nb"), ("", "", "c"), ("", "", "c")]), "a??b; c"),
            (SSL.ZeroReturnError(), "the peer closed the connection"),
            (ValueError("x" * 1000), "x" * 300),
            (KeyError(), "KeyError"),
        ):
            self.assertEqual(explain(Failure(problem)), text)
