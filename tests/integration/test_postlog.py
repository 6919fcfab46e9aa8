# -*- test-case-name: tests.integration.test_postlog -*-
"""Postfix's log is read line by line; only results count."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.postlog import Result, results

_LOG = """\
Nov 22 23:53:56 h postfix/cleanup[1668]: B807620C12D: message-id=<>
Nov 22 23:53:56 h postfix/qmgr[1661]: B807620C12D: from=<a@b>, size=168, nrcpt=2 (queue active)
Nov 22 23:53:56 h postfix/smtp[9]: B807620C12D: to=<c@d>, relay=127.0.0.1[127.0.0.1]:25, \
conn_use=2, delay=0.02, delays=0.01/0.01/0/0, dsn=2.0.0, status=sent (250 2.0.0 Ok (yes))
Nov 22 23:53:56 h postfix/lmtp[9]: B807620C12D: to=<e@f>, orig_to=<E@f>, relay=h[/run/x], \
delay=0.02, delays=0.01/0.01/0/0, dsn=4.2.2, status=deferred (host h[/run/x] said: 452 4.2.2 <e@f> \
full (in reply to end of DATA command))
Nov 22 23:53:56 h postfix/error[9]: B807620C12D: to=<">, x"@f>, relay=none, delay=0.02, \
delays=0.01/0.01/0/0, dsn=5.4.4, status=bounced (no host)
Nov 22 23:53:56 h postfix/qmgr[1661]: B807620C12D: removed
"""


class ResultsTests(SynchronousTestCase):
    """L{results} of a log."""

    def test_results(self) -> None:
        """Each recipient's line is read, with its parentheses and odd addresses."""
        queue_id = "B807620C12D"
        said = "host h[/run/x] said: 452 4.2.2 <e@f> full (in reply to end of DATA command)"
        relay = "127.0.0.1[127.0.0.1]:25"
        self.assertEqual(
            results(_LOG),
            [
                Result(queue_id, "c@d", relay, "2.0.0", "sent", "250 2.0.0 Ok (yes)"),
                Result(queue_id, "e@f", "h[/run/x]", "4.2.2", "deferred", said),
                Result(queue_id, '">, x"@f', "none", "5.4.4", "bounced", "no host"),
            ],
        )
