# -*- test-case-name: tests.faults.test_tapes -*-
"""The witness reads what went over a wire as it was."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.tapes import Tape, in_clear

CLEAR = b"MAIL\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"


class TapeTests(SynchronousTestCase):
    """Where things are on a tape."""

    def test_clear(self) -> None:
        """In clear each octet counts when it has come."""
        tape = Tape.of(CLEAR)
        self.assertEqual(tape.said, CLEAR)
        self.assertEqual(tape.messages(), [(12, 13, 18)])

    def test_records(self) -> None:
        """In TLS an octet counts when its record is complete; half a record says nothing."""
        hello = b"\x16\x03\x03\x00\x02hi"
        octets = b"STARTTLS\r\n" + hello + b"\x17\x03\x03\x00\x03250\x17\x03\x03\x00\x03ab"
        tape = Tape.of(octets)
        self.assertEqual(tape.said, b"STARTTLS\r\n250")
        self.assertEqual((tape.begins[-1], tape.ends[-1]), (17, 25))
        self.assertEqual(in_clear(octets), b"STARTTLS\r\n")

    def test_answers(self) -> None:
        """The answers to an end of data are those behind 354 that say so, as many as there are."""
        tape = Tape.of(b"220 hi\r\n354 go\r\n250 taken\r\n250 taken\r\n250 ok\r\n")
        self.assertEqual(tape.answers(2), [(16, [27, 38])])
