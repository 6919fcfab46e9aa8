# -*- test-case-name: tests.policy.test_parts -*-
"""Parts of a message: no recipient is lost, and none added."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome, Verdict
from slimtwist.policy.parts import Part, checked
from slimtwist.reply import Reply

MESSAGE = Envelope.parse("a@b", ["c@d", "e@f", "c@d"], b"Subject: x\r\n\r\nx\r\n")


class PartTests(SynchronousTestCase):
    """One part."""

    def test_of(self) -> None:
        """It is for the recipients at some positions."""
        part = Part.of(MESSAGE, [2, 1])
        assert isinstance(part.fate, Envelope)
        self.assertEqual(part.positions, (2, 1))
        self.assertEqual([str(each.address) for each in part.fate.recipients], ["c@d", "e@f"])

    def test_refused(self) -> None:
        """They may be refused, for now or for good."""
        for reply, verdict in (("450 4.7.1 x", Verdict.DEFERRED), ("550 5.7.1", Verdict.FAILED)):
            fate = Part.refused([0], reply).fate
            assert isinstance(fate, Outcome)
            self.assertIs(fate.verdict, verdict)

    def test_wrong(self) -> None:
        """It has a recipient for each position; and that nobody got, nobody got (L1, L2)."""
        for positions in ((), (0,), (0, 1), (0, 1, 2, 2)):
            self.assertRaises(ValueError, Part, positions, MESSAGE)
        delivered = Outcome.of(Reply.parse("250 2.0.0 thrown away"))
        self.assertRaises(ValueError, Part, (0,), delivered)
        self.assertRaises(ValueError, Part.refused, [], "550 5.7.1 x")
        self.assertRaises(ValueError, Part.refused, [0], "354 go on")

    def test_within(self) -> None:
        """A part of a part is a part of the whole."""
        self.assertEqual(Part.of(MESSAGE, [2, 0]).within([7, 5, 3]).positions, (3, 7))


class CheckedTests(SynchronousTestCase):
    """What a policy returned."""

    def test_envelope(self) -> None:
        """An envelope is for everybody."""
        [part] = checked(MESSAGE, MESSAGE)
        self.assertEqual((part.positions, part.fate), ((0, 1, 2), MESSAGE))

    def test_parts(self) -> None:
        """Parts may come in any order, and in any kind of iterable."""
        parts = [Part.of(MESSAGE, [2, 0]), Part.refused([1], "550 5.7.1 x")]
        self.assertEqual(checked(iter(parts), MESSAGE), parts)

    def test_wrong(self) -> None:
        """A recipient who is lost, added or there twice is an error; so is anything else (L2)."""
        for decision, text in (
            (MESSAGE.subset([0, 1]), "the envelope has 2 recipients, and 3 positions"),
            ([Part.of(MESSAGE, [0, 1])], "recipients [0, 1] are not each of 0 to 2 once"),
            ([Part.of(MESSAGE, [0, 1, 2]), Part.refused([1], "550 x")], "[0, 1, 1, 2]"),
            ([Part((0, 1, 3), MESSAGE)], "[0, 1, 3]"),
            ([], "recipients []"),
            (None, "NoneType is neither one envelope nor parts"),
            ("text", "str is neither one envelope nor parts"),
            ([Part.of(MESSAGE, [0, 1, 2]), 7], "int is neither one envelope nor parts"),
            ([MESSAGE], "Envelope is neither one envelope nor parts"),
        ):
            error = self.assertRaises(ValueError, lambda given=decision: checked(given, MESSAGE))
            self.assertIn(text, str(error))
