# -*- test-case-name: tests.testing.test_leftovers -*-
"""Leftovers: whatever a program has not cleaned up is named."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import clientFromString, connectProtocol
from twisted.internet.protocol import ProcessProtocol
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import FakeProgram, Fork, MemoryReactor, Read, Wait
from tests.testing.worlds import Push, Recorder, Servers


class LeftoverTests(SynchronousTestCase):
    """One reactor, on which something is left."""

    def setUp(self) -> None:
        """Make it."""
        self.reactor = MemoryReactor()

    def connect(self, where: str) -> Any:  # noqa: ANN401 - its transport is Twisted's
        """Return a connected client."""
        client = Recorder()
        endpoint = clientFromString(self.reactor, where)
        self.reactor.wait(connectProtocol(endpoint, client))
        self.reactor.flush()
        return client

    def test_nothing(self) -> None:
        """A new reactor has nothing."""
        self.assertFalse(self.reactor.leftovers())
        self.assertEqual(str(self.reactor.leftovers()), "nothing is left")

    def test_timers(self) -> None:
        """A pending call is left until it is made or cancelled."""
        call = self.reactor.callLater(9, self.fail)
        self.assertTrue(self.reactor.leftovers())
        self.assertIn("fail", self.reactor.leftovers().timers[0])
        call.cancel()
        self.assertFalse(self.reactor.leftovers())

    def test_ports(self) -> None:
        """A listening port is left until it is stopped."""
        port: Any = self.reactor.listenTCP(25, Servers(Recorder), interface="192.0.2.1")
        path: Any = self.reactor.listenUNIX("/run/x", Servers(Recorder))
        self.assertEqual(self.reactor.leftovers().ports, ("192.0.2.1:25", "/run/x"))
        self.reactor.wait(port.stopListening())
        self.reactor.wait(path.stopListening())
        self.assertFalse(self.reactor.leftovers())

    def test_connections(self) -> None:
        """A connection is left until both ends have closed it, also while it is being made."""
        servers = Servers(Recorder)
        self.reactor.listenTCP(25, servers, interface="192.0.2.1")
        self.reactor.network.black_holes.add("192.0.2.2")
        attempt = connectProtocol(clientFromString(self.reactor, "tcp:192.0.2.2:25"), Recorder())
        self.reactor.flush()
        self.assertEqual(self.reactor.leftovers().connections, ("connecting to 192.0.2.2:25",))
        attempt.addErrback(lambda _: None).cancel()
        client = self.connect("tcp:192.0.2.1:25")
        self.assertEqual(
            self.reactor.leftovers().connections,
            ("('198.51.100.1', 49153) to ('192.0.2.1', 25)",),
        )
        servers.made[0].transport.pauseProducing()
        client.transport.loseConnection()
        self.reactor.flush()
        self.assertEqual(len(self.reactor.leftovers().connections), 1)
        servers.made[0].transport.resumeProducing()
        self.reactor.flush()
        self.assertEqual(self.reactor.leftovers().connections, ())

    def test_producers(self) -> None:
        """A producer is left until it is unregistered, also inside TLS."""
        servers = Servers(Recorder)
        self.reactor.listenTCP(25, servers)
        client = self.connect("tcp:192.0.2.1:25")
        client.transport.registerProducer(Push(), True)
        self.assertEqual(len(self.reactor.leftovers().producers), 1)
        for end in (client, servers.made[0]):
            end.transport.startTLS(None)
        self.reactor.flush()
        self.assertEqual(len(self.reactor.leftovers().producers), 1)
        self.assertIn("producers: ", str(self.reactor.leftovers()))
        client.transport.unregisterProducer()
        self.assertEqual(self.reactor.leftovers().producers, ())

    def test_programs(self) -> None:
        """A program is left until it has ended, all pipes are closed, and it was waited for."""
        self.reactor.programs["/bin/program"] = FakeProgram(Read(), Fork(Wait(5)))
        protocol: Any = ProcessProtocol()
        self.reactor.spawnProcess(protocol, "/bin/program", ["program", "x"])
        producer = Push()
        protocol.transport.registerProducer(producer, True)
        self.reactor.flush()
        left = self.reactor.leftovers()
        self.assertEqual(
            (("1001 program x", "pipes to 1001"), 1), (left.programs, len(left.producers))
        )
        self.assertIn("programs: 1001 program x, pipes to 1001", str(left))
        protocol.transport.unregisterProducer()
        protocol.transport.closeStdin()
        self.reactor.advance(1)
        self.assertEqual(("1002 program x", "pipes to 1001"), self.reactor.leftovers().programs)
        self.reactor.advance(9)
        self.assertFalse(self.reactor.leftovers())
