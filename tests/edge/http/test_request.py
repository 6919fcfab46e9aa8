# -*- test-case-name: tests.edge.http.test_request -*-
"""Requests, from their header to their answer."""

from __future__ import annotations

from collections.abc import Sequence
from time import thread_time

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from slimtwist.content import ContentWriter
from slimtwist.edge.access import Access
from slimtwist.edge.options import EdgeOptions
from slimtwist.envelope import Client, Envelope
from slimtwist.interfaces import IMessageSink, IQueue
from slimtwist.limits import Limits, Timeouts
from slimtwist.queue.direct import DirectQueue
from slimtwist.reply import Reply
from tests.edge.http.world import MESSAGE, HttpEdgeCase, b64, post
from tests.edge.world import STRANGER

SENT = '250; message="2.0.0 taken"'


@implementer(IQueue)
class Queue:
    """Does with messages what a test says."""

    single = True

    def __init__(self, result: Deferred[Sequence[Reply]] | None = None) -> None:
        self.result = result
        self.submitted = 0

    def sink(self) -> IMessageSink:
        """Have no room, unless there is a result."""
        if self.result is None:
            raise OSError(28, "No space left on device")
        return ContentWriter()

    def submit(self, envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Return the result."""
        self.submitted += 1
        assert self.result is not None
        return self.result

    def stop(self) -> Deferred[None]:
        """Do nothing."""
        return succeed(None)


class TakenTests(HttpEdgeCase):
    """Messages that are taken."""

    def test_message(self) -> None:
        """A POST in python-slimta's format becomes an envelope, under a trace field (issue 5)."""
        self.edge()
        heard = self.one(post("X-Ehlo: client.example", recipients=["b@example.net", "\u00fc@x.y"]))
        self.assertEqual((heard.status, heard.reply, heard.body), (204, SENT, b""))
        [envelope] = self.hop.envelopes
        self.assertEqual(str(envelope.sender), "a@example.org")
        recipients = [str(each.address) for each in envelope.recipients]
        self.assertEqual(recipients, ["b@example.net", "\u00fc@x.y"])
        self.assertTrue(envelope.smtputf8)
        expected = Client(ip="127.0.0.1", helo="client.example", protocol="HTTP")
        self.assertEqual(envelope.client, expected)
        self.assertEqual(envelope.received, self.reactor.seconds())
        trace, _, message = self.hop.messages[0].partition(b"Subject")
        self.assertEqual(b"Subject" + message, MESSAGE)
        start = b"Received: from client.example ([127.0.0.1])\r\n\tby relay.example with HTTP id "
        self.assertTrue(trace.startswith(start), trace)

    def test_null_sender(self) -> None:
        """An empty sender is the null sender; a missing one is an error (issue 5)."""
        self.edge()
        self.assertEqual(self.one(post(sender="")).status, 204)
        self.assertFalse(self.hop.envelopes[0].sender)
        heard = self.one(post(sender=None))
        self.assertEqual((heard.status, heard.reply[:18]), (400, '501; message="5.1.'))

    def test_forms(self) -> None:
        """What may be written in several ways is understood."""
        self.edge()
        for request in (
            post(kind="message/rfc822; charset=x"),  # HTI-05
            post(kind="Message/RFC822"),
            post(kind=None),
            post(first="POST /messages HTTP/1.1"),
            post(first="POST http://edge.example/messages/?x=y HTTP/1.1"),
            post("Content-Encoding: identity"),
            post(first="POST /messages/ HTTP/1.0"),
            post("Expect: 100-continue", first="POST /messages/ HTTP/1.0"),
            post(
                "Transfer-Encoding: chunked",
                length=None,
                body=b"15\r\n" + MESSAGE + b"\r\n0\r\n\r\n",
            ),
        ):
            self.assertEqual(self.one(request).status, 204, request)
        self.assertEqual({m.partition(b"Subject")[2] for m in self.hop.messages}, {MESSAGE[7:]})

    def test_joined_fields(self) -> None:
        """A proxy may put several fields into one (RFC 9110 5.3)."""
        self.edge()
        joined = f"X-Envelope-Recipient: {b64('b@x.y')}, {b64('c@x.y')};{b64('d@x.y')}"
        self.assertEqual(self.one(post(joined, recipients=[])).status, 204)
        recipients = [str(each.address) for each in self.hop.envelopes[0].recipients]
        self.assertEqual(recipients, ["b@x.y", "c@x.y", "d@x.y"])

    def test_white_space(self) -> None:
        """White space in a field costs our processor no more than anything else does (L7)."""
        self.edge()
        began = thread_time()
        request = post(f"X-Envelope-Recipient: YkB4{' ' * 16000}YkB4", recipients=[])
        self.assertEqual(self.one(request).status, 400)
        self.assertLess(thread_time() - began, 0.4)

    def test_large(self) -> None:
        """A body is streamed: what a client can make us hold is small (L6)."""
        self.edge(EdgeOptions(limits=Limits(memory=1000)))
        body = MESSAGE + (b"y" * 998 + b"\r\n") * 3000
        self.assertEqual(self.one(post(body=body)).status, 204)
        self.assertTrue(self.hop.messages[0].endswith(body))
        self.assertNotIsInstance(self.hop.envelopes[0].content.body, bytes)

    def test_many_recipients(self) -> None:
        """As many recipients as there may be, with addresses as long as they may be."""
        self.edge()
        recipients = [f"{number:04}{'x' * 240}@example" for number in range(1000)]
        self.assertEqual(self.one(post(recipients=recipients)).status, 204)
        self.assertEqual(len(self.hop.envelopes[0].recipients), 1000)

    def test_normalized(self) -> None:
        """Line ends are mended where the operator says so."""
        self.edge(EdgeOptions(bare_newline="normalize", trace=False))
        self.assertEqual(self.one(post(body=b"Subject: x\n\nhello\r")).status, 204)
        self.assertEqual(self.hop.messages, [b"Subject: x\r\n\r\nhello\r\n"])


class AnswerTests(HttpEdgeCase):
    """What clients are told (HTI-10, L11)."""

    def answer(self, *replies: str, fields: Sequence[str] = ()) -> tuple[int, str]:
        """Return status and reply when the recipients get these."""
        self.edge_once()
        self.hop.answers = replies
        recipients = [f"r{number}@example.net" for number in range(len(replies))]
        self.last = self.one(post(*fields, recipients=recipients))
        return self.last.status, self.last.reply

    def edge_once(self) -> None:
        """Have an edge."""
        if not hasattr(self, "factory"):
            self.edge()

    def test_replies(self) -> None:
        """Each class of replies has its status."""
        for reply, status in {
            "250 2.6.0 queued": 204,
            "450 4.2.1 later": 503,
            "421 4.3.2 stopping": 503,
            "535 5.7.8 who are you": 401,
            "530 5.7.0 prove it": 401,
            "550 5.1.1 no such user": 500,
            "552 5.2.2 full": 500,
        }.items():
            code, _, text = reply.partition(" ")
            self.assertEqual(self.answer(reply), (status, f'{code}; message="{text}"'))
            self.assertEqual(self.last.fields.get("retry-after"), "60" if status == 503 else None)
            self.assertEqual(self.last.body, b"" if status == 204 else reply.encode() + b"\n")

    def test_quoted(self) -> None:
        """Text cannot become another parameter or field (L5)."""
        _, reply = self.answer('550 5.1.1 "; command="x\\ \u00fc')
        self.assertEqual(reply, '550; message="5.1.1 \\"; command=\\"x\\\\ ?"')

    def test_json(self) -> None:
        """Who asks for it is told what became of each recipient."""
        accept = ["Accept: text/html, Application/JSON;q=0.9"]
        self.assertEqual(self.answer("250 2.0.0 a", fields=accept), (200, '250; message="2.0.0 a"'))
        self.assertEqual(self.last.fields["content-type"], "application/json")
        self.assertEqual(self.last.results, [("r0@example.net", 250, "2.0.0 a")])
        self.answer("550 5.1.1 no", fields=accept)
        self.assertEqual((self.last.status, self.last.results[0][1]), (500, 550))

    def test_different(self) -> None:
        """Different outcomes are told in JSON also to who has not asked, and are no success."""
        for replies in (
            ("250 2.0.0 ok", "550 5.1.1 no"),
            ("550 5.1.1 no", "250 2.0.0 ok"),
            ("450 4.2.1 no", "250 2.0.0 ok"),
            ("450 4.2.1 no", "550 5.1.1 no"),
        ):
            status, reply = self.answer(*replies)
            self.assertEqual((status, reply[:21]), (503, '451; message="4.0.0 o'))
            codes = [int(each[:3]) for each in replies]
            self.assertEqual([code for _, code, _ in self.last.results], codes)

    def test_alike(self) -> None:
        """One reply is given where it is true for all; texts that differ are told as well."""
        self.assertEqual(self.answer("250 2.0.0 ok", "250 2.0.0 ok")[0], 204)
        status, reply = self.answer("250 2.0.0 a", "250 2.0.0 b")
        self.assertEqual((status, reply), (200, '250; message="2.0.0 a"'))
        self.assertEqual([text for _, _, text in self.last.results], ["2.0.0 a", "2.0.0 b"])
        self.assertEqual(self.answer("550 5.1.1 a", "554 5.1.2 b"), (500, '550; message="5.1.1 a"'))
        self.assertEqual(self.answer("450 4.1.1 a", "451 4.1.2 b"), (503, '450; message="4.1.1 a"'))

    def test_queue_fails(self) -> None:
        """A queue that breaks its promises is an internal error, and no success."""
        results: list[Deferred[Sequence[Reply]]] = [
            fail(ZeroDivisionError()),
            succeed([]),
            succeed([Reply(250)] * 2),
        ]
        for result in results:
            self.setUp()
            self.edge(queue=Queue(result))
            heard = self.one(post())
            self.assertEqual((heard.status, heard.reply[:4]), (503, "451;"))
            self.flushLoggedErrors(ZeroDivisionError)

    def test_no_room(self) -> None:
        """No room for a message is told before its body is asked for."""
        self.edge(queue=Queue())
        heard = self.one(post("Expect: 100-continue", body=b"", length=1000))
        self.assertEqual((heard.status, heard.reply[:4]), (503, "452;"))

    def test_health(self) -> None:
        """Load balancers ask whether it lives (issue 5)."""
        self.edge(EdgeOptions(access=Access.parse(relay_from=["192.0.2.7"])))
        visitor = self.client(STRANGER)
        [got] = self.ask(visitor, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        self.assertEqual((got.status, got.body), (200, b"ok\n"))
        visitor.transport.write(b"HEAD /health?x HTTP/1.1\r\nHost: x\r\n\r\n")
        self.reactor.flush()
        self.assertTrue(visitor.octets.endswith(b"Content-Length: 3\r\n\r\n"))
        heard = self.one(b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        self.assertEqual((heard.status, heard.fields["allow"]), (405, "GET, HEAD"))


class LeavingTests(HttpEdgeCase):
    """Clients that leave."""

    def test_in_the_body(self) -> None:
        """What came of a message is forgotten."""
        self.edge()
        visitor = self.client()
        self.ask(visitor, post(length=1000))
        visitor.transport.abortConnection()
        self.reactor.flush()
        self.assertEqual(self.hop.envelopes, [])
        self.assert_nothing_left()

    def test_while_it_is_delivered(self) -> None:
        """The queue is told that nobody waits."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post())
        visitor.transport.abortConnection()
        self.reactor.flush()
        self.assertEqual(len(self.hop.waiting), 1)
        self.hop.answer()
        self.assert_nothing_left()

    def test_direct_deadline(self) -> None:
        """A client that waits is told when the attempt took too long."""
        options = EdgeOptions(timeouts=Timeouts(direct=20.0))
        queue = DirectQueue(self.runtime, self.hop, timeouts=options.timeouts)
        self.edge(options, queue)
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post())
        self.reactor.advance(21)
        self.assertEqual([each.status for each in self.heard(visitor)], [503])
