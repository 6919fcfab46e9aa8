# -*- test-case-name: tests.relay.http.test_relay -*-
"""The relay to an HTTP service, with a scripted service."""

from __future__ import annotations

import socket
from random import Random
from typing import ClassVar

from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.queue.direct import DirectQueue
from slimtwist.relay.http import HttpRelay, Names, Secrets
from slimtwist.runtime import Runtime
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import (
    Close,
    Deafen,
    Ended,
    Fate,
    MemoryReactor,
    Octets,
    Reset,
    Send,
    Stall,
    StartTls,
    Wait,
    Wire,
    drip,
)
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver
from slimtwist.testing.memory import MemoryRelay
from slimtwist.testing.steps import Step
from tests.relay.http.world import MESSAGE, URL, HttpRelayCase, Take, answer
from tests.smtp.certificates import issue

LOST = "451 4.4.2 connection lost: the peer closed the connection"
AGAIN = "; the message may be delivered more than once (ambiguous)"
LARGE = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 30000
HTTPS = "https://service.example/messages/"


class ContractTests(RelayContract, SynchronousTestCase):
    """It is a relay like any other."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Put our own edge at the other end."""
        reactor = MemoryReactor(start=1_700_000_000.0)
        runtime = Runtime(reactor, hostname="relay.example", random=Random(1))
        hop = MemoryRelay({self.refused: "550 5.1.1 no such user"})
        edge = HttpEdgeFactory(runtime, DirectQueue(runtime, hop))
        reactor.add_host("service.example", edge, 80)
        reactor.network.home = ("127.0.0.1", "::1")
        relay = HttpRelay(URL, pool_size=2, runtime=runtime)
        return relay, MemoryDriver(reactor)


