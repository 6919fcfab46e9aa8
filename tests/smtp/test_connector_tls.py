# -*- test-case-name: tests.smtp.test_connector_tls -*-
"""Broken TLS, and what follows it, in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import (
    AttemptCancelled,
    ConnectionLost,
    ProtocolViolation,
    ReplyTimeout,
    TLSFailed,
    TransientRelayError,
)
from slimtwist.smtp.connector import Place
from slimtwist.testing import Close, Ended, HalfClose, Handshake, Reset, Send, Stall, Wait
from slimtwist.testing.script import Script
from slimtwist.testing.steps import Step
from tests.smtp.dialogues import BYE, GREETING, HOST, STARTTLS, World, ehlo, logged, policy

OFFER: list[str | Step] = [*GREETING, *ehlo("STARTTLS")]
PLAIN: Script = [*GREETING, *ehlo("STARTTLS", "DSN"), *BYE]
SECURE: Script = [*OFFER, *STARTTLS, *ehlo("DSN"), *BYE]
BROKEN: Script = [*OFFER, *STARTTLS, Stall()]
REFUSED = Handshake(refused_by="server")


class FallBackTests(SynchronousTestCase):
    """TLS-10, RFC 7435: opportunistic TLS that breaks is followed by plaintext."""

    def test_new_connection(self) -> None:
        """A new plaintext connection follows in the same attempt, however the handshake broke."""
        for handshake, steps, seconds in (
            (REFUSED, STARTTLS, 0),
            (Handshake(refused_by="client"), STARTTLS, 0),
            (Handshake(hangs=True), STARTTLS, 60),
            (Handshake(), ["C: STARTTLS", "S: 220 go", Reset()], 0),
            (Handshake(), ["C: STARTTLS", "S: 220 go", Close()], 0),
            (Handshake(), ["C: STARTTLS", "S: 220 go", HalfClose()], 0),
            (Handshake(), ["C: STARTTLS", "S: 220 go", Wait(1), Send(b"\0" * 9)], 1),
        ):
            world = World([*OFFER, *steps, Stall()], PLAIN)
            world.reactor.network.handshake = handshake
            session = world.session()
            self.assertEqual(world.reactor.seconds(), seconds)
            self.assertEqual((session.tls, session.extensions.dsn), (None, True))
            self.assertEqual(len(world.reactor.network.wires), 2)
            world.close()
            self.assertEqual(world.left(), "")
            self.assertIn("S: 221 bye", world.peer.transcript)

    def test_remembered(self) -> None:
        """For an hour no TLS is tried with this host again, then it is."""
        world = World(BROKEN, PLAIN, PLAIN, SECURE)
        world.reactor.network.handshake = REFUSED
        world.session()
        world.close()
        world.reactor.network.handshake = Handshake()
        for moment, tls in ((3599, None), (3601, "TLS")):
            world.reactor.advance(moment - world.reactor.seconds())
            world.opened = None
            self.assertEqual(world.session().tls, tls)
            world.close()
        self.assertEqual(len(world.reactor.network.wires), 4)

    def test_told(self) -> None:
        """It is logged, with host and reason, and an operator can see that it is remembered."""
        events = logged(self)
        world = World(BROKEN, PLAIN)
        world.reactor.network.handshake = REFUSED
        world.session()
        (event,) = [each for each in events if "no TLS" in str(each.get("log_format"))]
        self.assertEqual(str(event["place"]), f"{HOST}:25")
        self.assertIn("handshake failure", str(event["error"]))
        self.assertEqual(list(world.destinations), [(f"{HOST}:25", "tls broken", "yes", 3600.0)])
        world.close()

    def test_each_port_for_itself(self) -> None:
        """What is remembered is about this host and port."""
        world = World(SECURE, place=Place(HOST))
        world.destinations.learn(f"{HOST}:587", "tls broken")
        world.destinations.learn(f"other.{HOST}:25", "tls broken")
        self.assertEqual(world.session().tls, "TLS")
        world.close()
        world.check()

    def test_plaintext_refused(self) -> None:
        """What the plaintext connection comes to is the outcome."""
        world = World(BROKEN, ["S: 450 4.7.1 TLS first", *BYE])
        world.reactor.network.handshake = REFUSED
        self.assertEqual(str(world.outcome().reply), "450 4.7.1 TLS first")

    def test_required(self) -> None:
        """L9: where TLS is required nothing follows, and nothing remembered elsewhere matters."""
        for mode in ("encrypt", "verify"):
            world = World(BROKEN, tls=policy(mode))
            world.destinations.learn(f"{HOST}:25", "tls broken")
            world.reactor.network.handshake = REFUSED
            self.assertIs(type(world.error()), TLSFailed)
            self.assertEqual(len(world.reactor.network.wires), 1)

    def test_other_faults(self) -> None:
        """Nor after a fault that is not the handshake's."""
        for kind, steps in (
            (ProtocolViolation, ["C: STARTTLS", Send(b"220 go\r\n250 x\r\n"), Ended()]),
            (ConnectionLost, ["C: STARTTLS", "S: 421 bye", Ended()]),
            (ConnectionLost, ["C: STARTTLS", Reset()]),
            (ReplyTimeout, ["C: STARTTLS", Stall()]),
            (ConnectionLost, [*STARTTLS, "C: EHLO ...", Close()]),
            (TransientRelayError, [*STARTTLS, "C: EHLO ...", "S: 450 busy", *BYE]),
        ):
            world = World([*OFFER, *steps])
            self.assertIs(type(world.error()), kind)
            self.assertEqual(len(world.reactor.network.wires), 1)
            self.assertEqual(list(world.destinations), [])
            world.check()

    def test_cancelled(self) -> None:
        """OS-14: cancelled in the handshake, nothing follows, and nothing is learned."""
        world = World(BROKEN)
        world.reactor.network.handshake = Handshake(hangs=True)
        opened = world.start()
        world.reactor.advance(10)
        opened.cancel()
        self.assertIs(type(world.error()), AttemptCancelled)
        world.reactor.advance(10)
        self.assertEqual(world.left(), "")
        self.assertEqual(len(world.reactor.network.wires), 1)
        self.assertEqual(list(world.destinations), [])
