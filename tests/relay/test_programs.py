# -*- test-case-name: tests.relay.test_programs -*-
"""Descriptions of relays to programs become what they say."""

# ruff: noqa: SLF001, E501 - what a description became is nowhere else to be seen

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.child import Child
from slimtwist.relay.dress import Dress
from slimtwist.relay.pipe import DovecotLdaRelay, MaildropRelay, PipeRelay
from slimtwist.relay.program import Program
from slimtwist.relay.programs import ARGUMENTS
from slimtwist.relay.sysexits import EXIT_STATUSES
from slimtwist.relay.template import NAMES
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor


class DescriptionTests(SynchronousTestCase):
    """From text to relays."""

    def relay(self, description: str) -> PipeRelay:
        """Return what a description makes."""
        relay = Runtime(MemoryReactor()).relay(description)
        assert isinstance(relay, PipeRelay)
        return relay

    def program(self, description: str) -> Program:
        """Return the program that it runs."""
        return self.relay(description)._program

    def words(self, description: str) -> list[str]:
        """Return its command."""
        return [template.text for template in self.program(description).command.templates]

    def test_command(self) -> None:
        """A command is split once, by the rules of shells, and no shell runs."""
        cases = {
            "pipe:command=cat": ["cat"],
            "pipe:command=/bin/x -f {sender} 'a b' \"c\":timeout=10": ["/bin/x", "-f", "{sender}", "a b", "c"],
            r"pipe:command=x a\:b '*' $HOME": ["x", "a:b", "*", "$HOME"],
            "maildrop:": ["maildrop", "-f", "{sender}"],
            "maildrop:path=/x:extra_args=-d {localpart} '-A X'": ["/x", "-f", "{sender}", "-d", "{localpart}", "-A X"],
            "dovecot-lda:extra_args=-m Junk": [
                "/usr/lib/dovecot/dovecot-lda", "-e", "-f", "{sender}", "-d", "{recipient}", "-m", "Junk"],
        }  # fmt: skip
        for description, wanted in cases.items():
            self.assertEqual(wanted, self.words(description))

    def test_kinds(self) -> None:
        """Each word is a relay of its own, with its own line ends."""
        for description, kind, eol in (
            ("pipe:command=x", PipeRelay, "crlf"), ("maildrop:", MaildropRelay, "lf"),
            ("dovecot-lda:", DovecotLdaRelay, "lf"), ("maildrop:eol=crlf", MaildropRelay, "crlf"),
            ("pipe:command=x:eol=lf", PipeRelay, "lf"),
        ):  # fmt: skip
            relay = self.relay(description)
            self.assertIs(kind, type(relay))
            self.assertEqual(eol, relay._program.dress.eol)

    def test_defaults(self) -> None:
        """Without arguments a program has 1,000 seconds, and nothing that was not asked for."""
        program = self.program("pipe:command=x")
        self.assertEqual((Child(), Dress()), (program.child, program.dress))
        self.assertEqual(
            (1000.0, True, False),
            (program.timeout, program.per_recipient, program.require_full_read),
        )

    def test_all(self) -> None:
        """Every argument gets where it belongs."""
        os.environ["SLIMTWIST_TEST"] = "of the daemon"
        self.addCleanup(os.environ.pop, "SLIMTWIST_TEST")
        relay = self.relay(
            "pipe:command=x {recipient}:timeout=9.5:concurrency=3:leading_dash=yes"
            ":require_full_read=yes:exit_codes=1=4.0.0,99=2.0.0:eol=lf:from_line=yes"
            ":return_path=yes:delivered_to=yes:x_original_to=yes"
            ":environment=A=b 'C=d e=f' SLIMTWIST_TEST SLIMTWIST_NONE G="
            ":directory=/tmp:umask=027:limits=cpu=9,fsize=1000000:user=nobody:group=mail"
            ":allow_root=no:per_recipient=yes"
        )
        program = relay._program
        self.assertEqual(9.5, program.timeout)
        self.assertEqual(3, relay._places._free)
        self.assertEqual(
            (True, True, True),
            (program.command.leading_dash, program.require_full_read, program.per_recipient),
        )
        self.assertEqual(("4.0.0", "2.0.0"), (program.statuses[1], program.statuses[99]))
        self.assertEqual(Dress("lf", True, True, True, True), program.dress)
        environment = {"A": "b", "C": "d e=f", "SLIMTWIST_TEST": "of the daemon", "G": ""}
        child = Child(environment, "/tmp", 0o027, {"cpu": 9, "fsize": 1000000}, "nobody", "mail")
        self.assertEqual(child, program.child)
        self.assertTrue(self.program("pipe:command=x:allow_root=yes").child.allow_root)
        self.assertFalse(self.program("pipe:command=x:per_recipient=no").per_recipient)

    def test_wrong(self) -> None:
        """Each error names the relay and the argument, and says how to mend it."""
        cases: dict[str, Any] = {
            "pipe:": "pipe: missing a required argument: 'command'",
            "pipe:cat": "too many positional arguments",
            "pipe:command=": "pipe: command: a command needs a program",
            "pipe:command='x": "command=\"'x\": No closing quotation",
            "pipe:command={sender}": "pipe: command: program '{sender}' would differ from message to message",
            "pipe:command=x {who}": "pipe: command: argument '{who}': no {who}; there are sender, recipient",
            "pipe:command=x {": "write it twice",
            "pipe:command=sh -c 'echo {sender}'": "which a shell would read",
            "pipe:command=x:tmeout=1": "unknown argument 'tmeout'; beside its own there are timeout",
            "pipe:command=x:timeout=0": "timeout='0'",
            "pipe:command=x:concurrency=0": "concurrency='0' is not a whole number from 1",
            "pipe:command=x:per_recipient=1": "per_recipient='1' is neither yes nor no",
            "pipe:command=x:exit_codes=1": "exit_codes='1' is not of the form",
            "pipe:command=x:exit_codes=x=4.0.0": "exit_codes='x'",
            "pipe:command=x:exit_codes=1=9.0.0": "exit_codes: '9.0.0' is not a code such as",
            "pipe:command=x:exit_codes=1=x": "exit_codes: 'x' is not a code such as",
            "pipe:command=x:limits=cpu": "limits='cpu' is not of the form",
            "pipe:command=x:limits=cpu=x": "limits='x'",
            "pipe:command=x:limits=rss=1": "limits: there is no 'rss'; there are as, core",
            "pipe:command=x:umask=8": "umask='8' is not an octal number",
            "pipe:command=x:umask=1000": "umask 1000 is not from 0 to 777",
            "pipe:command=x:umask=": "umask=''",
            "pipe:command=x:eol=cr": "eol='cr' is neither crlf nor lf",
            "pipe:command=x:user=nobody-at-all": "user: there is no 'nobody-at-all'",
            "pipe:command=x:user=": "user: there is no ''",
            "pipe:command=x:user=nobody:group=none-at-all": "group: there is no 'none-at-all'",
            "pipe:command=x:group=mail": "group: it needs a user",
            "pipe:command=x:user=root": "allow_root",
            "pipe:command=x:directory=x": "directory 'x' does not begin with /",
            "pipe:command=x:environment='A": "environment=\"'A\": No closing quotation",
            "pipe:command=x:environment==b": "environment: '' cannot be the name of a variable",
            "pipe:command=x:delivered_to=yes:per_recipient=no": "need a run for each recipient",
            "maildrop:extra_args='": "extra_args",
            "maildrop:extra_args={who}": "maildrop: extra_args: argument '{who}': no {who}",
            "maildrop:path=": "maildrop: path: a command needs a program",
            "dovecot-lda:path={sender}": "dovecot-lda: path: program '{sender}' would differ",
            "dovecot-lda:extra_args={": "dovecot-lda: extra_args: argument '{'",
            "maildrop:command=x": "maildrop: unknown argument 'command'",
            "dovecot-lda:user=nobody-at-all": "dovecot-lda: user: there is no",
        }  # fmt: skip
        for description, wanted in cases.items():
            error = self.assertRaises(ValueError, self.relay, description)
            self.assertIn(wanted, str(error))


