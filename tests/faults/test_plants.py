# -*- test-case-name: tests.faults.test_plants -*-
"""The matrix sees what is wrong: each of its parts finds a defect that was planted for it."""

# ruff: noqa: ANN401, ARG001, SLF001 - defects are planted inside, whatever is handed through

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Outcome
from slimtwist.smtp import transaction
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.session import Session
from slimtwist.testing import Cut
from tests.faults import test_cuts_smtp, test_replies


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
