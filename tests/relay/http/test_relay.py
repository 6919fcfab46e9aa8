# -*- test-case-name: tests.relay.http.test_relay -*-
"""The relay to an HTTP service, with a scripted service."""

from __future__ import annotations

import gc
import io
import socket
from dataclasses import replace
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import Content
from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Report
from slimtwist.queue.direct import DirectQueue
from slimtwist.relay.http import HttpRelay, Names, Secrets
from slimtwist.runtime import Runtime
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import MemoryReactor, Octets, Send, Wait
from slimtwist.testing.contract import RelayContract
from slimtwist.testing.drivers import Driver, MemoryDriver
from slimtwist.testing.memory import MemoryRelay
from tests.relay.http.world import MESSAGE, URL, HttpRelayCase, Take, answer

LARGE = b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 30000


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

    def test_continued_and_answered(self) -> None:
        """Asked to go on and answered at once, it reads nothing of a message that has its outcome:
        a queue closes the file then.
        """
        steps = Send(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
        self.serve([Take(body=False), steps])
        relay = self.relay()
        content = Content.read(io.BytesIO(LARGE), threshold=0)
        message = replace(Envelope.parse("a@x.example", ["b@y.example"], b""), content=content)
        attempt = relay.attempt(message, 0).addCallback(_closing, content)
        [outcome] = self.reactor.wait(attempt)
        self.assertEqual(outcome.reply.code, 451)
        self.leave(relay)
        gc.collect()
        self.assertEqual(self.flushLoggedErrors(), [])


def _closing(report: Report, content: Content) -> Report:
    content.close()
    return report


class DefaultTests(SynchronousTestCase):
    """Without a runtime."""

    def test_default(self) -> None:
        """The process's own reactor and name are taken, as in python-slimta's manual."""
        relay = HttpRelay("http://service.example/messages/", pool_size=1)
        self.assertEqual(repr(relay), "<HttpRelay service.example:80>")
        self.assertTrue(socket.getfqdn())
        self.successResultOf(relay.stop())
