# -*- test-case-name: tests.testing.test_network -*-
"""The in-memory network: who is reached, who is not, and from where one seems to come."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    clientFromString,
    connectProtocol,
)
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import Attempt, Cut, Fate, MemoryReactor, Wire
from slimtwist.testing.flow import Mark
from tests.testing.worlds import Recorder, Servers


class NetworkTests(SynchronousTestCase):
    """One network."""

    def setUp(self) -> None:
        """Make it."""
        self.reactor = MemoryReactor()
        self.network = self.reactor.network
        self.servers = Servers(Recorder)

    def listen(self, interface: str, port: int = 25) -> IListeningPort:
        """Let the servers listen."""
        return self.reactor.listenTCP(port, self.servers, interface=interface)

    def dial(self, host: str, port: int = 25, bind: tuple[str, int] | None = None) -> Recorder:
        """Return a connected client; the error that it failed with is raised."""
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint = kind(self.reactor, host, port, bindAddress=bind)
        client = Recorder()
        self.reactor.wait(connectProtocol(endpoint, client))
        self.reactor.flush()
        return client

    def server(self) -> Recorder:
        """Return the last server's side."""
        return self.servers.made[-1]

    def test_who_listens(self) -> None:
        """An address is reached by who listens there, or on all of its family, or on all."""
        for interface, reached, missed in [
            ("192.0.2.1", ["192.0.2.1"], ["192.0.2.2", "2001:db8::1", "127.0.0.1"]),
            ("", ["192.0.2.1", "127.0.0.1"], ["2001:db8::1"]),
            ("0.0.0.0", ["192.0.2.1", "127.0.0.1"], ["2001:db8::1"]),
            ("::", ["192.0.2.1", "2001:db8::1", "::1"], []),
            ("2001:db8::1", ["2001:db8::1", "2001:db8:0::0:1"], ["2001:db8::2", "192.0.2.1"]),
        ]:
            self.setUp()
            self.listen(interface)
            for host in reached:
                self.dial(host)
            for host in missed:
                self.assertRaises(error.ConnectionRefusedError, self.dial, host)
            self.assertEqual(len(self.network.wires), len(reached))

    def test_the_closest_listener(self) -> None:
        """Who listens at the address itself is preferred to who listens on all."""
        other = Servers(Recorder)
        self.reactor.listenTCP(26, other, interface="::")
        self.listen("192.0.2.1", 26)
        self.dial("192.0.2.1", 26)
        self.dial("192.0.2.2", 26)
        self.assertEqual((len(self.servers.made), len(other.made)), (1, 1))

    def test_port_in_use(self) -> None:
        """Two cannot listen at one address; the same port at two addresses is well."""
        self.listen("192.0.2.1")
        self.listen("192.0.2.2")
        self.listen("192.0.2.1", 26)
        for interface in ("192.0.2.1", "", "0.0.0.0"):
            self.assertRaises(error.CannotListenError, self.listen, interface)
        self.reactor.listenUNIX("/run/x", self.servers)
        self.assertRaises(error.CannotListenError, self.reactor.listenUNIX, "/run/x", self.servers)

    def test_stopped(self) -> None:
        """Who has stopped listening is not reached, and another may take the port."""
        stopped: Any = self.listen("192.0.2.1").stopListening()
        self.reactor.wait(stopped)
        self.assertRaises(error.ConnectionRefusedError, self.dial, "192.0.2.1")
        self.listen("192.0.2.1")

    def test_stopped_with_clients_waiting(self) -> None:
        """Who waited to be accepted is reset."""
        port: Any = self.listen("192.0.2.1")
        port.stopReading()
        client = self.dial("192.0.2.1")
        self.assertIsNone(client.reason)
        self.reactor.wait(port.stopListening())
        self.reactor.flush()
        self.assertIsInstance(client.reason, error.ConnectionLost)
        self.assertFalse(self.reactor.leftovers())

    def test_backlog(self) -> None:
        """When the backlog is full, a client asks again after a second, as TCP does."""
        port: Any = self.reactor.listenTCP(25, self.servers, backlog=1, interface="192.0.2.1")
        port.stopReading()
        for _ in range(2):
            self.dial("192.0.2.1")
        self.assertRaises(error.TimeoutError, self.dial, "192.0.2.1")
        self.assertEqual(self.reactor.seconds(), 30)
        self.reactor.callLater(2.5, port.startReading)
        self.dial("192.0.2.1")
        self.assertEqual(self.reactor.seconds(), 33)

    def test_addresses_of_ones_own(self) -> None:
        """A client comes from the home address, or the loopback, or where it binds to."""
        self.listen("::")
        for host, bind, seen in [
            ("192.0.2.1", None, "::ffff:198.51.100.1"),
            ("127.0.0.9", None, "::ffff:127.0.0.1"),
            ("2001:db8::1", None, "2001:db8:51::1"),
            ("::1", None, "::1"),
            ("192.0.2.1", "203.0.113.5", "::ffff:203.0.113.5"),
            ("2001:db8::1", "2001:db8:9::9", "2001:db8:9::9"),
        ]:
            client = self.dial(host, bind=(bind, 0) if bind else None)
            self.assertEqual(self.server().transport.getPeer().host, seen)
            self.assertEqual(client.transport.getHost().host, seen.removeprefix("::ffff:"))

    def test_bound_port(self) -> None:
        """A client may choose its port; others count up."""
        self.listen("")
        binds = [(None, 49_152), (("198.51.100.7", 1025), 1025), (None, 49_153)]
        for bind, port in binds:
            client = self.dial("192.0.2.1", bind=bind)
            self.assertEqual(client.transport.getHost().port, port)

    def test_ephemeral_ports(self) -> None:
        """A server that asks for any port gets the next one; they begin again at the end."""
        self.network.last_port = 65_534
        ports = [self.listen("192.0.2.1", 0).getHost() for _ in range(2)]
        self.assertEqual([port.port for port in ports], [65_535, 49_152])  # type: ignore[attr-defined]

    def test_binding_to_what_is_not_ones_own(self) -> None:
        """A foreign address cannot be bound to (source addresses)."""
        self.network.own = {"198.51.100.1"}
        self.listen("")
        self.dial("192.0.2.1", bind=("198.51.100.1", 0))
        failure = self.assertRaises(
            error.ConnectBindError, self.dial, "192.0.2.1", bind=("203.0.113.5", 0)
        )
        self.assertEqual(failure.osError, errno.EADDRNOTAVAIL)
        self.assertRaises(error.CannotListenError, self.listen, "192.0.2.1", 26)
        self.assertFalse(self.reactor.leftovers().timers)

    def test_faults_of_addresses(self) -> None:
        """An address may refuse, be unreachable, or never answer; so may one of its ports."""
        self.listen("")
        self.network.refusing |= {"192.0.2.1", ("192.0.2.9", 26)}
        self.network.unreachable |= {"192.0.2.2"}
        self.network.black_holes |= {"192.0.2.3"}
        self.assertRaises(error.ConnectionRefusedError, self.dial, "192.0.2.1")
        self.assertRaises(error.NoRouteError, self.dial, "192.0.2.2")
        self.assertEqual(self.reactor.seconds(), 0)
        self.assertRaises(error.TimeoutError, self.dial, "192.0.2.3")
        self.assertEqual(self.reactor.seconds(), 30)
        self.dial("192.0.2.9")
        self.assertEqual([attempt.host[-1] for attempt in self.network.attempts], list("1239"))
        self.assertEqual(len(self.network.wires), 1)
        self.assertEqual(self.network.connecting(), [])

    def test_fate(self) -> None:
        """A function may decide about each attempt."""
        self.listen("")
        fates = [Fate.REFUSED, Fate.TIMED_OUT, Fate.OPEN, None]
        self.network.refusing.add("192.0.2.1")
        seen: list[Attempt] = []

        def decide(attempt: Attempt) -> Fate | None:
            seen.append(attempt)
            return fates[len(seen) - 1]

        self.network.fate = decide
        self.assertRaises(error.ConnectionRefusedError, self.dial, "192.0.2.1")
        self.assertRaises(error.TCPTimedOutError, self.dial, "192.0.2.1")
        self.dial("192.0.2.1")
        self.assertRaises(error.ConnectionRefusedError, self.dial, "192.0.2.1")
        self.assertEqual(seen[1], Attempt(0.0, ("198.51.100.1", 49_153), "192.0.2.1", 25))

    def test_latency(self) -> None:
        """Connecting takes as long as the test says."""
        self.listen("")
        self.network.latency = 0.75
        self.dial("192.0.2.1")
        self.assertEqual(self.reactor.seconds(), 0.75)

    def test_cancelled(self) -> None:
        """An attempt that is given up reaches nobody."""
        self.listen("")
        self.network.latency = 5
        endpoint = clientFromString(self.reactor, "tcp:192.0.2.1:25")
        attempt = connectProtocol(endpoint, Recorder())
        self.reactor.advance(1)
        self.assertEqual(len(self.network.connecting()), 1)
        attempt.cancel()
        self.failureResultOf(attempt, error.ConnectingCancelledError)
        self.assertEqual(self.network.connecting(), [])
        self.reactor.advance(10)
        self.assertEqual(self.network.wires, [])

    def test_wires(self) -> None:
        """A wire is seen before anything passes over it, and can be cut at any time."""
        seen: list[Wire] = []
        self.network.on_wire = seen.append
        self.listen("")
        for how, reason in [
            (Cut.RST, error.ConnectionLost),
            (Cut.FIN, error.ConnectionDone),
        ]:
            client = self.dial("192.0.2.1")
            wire = self.network.wires[-1]
            self.assertIs(seen[-1], wire)
            self.assertTrue(wire.open)
            wire.cut(how)
            self.reactor.flush()
            self.assertIsInstance(client.reason, reason)
            self.assertIsInstance(self.server().reason, error.ConnectionLost)
            self.assertFalse(wire.open)
        self.assertIn("192.0.2.1", repr(seen[0]))

    def test_observer(self) -> None:
        """An observer sees all that arrives, with the name of its wire and direction."""
        seen: list[object] = []
        self.network.observer = lambda flow, what: seen.append((flow.name, what))
        self.listen("")
        clients = [self.dial("192.0.2.1") for _ in range(2)]
        clients[1].transport.write(b"x")
        self.reactor.flush()
        self.server().transport.loseConnection()
        self.reactor.flush()
        self.assertEqual(seen, [("2 up", b"x"), ("2 down", Mark.FIN), ("2 up", Mark.FIN)])

    def test_a_host_that_is_gone(self) -> None:
        """On a frozen wire nothing arrives, not even an end; thawed, all of it does (POOL-04)."""
        self.listen("")
        client = self.dial("192.0.2.1")
        self.network.wires[0].freeze()
        client.transport.write(b"anybody?")
        self.reactor.advance(3600)
        self.assertEqual(self.server().octets, b"")
        self.server().transport.loseConnection()
        self.reactor.advance(3600)
        self.assertIsNone(client.reason)
        self.assertEqual(self.server().octets, b"")
        self.network.wires[0].thaw()
        self.reactor.flush()
        self.assertIsInstance(client.reason, error.ConnectionDone)

    def test_unix(self) -> None:
        """A path is reached by who listens there; where nobody does, there is no file."""
        self.reactor.listenUNIX("/run/lmtp", self.servers)
        endpoint = clientFromString(self.reactor, "unix:/run/lmtp")
        self.reactor.wait(connectProtocol(endpoint, Recorder()))
        self.assertEqual(self.network.wires[0].attempt.host, "/run/lmtp")
        missing = clientFromString(self.reactor, "unix:/run/other")
        with self.assertRaises(error.ConnectError) as raised:
            self.reactor.wait(connectProtocol(missing, Recorder()))
        self.assertEqual(raised.exception.osError, errno.ENOENT)
        self.assertEqual(self.network.listening(), ["/run/lmtp"])

    def test_the_factory_is_asked_with_the_address(self) -> None:
        """The server's factory is told who connects."""
        asked: list[IAddress | None] = []

        class Refusing(Factory):
            noisy = False

            def buildProtocol(self, addr: IAddress | None) -> None:
                asked.append(addr)

        self.reactor.listenTCP(25, Refusing())
        client = self.dial("192.0.2.1")
        self.assertEqual(asked, [IPv4Address("TCP", "198.51.100.1", 49_152)])
        self.assertIsInstance(client.reason, error.ConnectionDone)
