# -*- test-case-name: tests.edge.test_smtp -*-
"""Tests of the edge as a whole: how many clients it takes, and how it stops."""

from __future__ import annotations

import shutil
import smtplib
import socket
import ssl
import tempfile
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.ssl import CertificateOptions
from twisted.internet.threads import deferToThread
from twisted.python.filepath import FilePath
from twisted.trial.unittest import TestCase

from slimtwist.edge.auth import portal
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.limits import Limits, Timeouts
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from tests.edge.world import STRANGER, EdgeTestCase, NextHop, Visitor
from tests.smtp.certificates import issue

OTHER = "203.0.113.8"
READY = b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n"
STOPPING = "421 4.3.2 service is stopping"


class Crowds(EdgeTestCase):
    """How many clients are taken (L6)."""

    def visit_in_vain(self, ip: str) -> None:
        """Check that a client is turned away."""
        visitor = self.visit(ip, greeting=False)
        self.assertEqual(visitor.replies(), ["421 4.7.0 too many connections, try later"])
        self.assertIsNotNone(visitor.lost)

    def test_from_one_address(self) -> None:
        """One address has so many connections, another has its own (laws: 50)."""
        self.edge(EdgeOptions(limits=Limits(clients_per_address=3)))
        visitors = [self.visit(STRANGER) for _ in range(3)]
        self.visit_in_vain(STRANGER)
        self.visit(OTHER)
        visitors[0].transport.loseConnection()
        self.reactor.flush()
        self.visit(STRANGER)
        self.visit_in_vain(STRANGER)

    def test_default(self) -> None:
        """The default is 50."""
        self.edge()
        for _ in range(50):
            self.visit(STRANGER)
        self.visit_in_vain(STRANGER)

    def test_from_here(self) -> None:
        """This host may have any number, by TCP and by UNIX sockets."""
        self.edge(EdgeOptions(limits=Limits(clients_per_address=1)))
        for _ in range(5):
            self.visit()
            self.visit_by_unix()

    def test_all(self) -> None:
        """All together may have so many, this host included."""
        self.edge(EdgeOptions(limits=Limits(clients=2)))
        first = self.visit()
        self.visit_by_unix()
        self.visit_in_vain("127.0.0.1")
        self.visit_in_vain(STRANGER)
        self.say(first, b"QUIT\r\n")
        self.visit(STRANGER)
        self.visit_in_vain(OTHER)

    def test_the_turned_away_do_not_count(self) -> None:
        """Who is turned away does not keep others out, not even by not leaving."""
        self.edge(EdgeOptions(limits=Limits(clients_per_address=1)))
        first = self.visit(STRANGER)
        self.reactor.network.on_wire = lambda wire: setattr(wire.down, "window", 0)
        for _ in range(3):
            self.visit(STRANGER, greeting=False)
        self.reactor.network.on_wire = None
        self.say(first, b"QUIT\r\n")
        self.visit(STRANGER)
        self.reactor.advance(5)
        self.assertEqual(len(self.reactor.leftovers().connections), 1)

    def test_implicit_end(self) -> None:
        """However connections end, their places are free again (ING-17)."""
        self.edge(EdgeOptions(limits=Limits(clients=2)))
        for _ in range(5):
            visitor = self.visit()
            visitor.transport.abortConnection()
            self.visit()
            self.reactor.advance(400)


