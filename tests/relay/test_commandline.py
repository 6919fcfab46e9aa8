# -*- test-case-name: tests.relay.test_commandline -*-
"""From the templates of a command to the arguments for one message."""

# ruff: noqa: E501 - a table

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Recipient
from slimtwist.envelope import Client, Envelope
from slimtwist.relay.commandline import LONGEST, CommandLine
from slimtwist.relay.template import NAMES, UnfitValue

ENVELOPE = Envelope.parse("a@x", ["b+c+d@e", "Postmaster"], b"Message-Id:\r\n <1@x>\r\n\r\n")
OF_RECIPIENT = {"recipient", "localpart", "domain", "extension"}


class CommandLineTests(SynchronousTestCase):
    """A program and its arguments."""

    def fill(self, *words: str, envelope: Envelope = ENVELOPE) -> list[bytes]:
        """Return all arguments for all recipients."""
        line = CommandLine.parse(["x", *words])
        return line.fill(line.values(envelope), envelope.recipients)[1:]

    def test_recipient(self) -> None:
        """An argument that names a recipient is there for each, the others once."""
        told = self.fill("-f", "{sender}", "{localpart}/{domain}", "{extension}", "{recipient}")
        wanted = b"-f a@x b+c+d/e Postmaster/ c+d  b+c+d@e Postmaster".split(b" ")
        self.assertEqual(wanted, told)

    def test_message(self) -> None:
        """Names that are no recipient's stand for the message and its client."""
        line = CommandLine.parse(["x", *(f"{{{name}}}" for name in NAMES)])
        values = line.values(
            replace(ENVELOPE, id="1a", client=Client("192.0.2.1", "h", "e", "P", "T", "u"))
        )
        wanted = {"sender": "a@x", "envelope_id": "1a", "client_ip": "192.0.2.1", "client_host": "h",
                  "client_ehlo": "e", "client_protocol": "P", "client_auth": "u",
                  "message_id": "<1@x>"}  # fmt: skip
        self.assertEqual(wanted, values)
        self.assertEqual({*NAMES}, {*values} | OF_RECIPIENT)

    def test_unknown(self) -> None:
        """What is not known is empty."""
        names = [f"{{{name}}}" for name in NAMES if name.startswith("client_")]
        self.assertEqual([b""] * len(names), self.fill(*names))
        empty = Envelope.parse("", ["b@y"], b"")
        self.assertEqual([b"", b""], self.fill("{sender}", "{message_id}", envelope=empty))

    def test_not_read(self) -> None:
        """A message is read for its Message-ID only where that is wanted."""
        closed = replace(ENVELOPE, content=replace(ENVELOPE.content, body=_Closed()))  # type: ignore[arg-type]
        self.assertEqual([b"a@x"], self.fill("{sender}", envelope=closed))
        self.assertRaises(OSError, self.fill, "{message_id}", envelope=closed)

    def test_too_long_together(self) -> None:
        """What is too long together is nobody's fault but the configuration's (PIPE-04)."""
        line = CommandLine.parse(["x", "{recipient}"])
        many = [Recipient.parse(f"{'x' * 240}@y")] * (LONGEST // 242 + 1)
        error = self.assertRaises(UnfitValue, line.fill, line.values(ENVELOPE), many)
        self.assertTrue(error.reply.startswith("451 4.3.5 "))
        self.assertEqual(len(many) - 9, len(line.fill(line.values(ENVELOPE), many[10:])))

    def test_program(self) -> None:
        """The program is told as it was configured."""
        self.assertEqual("x", CommandLine.parse(["x", "y"]).program)


class _Closed:
    closed = True
