# -*- test-case-name: tests.smtp.test_connector_endpoints -*-
"""Connections that are made in other ways than by an address: endpoints, UNIX sockets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from slimtwist.smtp.connector import Place
from slimtwist.testing import Close, ScriptedPeer
from slimtwist.testing.script import Script
from tests.smtp.dialogues import GREETING, HOST, World, ehlo
from tests.smtp.test_connector import BUSY, READY, ConnectorCase


@implementer(IStreamClientEndpoint)
class NeverConnects:
    """An endpoint from which nothing ever comes back."""

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        """Return what never fires, and does not mind being cancelled."""
        return Deferred()


class EndpointTests(ConnectorCase):
    """C{endpoint_creator} stands for every other way to connect."""

    def world(self, create: Callable[..., Any], *scripts: Script) -> World:
        """Return a client whose endpoints this creates."""
        return World(*scripts, connector={"endpoint_creator": create})

    def test_once_for_each_connection(self) -> None:
        """It is called once for each new connection, with reactor, host and port."""
        calls: list[tuple[object, str, int]] = []

        def create(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:  # noqa: ANN401
            calls.append((reactor, host, port))
            return TCP4ClientEndpoint(reactor, world.address, 25)

        world = self.world(create, READY, READY)
        for expected in (1, 2):
            world.opened = None
            world.session()
            world.close()
            self.assertEqual(calls, [(world.reactor, HOST, 25)] * expected)
        world.check()

    def test_once_more_for_plaintext(self) -> None:
        """The plaintext connection after broken TLS is a new one too."""
        calls: list[str] = []

        def create(reactor: Any, host: str, _: int) -> IStreamClientEndpoint:  # noqa: ANN401
            calls.append(host)
            return TCP4ClientEndpoint(reactor, world.address, 25)

        broken = [*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", "S: 220 go", Close()]
        world = self.world(create, broken, READY)
        self.assertIsNone(world.session().tls)
        world.close()
        self.assertEqual(calls, [HOST, HOST])
        world.check()

    def test_refused(self) -> None:
        """A refusal is the end: there is no other address to try."""
        world = self.world(lambda reactor, *_: TCP4ClientEndpoint(reactor, "192.0.2.1", 25), BUSY)
        self.assertEqual(str(world.outcome().reply), "450 4.3.2 busy")
        world.check()

    def test_raises(self) -> None:
        """What it raises is logged and defers the message, with nothing sent."""
        world = self.world(lambda *_: 1 // 0)
        outcome = world.outcome()
        self.assertEqual(outcome.reply.enhanced, "4.4.1")
        self.assertIn("division", outcome.reply.text)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(world.left(), "")

    def test_never_connects(self) -> None:
        """L7: an endpoint that never answers is given up after the time to connect."""
        world = self.world(lambda *_: NeverConnects())
        self.assertIn("no answer in time", world.outcome().reply.text)
        self.assertEqual(world.reactor.seconds(), 30)
        self.assertEqual(world.left(), "")


class UnixTests(ConnectorCase):
    """Hosts at a UNIX socket."""

    PATH = "/run/mta"

    def world(self, *scripts: Script) -> tuple[World, ScriptedPeer]:
        """Return a client, and the host at the socket."""
        world = World(place=Place("localhost", unix=self.PATH))
        peer = ScriptedPeer(*scripts)
        world.reactor.listenUNIX(self.PATH, peer)
        return world, peer

    def test_session(self) -> None:
        """A session over a UNIX socket; its host is named by the path."""
        world, peer = self.world(READY)
        self.assertEqual(world.session().host, self.PATH)
        world.close()
        peer.verify()
        self.assertEqual(world.left(), "")

    def test_refused(self) -> None:
        """A refusal is the end: there is no other socket to try."""
        world, peer = self.world(BUSY)
        self.assertEqual(str(world.outcome().reply), "450 4.3.2 busy")
        self.assertEqual(world.outcome().host, self.PATH)
        world.reactor.advance(10)
        peer.verify()

    def test_no_socket(self) -> None:
        """Where there is no socket, the message is deferred."""
        outcome = World(place=Place("localhost", unix="/nowhere")).outcome()
        self.assertEqual((outcome.reply.enhanced, outcome.command), ("4.4.1", "connect"))
        self.assertEqual(outcome.host, "/nowhere")
