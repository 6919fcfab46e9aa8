# -*- test-case-name: tests.edge.http.test_channel -*-
"""The octets of HTTP clients: what is strict, what is in order, and how long they may take."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory

from slimtwist.edge.options import EdgeOptions
from slimtwist.limits import Limits, Timeouts
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from tests.edge.http.world import MESSAGE, HttpEdgeCase, post
from tests.edge.world import Visitor
from tests.smtp.certificates import issue

HEAD = b"POST /messages/ HTTP/1.1\r\nHost: x\r\nX-Envelope-Sender:\r\n"
HEAD += b"X-Envelope-Recipient: YkB4\r\n"


class StrictTests(HttpEdgeCase):
    """What two programs could read in two ways is refused, and ends the connection (HTI-03)."""

    def test_refused(self) -> None:
        """Each gets 400 once, and nothing behind it is looked at."""
        self.edge()
        behind = post()
        for request in (
            HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
            HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            HEAD + b"Content-Length: 5, 5\r\n\r\nhello",
            HEAD + b"Content-Length: +5\r\n\r\nhello",
            HEAD + b"Content-Length: -5\r\n\r\nhello",
            HEAD + b"Content-Length: 0x5\r\n\r\nhello",
            HEAD + b"Content-Length:\r\n\r\nhello",
            HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
            HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;\x01\r\nhello\r\n0\r\n\r\n",
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 5000,
            HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloworld\r\n0\r\n\r\n",
            HEAD + b"X-A: b\r\n c\r\nContent-Length: 5\r\n\r\nhello",
            HEAD + b" Content-Length: 5\r\n\r\nhello",
            HEAD + b"X-A: b\nContent-Length: 5\r\n\r\nhello",
            HEAD + b"X-A: b\rContent-Length: 5\r\n\r\nhello",
            HEAD + b"X-A: \0\r\nContent-Length: 5\r\n\r\nhello",
            HEAD + b"Content-Length : 5\r\n\r\nhello",
            HEAD + b"nonsense\r\nContent-Length: 5\r\n\r\nhello",
            HEAD + b"X-A: " + b"x" * 20000 + b"\r\n",
            b"POST /messages/\r\n\r\n",
            b"EHLO client.example\r\n\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST  /messages/ HTTP/1.1\r\n\r\n",
            b"X-A: b\r\n" * 3000,
            HEAD + b"X-A: b\r\n" * 1200 + b"\r\n",
        ):
            visitor = self.client()
            visitor.transport.write(request + behind)
            self.reactor.flush()
            [heard] = self.heard(visitor)
            self.assertEqual((heard.status, heard.reply[:4]), (400, "501;"), request[:200])
            self.assertEqual(heard.fields["connection"], "close")
            self.reactor.advance(6)
            self.assertIsNotNone(visitor.lost, request[:200])
        self.assertEqual(self.hop.envelopes, [])

    def test_dripped(self) -> None:
        """A request that comes octet by octet is the same request."""
        self.edge()
        visitor = self.client()
        for octet in post():
            visitor.transport.write(bytes([octet]))
            self.reactor.flush()
        self.assertEqual([each.status for each in self.heard(visitor)], [204])
        self.assertTrue(self.hop.messages[0].endswith(MESSAGE))

    def test_trailing(self) -> None:
        """Garbage behind a request is a bad request of its own."""
        self.edge()
        visitor = self.client()
        heard = self.ask(visitor, post() + b"garbage\r\n\r\n")
        self.assertEqual([each.status for each in heard], [204, 400])
        self.assertIsNotNone(visitor.lost)


class OrderTests(HttpEdgeCase):
    """Several requests on one connection (HTI-08)."""

    def test_kept(self) -> None:
        """A connection is used again, with TCP's own pace."""
        self.edge()
        visitor = self.client()
        for _ in range(3):
            self.assertEqual([each.status for each in self.ask(visitor, post())], [204])
        self.assertIsNone(visitor.lost)

    def test_pipelined(self) -> None:
        """Requests that come together are answered one after the other, in order."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        requests = [post(recipients=[f"r{number}@x.y"]) for number in range(3)]
        self.assertEqual(self.ask(visitor, b"".join(requests)), [])
        for number in range(3):
            self.assertEqual(len(self.hop.envelopes), number + 1)
            self.hop.answer(f"250 2.0.0 number {number}")
            self.reactor.flush()
            [heard] = self.heard(visitor)
            self.assertEqual(heard.reply, f'250; message="2.0.0 number {number}"')

    def test_flood(self) -> None:
        """Who sends on and on while a request is under way is read no more (L6)."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        visitor.transport.write(post() + b"x" * 3_000_000)
        self.reactor.flush()
        wire = self.reactor.network.wires[0]
        self.assertLess(wire.up.arrived, 1_000_000)

    def test_old(self) -> None:
        """HTTP/1.0, and who asks for it, get one response."""
        self.edge()
        for request in (post(first="POST /messages/ HTTP/1.0"), post("Connection: close")):
            visitor = self.client()
            self.assertEqual([each.status for each in self.ask(visitor, request * 2)], [204])
            self.assertIsNotNone(visitor.lost)

    def test_continue(self) -> None:
        """The body is asked for once the header is good; not if it is there already."""
        self.edge()
        visitor = self.client()
        request = post("Expect: 100-Continue")
        visitor.transport.write(request[: -len(MESSAGE)])
        self.reactor.flush()
        self.assertEqual(bytes(visitor.octets), b"HTTP/1.1 100 Continue\r\n\r\n")
        visitor.octets.clear()
        self.assertEqual(self.ask(visitor, MESSAGE)[0].status, 204)


