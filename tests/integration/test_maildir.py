# -*- test-case-name: tests.integration.test_maildir -*-
"""A server's own header lines are taken off, and nothing else."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.maildir import files, parse

_POSTFIX = (
    b"Return-Path: <s@a.test>\n"
    b"X-Original-To: R@b.test\n"
    b"Delivered-To: r@b.test\n"
    b"Received: from c (unknown [127.0.0.1])\n"
    b"\tby postfix.test (Postfix) with ESMTP id 1\n"
    b"\tfor <R@b.test>; Sun, 22 Nov 2026 23:34:28 +0000 (UTC)\n"
)


class ParseTests(SynchronousTestCase):
    """L{parse} on what Postfix and Dovecot store."""

    def test_postfix(self) -> None:
        """Four header lines are Postfix's, and LF is CRLF again."""
        delivered = parse(_POSTFIX + b"Subject: x\n\nbody\r\r\n")
        self.assertEqual(delivered.sender, "s@a.test")
        self.assertEqual(delivered.recipient, "R@b.test")
        self.assertEqual(delivered.octets, b"Subject: x\r\n\r\nbody\r\r\r\n")
        self.assertEqual(delivered.own, _POSTFIX.replace(b"\n", b"\r\n"))

    def test_header_lines_of_the_message(self) -> None:
        """The same header lines in the message stay with the message."""
        message = b"Received: by x\n\ty\nReturn-Path: <z>\nDelivered-To: z\n\n"
        self.assertEqual(parse(_POSTFIX + message).octets, message.replace(b"\n", b"\r\n"))

    def test_empty(self) -> None:
        """A message of no octets is one; the null sender is the empty string."""
        delivered = parse(_POSTFIX.replace(b"s@a.test", b""))
        self.assertEqual((delivered.sender, delivered.octets), ("", b""))

    def test_dovecot(self) -> None:
        """With CRLF line ends, the octets are as they are."""
        delivered = parse(b"Return-Path: <s@a.test>\r\nSubject: x\r\n\r\n\n\r\r\n", crlf=True)
        self.assertEqual((delivered.sender, delivered.recipient), ("s@a.test", ""))
        self.assertEqual(delivered.octets, b"Subject: x\r\n\r\n\n\r\r\n")

    def test_something_else(self) -> None:
        """A file without the header lines of a server is an error."""
        self.assertRaises(ValueError, parse, b"Subject: x\n\n")


class FilesTests(SynchronousTestCase):
    """L{files} of a Maildir."""

    def test_nothing_delivered(self) -> None:
        """A Maildir that was not made yet is empty."""
        self.assertEqual(files(Path(self.mktemp())), [])

    def test_order(self) -> None:
        """The names tell when each was delivered; those of both servers are known."""
        new = Path(self.mktemp()) / "new"
        new.mkdir(parents=True)
        names = [
            "1795390852.M9P13069.h,S=452,W=452",
            "1795390852.Vfe01I80fM10.h",
            "1795390853.M1.h",
        ]
        for name in reversed(names):
            (new / name).touch()
        self.assertEqual([path.name for path in files(new.parent)], names)

    def test_another_name(self) -> None:
        """A file that no server made is an error."""
        new = Path(self.mktemp()) / "new"
        new.mkdir(parents=True)
        (new / "x").touch()
        self.assertRaises(ValueError, files, new.parent)
