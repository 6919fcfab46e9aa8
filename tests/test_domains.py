# -*- test-case-name: tests.test_domains -*-
"""Domains as they are compared, and what belongs to them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.domains import DomainTable, a_label, is_host, is_name


class LabelTests(SynchronousTestCase):
    """The one form of a domain."""

    def test_ascii(self) -> None:
        """Case does not count (RFC 5321 2.4)."""
        self.assertEqual(a_label("Example.ORG"), "example.org")
        self.assertEqual(a_label("xn--Bcher-kva.example"), "xn--bcher-kva.example")

    def test_international(self) -> None:
        """A U-label becomes its A-label, whatever its case (RFC 5890 2.3.2)."""
        self.assertEqual(a_label("Bücher.example"), "xn--bcher-kva.example")
        self.assertEqual(a_label("例え.テスト"), "xn--r8jz45g.xn--zckzah")

    def test_none(self) -> None:
        """What has no A-label is an error that shows it in ASCII."""
        for text in ("\u2603\u200d.example", "ü" * 64 + ".example", "-ü.example", "ü..example"):
            with self.assertRaises(ValueError) as caught:
                a_label(text)
            self.assertTrue(str(caught.exception).isascii())


class NameTests(SynchronousTestCase):
    """What can be asked for, and what can be a host."""

    def test_name(self) -> None:
        """A name has labels of 1 to 63 octets, and 253 in all (RFC 1035 2.3.4)."""
        longest = ".".join(["a" * 63] * 3 + ["a" * 61])
        for good in ("a", "example.org", "_dmarc.example.org", "-a.example", "a" * 63, longest):
            self.assertTrue(is_name(good), good)
        for bad in ("", ".", "a.", ".a", "a..b", "a" * 64, f"a{longest}", "a b", "a\n", "ä"):
            self.assertFalse(is_name(bad), bad)

    def test_host(self) -> None:
        """A host's name has letters, digits, hyphens within, and underscores (RFC 1123 2.1)."""
        for good in ("mx1.example.org", "mx_1.example.org", "3com.example", "a"):
            self.assertTrue(is_host(good), good)
        for bad in (
            "",
            "-a.example",
            "a-.example",
            "a.",
            "a b",
            "a\r\n",
            "a\\x00",
            "[192.0.2.1]",
            "a" * 64,
        ):
            self.assertFalse(is_host(bad), bad)


class TableTests(SynchronousTestCase):
    """What belongs to a domain."""

    def setUp(self) -> None:
        """Begin with some patterns."""
        self.table: DomainTable[int] = DomainTable()
        self.assertFalse(self.table)
        for number, pattern in enumerate(
            ["example.org", "*.example.org", "*.a.Example.org", "*.bücher.example", "[192.0.2.1]"]
        ):
            self.table.put(pattern, number)

    def test_get(self) -> None:
        """The domain itself comes first, then the longest pattern above it."""
        cases = {
            "EXAMPLE.org": 0,
            "b.example.org": 1,
            "a.example.org": 1,
            "x.y.a.example.org": 2,
            "x.xn--bcher-kva.example": 3,
            "x.Bücher.example": 3,
            "bücher.example": None,
            "[192.0.2.1]": 4,
            "anexample.org": None,
            "org": None,
            "": None,
            "\u2603\u200d.example": None,
        }
        for domain, value in cases.items():
            self.assertEqual(self.table.get(domain), value, domain)
        self.assertTrue(self.table)

    def test_wrong(self) -> None:
        """What is no pattern is refused, and named."""
        for text in ("", "*", "*.", "a..b", "*.*.a", "a b", "-a", "a.", "a" * 64, "[", "[]"):
            with self.assertRaises(ValueError) as caught:
                self.table.put(text, 1)
            self.assertIn(repr(text), str(caught.exception))
