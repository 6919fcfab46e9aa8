# -*- test-case-name: tests.relay.test_output -*-
"""Of output the beginning and the end stay."""

# ruff: noqa: SLF001 - it is nowhere else to be seen

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.output import KEPT, Output


def text(*parts: bytes) -> str:
    """Return what stays of some output."""
    output = Output()
    for part in parts:
        output.add(part)
    return output.text


class OutputTests(SynchronousTestCase):
    """Any number of octets."""

    def test_all(self) -> None:
        """Little output stays as it is."""
        self.assertEqual("", text())
        self.assertEqual("ab\r\nc", text(b"ab\r", b"\nc"))
        self.assertEqual("x" * 2 * KEPT, text(b"x" * 2 * KEPT))

    def test_much(self) -> None:
        """Of much output the middle is left out (L6)."""
        begin, end = b"b" * KEPT, b"e" * KEPT
        for middle in (b"x", b"x" * 100_000):
            wanted = f"{begin.decode()} [...] {end.decode()}"
            self.assertEqual(wanted, text(begin + middle + end))
            self.assertEqual(wanted, text(begin, middle, end))

    @given(st.lists(st.binary(max_size=3000), max_size=9))
    def test_any_parts(self, parts: list[bytes]) -> None:
        """However it comes, the same stays."""
        octets = b"".join(parts)
        self.assertEqual(text(octets), text(*parts))

    def test_bounded(self) -> None:
        """What is held does not grow (L6)."""
        output = Output()
        for _ in range(1000):
            output.add(b"x" * 65536)
            self.assertLessEqual(len(output._octets), 2 * KEPT)

    def test_not_text(self) -> None:
        """What is no UTF-8 is replaced."""
        self.assertEqual("�ä", text(b"\xff\xc3", b"\xa4"))
