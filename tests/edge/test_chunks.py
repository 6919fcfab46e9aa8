# -*- test-case-name: tests.edge.test_chunks -*-
"""Tests of BDAT in a transaction."""

from __future__ import annotations

import errno

from slimtwist.edge.options import EdgeOptions
from slimtwist.limits import Limits
from tests.edge.spool import MAIL, Spool, TransactionTestCase


class Chunks(TransactionTestCase):
    """BDAT."""

    def test_message(self) -> None:
        """Chunks are put together as they are; only the last makes a message (RFC 3030, MSG-03)."""
        self.edge()
        visitor = self.met()
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 9\r\n.\r\n..\r\nabBDAT 3 LAST\r\n\r\n."
        self.assertEqual(self.codes(visitor, said)[2:], ["250 2.0.0", "250 2.0.0"])
        self.assertTrue(self.hop.messages[0].endswith(b"+0000\r\n.\r\n..\r\nab\r\n."))
        self.assertEqual(len(self.hop.messages), 1)

    def test_line_end_split(self) -> None:
        """A line end may be split by chunks (SMI-20)."""
        self.edge()
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 2\r\na\rBDAT 3\r\n\nb\rBDAT 1 LAST\r\n\n"
        self.assertEqual(self.codes(self.met(), said)[-1], "250 2.0.0")
        self.assertTrue(self.hop.messages[0].endswith(b"\r\na\r\nb\r\n"))

    def test_bare(self) -> None:
        """Bare newlines are 521 here too, at once (SMI-20)."""
        self.edge()
        for chunks in (b"BDAT 3\r\n\n.\n", b"BDAT 2\r\na\rBDAT 1\r\nb", b"BDAT 1 LAST\r\n\n"):
            visitor = self.met()
            codes = self.codes(visitor, MAIL + b"RCPT TO:<c@d>\r\n" + chunks)
            self.assertEqual(codes[-1], "521 5.5.2")
            self.assertIsNotNone(visitor.lost)

    def test_bare_at_the_end(self) -> None:
        """A CR at the end of the last chunk is alone (SMI-20)."""
        self.edge()
        codes = self.codes(self.met(), MAIL + b"RCPT TO:<c@d>\r\nBDAT 2 LAST\r\na\r")
        self.assertEqual(codes[-1], "521 5.5.2")

    def test_normalized(self) -> None:
        """Normalized, they are line ends, also where chunks split them (SMI-20)."""
        self.edge(EdgeOptions(bare_newline="normalize"))
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 3\r\n\na\rBDAT 4 LAST\r\n\n\rb\r"
        self.assertEqual(self.codes(self.met(), said)[-1], "250 2.0.0")
        self.assertTrue(self.hop.messages[0].endswith(b"+0000\r\n\r\na\r\n\r\nb\r\n"))

    def test_misplaced(self) -> None:
        """Where it may not come it is 503, and its octets are no commands (SMI-22)."""
        self.edge()
        evil = b"BDAT 6\r\nQUIT\r\n"
        for before in (b"", MAIL):
            visitor = self.met()
            self.say(visitor, before)
            self.assertEqual(self.codes(visitor, evil + b"NOOP\r\n"), ["503 5.5.1", "250 2.0.0"])

    def test_mixed(self) -> None:
        """After a chunk DATA and RCPT are 503, and the message can go on (SMI-22)."""
        self.edge()
        visitor = self.met()
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 1\r\naDATA\r\nRCPT TO:<e@f>\r\nBDAT 1 LAST\r\nb"
        codes = self.codes(visitor, said)[2:]
        self.assertEqual(codes, ["250 2.0.0", "503 5.5.1", "503 5.5.1", "250 2.0.0"])
        self.assertTrue(self.hop.messages[0].endswith(b"+0000\r\nab"))

    def test_failed(self) -> None:
        """After a chunk that failed others are 503, and read all the same (SMI-22)."""
        self.edge(EdgeOptions(limits=Limits(message=10)))
        visitor = self.met()
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 11\r\n" + b"a" * 11
        said += b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n"
        self.assertEqual(self.codes(visitor, said)[2:], ["552 5.3.4", "503 5.5.1", "503 5.5.1"])
        self.assertEqual(self.send(visitor, body=b"ok\r\n")[-1][:9], "250 2.0.0")

    def test_no_room_for_the_first(self) -> None:
        """What follows a chunk that could not be kept is no message, room or not (L8, OS-03)."""
        spool = Spool("250 2.0.0 queued")
        self.edge(queue=spool)
        visitor = self.met()
        spool.sink_error = OSError(errno.ENOSPC, "full")
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 6\r\nQUIT\r\n"
        self.assertEqual(self.codes(visitor, said)[2:], ["452 4.3.1"])
        spool.sink_error = None
        self.assertEqual(self.codes(visitor, b"BDAT 6 LAST\r\nQUIT\r\n"), ["503 5.5.1"])
        self.assertEqual(spool.envelopes, [])

    def test_no_room_for_the_last(self) -> None:
        """In LMTP the last chunk has a reply for each recipient, also when it was not kept."""
        spool = Spool("250 2.0.0 queued")
        spool.sink_error = OSError(errno.ENOSPC, "full")
        self.edge(EdgeOptions(lmtp=True), queue=spool)
        said = MAIL + b"RCPT TO:<c@d>\r\nRCPT TO:<e@f>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
        codes = self.codes(self.met(), said)[3:]
        self.assertEqual(codes, ["452 4.3.1", "452 4.3.1", "250 2.0.0"])

    def test_malformed(self) -> None:
        """A size that is none ends the session: nobody knows where commands begin again."""
        self.edge()
        visitor = self.met()
        codes = self.codes(visitor, MAIL + b"RCPT TO:<c@d>\r\nBDAT x\r\nQUIT\r\n")
        self.assertEqual(codes[2:], ["501 5.5.4"])
        self.assertIsNotNone(visitor.lost)

    def test_dropped(self) -> None:
        """RSET between chunks drops the message."""
        self.edge()
        said = MAIL + b"RCPT TO:<c@d>\r\nBDAT 1\r\naRSET\r\nBDAT 1 LAST\r\nb"
        self.assertEqual(self.codes(self.met(), said)[-2:], ["250 2.0.0", "503 5.5.1"])
        self.assertEqual(self.hop.messages, [])
