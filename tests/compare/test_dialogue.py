# -*- test-case-name: tests.compare.test_dialogue -*-
"""The files of dialogues: their format, and that each of them is right."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.compare.dialogue import DialogueError, Step, dialogues, load, parse
from tests.compare.messages import MESSAGES

_HEAD = "title: t\nsource: s\nright: delivered\n"


class FormatTests(SynchronousTestCase):
    """What a text means."""

    def test_least(self) -> None:
        """A head alone is a dialogue in which all goes well."""
        found = parse("x", _HEAD)
        self.assertEqual((found.name, found.title, found.source), ("x", "t", "s"))
        self.assertEqual((found.recipients, found.message), (("recipient@compare.test",), "plain"))
        self.assertEqual(found.right, ((frozenset({"delivered"}),),))
        self.assertEqual(found.scripts, ({},))

    def test_answers(self) -> None:
        """An answer is sent line by line; several entries with one key follow each other."""
        [script] = parse("x", f"{_HEAD}\nMAIL: 250-a\n  250 b\n# no\nMAIL: 450 c\n").scripts
        self.assertEqual(
            script,
            {
                "MAIL": [
                    [Step("say", b"250-a\r\n"), Step("say", b"250 b\r\n")],
                    [Step("say", b"450 c\r\n")],
                ]
            },
        )

    def test_octets(self) -> None:
        """Octets can be given by number, and a line end left out."""
        [script] = parse("x", f"{_HEAD}\n.: 250 \\xfc\\\n").scripts
        self.assertEqual(script["."], [[Step("say", b"250 \xfc")]])

    def test_actions(self) -> None:
        """What stands in brackets is done."""
        [script] = parse("x", f"{_HEAD}\ngreeting: [wait 0.5]\n  [close]\n").scripts
        self.assertEqual(script["greeting"], [[Step("wait", seconds=0.5), Step("close")]])

    def test_connections(self) -> None:
        """What holds from the second connection on is apart."""
        found = parse("x", f"{_HEAD}\nMAIL: 450 a\nconnection 2:\nMAIL: 550 b\n")
        self.assertEqual(
            [script["MAIL"] for script in found.scripts],
            [[[Step("say", b"450 a\r\n")]], [[Step("say", b"550 b\r\n")]]],
        )

    def test_right(self) -> None:
        """There is a verdict for each recipient, or several, and a line for each message."""
        head = "title: t\nsource: s\nrecipients: a@b c@d\n"
        found = parse("x", f"{head}right: delivered failed|deferred\nright: failed failed\n")
        failed = frozenset({"failed"})
        first = (frozenset({"delivered"}), frozenset({"failed", "deferred"}))
        self.assertEqual(found.right, (first, (failed, failed)))

    def test_wrong(self) -> None:
        """What has no meaning is refused."""
        for text in (
            "title: t\nright: delivered",
            f"{_HEAD}title: u",
            f"{_HEAD}other: u",
            "title: t\nsource: s\nright: perhaps",
            "title: t\nsource: s\nright: delivered failed",
            f"{_HEAD}\nno entry",
            f"{_HEAD}\nMAIL: [explode]",
            f"{_HEAD}\nMAIL: [wait]",
            f"{_HEAD}\nMAIL: [close 1]",
            f"{_HEAD}\nconnection 3:\n",
        ):
            self.assertRaises(DialogueError, parse, "x", text)

    def test_file(self) -> None:
        """A file that is wrong is named."""
        path = Path(self.mktemp())
        path.write_text("title: t")
        error = self.assertRaises(DialogueError, load, path)
        self.assertIn(f"{path.name}: no right, source", str(error))


class FileTests(SynchronousTestCase):
    """The dialogues that there are."""

    def test_all(self) -> None:
        """There are thirty or more, each with its own title, a source, and a known message."""
        found = dialogues()
        self.assertGreaterEqual(len(found), 30)
        self.assertEqual(len({each.title for each in found}), len(found))
        for each in found:
            self.assertRegex(each.source, r"^RFC \d+ \d", each.name)
            self.assertIn(each.message, MESSAGES, each.name)
            self.assertTrue(all(all(words) for words in each.right), each.name)
