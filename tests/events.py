# -*- test-case-name: tests.test_events -*-
"""A log observer for tests."""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer


@implementer(ILogObserver)
class Events(list[LogEvent]):
    """The events that were logged."""

    def __call__(self, event: LogEvent) -> None:
        """Keep it."""
        self.append(event)

    @classmethod
    def of(cls, test: SynchronousTestCase) -> Events:
        """Return what is logged while a test runs."""
        events = cls()
        globalLogPublisher.addObserver(events)
        test.addCleanup(globalLogPublisher.removeObserver, events)
        return events

    @property
    def attempts(self) -> list[LogEvent]:
        """The events of finished attempts."""
        return [event for event in self if "verdict" in event]
