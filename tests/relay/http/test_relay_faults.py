# -*- test-case-name: tests.relay.http.test_relay_faults -*-
"""What the relay to an HTTP service says of faults, of the service and on the way to it."""

from __future__ import annotations

from twisted.internet.error import DNSLookupError

from slimtwist.envelope import Envelope
from slimtwist.testing import Close, Fate, Octets, Reset, Send, Stall, Wait, drip
from tests.relay.http.test_relay import LARGE
from tests.relay.http.world import HttpRelayCase, Take, answer

AGAIN = "; the message may be delivered more than once (ambiguous)"


class FaultTests(HttpRelayCase):
    """What is said of faults: unambiguous before the request has left whole, ambiguous after."""

    def test_connecting(self) -> None:
        """Refused, unreachable, hanging, unknown: it cannot be connected to (HTR-10)."""
        for fate in (Fate.REFUSED, Fate.UNREACHABLE, Fate.TIMED_OUT, Fate.HANGING):
            self.setUp()
            self.serve([Stall()])
            self.reactor.network.fate = lambda _, fate=fate: fate
            [outcome] = self.send()
            self.assertTrue(str(outcome.reply).startswith("451 4.4.1 cannot connect: "))
            self.assertEqual((outcome.command, outcome.ambiguous), ("connect", False))
            self.assertLess(self.reactor.seconds() - 1_700_000_000, 61)
        [outcome] = self.send(self.relay("http://unknown.example/"))
        self.assertTrue(str(outcome.reply).startswith("451 4.4.1 cannot connect: "), outcome)
        self.assertEqual(outcome.host, "unknown.example:80")
        self.assertEqual(self.flushLoggedErrors(DNSLookupError), [])

    def test_reset_at_once(self) -> None:
        """A connection that ends before the request has left (HTR-10)."""
        told = self.fate(Reset(), octets=LARGE[:500_000] + b"\r\n")
        self.assertTrue(told.startswith("451 4.4.2 connection lost"), told)
        self.assertNotIn("ambiguous", told)

    def test_reset_in_body(self) -> None:
        """A reset after part of the body is not ambiguous (HTR-11)."""
        octets = LARGE[: 1 << 19] + b"\r\n"
        told = self.fate(Take(body=False), Octets(1000), Reset(), octets=octets)
        self.assertTrue(told.startswith("451 4.4.2 connection lost"), told)
        self.assertNotIn("ambiguous", told)

    def test_reset_at_the_end(self) -> None:
        """Nor is one that finds the last octets in our own buffers (L4)."""
        self.serve([Stall()])
        self.reactor.network.on_wire = lambda wire: wire.up.stall(100)
        relay = self.relay()
        envelope = Envelope.parse("a@example.org", ["b@example.net"], LARGE[: 1 << 19] + b"\r\n")
        attempt = relay.attempt(envelope, 0)
        self.reactor.advance(5)
        self.reactor.network.wires[0].cut()
        self.assertFalse(self.reactor.wait(attempt)[0].ambiguous)

    def test_lost_after_request(self) -> None:
        """A connection that ends after the whole request is ambiguous (HTR-12)."""
        for end in (Close(), Reset()):
            self.setUp()
            told = self.fate(Take(), end)
            self.assertTrue(told.startswith("451 4.4.2 connection lost"), told)
            self.assertTrue(told.endswith(AGAIN), told)

    def test_silence(self) -> None:
        """Silence and dripping meet the deadline of the whole (HTR-13)."""
        header = b"HTTP/1.1 200 Ok\r\nX-A: b\r\nContent-Length: 90\r\n\r\n" + b"z" * 90
        for steps in (
            [Take(), Stall()],
            [Take(), Send(b"HTTP/1.1 200 Ok\r\n"), Stall()],
            [Take(), *drip(header, 1.0)],
            [Take(), Send(header[:60]), *drip(header[60:], 1.0)],
            [Take(), *[Send(b"HTTP/1.1 103 Early\r\n\r\n"), Wait(0.1)] * 1000],
        ):
            self.setUp()
            begun = self.reactor.seconds()
            told = self.fate(*steps, timeout=30.0)
            self.assertEqual(told, f"451 4.4.2 timed out: no response in 30 s{AGAIN}")
            self.assertAlmostEqual(self.reactor.seconds() - begun, 30, delta=0.1)

    def test_deaf(self) -> None:
        """A service that does not read: the deadline holds, and nothing is ambiguous (HTR-13)."""
        self.serve([Stall()])
        self.reactor.network.on_wire = lambda wire: wire.up.stall(100)
        relay = self.relay(timeout=30.0)
        told = self.told(relay, LARGE[: 1 << 19] + b"\r\n")
        self.assertEqual(told, "451 4.4.2 timed out: no response in 30 s")
        self.leave(relay)

    def test_interim(self) -> None:
        """Interim responses are passed over (HTR-09)."""
        told = self.fate(Take(), *[Send(b"HTTP/1.1 103 Early\r\n\r\n")] * 1000, answer("204 Ok"))
        self.assertEqual(told, "250 2.0.0 HTTP 204 Ok")

    def test_garbage(self) -> None:
        """What is no response of HTTP/1 defers, and is ambiguous (HTR-15)."""
        for octets in (
            b"220 mx.example ESMTP\r\n",
            b"hello world\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"HTTP/1.1 abc Ok\r\n\r\n",
            b"HTTP/1.1 999 Ok\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 600 Ok\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 Ok\r\nContent-Length: -1\r\n\r\n",
            b"HTTP/1.1 200 Ok\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            b"HTTP/1.1 200 Ok\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffffff\r\nx",
            b"HTTP/1.1 200 Ok\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
            b"HTTP/1.1 200 Ok\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"HTTP/1.1 200 Ok\r\nContent-Length: 10\r\n\r\nshort",
            b"HTTP/1.1 00200 Ok\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 +200 Ok\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 Ok\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ):
            self.setUp()
            told = self.fate(Take(), Send(octets), Close(), timeout=20.0)
            self.assertTrue(told.startswith("451 4."), f"{octets!r}: {told}")
            self.assertTrue(told.endswith("(ambiguous)"), f"{octets!r}: {told}")
            self.flushLoggedErrors()

    def test_switching(self) -> None:
        """101 is no interim response: nothing of HTTP follows it (HTR-09)."""
        told = self.fate(Take(), Send(b"HTTP/1.1 101 Switching\r\n\r\n"), Stall())
        self.assertEqual(told, f"451 4.5.0 protocol error: 101 Switching Protocols{AGAIN}")
        self.assertEqual(self.reactor.seconds(), 1_700_000_000)

    def test_early_garbage(self) -> None:
        """What is no response ends an attempt at once also while the message is sent (L3)."""
        head = b"HTTP/1.1 413 No\r\nTransfer-Encoding: chunked\r\n\r\n"
        for octets in (b"hello world\r\n\r\n", head + b"nonsense\r\n"):
            self.setUp()
            self.serve([Take(body=False), Send(octets), Stall()])
            self.reactor.network.on_wire = lambda wire: wire.up.stall(2000)
            relay = self.relay(timeout=30.0)
            told = self.told(relay, LARGE[: 1 << 19] + b"\r\n")
            self.assertTrue(told.startswith("451 4."), told)
            self.assertNotIn("ambiguous", told)
            self.assertLess(self.reactor.seconds(), 1_700_000_001)
            self.leave(relay)

    def test_early_success(self) -> None:
        """A success before the message was sent is none; a refusal is one (L1)."""
        octets = LARGE[: 1 << 19] + b"\r\n"
        for response, wanted in (
            ("200 Ok", "451 4.5.0 protocol error: success before the message was sent"),
            ("404 Not Found", "550 5.0.0 HTTP 404 Not Found"),
        ):
            self.setUp()
            self.serve([Take(body=False), answer(response), Stall()])
            self.reactor.network.on_wire = lambda wire: wire.up.stall(2000)
            relay = self.relay(timeout=30.0)
            self.assertEqual(self.told(relay, octets), wanted)
            self.leave(relay)