class Stopping(EdgeTestCase):
    """How the service ends (OS-01)."""

    def stop(self) -> list[None]:
        """Stop as the service does, and return a list that is filled when nothing is left."""
        self.reactor.wait(self.port.stopListening())  # type: ignore[arg-type]
        done: list[None] = []
        self.factory.stop().addCallback(done.append)
        self.reactor.flush()
        return done

    def test_nobody(self) -> None:
        """Without clients it is over at once; it can be asked for again."""
        self.edge()
        self.assertEqual(self.stop(), [None])
        self.successResultOf(self.factory.stop())
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_idle(self) -> None:
        """Idle clients get 421 and are gone at once (OS-01)."""
        self.edge()
        visitors = [self.visit() for _ in range(4)]
        self.say(visitors[1], b"EHLO x\r\n")
        self.say(visitors[2], READY + b"DATA\r\nx\r\n.\r\n")
        self.say(visitors[3], b"NOO")
        done = self.stop()
        for visitor in visitors:
            self.assertEqual(visitor.replies(), [STOPPING])
            self.assertIsNotNone(visitor.lost)
        self.assertEqual(done, [None])

    def test_under_way(self) -> None:
        """From MAIL on a message comes to its end, then its client is sent away (OS-01)."""
        said = READY + b"DATA\r\nx\r\n.\r\n"
        for start in range(len(b"EHLO x\r\nMAIL FROM:<a@b>\r\n"), len(said)):
            self.setUp()
            self.edge()
            visitor = self.visit()
            self.say(visitor, said[:start])
            done = self.stop()
            self.assertEqual(done, [])
            self.assertIsNone(visitor.lost, start)
            replies = self.say(visitor, said[start:] + READY)
            self.assertEqual(replies[-2:], ["250 2.0.0 taken", STOPPING], start)
            self.assertEqual(done, [None])
            self.assertEqual(len(self.hop.messages), 1)

    def test_delivering(self) -> None:
        """A client that waits for its reply gets it (OS-01)."""
        self.edge()
        self.hop.slow = True
        visitor = self.visit()
        self.say(visitor, READY + b"DATA\r\nx\r\n.\r\n")
        done = self.stop()
        self.reactor.advance(59)
        self.assertEqual((visitor.replies(), done), ([], []))
        self.hop.answer("550 5.7.1 no")
        self.reactor.flush()
        self.assertEqual(visitor.replies(), ["550 5.7.1 no", STOPPING])
        self.assertEqual(done, [None])
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_too_long(self) -> None:
        """After a minute all others get 421: no success is claimed, no attempt cut (OS-01)."""
        self.edge()
        self.hop.slow = True
        stages = [
            READY,
            READY + b"DATA\r\nx\r\n",
            READY + b"DATA\r\nx\r\n.\r\n",
            b"EHLO x\r\nMAIL FROM:<a@b>\r\n",
        ]
        visitors = [self.visit() for _ in stages]
        for visitor, said in zip(visitors, stages, strict=True):
            self.say(visitor, said)
        done = self.stop()
        self.reactor.advance(59)
        self.assertEqual(done, [])
        self.reactor.advance(1)
        self.assertEqual([visitor.replies() for visitor in visitors], [[STOPPING]] * 4)
        self.assertEqual(done, [None])
        self.assertEqual(self.hop.cancelled, 0)
        self.successResultOf(self.queue.stop())
        self.assertEqual(self.hop.cancelled, 1)
        self.assertEqual(self.reactor.leftovers().timers, ())

    def test_deaf(self) -> None:
        """A client that does not read does not keep the service from ending (OS-01, L7)."""
        self.edge(EdgeOptions(timeouts=Timeouts(stop=10)))
        self.visit()
        self.reactor.network.wires[-1].down.window = 0
        done = self.stop()
        self.reactor.advance(4)
        self.assertEqual(done, [])
        self.reactor.advance(1)
        self.assertEqual(done, [None])

    def test_late(self) -> None:
        """Who still comes in is sent away (OS-01)."""
        self.edge()
        busy = self.visit()
        self.say(busy, READY)
        self.factory.stop()
        self.assertEqual(self.visit(greeting=False).replies(), [STOPPING])

    def test_waiting_for_the_greeting(self) -> None:
        """Who has not been greeted is sent away without (OS-01)."""
        self.edge(EdgeOptions(greeting_delay=5.0))
        visitor = self.visit(greeting=False)
        done = self.stop()
        self.reactor.advance(5)
        self.assertEqual(visitor.replies()[-1], STOPPING)
        self.assertEqual(done, [None])

    def test_authenticating(self) -> None:
        """Who is about to authenticate has begun no message (OS-01)."""
        users = InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")
        self.edge(EdgeOptions(portal=portal([users]), auth_in_clear=True))
        visitor = self.visit()
        self.assertEqual(self.codes(visitor, b"EHLO x\r\nAUTH LOGIN\r\n")[-1][:3], "334")
        self.assertEqual(self.stop(), [None])
        self.assertEqual(visitor.replies(), [STOPPING])

    def test_starting_tls(self) -> None:
        """Who is in a handshake is gone after the waits are over (OS-01)."""
        self.edge(EdgeOptions(certificate=CertificateOptions()))
        visitor: Visitor = self.visit()
        self.codes(visitor, b"EHLO x\r\nSTARTTLS\r\n")
        done = self.stop()
        self.reactor.advance(65)
        self.assertEqual(done, [None])
        self.assertEqual(self.reactor.leftovers().timers, ())


