# -*- test-case-name: tests.edge.mail.test_verdict -*-
"""One reply for all receivers of a message."""

from __future__ import annotations

from twisted.mail.smtp import SMTPServerError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.mail.verdict import meaning, verdict
from slimtwist.reply import Reply

FULL = (False, Failure(SMTPServerError(452, b"4.2.2 full")))
GONE = (False, Failure(SMTPServerError(550, b"5.1.1 gone")))
KEPT = (True, Reply.parse("250 2.0.0 kept"))
OTHER = (True, "/a/file")


class VerdictTests(SynchronousTestCase):
    """Of results of all kinds."""

    def test_order(self) -> None:
        """A success is for all or none, and what will pass outdoes what will not (L1, L2)."""
        for results, wanted in (
            ([KEPT], "250 2.0.0 kept"),
            ([OTHER], "250 2.0.0 taken"),
            ([], "250 2.0.0 taken"),
            ([KEPT, GONE], "550 5.1.1 gone"),
            ([GONE, FULL], "452 4.2.2 full"),
            ([FULL, GONE, KEPT], "452 4.2.2 full"),
            ([KEPT, (True, [OTHER, (True, [KEPT, FULL])])], "452 4.2.2 full"),
        ):
            self.assertEqual(str(verdict(results)), wanted)

    def test_error(self) -> None:
        """An error that says no reply is logged, and its client may come again (L2)."""
        self.assertEqual(str(meaning(Failure(OSError("disk")))), "451 4.3.0 internal error")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