class RequestTests(HttpRelayCase):
    """What is sent."""

    def test_whole(self) -> None:
        """The request has the format of python-slimta's HTTP edge (issue 5)."""
        self.serve([Take(), answer("204 No Content")])
        self.send(recipients=["b@example.net", "\u00fc@example.net"])
        [request] = self.peer.bodies
        head, _, body = request.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.assertEqual(first, "POST /messages/ HTTP/1.1")
        self.assertEqual(body, MESSAGE)
        fields = [(name, value) for name, value in (line.split(": ", 1) for line in lines)]
        key = dict(fields)["Idempotency-Key"]
        self.assertRegex(key, r'^"[0-9a-f]{32}"$')
        self.assertEqual(
            sorted(fields),
            [
                ("Accept", "application/json"),
                ("Content-Length", "21"),
                ("Content-Type", "message/rfc822"),
                ("Host", "service.example"),
                ("Idempotency-Key", key),
                ("X-Ehlo", "relay.example"),
                ("X-Envelope-Recipient", "YkBleGFtcGxlLm5ldA=="),
                ("X-Envelope-Recipient", "w7xAZXhhbXBsZS5uZXQ="),
                ("X-Envelope-Sender", "YUBleGFtcGxlLm9yZw=="),
            ],
        )

    def test_choices(self) -> None:
        """Verb, names and EHLO name are the operator's; so are the credentials (issue 5)."""
        self.serve([Take(), answer("204 No Content")])
        names = Names("X-A", "X-B", "X-C")
        secrets = Secrets(bearer="0123456789abcdef")
        relay = self.relay(
            verb="PUT", names=names, ehlo_as="me.example", secrets=secrets, auth_insecure=True
        )
        self.send(relay)
        [request] = self.peer.bodies
        self.assertTrue(request.startswith(b"PUT /messages/ "))
        for line in (
            b"X-A: me.example",
            b"X-B: YUBleGFtcGxlLm9yZw==",
            b"X-C: YkBleGFtcGxlLm5ldA==",
            b"Authorization: Bearer 0123456789abcdef",
        ):
            self.assertIn(b"\r\n" + line + b"\r\n", request)

    def test_url(self) -> None:
        """Query, port and IPv6 are kept; userinfo becomes Basic credentials (HTR-19)."""
        self.peer_at("::1", 8080)
        relay = self.relay("http://me:p%40ss@[::1]:8080/in?a=b&c=%20#part")
        self.assertEqual(str(self.send(relay)[0].reply), "250 2.0.0 HTTP 204 No Content")
        [request] = self.peer.bodies
        self.assertTrue(request.startswith(b"POST /in?a=b&c=%20 HTTP/1.1\r\n"), request)
        self.assertIn(b"\r\nHost: [::1]:8080\r\n", request)
        self.assertIn(b"\r\nAuthorization: Basic bWU6cEBzcw==\r\n", request)
        self.assertNotIn("p@ss", repr(relay))

    def test_unix(self) -> None:
        """A service may listen on a UNIX socket (HTR-19)."""
        self.serve([Take(), answer("204 No Content")])
        self.reactor.listenUNIX("/run/service", self.peer)
        self.send(self.relay(unix="/run/service"))
        self.assertIn(b"\r\nHost: service.example\r\n", self.peer.bodies[0])

    def peer_at(self, address: str, port: int) -> None:
        """Let the service listen somewhere else."""
        self.serve([Take(), answer("204 No Content")])
        self.reactor.listenTCP(port, self.peer, interface=address)

    def test_envelope_is_no_address(self) -> None:
        """Nothing of an envelope chooses whom we talk to (HTR-23)."""
        self.serve([Take(), answer("204 No Content")])
        self.send(recipients=["b@[169.254.169.254]"])
        self.assertEqual({each.port for each in self.reactor.network.attempts}, {80})
        self.assertNotIn(b"169.254", self.peer.bodies[0])

    def test_wrong(self) -> None:
        """Wrong arguments are named."""
        secrets = Secrets(basic="me:secret")
        for text, options in {
            "url": {"url": "nonsense"},
            "url: a token or a password wants https": {"url": URL, "secrets": secrets},
            "verb='P O'": {"url": URL, "verb": "P O"},
            "'a b'": {"url": URL, "ehlo_as": "a b"},
            "verified always": {"url": URL, "tls": TlsPolicy(TlsMode.ENCRYPT)},
            "status 404": {"url": URL, "statuses": {404: "250 ok"}},
        }.items():
            with self.assertRaises(ValueError) as caught:
                self.relay(**options)  # type: ignore[arg-type]
            self.assertIn(text, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_local_secrets(self) -> None:
        """What does not leave this host may be told unprotected."""
        secrets = Secrets(basic="me:secret")
        for url in ("http://127.0.0.1/", "http://[::1]/", "http://localhost/"):
            self.relay(url, secrets=secrets)
        self.relay(URL, secrets=secrets, unix="/run/service")

    def test_same_key(self) -> None:
        """Each attempt with a message has the same key; another message another (HTR-12)."""
        self.serve(
            [Take(), answer("503 Later"), Take(), answer("204 Ok"), Take(), answer("204 Ok")]
        )
        relay = self.relay()
        envelope = Envelope.parse("a@example.org", ["b@example.net"], MESSAGE)
        for _ in range(2):
            self.reactor.wait(relay.attempt(envelope, 0))
        self.send(relay)
        first, second, third = (
            request.partition(b"Idempotency-Key: ")[2].partition(b"\r\n")[0]
            for request in self.peer.bodies
        )
        self.assertEqual(first, second)
        self.assertNotEqual(first, third)
        self.peer.verify()

    def test_continue(self) -> None:
        """A large message waits until the service wants it (HTR-09)."""
        refused = self.fate(Take(body=False), Wait(1), answer("413 Too Large"), octets=LARGE)
        self.assertEqual(refused, "552 5.3.4 HTTP 413 Too Large")
        self.assertIn(b"Expect: 100-continue", self.peer.bodies[0])
        self.assertLess(self.reactor.network.wires[0].up.arrived, 1000)

    def test_continued(self) -> None:
        """It is sent at once when the service says so, and after 2 s when it says nothing."""
        wanted = Send(b"HTTP/1.1 100 Continue\r\n\r\n")
        size = Octets(len(LARGE))
        for said, seconds in ((wanted, 0), (Wait(0), 2)):
            self.setUp()
            begun = self.reactor.seconds()
            told = self.fate(Take(body=False), said, size, answer("204 Ok"), octets=LARGE)
            self.assertEqual(told, "250 2.0.0 HTTP 204 Ok")
            self.assertAlmostEqual(self.reactor.seconds() - begun, seconds, delta=0.1)
            self.assertEqual(self.peer.bodies[-1], LARGE)


class ConnectionTests(HttpRelayCase):
    """What becomes of connections."""

    def test_kept(self) -> None:
        """A connection is used again, also after a response whose body nobody wants (HTR-16)."""
        body = b"z" * 50_000
        self.serve([*[Take(), answer("200 Ok", body=body)] * 3, Ended()])
        relay = self.relay()
        for _ in range(3):
            self.assertEqual(self.told(relay), "250 2.0.0 HTTP 200 Ok")
        self.leave(relay)
        self.peer.verify()

    def test_endless_body(self) -> None:
        """Of a body 64 KiB are read; the connection is not used again (issue 5)."""
        self.serve(
            [
                Take(),
                answer("200 Ok", "Content-Length: 900000", length=False),
                Send(b"z" * 100_000),
            ],
            [Take(), answer("204 Ok")],
        )
        relay = self.relay()
        self.assertEqual(self.told(relay), "250 2.0.0 HTTP 200 Ok")
        self.assertEqual(self.told(relay), "250 2.0.0 HTTP 204 Ok")
        self.leave(relay)

    def test_endless_header(self) -> None:
        """A header without an end is cut off (L6)."""
        flood = b"X-A: " + b"z" * 1000 + b"\r\n"
        told = self.fate(Take(), Send(b"HTTP/1.1 200 Ok\r\n"), Send(flood * 1000), Ended())
        self.assertIn("451 4.4.2 connection lost", told)
        self.assertIn("(ambiguous)", told)

    def test_idle(self) -> None:
        """An unused connection is closed after a while (laws: 4 s)."""
        self.serve([Take(), answer("204 Ok"), Ended()])
        self.send()
        self.reactor.advance(3.9)
        self.assertTrue(self.reactor.network.wires[0].open)
        self.reactor.advance(0.2)
        self.assertFalse(self.reactor.network.wires[0].open)

    def test_dead(self) -> None:
        """A kept connection that was closed meanwhile is replaced (HTR-10)."""
        self.serve([Take(), answer("204 Ok"), Close()], [Take(), answer("204 Ok")])
        relay = self.relay()
        self.send(relay)
        self.reactor.advance(1)
        self.assertEqual(self.told(relay), "250 2.0.0 HTTP 204 Ok")
        self.peer.verify()

    def test_dying(self) -> None:
        """So is one whose end has come but was not read yet: nothing was written (HTR-10)."""
        self.serve([Take(), answer("204 Ok")], [Take(), answer("204 Ok")])
        relay = self.relay()
        self.send(relay)
        self.reactor.network.wires[0].cut()
        self.assertEqual(self.told(relay), "250 2.0.0 HTTP 204 Ok")
        self.peer.verify()

    def test_at_once(self) -> None:
        """No more requests are under way than there may be (issue 5)."""
        script: list[Step] = [Take(), Wait(1), answer("204 Ok", "Connection: close"), Close()]
        self.serve(*[script] * 6)
        relay = self.relay(pool_size=2)
        envelope = Envelope.parse("a@example.org", ["b@example.net"], MESSAGE)
        attempts = [relay.attempt(envelope, 0) for _ in range(6)]
        for open_wires, ended in ((2, 0), (2, 2), (2, 4), (0, 6)):
            self.reactor.advance(0.5)
            self.assertEqual(sum(wire.open for wire in self.reactor.network.wires), open_wires)
            self.assertEqual(sum(attempt.called for attempt in attempts), ended)
            self.reactor.advance(0.5)
        self.leave(relay)

    def test_cancelled_at_once(self) -> None:
        """A kept connection is not lost sight of when the attempt is cancelled at once."""
        self.serve([Take(), answer("204 Ok"), Ended()])
        relay = self.relay()
        self.send(relay)
        envelope = Envelope.parse("a@example.org", ["b@example.net"], MESSAGE)
        attempt = relay.attempt(envelope, 0)
        attempt.cancel()
        self.failureResultOf(attempt, AttemptCancelled)
        self.leave(relay)
        self.peer.verify()

    def test_redirects(self) -> None:
        """No redirect is followed (HTR-07, HTR-08)."""
        for status in (301, 302, 303, 307, 308):
            self.setUp()
            self.serve([Take(), answer(f"{status} There", "Location: /there"), Ended()])
            relay = self.relay()
            told = self.told(relay)
            self.assertEqual(told, f"451 4.5.0 redirect not allowed: HTTP {status} There")
            self.leave(relay)
            self.peer.verify()

    def test_cancelled_in_line(self) -> None:
        """Who waits for a place and is cancelled was never sent anything."""
        self.serve([Take(), Wait(1), answer("204 Ok")])
        relay = self.relay(pool_size=1)
        envelope = Envelope.parse("a@example.org", ["b@example.net"], MESSAGE)
        first, second = relay.attempt(envelope, 0), relay.attempt(envelope, 0)
        second.cancel()
        error = self.failureResultOf(second, AttemptCancelled).value
        self.assertFalse(error.ambiguous)
        self.reactor.wait(first)
        self.leave(relay)

    def test_stopped(self) -> None:
        """A relay that was stopped takes nothing."""
        relay = self.relay()
        self.leave(relay)
        envelope = Envelope.parse("a@example.org", ["b@example.net"], MESSAGE)
        self.failureResultOf(relay.attempt(envelope, 0), TransientRelayError)


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
            [Take(), Send(b"HTTP/1.1 101 Switching\r\n\r\n"), Stall()],
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
        ):
            self.setUp()
            told = self.fate(Take(), Send(octets), Close(), timeout=20.0)
            self.assertTrue(told.startswith("451 4."), f"{octets!r}: {told}")
            self.assertTrue(told.endswith("(ambiguous)"), f"{octets!r}: {told}")
            self.flushLoggedErrors()

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


