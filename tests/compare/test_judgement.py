# -*- test-case-name: tests.compare.test_judgement -*-
"""How the words of a client are judged."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.dialogue import VERDICTS, parse
from tests.compare.judgement import WRONGS, judge
from tests.compare.messages import message
from tests.compare.player import Record, Stored

_FIRST, _SECOND = message("plain", 1), message("plain", 2)


class JudgementTests(SynchronousTestCase):
    """What is right, and what is how wrong."""

    def judged(
        self,
        right: str,
        words: Sequence[str],
        *stored: tuple[str, bytes],
        refused: bool = False,
    ) -> str:
        """Return the judgement of a client's words."""
        lines = "\n".join(f"right: {each}" for each in right.split(";"))
        dialogue = parse("x", f"title: t\nsource: s\nrecipients: a@b c@d\n{lines}\n")
        kept = [Stored(tuple(to.split()), octets, refused) for to, octets in stored]
        return judge(dialogue, [each.split() for each in words], Record(1, kept))

    def test_right(self) -> None:
        """What is allowed is right, for each recipient and message."""
        for right, words in (
            ("delivered delivered", ["delivered delivered"]),
            ("delivered failed", ["delivered failed"]),
            ("deferred|failed deferred", ["failed deferred"]),
            ("deferred failed;failed deferred", ["deferred failed", "failed deferred"]),
        ):
            stored = [("a@b", _FIRST), ("c@d", _FIRST)] if words[0].startswith("del") else []
            self.assertEqual(self.judged(right, words, *stored), "right")

    def test_wrong(self) -> None:
        """Each other pair has its word."""
        found = {
            (right, said): self.judged(f"{right} {right}", [f"{said} {said}"])
            for right in VERDICTS
            for said in VERDICTS
            if said != right
        }
        self.assertEqual(
            found,
            {
                ("delivered", "deferred"): "late",
                ("delivered", "failed"): "given up",
                ("deferred", "delivered"): "false success",
                ("deferred", "failed"): "given up",
                ("failed", "delivered"): "false success",
                ("failed", "deferred"): "in vain",
            },
        )
        self.assertLessEqual({*found.values()}, {*WRONGS})

    def test_nothing_there(self) -> None:
        """Delivered is a false success where the server has nothing, or has refused it."""
        right, words = "delivered|deferred failed", ["delivered failed"]
        self.assertEqual(self.judged(right, words), "false success")
        self.assertEqual(self.judged(right, words, ("c@d", _FIRST)), "false success")
        refused = self.judged(right, words, ("a@b", _FIRST), refused=True)
        self.assertEqual(refused, "false success")

    def test_again(self) -> None:
        """To defer what the server has makes a second copy, unless it refused it."""
        right, words = "delivered delivered", ["deferred deferred"]
        self.assertEqual(self.judged(right, words, ("c@d", _FIRST)), "again")
        refused = self.judged(right, words, ("a@b c@d", _FIRST), refused=True)
        self.assertEqual(refused, "late")

    def test_duplicate(self) -> None:
        """Two copies for one recipient are one too many, whatever is said; of one message."""
        twice = [("a@b", _FIRST), ("a@b c@d", _FIRST)]
        self.assertEqual(self.judged("delivered failed", ["delivered failed"], *twice), "duplicate")
        self.assertEqual(self.judged("deferred failed", ["deferred failed"], *twice), "duplicate")
        other = [("a@b", _FIRST), ("a@b", _SECOND)]
        self.assertEqual(self.judged("delivered failed", ["delivered failed"], *other), "right")

    def test_altered(self) -> None:
        """Fields on top may be there; nothing else may differ."""
        words = ["delivered failed"]
        on_top = b"Received: x\r\n" + _FIRST
        self.assertEqual(self.judged("delivered failed", words, ("a@b", on_top)), "right")
        other = _FIRST.replace(b"Subject: ", b"Subject:")
        self.assertEqual(self.judged("delivered failed", words, ("a@b", other)), "altered")

    def test_worst(self) -> None:
        """The worst of all recipients and messages counts."""
        right = "delivered failed;deferred failed"
        words = ["delivered deferred", "delivered failed"]
        self.assertEqual(self.judged(right, words, ("a@b", _FIRST)), "false success")
        self.assertEqual(
            self.judged(right, [words[0], "deferred failed"], ("a@b", _FIRST)), "in vain"
        )
