# -*- test-case-name: tests.edge.test_setting -*-
"""Tests of what follows from an edge's options and queue."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.setting import Setting
from slimtwist.interfaces import IQueue
from slimtwist.limits import Limits
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from tests.edge.spool import Spool
from tests.edge.world import NextHop


class Settings(SynchronousTestCase):
    """Which offers there are."""

    def setting(self, queue: IQueue, *, lmtp: bool) -> Setting:
        """Return what follows."""
        limits = Limits(message=123, recipients=45)
        return Setting.of(Runtime(Clock()), queue, EdgeOptions(lmtp=lmtp, limits=limits))

    def test_direct(self) -> None:
        """Before a direct queue SMTP takes one recipient, LMTP many; neither has DSN (ING-24)."""
        queue = DirectQueue(Runtime(Clock()), NextHop())
        for lmtp, recipients in [(False, 1), (True, 45)]:
            setting = self.setting(queue, lmtp=lmtp)
            self.assertEqual(setting.recipients, recipients)
            self.assertEqual((setting.offer.one_recipient, setting.offer.dsn), (not lmtp, False))
            self.assertEqual(setting.offer.size, 123)

    def test_spool(self) -> None:
        """Before a queue that answers for all at once both take many, with DSN."""
        for lmtp in (False, True):
            setting = self.setting(Spool(), lmtp=lmtp)
            self.assertEqual(setting.recipients, 45)
            self.assertEqual((setting.offer.one_recipient, setting.offer.dsn), (False, True))
