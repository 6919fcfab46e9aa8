# -*- test-case-name: tests.relay.test_dress -*-
"""A message is dressed as a mailbox wants it, and else stays as it is."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Recipient
from slimtwist.content import BLOCK, Content
from slimtwist.envelope import Envelope
from slimtwist.relay.dress import Dress, fields

OCTETS = b"Subject: x\r\n\r\n.x\r\n"
NOW = 1_700_000_000.0


def dressed(dress: Dress, sender: str = "a@x", octets: bytes = OCTETS) -> bytes:
    """Return what a program reads."""
    envelope = Envelope.parse(sender, ["b@y"], octets)
    return b"".join(dress.blocks(envelope, Recipient.parse("b@y"), NOW))


class DressTests(SynchronousTestCase):
    """Lines above a message, and line ends."""

    def test_plain(self) -> None:
        """Nothing is added, taken away or stuffed, unless asked for (PIPE-25, L8)."""
        for octets in (OCTETS, b"", b"\r\n", b".\r\n", b"no end", b"From x\r\n"):
            self.assertEqual(octets, dressed(Dress(), octets=octets))
            self.assertEqual(octets.replace(b"\r\n", b"\n"), dressed(Dress("lf"), octets=octets))

    def test_fields(self) -> None:
        """Each field stands on top; the null sender has empty brackets (RFC 5321 4.4)."""
        cases = {
            b"Return-Path: <a@x>\r\n": Dress(return_path=True),
            b"X-Original-To: b@y\r\n": Dress(x_original_to=True),
            b"Delivered-To: b@y\r\n": Dress(delivered_to=True),
            b"From a@x Tue Nov 14 22:13:20 2023\r\n": Dress(from_line=True),
        }
        for head, dress in cases.items():
            self.assertEqual(head + OCTETS, dressed(dress))
            lf = replace(dress, eol="lf")
            self.assertEqual((head + OCTETS).replace(b"\r\n", b"\n"), dressed(lf))
        self.assertEqual(b"Return-Path: <>\r\n", dressed(Dress(return_path=True), "", b""))

    def test_from_line(self) -> None:
        """The sender of mbox's line is one word (RFC 4155)."""
        for sender, word in (("", b"MAILER-DAEMON"), ('"a b"@x', b'"a-b"@x')):
            line = dressed(Dress("lf", from_line=True), sender, b"")
            self.assertEqual([b"From", word, b"Tue"], line.split(b" ")[:3])

    def test_order(self) -> None:
        """The line of mbox comes before all fields."""
        dress = Dress("lf", True, True, True, True)
        names = [line.split()[0] for line in dressed(dress, octets=b"").splitlines()]
        self.assertEqual([b"From", b"Return-Path:", b"X-Original-To:", b"Delivered-To:"], names)

    def test_for_all(self) -> None:
        """A message for all names none of them."""
        envelope = Envelope.parse("a@x", ["b@y", "c@y"], OCTETS)
        blocks = Dress(delivered_to=True, x_original_to=True).blocks(envelope, None, NOW)
        self.assertEqual(OCTETS, b"".join(blocks))

    def test_line_ends_over_blocks(self) -> None:
        """A line end that two blocks share is one as well."""
        for before in (BLOCK - 2, BLOCK - 1, BLOCK):
            octets = b"x" * before + b"\r\n" + b"y" * BLOCK + b"\r\n"
            envelope = replace(Envelope.parse("a@x", ["b@y"], b""), content=Content.of(octets))
            got = b"".join(Dress("lf").blocks(envelope, None, NOW))
            self.assertEqual(octets.replace(b"\r\n", b"\n"), got)

    @given(
        st.lists(st.sampled_from([b"a", b"\r\n", b"\r\nb", b"\r\n\r\n"]), max_size=40), st.data()
    )
    def test_any_blocks(self, parts: list[bytes], data: st.DataObject) -> None:
        """However a message is cut, its line ends are the same."""
        octets = b"".join(parts)
        places = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=9)))
        cuts = [0, *places, len(octets)]
        blocks = [octets[a:b] for a, b in pairwise(cuts)]
        envelope = Envelope.parse("a@x", ["b@y"], b"")
        content = _Cut(envelope.content, blocks)
        got = Dress("lf").blocks(replace(envelope, content=content), None, NOW)  # type: ignore[arg-type]
        self.assertEqual(octets.replace(b"\r\n", b"\n"), b"".join(got))

    def test_wrong(self) -> None:
        """Another line end is none."""
        self.assertIn("eol='cr'", str(self.assertRaises(ValueError, Dress, "cr")))


class _Cut:
    """A content in blocks of any size."""

    def __init__(self, content: Content, blocks: list[bytes]) -> None:
        self.size, self._blocks = content.size, blocks

    def blocks(self) -> list[bytes]:
        """Return them."""
        return self._blocks


class FieldTests(SynchronousTestCase):
    """Fields of the header."""

    def found(self, octets: bytes, name: str = "Delivered-To") -> list[str]:
        """Return the values of a field."""
        return fields(Content.of(octets), name)

    def test_found(self) -> None:
        """In any case, folded or not, in their order, in the header only."""
        octets = (
            b"Delivered-To: a@x\r\nX-Delivered-To: no\r\nDELIVERED-TO :\r\n b@x\r\n"
            b"Subject: x\r\n Delivered-To: no\r\ndelivered-to:c\r\n\td\r\n\r\nDelivered-To: no\r\n"
        )
        self.assertEqual(["a@x", "b@x", "c d"], self.found(octets))
        self.assertEqual(["x Delivered-To: no"], self.found(octets, "Subject"))

    def test_none(self) -> None:
        """There may be none, or no header, or no end of it."""
        for octets in (b"", b"\r\n", b"\r\nDelivered-To: a\r\n", b"x", b"Subject: x\r\n"):
            self.assertEqual([], self.found(octets))
        self.assertEqual(["a"], self.found(b"Delivered-To: a"))

    def test_octets(self) -> None:
        """What is no UTF-8 stands for itself badly, and breaks nothing."""
        self.assertEqual(["�ä"], self.found(b"Delivered-To: \xff\xc3\xa4\r\n\r\n"))

    def test_long(self) -> None:
        """A header beyond measure is looked at in part (L6)."""
        line = b"X: " + b"y" * 990 + b"\r\n"
        self.assertEqual(["a"], self.found(line * 900 + b"Delivered-To: a\r\n\r\n"))
        self.assertEqual([], self.found(line * 1100 + b"Delivered-To: a\r\n\r\n"))

    def test_visited(self) -> None:
        """Whom it was delivered to counts only where we write it."""
        content = Content.of(b"Delivered-To: A@x\r\n\r\n")
        self.assertEqual(frozenset(), Dress().visited(content))
        self.assertEqual(frozenset({"a@x"}), Dress(delivered_to=True).visited(content))
