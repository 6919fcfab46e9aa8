# -*- test-case-name: tests.edge.http.test_repeats -*-
"""Requests that come again (HTI-07)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import Content
from slimtwist.edge.auth import portal
from slimtwist.edge.http.identity import TokenFile
from slimtwist.edge.http.repeats import KEPT, AnotherMessage, Repeats
from slimtwist.edge.options import EdgeOptions
from slimtwist.envelope import Envelope
from slimtwist.reply import Reply
from tests.edge.http.world import MESSAGE, HttpEdgeCase, post

OK = [Reply.parse("250 2.0.0 ok")]
LATER = [Reply.parse("450 4.2.1 later")]
KEY = "Idempotency-Key: one"


class RepeatsTests(SynchronousTestCase):
    """The memory of keys."""

    def setUp(self) -> None:
        """Know nothing."""
        self.clock = Clock()
        self.running: list[Deferred[Sequence[Reply]]] = []
        self.repeats = Repeats(self.clock, self.submit, most=3)

    def submit(self, envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Begin."""
        self.running.append(Deferred())
        return self.running[-1]

    def ask(self, key: str, digest: bytes = b"") -> Deferred[Sequence[Reply]]:
        """Submit a message."""
        return self.repeats.submit(key, digest, Envelope.parse("a@b", ["c@d"], MESSAGE))

    def test_joined(self) -> None:
        """One under way is joined; all get the outcome."""
        asked = [self.ask("a") for _ in range(3)]
        self.assertEqual(len(self.running), 1)
        self.running[0].callback(LATER)
        self.assertEqual([self.successResultOf(each) for each in asked], [LATER] * 3)

    def test_content(self) -> None:
        """The content of a message that is not submitted again is given back."""
        for digest in (b"", b"another"):
            self.setUp()
            self.ask("a")
            content = Content.read(BytesIO(MESSAGE), threshold=0)
            envelope = replace(Envelope.parse("a@b", ["c@d"], b""), content=content)
            with contextlib.suppress(AnotherMessage):
                self.repeats.submit("a", digest, envelope)
            assert not isinstance(content.body, bytes)
            self.assertTrue(content.body.closed)

    def test_kept(self) -> None:
        """A success is kept for a day, everything else is forgotten at once."""
        for result, times in ((OK, 1), (LATER, 2), ([*OK, *LATER], 2)):
            self.setUp()
            self.ask("a")
            self.running[0].callback(result)
            self.clock.advance(KEPT - 1)
            self.ask("a")
            self.assertEqual(len(self.running), times)
        self.setUp()
        self.ask("a")
        self.running[0].callback(OK)
        self.clock.advance(KEPT)
        self.assertNoResult(self.ask("a"))
        self.assertEqual(len(self.repeats), 1)

    def test_another(self) -> None:
        """A key stands for one message."""
        self.ask("a", b"1")
        self.assertRaises(AnotherMessage, self.ask, "a", b"2")
        self.running[0].callback(OK)
        self.assertRaises(AnotherMessage, self.ask, "a", b"2")
        self.assertNoResult(self.ask("b", b"2"))

    def test_failed(self) -> None:
        """A queue that fails is told of, and forgotten."""
        asked = [self.ask("a"), self.ask("a")]
        self.running[0].errback(ZeroDivisionError())
        for each in asked:
            self.failureResultOf(each, ZeroDivisionError)
        self.assertEqual(len(self.repeats), 0)

    def test_bounded(self) -> None:
        """Only so many are kept; the oldest goes first (L6)."""
        for key in "abcd":
            self.ask(key)
            self.running[-1].callback(OK)
        self.assertEqual(len(self.repeats), 3)
        self.assertNoResult(self.ask("a"))
        self.assertEqual(self.successResultOf(self.ask("b")), OK)

    def test_room(self) -> None:
        """And only so much."""
        self.repeats = Repeats(self.clock, self.submit, room=10_000)
        for key in "abcdefgh":
            self.ask(key)
            self.running[-1].callback([Reply(250, "2.0.0", ("x" * 1000,))])
        self.assertEqual(len(self.repeats), 2)

    def test_nobody_waits(self) -> None:
        """An attempt that nobody waits for goes on, and can be joined again; until the end."""
        asked = self.ask("a")
        asked.addErrback(lambda failure: failure.trap(CancelledError))
        asked.cancel()
        self.repeats.stop()
        self.assertTrue(self.running[0].called)
        self.setUp()
        asked = self.ask("a").addErrback(lambda failure: failure.trap(CancelledError))
        asked.cancel()
        again = self.ask("a")
        self.repeats.stop()
        self.running[0].callback(OK)
        self.assertEqual(self.successResultOf(again), OK)


