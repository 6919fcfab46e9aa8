# -*- test-case-name: tests.smtp.test_session_starttls -*-
"""STARTTLS, and TLS before the greeting, as hosts may hold them; TLS itself is opaque here."""

from __future__ import annotations

from slimtwist.errors import (
    ConnectionLost,
    ProtocolViolation,
    ReplyTimeout,
    TLSFailed,
)
from slimtwist.outcome import Outcome
from slimtwist.smtp.extensions import Extensions
from slimtwist.testing import (
    Close,
    Ended,
    HalfClose,
    Handshake,
    Reset,
    Send,
    Stall,
    StartTls,
    Wait,
    drip,
)
from slimtwist.testing.steps import Step
from tests.smtp.dialogues import (
    BYE,
    GREETING,
    STARTTLS,
    WHERE,
    SessionCase,
    World,
    ehlo,
    logged,
    policy,
)


class InjectionTests(SessionCase):
    """Plaintext that somebody puts where TLS begins (RFC 3207 5, CVE-2011-0411)."""

    def test_injected(self) -> None:
        """TLS-01, TLS-02: whole replies and a fragment end the connection, are logged, and are
        never followed by plaintext.
        """
        events = logged(self)
        for mode in ("opportunistic", "encrypt", "verify"):
            for octets in (
                b"250-mx\r\n250 AUTH PLAIN\r\n",
                b"250-AUTH PLA",
                b"250 x\r\n2",
                b"\r\n",
            ):
                events.clear()
                go = Send(b"220 go\r\n" + octets)
                steps = [*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", go, Ended()]
                outcome = self.deferred(ProtocolViolation, "STARTTLS", *steps, tls=policy(mode))
                self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.7.0"))
                self.assertIn("starttls-injection", str(events[-1]["log_format"]))

    def test_injected_before(self) -> None:
        """TLS-01: so do octets before the 220, which would make its meaning another."""
        for octets in (b"250 x\r\n", b"2"):
            steps = [*GREETING, *ehlo("STARTTLS")]
            last = Send(f"250 {'STARTTLS'}\r\n".encode() + octets)
            self.deferred(ProtocolViolation, "EHLO", *steps[:-1], last, Ended())

    def test_injected_between(self) -> None:
        """TLS-03: what comes in a segment of its own after 220 goes to TLS, which fails."""
        steps = [
            *GREETING,
            *ehlo("STARTTLS"),
            "C: STARTTLS",
            "S: 220 go",
            Wait(0.1),
            Send(b"250 AUTH PLAIN\r\n"),
            Ended(),
        ]
        world = World(steps, tls=policy("encrypt"))
        error = world.error()
        self.assertIs(type(error), TLSFailed)
        self.assertEqual(error.outcome.reply.enhanced, "4.7.5")
        self.assertIn("does not speak TLS", error.outcome.reply.text)


class StartTlsTests(SessionCase):
    """STARTTLS; TLS itself is opaque here."""

    def test_forgotten(self) -> None:
        """TLS-07: all that was offered before TLS is forgotten."""
        before = ["PIPELINING", "SIZE 5", "8BITMIME", "DSN", "SMTPUTF8", "AUTH PLAIN", "STARTTLS"]
        session = self.session(*GREETING, *ehlo(*before), *STARTTLS, *ehlo("DSN"))
        self.assertEqual(session.extensions, Extensions(dsn=True))
        self.assertEqual((session.tls, session.verified), ("TLS", False))

    def test_trouble_inside(self) -> None:
        """L11: an outcome says what protected the connection, also when it is a fault of ours."""
        steps = [*GREETING, *ehlo("STARTTLS"), *STARTTLS, "C: EHLO ..."]
        for kind, last in ((ConnectionLost, Close()), (ProtocolViolation, Send(b"what\r\n"))):
            outcome = self.deferred(kind, "EHLO", *steps, last, tls=policy("encrypt"))
            self.assertEqual(outcome.tls, "TLS")
        outcome = self.deferred(ConnectionLost, "EHLO", *GREETING, "C: EHLO ...", Close())
        self.assertIsNone(outcome.tls)

    def test_helo_inside(self) -> None:
        """A host that knows EHLO only before TLS offers nothing inside."""
        refusal = ["C: EHLO ...", "S: 502 what", "C: HELO ...", "S: 250 STARTTLS"]
        session = self.session(
            *GREETING, *ehlo("STARTTLS", "DSN"), *STARTTLS, *refusal, tls=policy("encrypt")
        )
        self.assertEqual(session.extensions, Extensions())

    def test_verified(self) -> None:
        """Only mode C{verify} makes the host known."""
        for mode, verified in (("encrypt", False), ("verify", True)):
            session = self.session(
                *GREETING, *ehlo("STARTTLS"), *STARTTLS, *ehlo(), tls=policy(mode)
            )
            self.assertIs(session.verified, verified)

    def test_none(self) -> None:
        """Mode C{none} stays in plaintext though TLS is offered."""
        self.assertIsNone(self.session(*GREETING, *ehlo("STARTTLS"), tls=policy("none")).tls)

    def test_not_offered(self) -> None:
        """TLS-08: opportunistic goes on in plaintext; who requires TLS defers with 4.7.4."""
        self.assertIsNone(self.session(*GREETING, *ehlo("DSN")).tls)
        for mode in ("encrypt", "verify"):
            outcome = self.deferred(
                TLSFailed, "STARTTLS", *GREETING, *ehlo("DSN"), *BYE, tls=policy(mode)
            )
            self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.7.4"))
            self.assertIn("STARTTLS is not offered", outcome.reply.text)

    def test_refused(self) -> None:
        """TLS-08: the same when STARTTLS is offered, but then refused; the refusal is quoted."""
        for code in ("454 4.7.0 not now", "500 5.5.1 what", "554 5.7.3 no"):
            refusal = ["C: STARTTLS", f"S: {code}"]
            self.assertIsNone(self.session(*GREETING, *ehlo("STARTTLS"), *refusal).tls)
            for mode in ("encrypt", "verify"):
                steps = [*GREETING, *ehlo("STARTTLS"), *refusal, *BYE]
                outcome = self.deferred(TLSFailed, "STARTTLS", *steps, tls=policy(mode))
                self.assertEqual(outcome.reply.enhanced, "4.7.4")
                self.assertIn(f"STARTTLS refused: {code}", outcome.reply.text)

    def test_wrong_code(self) -> None:
        """PEER-11: a 2yz or 3yz other than 220 does not begin TLS; it is a protocol error."""
        for code in (221, 235, 250, 299, 334, 354):
            steps = [*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", f"S: {code} ok", Ended()]
            self.deferred(ProtocolViolation, "STARTTLS", *steps)

    def test_silence(self) -> None:
        """L7: the reply to STARTTLS is waited for 60 s."""
        self.deferred(
            ReplyTimeout, "STARTTLS", *GREETING, *ehlo("STARTTLS"), "C: STARTTLS", Stall()
        )
        self.assertEqual(self.seconds, 60)

    def test_secured_hello_lost(self) -> None:
        """PEER-05: an end after the handshake is at EHLO, and no reason for plaintext."""
        for step in (Close(), Reset()):
            outcome = self.deferred(
                ConnectionLost, "EHLO", *GREETING, *ehlo("STARTTLS"), *STARTTLS, "C: EHLO ...", step
            )
            self.assertEqual(outcome.reply.enhanced, "4.4.2")

    def test_speaks_inside(self) -> None:
        """PEER-16: a reply inside TLS before the command is a protocol error."""
        steps = [*GREETING, *ehlo("STARTTLS"), *STARTTLS, Send(b"250 x\r\n250 y\r\n"), Ended()]
        world = World(steps, tls=policy("encrypt"))
        self.assertIs(type(world.error()), ProtocolViolation)


class HandshakeTests(SessionCase):
    """Handshakes that come to nothing."""

    def outcome(self, handshake: Handshake, mode: str, *steps: str | Step) -> Outcome:
        """Return the outcome where TLS is required."""
        world = World([*GREETING, *ehlo("STARTTLS"), *steps], tls=policy(mode))
        world.reactor.network.handshake = handshake
        error = world.error()
        self.seconds = world.reactor.seconds()
        self.assertIs(type(error), TLSFailed)
        self.assertEqual(
            (error.outcome.reply.code, error.outcome.reply.enhanced, error.outcome.command),
            (451, "4.7.5", "STARTTLS"),
        )
        self.assertEqual(error.outcome.host, WHERE)
        world.reactor.advance(10)
        self.assertEqual(world.left(), "")
        self.assertEqual(len(world.reactor.network.wires), 1)
        return error.outcome

    def test_refused(self) -> None:
        """TLS-10: where TLS is required a failed handshake defers, with its reason."""
        for mode in ("encrypt", "verify"):
            outcome = self.outcome(
                Handshake(refused_by="client", reason="no protocols available"),
                mode,
                *STARTTLS,
                Stall(),
            )
            self.assertIn("no protocols available", outcome.reply.text)
            outcome = self.outcome(Handshake(refused_by="server"), mode, *STARTTLS, Stall())
            self.assertIn("the peer refused: handshake failure", outcome.reply.text)

    def test_stalls(self) -> None:
        """TLS-11: a host that never answers the ClientHello is given up after 60 s."""
        outcome = self.outcome(Handshake(hangs=True), "encrypt", *STARTTLS, Stall())
        self.assertIn("no answer in time", outcome.reply.text)
        self.assertEqual(self.seconds, 60)

    def test_own_wait(self) -> None:
        """TLS-11: its wait begins anew after the reply to STARTTLS."""
        steps: list[str | Step] = ["C: STARTTLS", Wait(59), "S: 220 go", Stall()]
        self.outcome(Handshake(), "encrypt", *steps)
        self.assertEqual(self.seconds, 119)

    def test_dripped(self) -> None:
        """TLS-11, L7: octets that drip do not make it longer."""
        record = b"\x16\x03\x03\x40\x00" + b"x" * 40
        steps: list[str | Step] = [
            "C: STARTTLS",
            "S: 220 go",
            Wait(5),
            *drip(record, 5)[:24],
            Stall(),
        ]
        self.outcome(Handshake(), "encrypt", *steps)
        self.assertEqual(self.seconds, 60)

    def test_ends(self) -> None:
        """TLS-10: an end in the handshake, by FIN or RST, is a failed handshake."""
        for step in (Close(), Reset(), HalfClose()):
            self.outcome(Handshake(), "encrypt", "C: STARTTLS", "S: 220 go", step)

    def test_garbage(self) -> None:
        """TLS-10: so is anything that is no TLS."""
        for octets in (b"\0" * 100, b"250 AUTH PLAIN\r\n", b"HTTP/1.0 400\r\n\r\n"):
            steps: list[str | Step] = ["S: 220 go", Wait(1), Send(octets), Stall()]
            outcome = self.outcome(Handshake(), "encrypt", "C: STARTTLS", *steps)
            self.assertIn("does not speak TLS", outcome.reply.text)


class TlsFirstTests(SessionCase):
    """Port 465: TLS before the greeting (RFC 8314 3.3)."""

    def test_session(self) -> None:
        """The greeting comes inside TLS; STARTTLS is not asked for again."""
        for mode in ("opportunistic", "encrypt", "verify"):
            session = self.session(
                StartTls(), *GREETING, *ehlo("STARTTLS", "DSN"), tls=policy(mode, first=True)
            )
            self.assertEqual(session.tls, "TLS")
            self.assertTrue(session.extensions.dsn)

    def test_plaintext(self) -> None:
        """TLS-20: a host that speaks plaintext first is told as that, and never in plaintext."""
        for mode in ("opportunistic", "encrypt", "verify"):
            world = World([*GREETING, Stall()], tls=policy(mode, first=True))
            error = world.error()
            self.assertIs(type(error), TLSFailed)
            self.assertIn("does not speak TLS", str(error.outcome.reply))
            self.assertEqual(len(world.reactor.network.wires), 1)

    def test_waits_for_tls(self) -> None:
        """TLS-20: a host that waits for TLS where plaintext comes first is given up in time."""
        self.deferred(ReplyTimeout, "greeting", Stall())

    def test_silence(self) -> None:
        """TLS-11: a silent host is given up after the 60 s of a handshake."""
        self.deferred(TLSFailed, "STARTTLS", Stall(), tls=policy("encrypt", first=True))
        self.assertEqual(self.seconds, 60)
