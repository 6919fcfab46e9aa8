# -*- test-case-name: tests.compare.test_clients -*-
"""How the words of clients become verdicts."""

from __future__ import annotations

import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.clients.driver import Task, everyone, peak, refused, refused_session, verdict


class DriverTests(SynchronousTestCase):
    """What the programs share."""

    def test_verdict(self) -> None:
        """The first digit of a reply decides; what is neither good nor for good is for now."""
        found = [verdict(code) for code in (250, 253, 299, 354, 450, 500, 599, 600, -1, 0)]
        wanted = ["delivered"] * 3 + ["deferred"] * 2 + ["failed"] * 2 + ["deferred"] * 3
        self.assertEqual(found, wanted)

    def test_refused(self) -> None:
        """An exception is never a success."""
        found = [refused(code) for code in (250, 354, 450, 550)]
        self.assertEqual(found, ["deferred"] * 3 + ["failed"])

    def test_refused_session(self) -> None:
        """Only 521 says of a session that no mail is ever taken (RFC 7504 3)."""
        found = [refused_session(code) for code in (421, 521, 554, 556)]
        self.assertEqual(found, ["deferred", "failed", "deferred", "deferred"])

    def test_everyone(self) -> None:
        """One verdict can hold for all recipients."""
        told = everyone(Task(25, 1.0, ["a@b", "c@d"], [Path("x")]), "failed", ValueError("y"))
        self.assertEqual((told.verdicts, told.detail), (["failed"] * 2, "ValueError: y"))

    def test_peak(self) -> None:
        """The size of this process is more than that of a large object in it."""
        octets = bytes([1]) * 30_000_000
        self.assertGreater(peak(), sys.getsizeof(octets) / 1024)
