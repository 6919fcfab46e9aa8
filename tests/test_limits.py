# -*- test-case-name: tests.test_limits -*-
"""The tests of L{slimtwist.limits}."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.limits import Limits, Timeouts


class DefaultTests(SynchronousTestCase):
    """The defaults are those that the project has promised."""

    def test_waits(self) -> None:
        """The waits follow RFC 5321 4.5.3.2, in seconds (L7)."""
        found = Timeouts()
        for name, value in {
            "connect": 30,
            "next_family": 0.25,
            "greeting": 300,
            "ehlo": 300,
            "mail": 300,
            "rcpt": 300,
            "starttls": 60,
            "auth": 120,
            "data": 120,
            "progress": 180,
            "final": 600,
            "rset": 20,
            "quit": 5,
            "attempt": 1800,
            "attempt_recipient": 60,
            "direct": 570,
            "idle": 60,
            "age": 300,
            "command": 300,
            "body_grace": 30,
        }.items():
            self.assertEqual(value, getattr(found, name), name)

    def test_bounds(self) -> None:
        """The bounds are octets, lines, messages and clients (L6)."""
        found = Limits()
        for name, value in {
            "reply_line": 8 * 1024,
            "reply_octets": 64 * 1024,
            "reply_lines": 256,
            "send_rate": 500,
            "connections": 20,
            "uses": 100,
            "command_line": 2 * 1024,
            "auth_line": 12288,
            "message": 50 * 1024 * 1024,
            "recipients": 1000,
            "errors": 20,
            "clients": 10_000,
            "clients_per_address": 50,
            "hops": 50,
            "unsent": 64 * 1024,
            "body_rate": 100,
        }.items():
            self.assertEqual(value, getattr(found, name), name)

    def test_documented(self) -> None:
        """Every wait and every bound is documented."""
        for kind in (Timeouts, Limits):
            for each in fields(kind):
                self.assertIn(f"@ivar {each.name}:", kind.__doc__ or "")

    def test_frozen(self) -> None:
        """Nobody can change a bound for everybody else."""
        with self.assertRaises(FrozenInstanceError):
            Limits().clients = 1  # type: ignore[misc]


class ChangedTests(SynchronousTestCase):
    """An operator can change each value by its name."""

    def test_changed(self) -> None:
        """What is named changes, the rest stays."""
        self.assertEqual(Timeouts(final=900.0), Timeouts().changed({"final": "900"}))
        self.assertEqual(
            Timeouts(connect=0.5, quit=1.0), Timeouts().changed({"connect": "0.5", "quit": "1e0"})
        )
        self.assertEqual(Limits(message=1), Limits().changed({"message": "1"}))
        self.assertEqual(Limits(), Limits().changed({}))

    def test_again(self) -> None:
        """Changes can follow one another."""
        found = Limits().changed({"message": "5"}).changed({"hops": "6"})
        self.assertEqual(Limits(message=5, hops=6), found)

    def test_every_field(self) -> None:
        """Each field can be set, and keeps its type."""
        for value in (Timeouts(), Limits()):
            for each in fields(value):
                changed = getattr(value.changed({each.name: "7"}), each.name)
                self.assertEqual(7, changed)
                self.assertIs(type(getattr(value, each.name)), type(changed))

    def test_unknown_name(self) -> None:
        """An unknown name is an error that tells the known ones."""
        error = self.assertRaises(ValueError, Timeouts().changed, {"finale": "900"})
        self.assertIn("'finale'", str(error))
        self.assertIn("final,", str(error))

    def test_no_number(self) -> None:
        """What is no number above 0 is an error that names the field."""
        for text in ("", "x", "0", "-1", "nan", "inf", "-inf", "1e12", "9" * 5000, "1 s", "0x1"):
            error = self.assertRaises(ValueError, Timeouts().changed, {"final": text})
            self.assertIn("final=", str(error))

    def test_no_whole_number(self) -> None:
        """A count is a whole number."""
        for text in ("", "x", "0", "-1", "1.5", "1e3", "9" * 13, "9" * 5000):
            error = self.assertRaises(ValueError, Limits().changed, {"message": text})
            self.assertIn("message=", str(error))

    def test_built_with_whole_seconds(self) -> None:
        """A time that a program gave as a whole number can still be set to a fraction."""
        found = Timeouts(connect=5).changed({"connect": "2.5"})
        self.assertEqual(2.5, found.connect)

    def test_too_large(self) -> None:
        """A number that is too large is not said to be too small."""
        for value, name in ((Timeouts(), "final"), (Limits(), "message")):
            error = self.assertRaises(ValueError, value.changed, {name: "1" + "0" * 12})
            self.assertIn("below 1e12", str(error))
