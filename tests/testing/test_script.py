# -*- test-case-name: tests.testing.test_script -*-
"""Scripted peers: they say and expect what is written, and tell readably where it did not fit."""

from __future__ import annotations

import re

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import (
    Body,
    Call,
    Close,
    Deafen,
    Ended,
    Expect,
    HalfClose,
    MemoryReactor,
    Octets,
    Reset,
    ScriptedPeer,
    Send,
    Silence,
    Stall,
    StartTls,
    Wait,
    drip,
)
from slimtwist.testing.script import Script
from slimtwist.testing.steps import Step


class Client(Protocol):
    """A client that the test moves by hand."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, bytes]] = []
        self.reason: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        """Note what came, and when."""
        assert self.transport is not None
        self.heard.append((self.transport.reactor.seconds(), data))  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note why."""
        self.reason = reason

    def says(self, octets: bytes) -> None:
        """Send octets."""
        assert self.transport is not None
        self.transport.write(octets)


class Clients(ClientFactory[Client]):
    """Makes one."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Client:
        """Return it."""
        self.client = Client()
        return self.client


class ScriptTests(SynchronousTestCase):
    """A peer and a client by hand, connected."""

    def play(self, *scripts: Script) -> tuple[MemoryReactor, ScriptedPeer, Client]:
        """Return a reactor, the peer with these scripts, and a client connected to it."""
        reactor = MemoryReactor()
        peer = ScriptedPeer(*scripts)
        reactor.add_host("mx.example", peer)
        client = self.connect(reactor)
        return reactor, peer, client

    def connect(self, reactor: MemoryReactor) -> Client:
        """Return one more client."""
        factory = Clients()
        reactor.connectTCP("mx.example", 25, factory)
        reactor.flush()
        return factory.client

    def complaint(self, peer: ScriptedPeer) -> str:
        """Return what verify says, which has to complain."""
        return str(self.assertRaises(AssertionError, peer.verify))

    def test_lines(self) -> None:
        """Its own lines are sent with CRLF, the other side's expected; all is in the transcript."""
        reactor, peer, client = self.play(["S: 220 mx", "C: EHLO me", "S: 250 ok"])
        client.says(b"EHLO me\r\n")
        reactor.flush()
        self.assertEqual([octets for _, octets in client.heard], [b"220 mx\r\n", b"250 ok\r\n"])
        self.assertEqual(peer.transcript, ["S: 220 mx", "C: EHLO me", "S: 250 ok"])
        peer.verify()

    def test_wrong_line(self) -> None:
        """A line that was not expected is told with its step, and the connection is reset."""
        reactor, peer, client = self.play(["S: 220 mx", "C: EHLO me", "S: 250 ok"])
        client.says(b"HELO me\r\n")
        reactor.flush()
        self.assertIn(
            "connection 1, step 2: expected 'EHLO me', got b'HELO me'", self.complaint(peer)
        )
        assert client.reason is not None
        self.assertIsInstance(client.reason.value, ConnectionLost)

    def test_beginning_of_a_line(self) -> None:
        """Three dots stand for the rest of a line; without them, the whole line has to be right."""
        for line, fits in [(b"EHLO you", True), (b"EHLO ", True), (b"EHL", False)]:
            reactor, peer, client = self.play(["C: EHLO ..."])
            client.says(line + b"\r\n")
            reactor.flush()
            self.assertEqual(peer.complaints() == [], fits)
        reactor, peer, client = self.play(["C: DATA"])
        client.says(b"DATA x\r\n")
        reactor.flush()
        self.assertIn("expected 'DATA'", self.complaint(peer))

    def test_expression(self) -> None:
        """An expression has to match the line as a whole."""
        for line, fits in [(b"MAIL FROM:<a>", True), (b"MAIL FROM:<a> X", False)]:
            reactor, peer, client = self.play([Expect(re.compile("MAIL FROM:<.>"))])
            client.says(line + b"\r\n")
            reactor.flush()
            self.assertEqual(peer.complaints() == [], fits)

    def test_only_crlf_ends_a_line(self) -> None:
        """A lone LF or CR ends no line: the script waits on."""
        reactor, peer, client = self.play(["C: NOOP"])
        client.says(b"NOOP\n")
        reactor.flush()
        self.assertIn("never came to Expect(line='NOOP')", self.complaint(peer))

    def test_script_over(self) -> None:
        """What comes after the script's end is an error."""
        reactor, peer, client = self.play(["S: 220 mx"])
        client.says(b"EHLO me\r\n")
        reactor.flush()
        self.assertIn("the script is over, got b'EHLO me\\r\\n'", self.complaint(peer))

    def test_script_not_over(self) -> None:
        """A step that was not reached is an error."""
        _, peer, _ = self.play(["S: 220 mx", "C: QUIT"])
        self.assertIn("step 2: never came to Expect(line='QUIT')", self.complaint(peer))

    def test_client_gone(self) -> None:
        """A client that ends before the script does is an error, and Ended() says that it may."""
        scripts: list[tuple[Script, int]] = [
            (["C: QUIT"], 1),
            ([Ended()], 0),
            ([Wait(9), Ended()], 0),
        ]
        for script, complaints in scripts:
            reactor, peer, client = self.play(script)
            assert client.transport is not None
            client.transport.loseConnection()
            reactor.advance(9)
            self.assertEqual(len(peer.complaints()), complaints, script)
            self.assertFalse(reactor.leftovers().connections)
            self.assertFalse(reactor.leftovers().timers)

    def test_client_gone_in_a_wait(self) -> None:
        """A client that resets while the peer waits leaves it no timer."""
        reactor, peer, client = self.play([Wait(9), Ended()])
        client.transport.abortConnection()  # type: ignore[union-attr]
        reactor.advance(1)
        self.assertFalse(reactor.leftovers().timers)
        peer.verify()

    def test_body(self) -> None:
        """A message is taken to its single dot, however split, and unstuffed (SMO-07)."""
        wire = b"..a\r\n.\n\r.\r\r\nb..\r\n..\r\n.\r\nQUIT\r\n"
        for split in range(len(wire)):
            reactor, peer, client = self.play([Body(), "C: QUIT"])
            client.says(wire[:split])
            reactor.flush()
            client.says(wire[split:])
            reactor.flush()
            self.assertEqual(peer.bodies, [b".a\r\n\n\r.\r\r\nb..\r\n.\r\n"])
            peer.verify()

    def test_empty_body(self) -> None:
        """A dot at once is an empty message (SMO-06)."""
        reactor, peer, client = self.play(["C: DATA", Body()])
        client.says(b"DATA\r\n.\r\n")
        reactor.flush()
        self.assertEqual(peer.bodies, [b""])
        peer.verify()

    def test_octets(self) -> None:
        """So many octets are taken, whatever they are (SMO-09)."""
        reactor, peer, client = self.play(["C: BDAT 4 LAST", Octets(4), "C: QUIT"])
        client.says(b"BDAT 4 LAST\r\n.\r\n.QUIT\r\n")
        reactor.flush()
        self.assertEqual(peer.bodies, [b".\r\n."])
        peer.verify()

    def test_wait_and_drip(self) -> None:
        """A wait and a drip take virtual time (PEER-02)."""
        reactor, _, client = self.play([Wait(5), *drip(b"25", 20), Send(b"0")])
        reactor.advance(100)
        self.assertEqual(client.heard, [(5.0, b"2"), (25.0, b"5"), (45.0, b"0")])

    def test_silence(self) -> None:
        """A command sent before its turn breaks the silence (lock-step clients)."""
        for octets, complaints in [(b"MAIL\r\n", 0), (b"MAIL\r\nRCPT\r\n", 1)]:
            reactor, peer, client = self.play(["C: MAIL", Silence(), "S: 250 ok", Stall()])
            client.says(octets)
            reactor.flush()
            self.assertEqual(len(peer.complaints()), complaints)

    def test_close_and_reset(self) -> None:
        """The client sees an end, or a reset, after what was sent."""
        ends: list[tuple[Step, type[Exception]]] = [
            (Close(), ConnectionDone),
            (Reset(), ConnectionLost),
        ]
        for step, error in ends:
            reactor, peer, client = self.play(["C: x", "S: 2", step])
            client.says(b"x\r\n")
            reactor.flush()
            assert client.reason is not None
            self.assertIsInstance(client.reason.value, error)
            self.assertEqual(client.heard[0][1], b"2\r\n")
            peer.verify()
            self.assertFalse(reactor.leftovers().connections)

    def test_half_close(self) -> None:
        """After a half close the peer goes on reading (PEER-05)."""
        reactor, peer, client = self.play([HalfClose(), "C: x"])
        self.assertIsNotNone(client.reason)  # a client that cannot live with it closes
        self.assertIn("ended before", self.complaint(peer))
        self.assertFalse(reactor.leftovers().connections)

    def test_stall(self) -> None:
        """A stalled peer reads on, says nothing, and leaves when the client does."""
        reactor, peer, client = self.play([Stall()])
        client.says(b"x" * 200_000)
        reactor.advance(1000)
        self.assertEqual((client.heard, reactor.network.wires[0].up.arrived), ([], 200_000))
        self.assertEqual(peer.conversations[0].inbox, b"")
        assert client.transport is not None
        client.transport.loseConnection()
        reactor.flush()
        peer.verify()
        self.assertFalse(reactor.leftovers().connections)

    def test_deafen(self) -> None:
        """A deaf peer lets the window fill: the client's octets stay with it."""
        reactor, _, client = self.play([Deafen(), Stall()])
        client.says(b"x" * 200_000)
        reactor.advance(1000)
        self.assertEqual(reactor.network.wires[0].up.arrived, 65_536)

    def test_tls(self) -> None:
        """After StartTls both talk inside TLS, and the plaintext is seen nowhere after it."""
        reactor, peer, client = self.play(
            ["C: STARTTLS", "S: 220 go", StartTls(), "C: EHLO me", "S: 250 ok"]
        )
        client.says(b"STARTTLS\r\n")
        reactor.flush()
        client.transport.startTLS(None)  # type: ignore[union-attr]
        client.says(b"EHLO me\r\n")
        reactor.flush()
        peer.verify()
        self.assertEqual(client.heard[-1][1], b"250 ok\r\n")

    def test_plaintext_before_tls(self) -> None:
        """What a client pipelines after STARTTLS is an error (TLS-04)."""
        reactor, peer, client = self.play(["C: STARTTLS", "S: 220 go", StartTls()])
        client.says(b"STARTTLS\r\nEHLO me\r\n")
        reactor.flush()
        self.assertIn("plaintext before TLS: b'EHLO me\\r\\n'", self.complaint(peer))

    def test_call(self) -> None:
        """A function of the test is called at its place."""
        calls: list[int] = []
        reactor, peer, client = self.play(["C: x", Call(lambda: calls.append(1)), "C: y"])
        client.says(b"x\r\n")
        reactor.flush()
        self.assertEqual(calls, [1])
        self.assertIn("never came", self.complaint(peer))

    def test_connections(self) -> None:
        """Each connection has its script; one too few or too many is an error."""
        reactor, peer, client = self.play(["S: first"], ["S: second"])
        self.assertIn("1 more connections were expected", self.complaint(peer))
        second = self.connect(reactor)
        self.assertEqual([client.heard[0][1], second.heard[0][1]], [b"first\r\n", b"second\r\n"])
        peer.verify()
        self.connect(reactor)
        self.assertIn("connection 3, step 1: no such connection", self.complaint(peer))

    def test_client_side(self) -> None:
        """A peer can be the client."""
        reactor = MemoryReactor()
        server = ScriptedPeer(["S: 220 mx", "C: QUIT", Close()])
        client = ScriptedPeer(["S: 220 mx", "C: QUIT", Ended()], side="C")
        reactor.listenTCP(25, server)
        reactor.connectTCP("192.0.2.9", 25, client)
        reactor.flush()
        server.verify()
        client.verify()
        self.assertEqual(client.transcript, ["S: 220 mx", "C: QUIT"])

    def test_who_says_that(self) -> None:
        """A line of nobody's is refused at once."""
        error = self.assertRaises(ValueError, ScriptedPeer, ["220 mx"])
        self.assertEqual(str(error), "'220 mx' begins neither with 'S: ' nor with 'C: '")
