# -*- test-case-name: tests.smtp.test_transaction_lmtp -*-
"""Tests of one mail transaction in LMTP, where each recipient has a reply of his own (RFC 2033)."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import (
    Body,
    Close,
    Ended,
    Reset,
    Send,
    Stall,
    Wait,
)
from tests.smtp.plays import Played
from tests.smtp.talks import USUAL, envelope, group, many


class LmtpTests(SynchronousTestCase):
    """LMTP: a reply for each recipient who was accepted (RFC 2033 4.2)."""

    def outcomes(self, accepted: list[str], *steps: Any) -> list[str]:
        """Return the outcomes, RCPT and the end of data answered so."""
        script = [*group(*(f"r{n}@example.net" for n in range(len(accepted)))), "S: 250 ok"]
        script += [f"S: {reply}" for reply in accepted]
        played = Played(
            [*script, "S: 354 go", Body(), *steps], many(len(accepted)), *USUAL, lmtp=True
        )
        self.broken = played.broken
        self.played = played
        return played.outcomes

    def test_each_his_own(self) -> None:
        """Reply i is for accepted recipient i (LMTP-01, LMTP-05, LMTP-13)."""
        outcomes = self.outcomes(
            ["250 ok", "550 5.1.1 no", "250 ok", "450 4.2.1 busy", "250 ok"],
            "S: 250 2.0.0 first",
            "S: 450 4.2.2 full",
            "S: 550 5.7.1 never",
        )
        self.assertEqual(
            outcomes,
            [
                "250 2.0.0 first (end of data)",
                "550 5.1.1 no (RCPT)",
                "450 4.2.2 full (end of data)",
                "450 4.2.1 busy (RCPT)",
                "550 5.7.1 never (end of data)",
            ],
        )
        self.assertFalse(self.broken)

    def test_duplicates(self) -> None:
        """An address that occurs twice has two replies (LMTP-04, OUT-04)."""
        names = ("b@example.net", "b@example.net", "B@example.net", "b+t@example.net")
        script = [*group(*names), *["S: 250 ok"] * 5, "S: 354 go", Body()]
        for lmtp, final in ((True, ["250 1", "450 2", "250 3", "550 4"]), (False, ["250 1"])):
            answers = [f"S: {reply}" for reply in final]
            played = Played([*script, *answers], envelope(*names), *USUAL, lmtp=lmtp)
            codes = [outcome.reply.code for outcome in played.transaction.outcomes.values()]
            self.assertEqual(codes, [250, 450, 250, 550] if lmtp else [250] * 4)

    def test_fewer(self) -> None:
        """Replies that came stand, who got none is ambiguous (LMTP-02, LMTP-09)."""
        for end, text in (
            (Close(), "4.4.2 connection lost"),
            (Reset(), "4.4.2 connection lost"),
            (Stall(), "4.4.2 timed out"),
        ):
            for answers in (["250 1"], ["250 1", "550 2"]):
                steps = [f"S: {reply}" for reply in answers]
                outcomes = self.outcomes(["250 ok"] * 3, *steps, Wait(1), end)
                said = ["250 2.0.0 1", "550 5.0.0 2"][: len(answers)]
                self.assertEqual(
                    outcomes[: len(answers)], [f"{reply} (end of data)" for reply in said]
                )
                for outcome in outcomes[len(answers) :]:
                    self.assertRegex(outcome, rf"\A451 {text}.*once \(end of data\)\?\Z")
                self.assertTrue(self.broken)

    def test_more(self) -> None:
        """One reply too many changes no outcome, but ends the connection (LMTP-03)."""
        for octets in (b"250 1\r\n450 2\r\n250 3\r\n", b"250 1\r\n450 2\r\n2"):
            outcomes = self.outcomes(["250 ok"] * 2, Send(octets), Wait(1))
            self.assertEqual(outcomes, ["250 2.0.0 1 (end of data)", "450 4.0.0 2 (end of data)"])
            self.assertFalse(self.played.talk.session.channel.quiet())

    def test_nonsense(self) -> None:
        """From a reply that is none on, nothing is believed (L12)."""
        outcomes = self.outcomes(["250 ok"] * 3, Send(b"250 1\r\n354 go\r\n250 3\r\n"), Ended())
        self.assertEqual(outcomes[0], "250 2.0.0 1 (end of data)")
        for outcome in outcomes[1:]:
            self.assertRegex(outcome, r"\A451 4\.5\.0 .*'354 go' in reply to end of data.*\?\Z")

    def test_goodbye(self) -> None:
        """421 is one recipient's answer; those after him have none."""
        outcomes = self.outcomes(["250 ok"] * 3, Send(b"250 1\r\n421 bye\r\n"), Ended())
        self.assertEqual(outcomes[1], "421 4.0.0 bye (end of data)")
        self.assertRegex(outcomes[2], r"\A451 4\.4\.2 .*\?\Z")

    def test_slow(self) -> None:
        """Each reply has a deadline of its own (LMTP-12)."""
        replies = [step for n in range(50) for step in (Wait(60), f"S: 250 {n}")]
        outcomes = self.outcomes(["250 ok"] * 50, *replies)
        self.assertEqual(outcomes[-1], "250 2.0.0 49 (end of data)")
        outcomes = self.outcomes(["250 ok"] * 2, Wait(599), "S: 250 0", Wait(601), Ended())
        self.assertEqual(outcomes[0], "250 2.0.0 0 (end of data)")
        self.assertRegex(outcomes[1], r"\A451 4\.4\.2 timed out.*\?\Z")

    def test_all_refused(self) -> None:
        """When all are refused no reply follows the end of data: none is waited for (LMTP-06)."""
        script = [*group(), "S: 250 ok", "S: 550 5.1.1 no", "S: 354 go", "C: .", Stall()]
        played = Played(script, envelope(), *USUAL, lmtp=True)
        self.assertEqual(played.outcomes, ["550 5.1.1 no (RCPT)"])
        self.assertEqual(played.talk.reactor.seconds(), 0)
