# -*- test-case-name: slimtwist_skeleton.test.test_relay -*-
"""The relay keeps to the contract of all relays, and tells no more than it knows."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, ConnectionFailed
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome
from slimtwist.runtime import Runtime
from slimtwist.testing import (
    Close,
    Deafen,
    Driver,
    Ended,
    MemoryDriver,
    MemoryReactor,
    Octets,
    RelayContract,
    ScriptedPeer,
    Stall,
    Step,
    Wait,
)
from slimtwist_skeleton.relay import parse
from slimtwist_skeleton.test.server import ArchiveFactory

PATH = "/run/archive/socket"
OCTETS = b"Subject: x\r\n\r\n.a line\r\n"
HEAD = json.dumps({"sender": "me@example.org", "recipients": ["b@x", "c@x"], "octets": len(OCTETS)})


class SocketContractTests(RelayContract, SynchronousTestCase):
    """It is a relay like any other."""

    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Build one, with a server in memory."""
        reactor = MemoryReactor()
        reactor.listenUNIX(PATH, ArchiveFactory())
        return parse(Runtime(reactor), PATH, connections="2"), MemoryDriver(reactor)


class SocketTests(SynchronousTestCase):
    """What no contract can know."""

    def setUp(self) -> None:
        """Begin without a server."""
        self.reactor = MemoryReactor()
        self.relay = parse(Runtime(self.reactor), PATH)
        self.message = Envelope.parse("me@example.org", ["b@x", "c@x"], OCTETS)

    def deliver(self, *script: str | Step) -> list[Outcome]:
        """Post a message to a server that plays a script."""
        peer = ScriptedPeer(script)
        self.reactor.listenUNIX(PATH, peer)
        report = self.reactor.wait(self.relay.attempt(self.message, 0))
        self.reactor.flush()
        peer.verify()
        return [*report]

    def test_posted(self) -> None:
        """The server gets the envelope and the octets, and each recipient his reply."""
        outcomes = self.deliver(
            f"C: {HEAD}", Octets(len(OCTETS)), "S: 250 2.0.0 stored", "S: 450 4.2.1 busy", Ended()
        )
        replies = [str(each.reply) for each in outcomes]
        self.assertEqual(replies, ["250 2.0.0 stored", "450 4.2.1 busy"])
        self.assertEqual([each.host for each in outcomes], [PATH, PATH])

    def test_silent(self) -> None:
        """A server that says nothing is given a minute; it may have taken the message."""
        outcomes = self.deliver(f"C: {HEAD}", Octets(len(OCTETS)), Ended())
        self.assertEqual([(each.reply.enhanced, each.ambiguous) for each in outcomes],
                         [("4.4.2", True)] * 2)  # fmt: skip
        self.assertEqual(self.reactor.seconds(), 60)

    def test_deaf(self) -> None:
        """One that closes before it has all has not taken the message, and we know it."""
        self.message = Envelope.parse("me@example.org", ["b@x", "c@x"], b"x" * 500_000 + b"\r\n")
        outcomes = self.deliver(Deafen(), Wait(5), Close(), Stall())
        self.assertEqual([(each.reply.enhanced, each.ambiguous) for each in outcomes],
                         [("4.4.2", False)] * 2)  # fmt: skip

    def test_half(self) -> None:
        """What was said holds, when the rest is missing."""
        outcomes = self.deliver(f"C: {HEAD}", Octets(len(OCTETS)), "S: 250 2.0.0 stored", Close())
        self.assertEqual([each.ambiguous for each in outcomes], [False, True])
        self.assertEqual(outcomes[0].reply.code, 250)

    def test_nonsense(self) -> None:
        """What is no reply is nobody's success."""
        for line in ("thanks", "354 go on", "250 2.0.0 ok" + "!" * 3000):
            self.setUp()
            outcomes = self.deliver(f"C: {HEAD}", Octets(len(OCTETS)), f"S: {line}", Ended())
            self.assertEqual([each.ambiguous for each in outcomes], [True, True], line)

    def test_early(self) -> None:
        """A reply that comes before the end of the message is nobody's success."""
        self.message = Envelope.parse("me@example.org", ["b@x"], b"x" * 500_000 + b"\r\n")
        (outcome,) = self.deliver("S: 250 2.0.0 stored", Stall())
        self.assertEqual((outcome.reply.enhanced, outcome.ambiguous), ("4.5.0", False))

    def test_nobody_there(self) -> None:
        """Without a server, the message is deferred."""
        attempt = self.relay.attempt(self.message, 0)
        self.assertRaises(ConnectionFailed, self.reactor.wait, attempt)

    def test_cancelled(self) -> None:
        """Who cancels is told whether the server may have the message."""
        for sent in (False, True):
            self.setUp()
            self.reactor.listenUNIX(
                PATH, ScriptedPeer([f"C: {HEAD}", Octets(len(OCTETS)), Ended()])
            )
            attempt = self.relay.attempt(self.message, 0)
            if sent:
                self.reactor.advance(1)
            attempt.cancel()
            error = self.failureResultOf(attempt, AttemptCancelled).value
            self.assertEqual(error.ambiguous, sent)

    def test_arguments(self) -> None:
        """A wrong argument is named."""
        for arguments, wrong in (
            ({"path": "socket"}, "path 'socket'"),
            ({"path": PATH, "timeout": "0"}, "timeout='0'"),
            ({"path": PATH, "connections": "0"}, "connections='0'"),
        ):
            error = self.assertRaises(ValueError, parse, Runtime(self.reactor), **arguments)
            self.assertIn(wrong, str(error))
