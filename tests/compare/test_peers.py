# -*- test-case-name: tests.compare.test_peers -*-
"""Who is compared."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.peers import PEERS


class PeerTests(SynchronousTestCase):
    """The list of clients."""

    def test_programs(self) -> None:
        """Each has a program of its own, which is there, and says how it is configured."""
        modules = {each.module for each in PEERS}
        self.assertEqual(len(modules), len(PEERS))
        for each in PEERS:
            self.assertIsNotNone(find_spec(f"tests.compare.clients.{each.module}"))
            self.assertTrue(each.configured)

    def test_versions(self) -> None:
        """What comes from PyPI has exactly one version."""
        for each in PEERS:
            for requirement in each.requirements:
                self.assertRegex(requirement, r"^[a-z-]+==[\d.]+$")

    def test_python(self) -> None:
        """Those without requirements run in our own environment; the others do not."""
        own = {each.name for each in PEERS if not each.requirements}
        self.assertEqual(own, {"slimtwist", "smtplib", "Postfix"})
        self.assertEqual({each.python() for each in PEERS if each.name in own}, {sys.executable})
