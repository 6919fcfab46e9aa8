# -*- test-case-name: tests.smtp.test_secret -*-
"""Tests of reading files that hold secrets."""

from __future__ import annotations

from pathlib import Path

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.secret import read_file, read_secret


class SecretTests(SynchronousTestCase):
    """What is read, and what is said about it."""

    def setUp(self) -> None:
        """Make a file."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"secret\n")

    def test_private(self) -> None:
        """A file that its owner, or his group, may read is read without a word."""
        with capturedLogs() as events:
            for mode in (0o600, 0o640):
                self.path.chmod(mode)
                self.assertEqual(read_secret(str(self.path)), b"secret\n")
        self.assertEqual(events, [])

    def test_public(self) -> None:
        """A file that everybody may read is read with a warning, which does not quote it."""
        self.path.chmod(0o644)
        with capturedLogs() as events:
            self.assertEqual(read_secret(self.path), b"secret\n")
        (event,) = events
        self.assertEqual((event["log_level"], event["path"]), (LogLevel.warn, str(self.path)))
        self.assertNotIn("secret\n", repr(event))

    def test_unreadable(self) -> None:
        """A file that cannot be read is named, with the fault."""
        missing = str(self.path) + "x"
        for read in (read_file, read_secret):
            error = self.assertRaises(ValueError, read, missing)
            self.assertEqual(str(error), f"{missing}: No such file or directory")
            error = self.assertRaises(ValueError, read, str(self.path.parent))
            self.assertEqual(str(error), f"{self.path.parent}: Is a directory")
            error = self.assertRaises(ValueError, read, "")
            self.assertEqual(str(error), "the path of the file is missing")
