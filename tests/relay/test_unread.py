# -*- test-case-name: tests.relay.test_unread -*-
"""What is left in a pipe is seen, if that is wanted."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.unread import Unread


class UnreadTests(SynchronousTestCase):
    """A pipe, and who looks at it."""

    def setUp(self) -> None:
        """Make a pipe."""
        self.reading, self.writing = os.pipe()
        self.addCleanup(os.close, self.reading)

    def left(self, count: int, *, wanted: bool = True, read: int = 0) -> bool:
        """Write so many octets, read some, and tell what is said of it."""
        unread = Unread(wanted=wanted)
        unread.watch(self.writing)
        os.write(self.writing, b"x" * count)
        os.close(self.writing)
        os.read(self.reading, read)
        told = unread.close()
        self.assertTrue(unread.close())  # nothing is open any more
        return told

    def test_all(self) -> None:
        """All was read."""
        self.assertTrue(self.left(1000, read=1000))

    def test_nothing(self) -> None:
        """There was nothing to read."""
        self.assertTrue(self.left(0))

    def test_some(self) -> None:
        """One octet was left."""
        self.assertFalse(self.left(1000, read=999))

    def test_much(self) -> None:
        """A count whose lowest octet is 0 is one."""
        self.assertFalse(self.left(65536))

    def test_not_wanted(self) -> None:
        """Nobody looks where nobody asked."""
        self.assertTrue(self.left(1000, wanted=False))

    def test_no_descriptor(self) -> None:
        """That there is nothing to look at is an error."""
        os.close(self.writing)
        self.assertRaises(OSError, Unread(wanted=True).watch, self.writing)
