# -*- test-case-name: tests.test_settings -*-
"""A relay finds its operator's limits and waits in the runtime, or the usual ones."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.limits import Limits, Timeouts
from slimtwist.runtime import Runtime
from slimtwist.settings import Settings


class SettingsTests(SynchronousTestCase):
    """Settings are a runtime, and every runtime has settings."""

    def test_of_runtime(self) -> None:
        """A plain runtime has the defaults, and stays what it is otherwise."""
        runtime = Runtime("reactor", hostname="relay.example", random=Random(1))
        settings = Settings.of(runtime)
        self.assertEqual((settings.limits, settings.timeouts), (Limits(), Timeouts()))
        for name in ("reactor", "hostname", "random", "resolver"):
            self.assertIs(getattr(settings, name), getattr(runtime, name))

    def test_of_settings(self) -> None:
        """What an operator chose is kept."""
        settings = Settings("reactor", timeouts=Timeouts(final=1.0))
        self.assertIs(Settings.of(settings), settings)