class PaceTests(HttpEdgeCase):
    """How long clients may take (HTI-02, L7)."""

    def drip(self, octets: bytes, seconds: float, ip: str = "127.0.0.1") -> float:
        """Send an octet every so often; return after how many seconds the client was cut off."""
        visitor = self.client(ip)
        self.visitor = visitor
        begun = self.reactor.seconds()
        for octet in octets:
            if visitor.lost is not None or self.reactor.seconds() - begun > 10_000:
                break
            visitor.transport.write(bytes([octet]))
            self.reactor.advance(seconds)
        return self.reactor.seconds() - begun

    def test_header(self) -> None:
        """A header has 30 s, however it drips."""
        self.edge()
        self.assertAlmostEqual(self.drip(HEAD + b"X-A: " + b"b" * 100, 1.0), 30, delta=2)
        self.assertEqual([each.status for each in self.heard(self.visitor)], [408])

    def test_body(self) -> None:
        """A body that drips is cut off, after a time of grace."""
        self.edge()
        request = post(length=5000)
        visitor = self.client()
        visitor.transport.write(request)
        self.reactor.advance(29)
        self.assertIsNone(visitor.lost)
        for _ in range(61):
            visitor.transport.write(b"x")
            self.reactor.advance(1)
        self.assertEqual([each.status for each in self.heard(visitor)], [408])
        self.assertIsNotNone(visitor.lost)

    def test_fast_enough(self) -> None:
        """One that comes at 100 octets a second is read to its end."""
        self.edge()
        body = MESSAGE + (b"y" * 99 + b"\r\n") * 200
        request = post(body=body)
        visitor = self.client()
        for start in range(0, len(request), 110):
            visitor.transport.write(request[start : start + 110])
            self.reactor.advance(1)
        self.assertEqual([each.status for each in self.heard(visitor)], [204])

    def test_whole(self) -> None:
        """Even so it has its time."""
        self.edge(EdgeOptions(timeouts=Timeouts(transaction=100.0)))
        visitor = self.client()
        visitor.transport.write(post(length=1_000_000))
        for _ in range(110):
            visitor.transport.write(b"x" * 200)
            self.reactor.advance(1)
        self.assertEqual([each.status for each in self.heard(visitor)], [408])

    def test_idle(self) -> None:
        """A connection without a request is closed after a while, without a word."""
        self.edge()
        for before in (b"", post()):
            visitor = self.client()
            self.ask(visitor, before)
            self.reactor.advance(299)
            self.assertIsNone(visitor.lost)
            self.reactor.advance(2)
            self.assertIsNotNone(visitor.lost)
            self.assertEqual(visitor.octets, b"")

    def test_no_limit_on_us(self) -> None:
        """While the next hop takes its time, nobody blames the client."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post())
        self.reactor.advance(500)
        self.hop.answer()
        self.reactor.flush()
        self.assertEqual([each.status for each in self.heard(visitor)], [204])

    def test_gone(self) -> None:
        """Under TLS, a client that does not end its side is waited for for 5 s."""
        self.edge()
        self.reactor.network.home = ("127.0.0.1", "::1")
        issued = issue("edge.example")
        self.reactor.network.opaque = False
        options = issued.identity.options(None)
        tls = TLSMemoryBIOFactory(options, False, self.factory, clock=self.reactor)
        self.reactor.listenTCP(443, tls, interface="192.0.2.9")
        creator = TlsPolicy(TlsMode.VERIFY, trust=issued.trust).creator("edge.example")
        factory = Factory.forProtocol(Visitor)
        inside = TLSMemoryBIOFactory(creator, True, factory, clock=self.reactor)
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.9", 443)
        connected: Any = self.reactor.wait(endpoint.connect(inside))
        visitor: Visitor = connected.wrappedProtocol
        [heard] = self.ask(visitor, post())
        self.assertEqual(heard.status, 204)
        self.assertIn(b"with HTTPS id", self.hop.messages[0])
        self.assertIn("TLSv1.3", self.hop.envelopes[0].client.tls or "")
        wire = self.reactor.network.wires[-1]
        wire.freeze()
        begun = self.reactor.seconds()
        self.reactor.wait(self.factory.stop())
        self.assertAlmostEqual(self.reactor.seconds() - begun, 5, delta=0.1)

    def test_deaf(self) -> None:
        """A client that does not take its answer is not waited for (L7)."""
        self.edge(EdgeOptions(limits=Limits(unsent=1000)))
        visitor = self.client()
        visitor.transport.write(post(kind="a/b", length=100))
        wire = self.reactor.network.wires[-1]
        wire.down.stall(wire.down.arrived)
        self.reactor.advance(20)
        self.assertTrue(wire.server.closed)
