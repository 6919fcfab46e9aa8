# -*- test-case-name: tests.relay.test_template -*-
"""Templates know names, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.template import NAMES, Template, UnfitValue, command


def filled(template: str, value: str = "v", *, leading_dash: bool = False) -> bytes:
    """Return a template with the same value for every name."""
    values = dict.fromkeys(NAMES, value)
    return Template.parse(template).fill(values, leading_dash=leading_dash)


class TemplateTests(SynchronousTestCase):
    """One argument."""

    def test_names(self) -> None:
        """Every name stands for its value; braces are written twice."""
        for name in NAMES:
            self.assertEqual(b"v", filled(f"{{{name}}}"))
            self.assertEqual({name}, Template.parse(f"a{{{name}}}b").names)
        cases = {
            "": b"", "plain": b"plain", "{sender}{recipient}": b"vv", "<{sender}>": b"<v>",
            "{{sender}}": b"{sender}", "{{{sender}}}": b"{v}", "}}{{": b"}{", "ä": "ä".encode(),
        }  # fmt: skip
        for text, wanted in cases.items():
            self.assertEqual(wanted, filled(text))

    def test_wrong(self) -> None:
        """All else is refused when it is read, and the text names it (INJ-15)."""
        for text in (
            "{", "}", "a{b", "{}", "{0}", "{sender.__class__}", "{sender!r}", "{sender:>9}",
            "{Sender}", "{ sender}", "{sender[0]}", "{{sender}", "{sender}}", "{password}", "a\0b",
        ):  # fmt: skip
            error = self.assertRaises(ValueError, Template.parse, text)
            self.assertIn(repr(text), str(error))

    @given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=99))
    def test_literally(self, value: str) -> None:
        """A value is put in once and is never read again (INJ-15, PIPE-02, PIPE-05)."""
        self.assertEqual(f"x{value}y{value}".encode(), filled("x{sender}y{recipient}", value))

    def test_dash(self) -> None:
        """A value cannot make an option of an argument, unless that is allowed (PIPE-01)."""
        for text in ("{sender}", "{sender}x", "{extension}{sender}"):
            error = self.assertRaises(UnfitValue, filled, text, "-x")
            self.assertTrue(error.reply.startswith("550 5.1.3 "))
            self.assertTrue(filled(text, "-x", leading_dash=True).startswith(b"-x"))
        error = self.assertRaises(UnfitValue, filled, "{sender}-x", "")
        self.assertTrue(error.reply.startswith("550 5.1.3 "))
        for text in ("-f{sender}", "--to={sender}", "x{sender}", "<{sender}>"):
            self.assertIn(b"-x", filled(text, "-x"))

    def test_unfit(self) -> None:
        """NUL, what is no text, and what is too long cannot be given (PIPE-03, PIPE-04)."""
        for value, code in (
            ("a\0", "550 5.1.3 "), ("\ud800", "550 5.1.3 "), ("x" * 131072, "552 5.3.4 "),
            ("ä" * 65536, "552 5.3.4 "),
        ):  # fmt: skip
            error = self.assertRaises(UnfitValue, filled, "{sender}", value)
            self.assertTrue(error.reply.startswith(code), error.reply)
        self.assertEqual(131071, len(filled("{sender}", "x" * 131071)))

    def test_octets(self) -> None:
        """Octets that came as surrogates go out as octets."""
        self.assertEqual(b"\xff\xfe", filled("{sender}", "\udcff\udcfe"))


class CommandTests(SynchronousTestCase):
    """A program and its arguments."""

    def test_command(self) -> None:
        """The program stands first, and is always the same."""
        self.assertEqual(["cat", "-v"], [each.text for each in command(["cat", "-v"])])
        for words in ([], [""], ["{sender}"], ["/bin/{domain}"], ["x", "{y}"]):
            self.assertRaises(ValueError, command, words)

    def test_scripts(self) -> None:
        """A script of a shell has no names in it; what stands behind it may (PIPE-02)."""
        for words in (
            ["sh", "-c", "echo {sender}"], ["/bin/bash", "-ec", "{recipient}"],
            ["env", "sh", "-c", "x {domain}"], ["nice", "-n", "1", "zsh", "-x", "-c", "{sender}"],
        ):  # fmt: skip
            error = self.assertRaises(ValueError, command, words)
            self.assertIn("which a shell would read", str(error))
        for words in (
            ["sh", "-c", 'echo "$1"', "sh", "{sender}"], ["grep", "-c", "{sender}"],
            ["sh", "/script", "{sender}"],
        ):  # fmt: skip
            self.assertEqual(len(words), len(command(words)))
