# -*- test-case-name: tests.testing.test_threads -*-
"""Threads in memory: work given to them is done in a turn, and its result told."""

from __future__ import annotations

from threading import current_thread

from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.testing import MemoryReactor


class ThreadTests(SynchronousTestCase):
    """The pool of a reactor."""

    def setUp(self) -> None:
        """Make it."""
        self.reactor = MemoryReactor()
        self.calls: list[object] = []

    def test_provides(self) -> None:
        """The reactor offers threads as Twisted's do."""
        verifyObject(IReactorThreads, self.reactor)
        self.reactor.suggestThreadPoolSize(5)

    def test_result(self) -> None:
        """A result comes in a later turn, from the thread of the test."""
        pool = self.reactor.getThreadPool()
        deferToThreadPool(self.reactor, pool, self.calls.append, "x")
        self.assertEqual(self.calls, [])
        done = deferToThreadPool(self.reactor, pool, current_thread)
        self.assertNoResult(done)
        self.assertIs(self.reactor.wait(done), current_thread())
        self.assertEqual(self.reactor.seconds(), 0)

    def test_failure(self) -> None:
        """What the work raises comes as a failure."""
        done = deferToThreadPool(self.reactor, self.reactor.getThreadPool(), int, "x")
        self.assertRaises(ValueError, self.reactor.wait, done)

    def test_without_result(self) -> None:
        """Work may be nobody's concern; what it raises is logged."""
        self.reactor.callInThread(self.calls.append, "x")
        self.reactor.getThreadPool().callInThreadWithCallback(None, int, "y")
        self.assertEqual(self.calls, [])
        self.reactor.flush()
        self.assertEqual(self.calls, ["x"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
