# -*- test-case-name: tests.compare.test_run -*-
"""A dialogue with a client in a process of its own."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.dialogue import FOLDER, load
from tests.compare.peers import PEERS, Peer
from tests.compare.run import play

_SMTPLIB = next(each for each in PEERS if each.name == "smtplib")


class RunTests(SynchronousTestCase):
    """What is found, by the clients that need no environment of their own."""

    def test_delivered(self) -> None:
        """A client that says what happened is right; its version and its size are told."""
        for peer in (_SMTPLIB, PEERS[0]):
            finding = play(load(FOLDER / "accepted.txt"), peer, wait=30.0, limit=60.0)
            self.assertEqual(finding.judgement, "right", finding.detail)
            self.assertRegex(finding.version, r"^\d+\.\d+")
            self.assertGreater(finding.peak, 5000)
            self.assertIn(" TO:<recipient@compare.test>\n    1 S: 250 2.0.0 ok\n", finding.detail)

    def test_each(self) -> None:
        """Each recipient of each message gets his verdict."""
        for name in ("recipients-differ", "second-after-end", "recipients-all-refused"):
            finding = play(load(FOLDER / f"{name}.txt"), _SMTPLIB, wait=30.0, limit=60.0)
            self.assertEqual(finding.judgement, "right", finding.detail)

    def test_wrong(self) -> None:
        """A client that says what is not so is found out."""
        finding = play(load(FOLDER / "early-success.txt"), _SMTPLIB, wait=30.0, limit=60.0)
        self.assertEqual(finding.judgement, "false success", finding.detail)

    def test_no_end(self) -> None:
        """A client that breaks down, or goes on for too long, came to no end."""
        missing = play(load(FOLDER / "accepted.txt"), Peer("x", "no_such", ""), wait=1, limit=60.0)
        self.assertEqual(missing.judgement, "no end")
        self.assertIn("no_such", missing.detail)
        slow = play(load(FOLDER / "greeting-silent.txt"), _SMTPLIB, wait=30.0, limit=1.0)
        self.assertEqual(slow.judgement, "no end")
