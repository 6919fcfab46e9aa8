# -*- test-case-name: tests.edge.http.test_request_refused -*-
"""Requests that are refused, by their header or their body."""

from __future__ import annotations

from slimtwist.edge.options import EdgeOptions
from slimtwist.limits import Limits
from tests.edge.http.world import HttpEdgeCase, post


class RefusedTests(HttpEdgeCase):
    """Requests that are refused before their body is read."""

    def test_header(self) -> None:
        """Method, path, type, encoding, size, addresses: each has its status (HTI-05, INJ-02)."""
        self.edge()
        long = "x" * 300
        for request, status, reply in (
            (post(first="PUT /messages/ HTTP/1.1"), 405, "502; "),
            (post(first="GET /messages/ HTTP/1.1", body=b"", length=None), 405, "502; "),
            (post(first="POST / HTTP/1.1"), 404, "554; "),
            (post(first="POST /messages/x HTTP/1.1"), 404, "554; "),
            (post(first="POST /Messages HTTP/1.1"), 404, "554; "),
            (post(first="POST /messages/http://edge.example HTTP/1.1"), 404, "554; "),
            (post(kind="text/plain"), 415, "554; "),
            (post(kind="message/rfc8222"), 415, "554; "),
            (post("Content-Encoding: gzip"), 415, "554; "),
            (post(length=50 * 1024 * 1024 + 1), 413, "552; "),
            (post(length=None, body=b""), 400, "501; "),
            (post(recipients=[]), 400, "501; "),
            (post(recipients=[""]), 400, "501; "),
            (post("X-Envelope-Sender: YQ=="), 400, "501; "),
            (post("X-Envelope-Recipient: %%%"), 400, "501; "),
            (post("X-Envelope-Recipient: YkB4"), 204, "250; "),
            (post("X-Envelope-Recipient: Yk B4"), 400, "501; "),
            (post("X-Envelope-Recipient: YkB4/w=="), 400, "501; "),
            (post("X-Ehlo: a b"), 400, "501; "),
            (post(f"X-Ehlo: {long}"), 400, "501; "),
            (post(f"Idempotency-Key: {long}"), 400, "501; "),
            (post("Host: other.example"), 400, "501; "),
            (post(recipients=["b@x.y"] * 1001), 400, "552; "),
        ):
            heard = self.one(request)
            self.assertEqual((heard.status, heard.reply[:5]), (status, reply), request[:300])
            self.assertEqual("allow" in heard.fields, status == 405)
        self.assertEqual(len(self.hop.envelopes), 1)

    def test_injection(self) -> None:
        """No octet of an address can become syntax elsewhere (INJ-02)."""
        self.edge()
        evil = [
            "\r\n",
            "\n",
            "\r",
            "\0",
            "\x0b",
            "\x0c",
            "\x1b",
            "\x7f",
            "\x85",
            "\u2028",
            "\u2029",
        ]
        for octets in evil:
            for form in ("{}b@x.y", "b{}c@x.y", "b@x{}.y", "b@x.y{}", '"b{}"@x.y', "@x,@y{}:b@z"):
                address = form.format(octets)
                for request in (post(sender=address), post(recipients=["c@x.y", address])):
                    heard = self.one(request)
                    self.assertEqual((heard.status, heard.reply[:5]), (400, "501; "), address)
        self.assertEqual(self.hop.envelopes, [])

    def test_before_the_body(self) -> None:
        """No body is asked for when the header is refused; the connection ends (HTI-08)."""
        self.edge()
        visitor = self.client()
        [heard] = self.ask(visitor, post("Expect: 100-continue", kind="a/b", body=b"", length=9))
        self.assertEqual((heard.status, heard.fields["connection"]), (415, "close"))
        self.assertIsNone(visitor.lost)
        self.reactor.advance(6)
        self.assertIsNotNone(visitor.lost)

    def test_passed_over(self) -> None:
        """A body that nobody wants is passed over, and then the connection ends."""
        self.edge()
        visitor = self.client()
        self.ask(visitor, post(kind="a/b", body=b"x" * 100_000, length=200_000))
        self.assertIsNone(visitor.lost)
        self.assertEqual(self.ask(visitor, b"x" * 100_000), [])
        self.assertIsNotNone(visitor.lost)

    def test_no_body(self) -> None:
        """A refusal of a request without a body leaves the connection as it is."""
        self.edge()
        visitor = self.client()
        request = b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        self.assertEqual([each.status for each in self.ask(visitor, request * 3)], [404] * 3)
        self.assertIsNone(visitor.lost)

    def test_body(self) -> None:
        """What is wrong with a body is told at once, whatever was still to come."""
        self.edge(EdgeOptions(limits=Limits(message=1000, hops=3)))
        received = b"Received: x\r\n" * 4 + b"\r\n"
        chunked = ["Transfer-Encoding: chunked"]
        for fields, body, length, status, code in (
            ([], b"Subject: x\n\n", 500, 400, "521"),
            ([], received, 500, 500, "554"),
            (chunked, b"400\r\n" + b"x" * 1024 + b"\r\n", None, 413, "552"),
            ([], b"x\r", -1, 400, "521"),
        ):
            visitor = self.client()
            [heard] = self.ask(visitor, post(*fields, body=body, length=length))
            self.assertEqual((heard.status, heard.reply[:3]), (status, code))
            self.reactor.advance(6)
            self.assertEqual(visitor.lost is None, length == -1)
        self.assertEqual(self.hop.envelopes, [])

    def test_loop(self) -> None:
        """A message that was here before for the same recipient is a loop (RFC 5321 6.3)."""
        self.edge()
        self.one(post())
        heard = self.one(post(body=self.hop.messages[0]))
        self.assertEqual((heard.status, heard.reply[:4]), (500, "554;"))
