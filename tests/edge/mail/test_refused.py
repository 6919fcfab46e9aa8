# -*- test-case-name: tests.edge.mail.test_refused -*-
"""Replies as the errors of twisted.mail's server."""

from __future__ import annotations

from twisted.mail.smtp import SMTPBadRcpt, SMTPServerError
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.mail.refused import Refused, reply_of
from slimtwist.edge.replies import RELAY_DENIED, TOO_LARGE
from slimtwist.reply import Reply


class RefusedTests(SynchronousTestCase):
    """From replies, and to replies."""

    def test_address(self) -> None:
        """For a sender or a recipient the text is a str; each line has the enhanced code."""
        error = Refused.address(Reply(450, "4.7.1", ("one", "two \xe4")))
        self.assertEqual((error.code, error.resp), (450, "4.7.1 one\n4.7.1 two \\xe4"))
        self.assertEqual(Refused.address(RELAY_DENIED).resp, "5.7.1 relaying denied")

    def test_message(self) -> None:
        """For a message it is bytes."""
        error = Refused.message(TOO_LARGE)
        self.assertEqual((error.code, error.resp), (552, b"5.3.4 message too large"))

    def test_back(self) -> None:
        """What is told of an error is the reply that it means."""
        for error, wanted in (
            (Refused.message(TOO_LARGE), "552 5.3.4 message too large"),
            (SMTPBadRcpt(b"a@b", 451, "4.2.1 later\n4.2.1 or never"), "451 4.2.1 later or never"),
            (SMTPServerError(550, b"no \xff"), "550 5.0.0 no \ufffd"),
            (SMTPServerError(450, ""), "450 4.0.0"),
        ):
            self.assertEqual(str(reply_of(error)), wanted)

    def test_unknown(self) -> None:
        """Other errors mean none, and neither does one that is no refusal."""
        self.assertIsNone(reply_of(ValueError()))
        self.assertIsNone(reply_of(SMTPServerError(250, b"what")))
        self.assertIsNone(reply_of(None))
