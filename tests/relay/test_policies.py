# -*- test-case-name: tests.relay.test_policies -*-
"""Policies as operators describe them."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.relay.shared import SharedRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor, MemoryRelay


class PoliciesTests(SynchronousTestCase):
    """What is before a relay."""

    def setUp(self) -> None:
        """Define a relay."""
        self.reactor = MemoryReactor(start=1_700_000_000.0)
        self.behind = MemoryRelay()
        defined = {"a": SharedRelay(self.behind, "a")}
        self.runtime = Runtime(self.reactor, hostname="relay.example", defined=defined)

    def deliver(self, description: str, *recipients: str) -> list[str]:
        """Send a message; return what is said of who decided."""
        relay = self.runtime.relay(description)
        message = Envelope.parse("s@t", recipients or ["b@c"], b"Subject: x\r\n\r\nx\r\n")
        report = self.successResultOf(relay.attempt(message, 0))
        return [str(outcome.relay) for outcome in report]

    def asked(self) -> list[list[str]]:
        """Return the recipients of each attempt behind."""
        return [
            [str(each.address) for each in made.envelope.recipients] for made in self.behind.made
        ]

    def table(self, text: str) -> str:
        """Write a table; return its path."""
        path = Path(self.mktemp())
        path.write_text(text, encoding="utf-8")
        return str(path)

    def test_headers(self) -> None:
        """Fields go on top, each when it is asked for."""
        for arguments, names in (
            ("date=yes", ["Date: Tue, 14 Nov 2023 22:13:20 +0000"]),
            ("message_id=yes:date=no", ["Message-ID: <"]),
            ("add=[X-Via: us, here]", ["X-Via: us, here"]),
            ("add=X-Via\\: us", ["X-Via: us"]),
            ("date=yes:message_id=yes:add=[X: y]", ["Date: Tue", "Message-ID: <", "X: y"]),
        ):
            self.assertEqual(self.deliver(f"headers:a:{arguments}"), ["a"])
            lines = self.behind.made[-1].octets.decode().split("\r\n")
            for line, name in zip(lines, [*names, "Subject: x"], strict=False):
                self.assertTrue(line.startswith(name), lines)

    def test_split(self) -> None:
        """Parts have few recipients, or those of one domain, or both."""
        recipients = ["a@x", "b@y", "c@x", "d@x"]
        for arguments, wanted in (
            ("recipients=3", [["a@x", "b@y", "c@x"], ["d@x"]]),
            ("domains=yes", [["a@x", "c@x", "d@x"], ["b@y"]]),
            ("domains=yes:recipients=2", [["a@x", "c@x"], ["d@x"], ["b@y"]]),
        ):
            self.behind.made.clear()
            self.assertEqual(self.deliver(f"split:a:{arguments}", *recipients), ["a"] * 4)
            self.assertEqual(self.asked(), wanted)

    def test_forward(self) -> None:
        """Addresses are replaced as a file says; lines that say nothing do nothing."""
        table = self.table("# old new\n\nold@x.example  new@y.example\n@z.example @w.example\n")
        self.deliver(f"forward:a:table={table}", "old@x.example", "me@z.example", "b@c")
        self.assertEqual(self.asked(), [["new@y.example", "me@w.example", "b@c"]])

    def test_wrong(self) -> None:
        """Every error names the part."""
        binary = Path(self.mktemp())
        binary.write_bytes(b"\xff")
        second, twice = self.table("#\na@b c"), self.table("a@b c@d\na@b e@f")
        for description, text in {
            "headers:a": "headers: the fields are missing: write date=yes, message_id=yes or add=",
            "headers:a:date=x": "headers: date='x' is neither yes nor no",
            "headers:a:add=[X Y: z]": "headers: add: 'X Y' is not the name of a header field",
            "headers:a:add=foo": "headers: add='foo' is no field: write add=[Name: value]",
            "headers:a:add=": "headers: add='' is no field: write add=[Name: value]",
            "headers:a:add=[: y]": "headers: add: '' is not the name of a header field",
            "headers:a:add=X: y": "have one (a colon within one needs brackets around it",
            "headers:b:date=yes": "headers: no relay 'b'; installed are",
            "split:a": "split: how to split is missing: write recipients=NUMBER or domains=yes",
            "split:a:recipients=0": "split: recipients='0' is not a whole number from 1",
            "forward:a": "forward: missing a required argument: 'table'",
            "forward:a:table=/nowhere": "forward: table: /nowhere: No such file or directory",
            f"forward:a:table={binary}": f"forward: table: {binary}: not UTF-8",
            f"forward:a:table={self.table('a@b')}": "line 1: write the old address, a space, and",
            f"forward:a:table={self.table('a@b c@d e@f')}": "line 1: write the old address",
            f"forward:a:table={second}": "line 2: address 'c' is not local-part@",
            f"forward:a:table={twice}": "line 2: a@b is there already",
        }.items():
            error = self.assertRaises(ValueError, self.runtime.relay, description)
            self.assertIn(text, str(error))
