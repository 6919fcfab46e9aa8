# -*- test-case-name: tests.relay.http.test_relay_tls -*-
"""The relay to an HTTP service by HTTPS."""

from __future__ import annotations

from typing import ClassVar

from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import Deafen, Ended, Reset, Send, Stall, StartTls
from tests.relay.http.world import HttpRelayCase, Take, answer
from tests.smtp.certificates import issue

HTTPS = "https://service.example/messages/"


class TlsTests(HttpRelayCase):
    """HTTPS (HTR-20)."""

    KNOWN: ClassVar = issue("service.example")

    def setUp(self) -> None:
        """Have real TLS."""
        super().setUp()
        self.reactor.network.opaque = False

    def https(self, *steps: object, trusted: bool = True, url: str = HTTPS) -> list[str | bool]:
        """Return what becomes of a message: the reply, where, and whether this is ambiguous."""
        context = self.KNOWN.identity.options(None)
        self.serve([StartTls(context), *steps], port=443)  # type: ignore[list-item]
        trust = self.KNOWN.trust if trusted else issue("service.example").trust
        relay = self.relay(url, tls=TlsPolicy(TlsMode.VERIFY, trust=trust), timeout=30.0)
        [outcome] = self.send(relay)
        self.leave(relay)
        return [str(outcome.reply), outcome.command or "", outcome.ambiguous]

    def test_delivered(self) -> None:
        """A message goes to a service that has proved its name."""
        told = self.https(Take(), answer("204 Ok"))
        self.assertEqual(told, ["250 2.0.0 HTTP 204 Ok", "end of data", False])

    def test_untrusted(self) -> None:
        """An unknown authority, or another name: nothing is sent (TLS-12)."""
        reply, command, ambiguous = self.https(Ended(), trusted=False)
        self.assertTrue(str(reply).startswith("451 4.7.5 TLS failed: "), reply)
        self.assertEqual((command, ambiguous), ("STARTTLS", False))
        self.assertEqual(self.peer.bodies, [])
        self.setUp()
        self.reactor.hosts["other.example"] = ["192.0.2.1"]
        reply, command, ambiguous = self.https(Ended(), url="https://other.example/")
        self.assertIn("name mismatch", str(reply))
        self.assertEqual((command, ambiguous), ("STARTTLS", False))

    def test_no_tls(self) -> None:
        """A service that speaks no TLS."""
        self.serve([Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Ended()], port=443)
        [outcome] = self.send(self.relay(HTTPS))
        self.assertIn("451 4.7.5 TLS failed: the peer does not speak TLS", str(outcome.reply))
        self.assertEqual((outcome.command, outcome.ambiguous), ("STARTTLS", False))

    def test_silent(self) -> None:
        """A handshake that does not end meets the deadline, unambiguously (HTR-13)."""
        self.serve([Stall()], port=443)
        relay = self.relay(HTTPS, timeout=30.0)
        self.assertEqual(self.told(relay), "451 4.4.2 timed out: no response in 30 s")
        self.leave(relay)

    def test_lost(self) -> None:
        """A connection lost after the whole request is ambiguous under TLS as well (HTR-12)."""
        reply, _, ambiguous = self.https(Take(), Reset())
        self.assertTrue(str(reply).startswith("451 4."), reply)
        self.assertTrue(ambiguous)

    def test_gone(self) -> None:
        """A service that does not end its side of TLS is waited for for 5 s, by stop() too."""
        for fields in ([], ["Connection: close"]):
            self.setUp()
            context = self.KNOWN.identity.options(None)
            last = answer("204 Ok", *fields)
            self.serve([StartTls(context), Take(), Deafen(), last, Stall()], port=443)
            policy = TlsPolicy(TlsMode.VERIFY, trust=self.KNOWN.trust)
            relay = self.relay(HTTPS, tls=policy, idle_timeout=60)
            wires = self.reactor.network.wires
            self.assertEqual(self.told(relay), "250 2.0.0 HTTP 204 Ok")
            begun = self.reactor.seconds()
            self.reactor.wait(relay.stop())
            self.assertAlmostEqual(self.reactor.seconds() - begun, 5, delta=0.1)
            self.assertTrue(wires[0].client.closed)

    def test_cut_in_handshake(self) -> None:
        """One lost in the handshake is not (HTR-10)."""
        self.serve([Reset()], port=443)
        [outcome] = self.send(self.relay(HTTPS))
        self.assertFalse(outcome.ambiguous)
