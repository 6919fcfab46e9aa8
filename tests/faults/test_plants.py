# -*- test-case-name: tests.faults.test_plants -*-
"""The matrix sees what is wrong: each of its parts finds a defect that was planted for it."""

# ruff: noqa: ANN401, ARG001, SLF001 - defects are planted inside, whatever is handed through

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed

from slimtwist.edge.channel import Channel as EdgeChannel
from slimtwist.edge.http.request import HttpRequest
from slimtwist.outcome import Outcome
from slimtwist.relay.http import exchange, reading
from slimtwist.relay.http.body import ContentBody
from slimtwist.smtp import transaction
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.session import Session
from slimtwist.testing import Cut
from tests.faults import (
    test_cuts_edges,
    test_cuts_http,
    test_cuts_smtp,
    test_replies,
    test_responses,
)


class PlantTests(SynchronousTestCase):
    """Defects, each in one place."""

    def assert_found(self, complaints: Iterator[str]) -> None:
        """Check that something is wrong."""
        found = next(complaints, None)
        self.assertIsNotNone(found, "the defect was not found")
        self.flushLoggedErrors()

    def test_never_ambiguous(self) -> None:
        """A cut behind the end of data would be told as a plain deferral (L4)."""
        trouble = Session.trouble

        def sure(session: Session, command: str, *, ambiguous: bool = False) -> Outcome:
            return trouble(session, command)

        self.patch(Session, "trouble", sure)
        self.assert_found(test_cuts_smtp.complaints("lock-step", "down", Cut.FIN))

    def test_early_end_of_data(self) -> None:
        """The end of data would leave with the message: cuts before it look ambiguous (L4)."""

        async def hasty(channel: Channel, blocks: Any) -> None:
            channel.transport.write(b"".join(blocks))

        self.patch(Channel, "send_body", hasty)
        self.assert_found(test_cuts_smtp.complaints("pipelined", "up", Cut.RST))

    def test_success_of_data(self) -> None:
        """A 2yz to DATA would be taken for 354 (L1, PEER-25)."""
        judge = transaction.Transaction._judge

        def lenient(each: transaction.Transaction, replies: list[bytes]) -> bool:
            ends = [reply.replace(b"250", b"354") for reply in replies[-1:]]
            return judge(each, [*replies[:-1], *ends])

        self.patch(transaction.Transaction, "_judge", lenient)
        self.assert_found(test_replies.complaints("lock_step"))

    def test_lost_refusal(self) -> None:
        """What is said of the second recipient would be lost (L2)."""
        heed = transaction.Transaction._heed

        def deaf(each: Any, positions: Any, command: str, reply: bytes) -> None:
            heed(each, positions, command, b"250 ok" if command == "RCPT" else reply)

        self.patch(transaction.Transaction, "_heed", deaf)
        self.assert_found(test_replies.complaints("pipelined"))

    def test_hasty_edge(self) -> None:
        """A message would be handed on when its client leaves in the middle (L1)."""
        lost = EdgeChannel.connectionLost

        def hasty(channel: EdgeChannel, reason: Any) -> None:
            channel.dataReceived(b"\r\n.\r\n")
            lost(channel, reason)

        self.patch(EdgeChannel, "connectionLost", hasty)
        self.assert_found(test_cuts_edges.complaints("DATA", "up", Cut.FIN))

    def test_hasty_http_edge(self) -> None:
        """A body that was cut off would be a message (L1)."""
        lost = HttpRequest.connectionLost

        def hasty(request: Any, reason: Any) -> None:
            if request._intake is not None:
                request._intake.end()
            lost(request, reason)

        self.patch(HttpRequest, "connectionLost", hasty)
        self.assert_found(test_cuts_edges.complaints("HTTP", "up", Cut.RST))

    def test_hasty_request(self) -> None:
        """A request would count as sent when it is written to our own buffers (L4, HTR-11)."""
        write = ContentBody._write

        def hasty(body: ContentBody, consumer: Any, block: bytes) -> None:
            write(body, consumer, block)
            body.finished = True

        self.patch(ContentBody, "_write", hasty)
        self.assert_found(test_cuts_http.complaints("up", Cut.RST))

    def test_half_a_response(self) -> None:
        """A response would count before its end (L1, HTR-12)."""

        async def hasty(answer: Any, limit: int) -> bytes:
            try:
                return await reading.read(answer, limit)
            except ResponseFailed:
                return b""

        self.patch(exchange, "read", hasty)
        self.assert_found(test_responses.broken(lambda transport: transport.loseConnection()))
