# -*- test-case-name: tests.testing.test_reactor -*-
"""The in-memory reactor: endpoints, services and timers run on it as on a real one, in order."""

from __future__ import annotations

import hashlib
import random
from threading import Thread
from typing import Any

from twisted.application.internet import ClientService, StreamServerEndpointService
from twisted.application.service import MultiService
from twisted.internet import error
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import (
    HostnameEndpoint,
    clientFromString,
    connectProtocol,
    serverFromString,
)
from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFDSet,
    IReactorFromThreads,
    IReactorPluggableNameResolver,
    IReactorTCP,
    IReactorTime,
    IReactorUNIX,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.testing import FakeSmarthost, MemoryReactor, ScriptedPeer, Wait, drip
from slimtwist.testing.loop import NeverAtRestError
from slimtwist.testing.script import Script
from tests.testing.worlds import Recorder, Servers


class ReactorTests(SynchronousTestCase):
    """One reactor."""

    def setUp(self) -> None:
        """Make it."""
        self.reactor = MemoryReactor()
        self.calls: list[object] = []

    def test_provides(self) -> None:
        """It provides what endpoints, services and protocols ask of a reactor."""
        for interface in (
            IReactorCore,
            IReactorFDSet,
            IReactorFromThreads,
            IReactorPluggableNameResolver,
            IReactorTCP,
            IReactorTime,
            IReactorUNIX,
        ):
            verifyObject(interface, self.reactor)
        self.assertTrue(self.reactor.running)

    # Time.

    def test_advance(self) -> None:
        """Time passes as far as it is told, and each call is made at its moment."""
        self.reactor.callLater(3, lambda: self.calls.append(self.reactor.seconds()))
        self.reactor.advance(2)
        self.assertEqual(self.calls, [])
        self.reactor.advance(2)
        self.assertEqual((self.calls, self.reactor.seconds()), ([3], 4))

    def test_start(self) -> None:
        """Time may begin anywhere."""
        self.assertEqual(MemoryReactor(start=1.7e9).seconds(), 1.7e9)

    def test_flush(self) -> None:
        """Flushing does what is due, and what that makes due, but lets no time pass."""
        self.reactor.callLater(0, self.reactor.callLater, 0, self.calls.append, "x")
        self.reactor.callLater(1e-9, self.calls.append, "later")
        self.reactor.flush()
        self.assertEqual(self.calls, ["x"])

    def test_never_at_rest(self) -> None:
        """A program that never comes to rest is told so, and does not hang the test."""
        self.reactor.patience = 1000

        def again() -> None:
            self.reactor.callLater(0, again)

        again()
        self.assertRaises(NeverAtRestError, self.reactor.flush)

    def test_a_call_that_raises(self) -> None:
        """An exception out of a call is logged; the others are made."""
        self.reactor.callLater(0, lambda: 1 / 0)
        self.reactor.callLater(0, self.calls.append, "x")
        self.reactor.flush()
        self.assertEqual(self.calls, ["x"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_wait(self) -> None:
        """Waiting lets pass as much time as it needs, and returns the result or raises."""
        done: Deferred[str] = Deferred()
        self.reactor.callLater(7, done.callback, "x")
        self.assertEqual((self.reactor.wait(done), self.reactor.seconds()), ("x", 7))
        self.assertRaises(ValueError, self.reactor.wait, fail(ValueError()))

    def test_wait_in_vain(self) -> None:
        """What never comes is an error that says what is still there."""
        self.reactor.callLater(11, self.calls.append, "x")
        failure = self.assertRaises(AssertionError, self.reactor.wait, Deferred(), 10)
        self.assertIn("no result within 10 s; timers: ", str(failure))
        self.assertEqual(self.calls, [])

    def test_rounds(self) -> None:
        """A call that schedules itself again at once leaves the network its turns."""
        servers = Servers(Recorder)
        self.reactor.listenTCP(25, servers)
        client: Any = Recorder()
        connected = connectProtocol(clientFromString(self.reactor, "tcp:192.0.2.1:25"), client)
        self.reactor.wait(connected)
        client.transport.write(b"x")

        def again() -> None:
            if servers.made and servers.made[0].octets:
                self.calls.append("seen")
            else:
                self.reactor.callLater(0, again)

        again()
        self.reactor.flush()
        self.assertEqual(self.calls, ["seen"])

    def test_looping_call(self) -> None:
        """A LoopingCall runs on its clock."""
        loop = LoopingCall(lambda: self.calls.append(self.reactor.seconds()))
        loop.clock = self.reactor
        loop.start(2)
        self.reactor.advance(5)
        loop.stop()
        self.assertEqual(self.calls, [0, 2, 4])

    # The core.

    def test_threads(self) -> None:
        """A call from a thread is made in a turn."""
        thread = Thread(target=self.reactor.callFromThread, args=(self.calls.append, "x"))
        thread.start()
        thread.join()
        self.assertEqual(self.calls, [])
        self.reactor.flush()
        self.assertEqual(self.calls, ["x"])

    def test_system_events(self) -> None:
        """What waits for the reactor to run does so; triggers run at the stop, in their order."""
        self.reactor.callWhenRunning(self.calls.append, "running")
        done: Deferred[None] = Deferred()
        add = self.reactor.addSystemEventTrigger
        add("after", "shutdown", self.calls.append, "after")
        add("before", "shutdown", lambda: done)
        add("during", "shutdown", self.calls.append, "during")
        self.reactor.removeSystemEventTrigger(add("before", "shutdown", self.calls.append, "gone"))
        self.reactor.stop()
        self.reactor.flush()
        self.assertEqual(self.calls, ["running"])
        done.callback(None)
        self.assertEqual(self.calls, ["running", "during", "after"])
        self.assertFalse(self.reactor.running)

    def test_stop_ends_connections(self) -> None:
        """A stop loses every connection, as Twisted's does."""
        servers = Servers(Recorder)
        self.reactor.listenTCP(25, servers)
        client = Recorder()
        endpoint = clientFromString(self.reactor, "tcp:192.0.2.1:25")
        self.reactor.wait(connectProtocol(endpoint, client))
        self.reactor.flush()
        self.reactor.stop()
        self.reactor.flush()
        self.assertIsInstance(client.reason, error.ConnectionLost)
        self.assertIsInstance(servers.made[0].reason, error.ConnectionLost)
        self.assertFalse(self.reactor.leftovers())

    def test_run(self) -> None:
        """It may also run by itself, until somebody stops it."""
        self.reactor.callLater(600, self.reactor.stop)
        self.reactor.run()
        self.assertEqual((self.reactor.seconds(), self.reactor.running), (600, False))

    def test_run_with_nothing_to_do(self) -> None:
        """With nothing left to wait for, it does not wait."""
        self.reactor.run()
        self.assertTrue(self.reactor.running)

    # What runs on it.

    def test_host_names(self) -> None:
        """A host name endpoint tries the addresses one after the other (Happy Eyeballs)."""
        self.reactor.listenTCP(25, Servers(Recorder), interface="::")
        self.reactor.hosts = {"mx.example": ["192.0.2.1", "2001:db8::1", "192.0.2.2"]}
        self.reactor.network.black_holes.add("192.0.2.1")
        endpoint = HostnameEndpoint(self.reactor, "mx.example", 25, attemptDelay=0.25)
        client: Any = self.reactor.wait(connectProtocol(endpoint, Recorder()))
        self.assertEqual(client.transport.getPeer().host, "2001:db8::1")
        self.assertEqual(
            [(attempt.moment, attempt.host) for attempt in self.reactor.network.attempts],
            [(0.0, "192.0.2.1"), (0.25, "2001:db8::1")],
        )
        self.reactor.flush()
        self.assertEqual(self.reactor.network.connecting(), [])

    def test_unknown_host_name(self) -> None:
        """A name that is not in the table cannot be found."""
        for connecting in (
            HostnameEndpoint(self.reactor, "nowhere.example", 25),
            clientFromString(self.reactor, "tcp:nowhere.example:25"),
        ):
            attempt = connectProtocol(connecting, Recorder())
            self.assertRaises(error.DNSLookupError, self.reactor.wait, attempt)

    def test_connect_tcp_by_name(self) -> None:
        """ConnectTCP takes a name too."""
        self.reactor.add_host("mx.example", Servers(Recorder))
        peer = ScriptedPeer([], side="C")
        self.reactor.connectTCP("mx.example", 25, peer)
        self.reactor.flush()
        self.assertEqual(len(peer.conversations), 1)

    def test_add_host(self) -> None:
        """A name may have several hosts, each with its address."""
        addresses = [self.reactor.add_host("mx.example", Servers(Recorder)) for _ in range(2)]
        self.assertEqual(addresses, ["192.0.2.1", "192.0.2.2"])
        self.assertEqual(self.reactor.hosts, {"mx.example": addresses})

    def test_services(self) -> None:
        """Services start, reconnect and stop."""
        server_end = serverFromString(self.reactor, "tcp:2525:interface=127.0.0.1")
        client_end = clientFromString(self.reactor, "tcp:127.0.0.1:2525")
        servers = Servers(Recorder)
        parent = MultiService()
        StreamServerEndpointService(server_end, servers).setServiceParent(parent)
        client = ClientService(client_end, Factory.forProtocol(Recorder), clock=self.reactor)
        client.setServiceParent(parent)
        parent.startService()
        self.reactor.flush()
        servers.made[0].transport.loseConnection()
        self.reactor.advance(60)
        self.assertEqual(len(servers.made), 2)
        self.reactor.wait(parent.stopService())
        self.reactor.flush()
        self.assertFalse(self.reactor.leftovers())

    def test_connection_timeout(self) -> None:
        """A connector's own timeout ends an attempt that is never answered."""
        self.reactor.network.black_holes.add(("192.0.2.1", 25))
        attempt = connectProtocol(
            clientFromString(self.reactor, "tcp:192.0.2.1:25:timeout=7"), Recorder()
        )
        self.assertRaises(error.TimeoutError, self.reactor.wait, attempt)
        self.assertEqual(self.reactor.seconds(), 7)


class DeterminismTests(SynchronousTestCase):
    """The same program does the same, octet for octet."""

    def digest(self, seed: int) -> str:
        """Return a digest of all that passes over the wires, with its moments, for a seed."""
        source = random.Random(seed)
        reactor = MemoryReactor()
        reactor.pick = source.randrange
        seen = hashlib.sha256()
        reactor.network.observer = lambda flow, what: seen.update(
            repr((reactor.seconds(), flow.name, what)).encode()
        )
        for number in range(5):
            host = FakeSmarthost(replies={"NOOP": [(Wait(source.random()), "250 ok")]})
            reactor.add_host(f"mx{number}.example", host)
            script: Script = [
                "S: 220 ...",
                "C: NOOP",
                "S: 250 ok",
                *drip(b"QUIT\r\n", 0.1),
                "S: 221 ...",
            ]
            reactor.connectTCP(f"mx{number}.example", 25, ScriptedPeer(script, side="C"))
        reactor.advance(60)
        return seen.hexdigest()

    def test_same_seed(self) -> None:
        """One seed gives one run; another may give another."""
        self.assertEqual(self.digest(1), self.digest(1))
        self.assertGreater(len({self.digest(seed) for seed in range(10)}), 1)

    def test_pick(self) -> None:
        """What is picked among what could be done comes first."""
        for pick, order in [(None, [b"0", b"1"]), (lambda choices: choices - 1, [b"1", b"0"])]:
            reactor = MemoryReactor()
            seen: list[object] = []
            reactor.listenTCP(25, Servers(Recorder))
            clients: list[Any] = [Recorder(), Recorder()]
            for client in clients:
                endpoint = clientFromString(reactor, "tcp:192.0.2.1:25")
                reactor.wait(connectProtocol(endpoint, client))
            for wire in reactor.network.wires:
                wire.up.observer = lambda _, what, seen=seen: seen.append(what)
            reactor.pick = pick
            for number, client in enumerate(clients):
                client.transport.write(b"%d" % number)
            reactor.flush()
            self.assertEqual(seen, order)

    def test_order_of_simultaneous_events(self) -> None:
        """Whatever is picked first among what is due, all of it is done."""
        for seed in range(50):
            source = random.Random(seed)
            reactor = MemoryReactor()
            reactor.pick = source.randrange
            servers = Servers(Recorder)
            reactor.listenTCP(25, servers)
            clients = [Recorder() for _ in range(5)]
            for number, client in enumerate(clients):
                endpoint = clientFromString(reactor, "tcp:192.0.2.1:25")
                connectProtocol(endpoint, client)
                reactor.callLater(1, lambda c=client, n=number: c.transport.write(b"%d" % n))
            reactor.advance(2)
            said = sorted(bytes(made.octets) for made in servers.made)
            self.assertEqual(said, [b"0", b"1", b"2", b"3", b"4"])
