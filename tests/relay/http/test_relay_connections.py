# -*- test-case-name: tests.relay.http.test_relay_connections -*-
"""What becomes of the connections of the relay to an HTTP service, and of attempts given up."""

from __future__ import annotations

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.testing import Close, Ended, Send, Wait, Wire
from slimtwist.testing.steps import Step
from tests.relay.http.test_relay import LARGE
from tests.relay.http.world import MESSAGE, HttpRelayCase, Take, answer


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
