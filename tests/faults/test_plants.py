# -*- test-case-name: tests.faults.test_plants -*-
"""The matrix sees what is wrong: each of its parts finds a defect that was planted for it."""

# ruff: noqa: ANN401, ARG001, SLF001 - defects are planted inside, whatever is handed through

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from unittest import TestResult

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed

from slimtwist import exchangers, reply, smtpreply
from slimtwist.edge import body
from slimtwist.edge.channel import Channel as EdgeChannel
from slimtwist.edge.http import header
from slimtwist.edge.http.request import HttpRequest
from slimtwist.outcome import Outcome
from slimtwist.queue import direct
from slimtwist.relay.http import exchange, reading
from slimtwist.relay.http.body import ContentBody
from slimtwist.smtp import transaction, wire
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.session import Session
from slimtwist.testing import Cut
from tests.faults import (
    test_cuts_edges,
    test_cuts_http,
    test_cuts_smtp,
    test_fuzz,
    test_fuzz_names,
    test_fuzz_sessions,
    test_fuzz_values,
    test_replies,
    test_responses,
    test_through,
    test_work,
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
        self.assert_found(test_replies.complaints("used_pipelined"))

    def test_all_is_well(self) -> None:
        """A client would be told a success for what is to be tried again (L1, OUT-01)."""

        def promised(outcome: Outcome) -> reply.Reply:
            failed = outcome.reply.permanent
            return outcome.reply if failed else reply.Reply.parse("250 2.0.0 ok")

        self.patch(direct, "promised", promised)
        self.assert_found(test_through.cuts(Cut.FIN))

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

        def hasty(each: ContentBody, consumer: Any, block: bytes) -> None:
            write(each, consumer, block)
            each.finished = True

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


class FuzzPlantTests(SynchronousTestCase):
    """Defects that hostile octets find."""

    def assert_fails(self, case: SynchronousTestCase) -> None:
        """Check that a test fails now, which passes otherwise."""
        result = TestResult()
        case.run(result)
        self.assertEqual((result.testsRun, result.wasSuccessful()), (1, False))

    def test_split_end_of_data(self) -> None:
        """The end of data would be missed where octets are split in it (SMI-01)."""
        self.patch(wire, "_prefix_length", lambda _: 0)
        self.assert_fails(test_fuzz.WireTests("test_messages"))

    def test_split_code(self) -> None:
        """A reply would be read anew at each piece of it (PEER-31)."""
        feed = wire.ReplyReader.feed

        def forgetful(reader: wire.ReplyReader, octets: bytes) -> list[bytes]:
            replies = feed(reader, octets)
            reader._rest = reader._rest[-2:]
            return replies

        self.patch(wire.ReplyReader, "feed", forgetful)
        self.assert_fails(test_fuzz.WireTests("test_replies"))

    def test_control_characters(self) -> None:
        """What a host says would be kept as it is (INJ-11)."""
        self.patch(reply, "printable", lambda text: text)
        self.assert_fails(test_fuzz.WireTests("test_safe_replies"))

    def test_quotes(self) -> None:
        """A reply would be written to HTTP without quotes (INJ-12)."""
        self.patch(smtpreply, "_quoted", lambda text: f'"{text}"')
        self.assert_fails(test_fuzz_values.ValueTests("test_smtp_reply"))

    def test_lenient_end(self) -> None:
        """A dot between line ends of another kind would end a message (SMI-01)."""

        class Lenient(wire.DotReader):
            def feed(self, octets: bytes) -> tuple[bytes, bytes | None]:
                return super().feed(octets.replace(b"\n.\n", b"\r\n.\r\n"))

        self.patch(body, "DotReader", Lenient)
        self.assert_fails(test_fuzz_sessions.EdgeSessionTests("test_smtp"))

    def test_any_exchanger(self) -> None:
        """Anything that a name server says would be an exchanger (L5)."""
        self.patch(exchangers, "is_host", lambda _: True)
        self.assert_fails(test_fuzz_names.NameServerTests("test_answers"))

    def test_white_space(self) -> None:
        """White space would be searched again from each of its octets (L7)."""
        self.patch(header, "_SEPARATOR", re.compile(r"\s*[,;]\s*"))
        self.assert_fails(test_work.ProcessorTests("test_requests"))

    def test_all_again(self) -> None:
        """What came before would be looked at again with each octet (L7)."""
        feed = wire.DotReader.feed

        def thorough(reader: Any, octets: bytes) -> tuple[bytes, bytes | None]:
            reader.seen = getattr(reader, "seen", b"") + octets
            reader.seen.count(b"\r")
            return feed(reader, octets)

        self.patch(wire.DotReader, "feed", thorough)
        self.assert_fails(test_work.CountTests("test_readers"))
