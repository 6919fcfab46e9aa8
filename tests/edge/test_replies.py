# -*- test-case-name: tests.edge.test_replies -*-
"""Tests of the edge's own replies."""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge import replies
from slimtwist.edge.replies import INTERNAL, NO_ROOM, Refusal, storage_trouble
from slimtwist.reply import Reply


class Replies(SynchronousTestCase):
    """All of them."""

    def test_form(self) -> None:
        """Each is one line with an enhanced code of its class, as was offered (RFC 2034 4)."""
        octets = [each for each in vars(replies).values() if isinstance(each, bytes)]
        self.assertGreater(len(octets), 50)
        for each in octets:
            self.assertEqual(each.count(b"\r\n"), 1, each)
            reply = Reply.received(each)
            self.assertEqual(reply.encode(), each)
            self.assertTrue(reply.text, each)
            self.assertEqual(bool(reply.enhanced), reply.code != 354, each)

    def test_refusal(self) -> None:
        """A refusal carries its reply, and ends nothing unless it says so."""
        self.assertEqual(Refusal(INTERNAL).reply, INTERNAL)
        self.assertFalse(Refusal(INTERNAL).fatal)
        self.assertTrue(Refusal(INTERNAL, fatal=True).fatal)

    def test_storage(self) -> None:
        """A full disk is told from a broken one (OS-03)."""
        self.assertEqual(storage_trouble(OSError(errno.ENOSPC, "")), NO_ROOM)
        self.assertEqual(storage_trouble(OSError(errno.EIO, "")), INTERNAL)
        self.assertEqual(storage_trouble(OSError("no number")), INTERNAL)