class Held(Protocol):
    """Keeps what comes."""

    def dataReceived(self, data: bytes) -> None:
        """Read on."""


class HeldFactory(Factory):
    """Serves nobody."""

    def buildProtocol(self, addr: IAddress | None) -> Held:
        """Return a connection."""
        return Held()


class CancelTests(HttpRelayCase):
    """Attempts that nobody wants any more (L3)."""

    def test_ambiguous(self) -> None:
        """Cancelled after the whole request, its end is ambiguous; before, not."""
        for stalled, ambiguous in ((None, True), (50, False)):
            self.setUp()
            self.reactor.add_host("service.example", HeldFactory(), 80)
            if stalled is not None:
                self.reactor.network.on_wire = lambda wire: wire.up.stall(50)
            envelope = Envelope.parse("a@example.org", ["b@example.net"], LARGE[:900_000] + b"\r\n")
            relay = self.relay()
            attempt = relay.attempt(envelope, 0)
            self.reactor.advance(1)
            attempt.cancel()
            error = self.failureResultOf(attempt, AttemptCancelled).value
            self.assertEqual(error.ambiguous, ambiguous)
            self.leave(relay)

    def test_last_octets(self) -> None:
        """A request of which a little is still in our buffers has not left (L4)."""
        for window, ambiguous in ((200, False), (10_000, True)):
            self.setUp()
            self.reactor.add_host("service.example", HeldFactory(), 80)

            def narrow(wire: Wire, window: int = window) -> None:
                wire.up.window = window
                wire.up.stall()

            self.reactor.network.on_wire = narrow
            relay = self.relay()
            envelope = Envelope.parse("a@example.org", ["b@example.net"], MESSAGE)
            attempt = relay.attempt(envelope, 0)
            self.reactor.advance(1)
            attempt.cancel()
            error = self.failureResultOf(attempt, AttemptCancelled).value
            self.assertEqual(error.ambiguous, ambiguous)


class DefaultTests(SynchronousTestCase):
    """Without a runtime."""

    def test_default(self) -> None:
        """The process's own reactor and name are taken, as in python-slimta's manual."""
        relay = HttpRelay("http://service.example/messages/", pool_size=1)
        self.assertEqual(repr(relay), "<HttpRelay service.example:80>")
        self.assertTrue(socket.getfqdn())
        self.successResultOf(relay.stop())