_ROW = re.compile(
    r"^   \* - ``(\w+)``\n     - (.*(?:\n       .*)*)$(?:\n     - (.*)$)?", re.MULTILINE
)


class PageTests(SynchronousTestCase):
    """The page about programs says what they are given, and what they may say."""

    def rows(self, title: str) -> list[tuple[str, ...]]:
        """Return the rows of the table below a title."""
        text = (Path(__file__).resolve().parents[2] / "docs" / "pipe.rst").read_text()
        _, section = re.split(rf"\n{title}\n-+\n", text)
        return _ROW.findall(re.split(r"\n.*\n-----+\n", section)[0])

    def test_arguments(self) -> None:
        """Every argument is there, and no other, in the code's order."""
        names = [name for name, *_ in self.rows("All arguments")]
        self.assertEqual(["command", "path", "extra_args", *ARGUMENTS], names)

    def test_names(self) -> None:
        """So is every name of a template, with what it stands for."""
        rows = [(name, text) for name, text, _ in self.rows("Names in arguments")]
        self.assertEqual([*NAMES.items()], rows)

    def test_statuses(self) -> None:
        """So is every exit status."""
        rows = {int(status): code for status, code, _ in self.rows("What its end means")}
        self.assertEqual(dict(EXIT_STATUSES), rows)
