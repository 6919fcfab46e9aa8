# -*- test-case-name: tests.test_address -*-
"""The tests of L{slimtwist.address}."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import LONGEST_ADDRESS, Address, Recipient

#: Characters that end a line somewhere, move a cursor, or turn the writing direction (INJ-01).
CONTROLS = [*map(chr, range(0x20)), "\x7f", "\x80", "\x85", "\x9b", "\u2028", "\u2029", "\u202e"]
#: Addresses with every kind of part that RFC 5321 and RFC 6531 know.
GOOD = [
    "a@b",
    "user@example.com",
    "User.Name+tag=x@Example.COM",
    "prvs=1234567890=user@example.com",
    "SRS0=HHH=TT=orig.example=user@forwarder.example",
    "list-return-12-user=example.net@lists.example.com",
    "!#$%&'*+-/=?^_`{|}~@example.com",
    '"a b"@example.com',
    '"a@b"@example.com',
    '"a\\"b\\\\c"@example.com',
    '"<>,;:"@example.com',
    '""@example.com',
    "a..b@example.com",
    ".a.@example.com",
    "-f@example.com",
    "user@[192.0.2.1]",
    "user@[IPv6:2001:db8::1]",
    "user@[x-tag:some-thing]",
    "user@_dmarc.example.com",
    "jürgen@example.com",
    "用户@例子.公司",
    '"ü ü"@bücher.example',
    "=?utf-8?q?a=40b?=@c",
    "Postmaster",
    "postmaster",
    "%s%n@example.com",
    "{0.__class__}@example.com",
]
#: Texts that are no mailbox, or that different programs take for different ones.
BAD = [
    "@",
    "a",
    "a@",
    "@x",
    "root",
    "a@b@c",
    "foo (c) bar@x",
    "bob <x@y>",
    "<x@y>",
    "@r1,@r2:a@b",
    "@r1:a@b",
    "a b@x",
    "a@b c",
    " a@b",
    "a@b ",
    'a"b@x',
    '"a"b@x',
    '"a" "b"@x',
    '"a@x',
    '"a\\"@x',
    "a\\b@x",
    "a,b@x",
    "a;b@x",
    "a:b@x",
    "a[b@x",
    "a@b.",
    "a@.b",
    "a@b..c",
    "a@-b",
    "a@b-",
    "a@b,c",
    "a@b:25",
    "a@b/c",
    "a@[192.0.2.1",
    "a@192.0.2.1]",
    "a@[]",
    "a@[1.2.3.4]x",
    "a@x[1.2.3.4]",
    "a@[a b]",
    "a@[a\\]b]",
    "a@[a[b]",
]


class AddressTests(SynchronousTestCase):
    """A mailbox is kept as it was given, or refused."""

    def test_carried_unchanged(self) -> None:
        """What is accepted comes out octet for octet (INJ-05, INJ-19, OUT-06)."""
        for text in GOOD:
            address = Address.parse(text)
            self.assertEqual(text.encode(), address.octets)
            self.assertEqual(text, str(address))
            self.assertTrue(address)

    def test_refused(self) -> None:
        """What another program could read as another address is refused (INJ-05, INJ-19)."""
        for text in BAD:
            self.assertRaises(ValueError, Address.parse, text)

    def test_controls_anywhere(self) -> None:
        """A control at any position of any part is refused (INJ-01, L5)."""
        for good in GOOD:
            for place in range(len(good) + 1):
                for control in CONTROLS:
                    text = good[:place] + control + good[place:]
                    self.assertRaises(ValueError, Address.parse, text)

    def test_controls_escaped(self) -> None:
        """A backslash before a control does not make it fit to be sent (INJ-01)."""
        for control in CONTROLS:
            self.assertRaises(ValueError, Address.parse, f'"a\\{control}b"@example.com')

    def test_controls_in_source_route(self) -> None:
        """A source route is refused with controls and without (INJ-01)."""
        for control in ["", *CONTROLS]:
            self.assertRaises(ValueError, Address.parse, f"@r{control}1:a@example.com")

    def test_not_utf8(self) -> None:
        """Octets above 127 are UTF-8 or refused: nobody else would read them alike."""
        for octets in (b"\xff@x", b"a@\xc3", b'"\x80"@x', b"a\xc0\x8d@x", b"\xed\xa0\x80@x"):
            self.assertRaises(ValueError, Address, octets)

    def test_not_unicode(self) -> None:
        """A lone surrogate has no octets; the error is a readable ValueError."""
        error = self.assertRaises(ValueError, Address.parse, "\ud800@x")
        self.assertNotIsInstance(error, UnicodeError)
        self.assertTrue(str(error).isascii())

    def test_error_text_is_safe(self) -> None:
        """The refused address is shown without an octet that means anything in a log (INJ-14)."""
        for text in ("a\n2026-01-01 delivered", "a\x1b[2J@x", "\u202ea@b", "a\r\nRSET@x"):
            error = self.assertRaises(ValueError, Address.parse, text)
            self.assertTrue(str(error).isprintable())
            self.assertTrue(str(error).isascii())

    def test_longest(self) -> None:
        """A path has 256 octets with its brackets (RFC 5321 4.5.3.1.3, INJ-19)."""
        domain = "@example.com"
        local = "a" * (LONGEST_ADDRESS - len(domain))
        self.assertEqual(254, len(Address.parse(local + domain).octets))
        self.assertRaises(ValueError, Address.parse, "a" + local + domain)

    def test_longest_counts_octets(self) -> None:
        """The limit is one of octets, not of characters."""
        domain = "@example.com"
        local = "ü" * ((LONGEST_ADDRESS - len(domain)) // 2)
        Address.parse(local + domain)
        self.assertRaises(ValueError, Address.parse, "ü" + local + domain)

    def test_local_part_of_65(self) -> None:
        """Local parts longer than 64 octets pass: rewritten senders have them (INJ-19)."""
        self.assertEqual("a" * 65, Address.parse("a" * 65 + "@example.com").local)

    def test_parts(self) -> None:
        """Local part and domain are those that a mail server sees."""
        for text, local, domain in (
            ("a@b", "a", "b"),
            ('"a@b"@c', '"a@b"', "c"),
            ("a@[IPv6:::1]", "a", "[IPv6:::1]"),
            ("ü@é", "ü", "é"),
            ("postmaster", "postmaster", ""),
            ("", "", ""),
        ):
            address = Address.parse(text)
            self.assertEqual((local, domain), (address.local, address.domain))

    def test_null_sender(self) -> None:
        """The null sender is an address that is empty and false (OUT-06)."""
        null = Address(b"")
        self.assertEqual("", str(null))
        self.assertFalse(null)
        self.assertFalse(null.needs_smtputf8)

    def test_needs_smtputf8(self) -> None:
        """Only an address outside of ASCII needs the extension (RFC 6531)."""
        self.assertFalse(Address.parse("a@b").needs_smtputf8)
        self.assertTrue(Address.parse("ü@b").needs_smtputf8)
        self.assertTrue(Address.parse("a@ü").needs_smtputf8)

    def test_value(self) -> None:
        """Equal octets are equal addresses; case counts; nothing can be changed; it pickles."""
        address = Address(b"A@b")
        self.assertEqual(address, Address.parse("A@b"))
        self.assertEqual(hash(address), hash(Address.parse("A@b")))
        self.assertNotEqual(address, Address.parse("a@b"))
        self.assertEqual(address, pickle.loads(pickle.dumps(address)))
        with self.assertRaises(FrozenInstanceError):
            address.octets = b"c@d"  # type: ignore[misc]

    @settings(derandomize=True, database=None, deadline=None, max_examples=500)
    @given(st.text(alphabet='ab@."\\<>[]:, \r\n\x00ü\u2028', max_size=20))
    def test_property_same_or_refused(self, text: str) -> None:
        """Any text is carried unchanged or refused with ValueError, and splits no line (L5)."""
        try:
            address = Address.parse(text)
        except ValueError:
            return
        self.assertEqual(text, str(address))
        self.assertFalse(set(text) & set(CONTROLS))
        if "@" in text:
            self.assertEqual(text, f"{address.local}@{address.domain}")
            self.assertNotIn("@", address.domain)
            # Outside of quotes, nothing ends the path of MAIL or RCPT.
            bare = address.domain if address.local.startswith('"') else text
            self.assertFalse(set(bare) & set('<>" ,'))

    def test_linear(self) -> None:
        """A long text of any shape is judged at once: lengths are checked before the grammar."""
        for text in ('"' * 1_000_000, "a." * 1_000_000, "a@" + "-" * 1_000_000):
            self.assertRaises(ValueError, Address.parse, text)

    def test_literal_has_no_syntax_of_a_path(self) -> None:
        """An address literal holds nothing that ends a path or begins another (INJ-05, L5).

        RFC 5321 4.1.3 would allow C{>} and C{@} behind a tag that no one has registered.
        """
        for inside in ("x@y", "x>y", "a<b", "t:a@b", "t:>", 't:"', "t:a,b", "t:a;b", "t:(a)"):
            self.assertRaises(ValueError, Address.parse, f"a@[{inside}]")

    def test_error_text_is_short(self) -> None:
        """However long the refused text is, the error is not (L6)."""
        for text in ("a" * 100_000, "\ud800" * 100_000, "@" * 100_000):
            error = self.assertRaises(ValueError, Address.parse, text)
            self.assertLess(len(str(error)), 3000)


class RecipientTests(SynchronousTestCase):
    """A recipient has the DSN parameters that belong to it."""

    def test_plain(self) -> None:
        """A recipient from a plain text has no parameters."""
        recipient = Recipient.parse("a@b")
        self.assertEqual(Recipient(Address(b"a@b"), (), None), recipient)

    def test_null(self) -> None:
        """Nobody can write to the null address."""
        self.assertRaises(ValueError, Recipient.parse, "")
        self.assertRaises(ValueError, Recipient, Address(b""))

    def test_notify(self) -> None:
        """NOTIFY is NEVER, or some of the other three words, each once (RFC 3461 4.1)."""
        address = Address(b"a@b")
        for words in (("NEVER",), ("SUCCESS",), ("FAILURE", "DELAY"), ("SUCCESS", "DELAY")):
            self.assertEqual(words, Recipient(address, words).notify)
        for words in (
            ("never",),
            ("NEVER", "DELAY"),
            ("DELAY", "DELAY"),
            ("OFTEN",),
            ("",),
            ("SUCCESS\r\nRSET",),
        ):
            self.assertRaises(ValueError, Recipient, address, words)

    def test_orcpt(self) -> None:
        """ORCPT is a type and xtext; nothing of it can be syntax on the wire (RFC 3461 4.2, L5)."""
        address = Address(b"a@b")
        for text in ("rfc822;a@b", "rfc822;a+2Bb@c", "utf-8;\\x{FC}@b", "x-local;!/*"):
            self.assertEqual(text, Recipient(address, orcpt=text).orcpt)
        for text in (
            "",
            "rfc822",
            "rfc822;",
            ";a@b",
            "rfc822;a b",
            "rfc822;a=b",
            "rfc822;a+b",
            "rfc822;a+2b",
            "rfc822;a+2",
            "rfc822;ü",
            "rfc822;a\r\nRSET",
            "rfc822;a\n",
            "rfc 822;a",
            "rfc822;" + "a" * 500,
        ):
            self.assertRaises(ValueError, Recipient, address, (), text)

    def test_value(self) -> None:
        """Recipients compare, hash and pickle by what they hold."""
        recipient = Recipient(Address(b"a@b"), ("DELAY",), "rfc822;a@b")
        self.assertEqual(recipient, pickle.loads(pickle.dumps(recipient)))
        self.assertEqual(1, len({recipient, pickle.loads(pickle.dumps(recipient))}))
        self.assertNotEqual(recipient, Recipient(Address(b"a@b")))