class Strangers(TestCase):
    """Python's own client, over real sockets and with real TLS."""

    def setUp(self) -> None:
        """Have a certificate and a user."""
        self.authority = issue(common_name="authority", authority=True)
        self.certificate = issue("localhost", issuer=self.authority).identity.options()
        users = InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")
        self.options = EdgeOptions(certificate=self.certificate, portal=portal([users]))
        self.hop = NextHop()

    def serve(self, endpoint: str, options: EdgeOptions) -> Any:  # noqa: ANN401 - a port of any kind
        """Let an edge listen, until the test is over; return where."""
        runtime = Runtime(reactor, hostname="relay.example")
        queue = DirectQueue(runtime, self.hop, timeouts=options.timeouts)
        factory = SmtpEdgeFactory(runtime, queue, options)
        port = self.successResultOf(serverFromString(reactor, endpoint).listen(factory))

        async def stop() -> None:
            await port.stopListening()
            await factory.stop()
            await queue.stop()

        self.addCleanup(lambda: Deferred.fromCoroutine(stop()))
        return port.getHost()

    def context(self) -> ssl.SSLContext:
        """Return what trusts the edge's certificate."""
        pem = self.authority.certificate.public_bytes(Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def send(self, client: smtplib.SMTP) -> dict[str, tuple[int, bytes]]:
        """Send a message to two, and return who was refused."""
        with client:
            client.login("joe", "secret")
            return client.sendmail("a@b", ["c@d", "e@f"], b"Subject: x\r\n\r\n.x\r\n")

    def check(self, refused: dict[str, tuple[int, bytes]], word: bytes) -> None:
        """Check that one of two recipients was served, in TLS."""
        self.assertEqual([code for code, _ in refused.values()], [452])
        self.assertTrue(self.hop.messages[0].endswith(b"\r\nSubject: x\r\n\r\n.x\r\n"))
        self.assertIn(b" with %b id " % word, self.hop.messages[0])
        client = self.hop.envelopes[0].client
        self.assertEqual((client.ip, client.auth), ("127.0.0.1", "joe"))
        self.assertRegex(client.tls or "", r"\ATLSv1\.[23] [-_A-Z0-9]+\Z")

    async def test_starttls(self) -> None:
        """STARTTLS and AUTH as another program does them."""
        port = self.serve("tcp:0:interface=127.0.0.1", self.options).port

        def talk() -> dict[str, tuple[int, bytes]]:
            client = smtplib.SMTP("localhost", port, timeout=10)
            client.starttls(context=self.context())
            return self.send(client)

        self.check(await deferToThread(talk), b"ESMTPSA")

    async def test_implicit_tls(self) -> None:
        """TLS from the first octet on, by an endpoint of Twisted's (RFC 8314)."""
        pem = FilePath(self.mktemp())
        pem.setContent(issue("localhost", issuer=self.authority).pem)
        port = self.serve(f"ssl:0:privateKey={pem.path}:interface=127.0.0.1", self.options).port

        def talk() -> dict[str, tuple[int, bytes]]:
            return self.send(
                smtplib.SMTP_SSL("localhost", port, timeout=10, context=self.context())
            )

        self.check(await deferToThread(talk), b"ESMTPSA")

    async def test_injection(self) -> None:
        """What came in the clear behind STARTTLS is never taken for TLS (TLS-04)."""
        port = self.serve("tcp:0:interface=127.0.0.1", self.options).port

        def talk() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                plain.sendall(b"EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\n")
                heard = b""
                while octets := plain.recv(4096):
                    heard += octets
                return heard

        heard = await deferToThread(talk)
        self.assertEqual(heard.splitlines()[-1], b"503 5.5.1 nothing may follow STARTTLS")

    async def test_lmtp(self) -> None:
        """LMTP over a UNIX socket, with a reply for each recipient (RFC 2033)."""
        folder = tempfile.mkdtemp()  # a short path: unix(7) allows 107 octets
        self.addCleanup(shutil.rmtree, folder)
        path = f"{folder}/lmtp"
        self.serve(f"unix:{path}", EdgeOptions(lmtp=True))
        self.hop.answers = ["250 2.1.5 yes", "550 5.1.1 no"]

        def talk() -> list[bytes]:
            with smtplib.LMTP(path) as client:
                client.ehlo_or_helo_if_needed()
                client.mail("a@b")
                client.rcpt("c@d")
                client.rcpt("e@f")
                _, first = client.data("x\r\n")
                return [first, client.getreply()[1]]

        self.assertEqual(await deferToThread(talk), [b"2.1.5 yes", b"5.1.1 no"])
        self.assertTrue(self.hop.messages[0].startswith(b"Received: from "))

    async def test_proxy(self) -> None:
        """Behind a proxy the client is who the proxy says it is (ING-22, ING-27)."""
        port = self.serve("haproxy:tcp:0:interface=127.0.0.1", EdgeOptions()).port

        def talk() -> list[bytes]:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                plain.sendall(b"PROXY TCP4 203.0.113.7 192.0.2.1 5 25\r\n")
                plain.sendall(b"EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nQUIT\r\n")
                with plain.makefile("rb") as replies:
                    return [line[:9] for line in replies]

        self.assertEqual((await deferToThread(talk))[-2:], [b"550 5.7.1", b"221 2.0.0"])