class EdgeTests(HttpEdgeCase):
    """At the edge."""

    def test_under_way(self) -> None:
        """A message is delivered once, whether the second request comes early or late."""
        self.edge()
        self.hop.slow = True
        first, second = self.client(), self.client()
        self.assertEqual(self.ask(first, post(KEY)), [])
        self.assertEqual(self.ask(second, post(KEY, "Accept: application/json")), [])
        self.hop.answer("250 2.0.0 queued as 1")
        self.reactor.flush()
        for visitor, status in ((first, 204), (second, 200), (self.client(), 204)):
            if status == 204 and visitor is not first:
                visitor.transport.write(post(KEY))
                self.reactor.flush()
            [heard] = self.heard(visitor)
            self.assertEqual((heard.status, heard.reply[-18:]), (status, '2.0.0 queued as 1"'))
        self.assertEqual(len(self.hop.envelopes), 1)

    def test_lost(self) -> None:
        """A client that lost its connection learns from the second request what became of it."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post(KEY))
        visitor.transport.abortConnection()
        self.reactor.flush()
        again = self.client()
        self.assertEqual(self.ask(again, post(KEY)), [])
        self.hop.answer()
        self.reactor.flush()
        self.assertEqual([each.status for each in self.heard(again)], [204])
        self.assertEqual(len(self.hop.envelopes), 1)

    def test_retried(self) -> None:
        """What was refused or deferred is tried again."""
        self.edge()
        for number, answer in enumerate(("450 4.2.1 later", "550 5.1.1 no", "250 2.0.0 ok"), 1):
            self.hop.answers = (answer,)
            self.assertEqual(self.one(post(KEY)).reply[:3], answer[:3])
            self.assertEqual(len(self.hop.envelopes), number)

    def test_another(self) -> None:
        """Another body, sender or recipient under the same key is 422."""
        self.edge()
        self.one(post(KEY))
        for request in (
            post(KEY, body=MESSAGE + b"x\r\n"),
            post(KEY, sender="x@example.org"),
            post(KEY, recipients=["c@example.net"]),
            post(KEY, recipients=["b@example.net", "b@example.net"]),
        ):
            heard = self.one(request)
            self.assertEqual((heard.status, heard.reply[:4]), (422, "554;"))
        self.assertEqual(len(self.hop.envelopes), 1)

    def test_clients(self) -> None:
        """Keys of different clients have nothing to do with each other."""
        path = Path(self.mktemp())
        path.write_text("me:0123456789abcdef\nyou:fedcba9876543210\n")
        self.edge(EdgeOptions(portal=portal([TokenFile(str(path))])))
        for fields in (
            [],
            ["Authorization: Bearer 0123456789abcdef"],
            ["Authorization: Bearer fedcba9876543210"],
        ):
            for _ in range(2):
                body = MESSAGE + str(fields).encode() + b"\r\n"
                self.assertEqual(self.one(post(KEY, *fields, body=body)).status, 204)
        self.assertEqual(len(self.hop.envelopes), 3)

    def test_stop(self) -> None:
        """What nobody waits for is given up when the edge stops."""
        self.edge()
        self.hop.slow = True
        visitor = self.client()
        self.ask(visitor, post(KEY))
        visitor.transport.abortConnection()
        self.reactor.flush()
        begun = self.reactor.seconds()
        self.reactor.wait(self.factory.stop())
        self.reactor.wait(self.queue.stop())
        self.assertEqual(self.hop.cancelled, 1)
        self.assertEqual(self.reactor.seconds(), begun)
