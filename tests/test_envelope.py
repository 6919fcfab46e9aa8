# -*- test-case-name: tests.test_envelope -*-
"""The tests of L{slimtwist.envelope}."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address, Recipient
from slimtwist.content import BareNewline, Content
from slimtwist.envelope import Client, Envelope


def envelope(recipients: int = 1) -> Envelope:
    """An envelope for so many recipients."""
    addresses = [f"r{number}@example.net" for number in range(recipients)]
    return Envelope.parse("a@example.com", addresses, b"Subject: x\r\n\r\nbody\r\n")


class ParseTests(SynchronousTestCase):
    """An envelope is built from plain values."""

    def test_plain_values(self) -> None:
        """Texts and octets are enough; the rest is as if nothing was said."""
        made = Envelope.parse("a@example.com", ["b@example.net", "c@example.org"], b"x\r\n")
        self.assertEqual(Address(b"a@example.com"), made.sender)
        self.assertEqual(
            (Recipient(Address(b"b@example.net")), Recipient(Address(b"c@example.org"))),
            made.recipients,
        )
        self.assertEqual(b"x\r\n", bytes(made.content))
        self.assertEqual(Client(), made.client)
        self.assertEqual(
            (None, None, False, False, None, None),
            (made.received, made.body, made.smtputf8, made.requiretls, made.ret, made.envid),
        )

    def test_any_iterable(self) -> None:
        """The recipients may come from anything that can be iterated over."""
        made = Envelope.parse("a@b", iter(["c@d"]), b"")
        self.assertEqual(1, len(made.recipients))

    def test_one_text(self) -> None:
        """One text is no list of recipients: its characters would be taken for them."""
        error = self.assertRaises(ValueError, Envelope.parse, "a@b", "c@d", b"")
        self.assertIn("not one text", str(error))

    def test_no_recipients(self) -> None:
        """Without recipients there is nothing to report on (OUT-11)."""
        self.assertRaises(ValueError, Envelope.parse, "a@b", [], b"")
        self.assertRaises(ValueError, Envelope, Address(b""), (), Content.of(b""))

    def test_null_sender(self) -> None:
        """The empty text is the null sender (OUT-06)."""
        self.assertFalse(Envelope.parse("", ["c@d"], b"").sender)

    def test_malformed(self) -> None:
        """A malformed part is a ValueError that shows it (INJ-01)."""
        for sender, recipients in (
            ("a\r\nRSET@x", ["c@d"]),
            ("a@b", ["c@d", "e\n@f"]),
            ("a@b", [""]),
            ("a@b", ["c"]),
        ):
            error = self.assertRaises(ValueError, Envelope.parse, sender, recipients, b"")
            self.assertTrue(str(error).isprintable())
        self.assertRaises(BareNewline, Envelope.parse, "a@b", ["c@d"], b"x\n")

    def test_duplicates(self) -> None:
        """An address may occur twice, and counts twice (OUT-04)."""
        made = Envelope.parse("a@b", ["c@d", "c@d"], b"")
        self.assertEqual(2, len(made.recipients))


class EnvelopeTests(SynchronousTestCase):
    """What an envelope holds is checked when it is built."""

    def test_ids(self) -> None:
        """Every envelope has an id of its own, unless it is given one."""
        self.assertEqual(100, len({envelope().id for _ in range(100)}))
        self.assertEqual("1a-B_.9", replace(envelope(), id="1a-B_.9").id)

    def test_id_is_safe(self) -> None:
        """An id names files, log lines and headers, and is syntax in none (L5)."""
        for text in ("", "a b", "a\n", "a/b", "ü", "a" * 65, "<a>", "a;b", "a\0", "..", "-f"):
            self.assertRaises(ValueError, replace, envelope(), id=text)

    def test_envid(self) -> None:
        """ENVID is xtext of at most 100 characters (RFC 3461 4.4, L5)."""
        for text in ("QQ314159", "a+2Bb", "x" * 100):
            self.assertEqual(text, replace(envelope(), envid=text).envid)
        for text in ("", "a b", "a=b", "a+b", "a+2", "a\r\nRSET", "a\n", "ü", "x" * 101):
            self.assertRaises(ValueError, replace, envelope(), envid=text)

    def test_value(self) -> None:
        """An envelope is a value: it compares, hashes, pickles, and does not change."""
        made = envelope(2)
        self.assertEqual(made, replace(made))
        self.assertEqual(hash(made), hash(replace(made)))
        self.assertEqual(made, pickle.loads(pickle.dumps(made)))
        with self.assertRaises(FrozenInstanceError):
            made.id = "x"  # type: ignore[misc]

    def test_needs_smtputf8(self) -> None:
        """The sender's address, or header octets that came with SMTPUTF8, ask for the extension."""
        plain, header = Content.of(b"a: b\r\n\r\n\xff"), Content.of(b"a: \xc3\xbc\r\n\r\n")
        for sender, content, declared, needs in (
            ("a@b", plain, False, False),
            ("a@b", plain, True, False),
            ("a@b", header, False, False),
            ("a@b", header, True, True),
            ("ü@b", plain, False, True),
        ):
            made = Envelope(
                Address.parse(sender), (Recipient.parse("c@d"),), content, smtputf8=declared
            )
            self.assertEqual(needs, made.needs_smtputf8, (sender, content, declared))

    def test_recipients_speak_for_themselves(self) -> None:
        """One recipient outside of ASCII does not make the others need SMTPUTF8 (L10)."""
        made = Envelope.parse("a@b", ["ü@b", "c@d"], b"")
        self.assertFalse(made.needs_smtputf8)
        self.assertEqual([True, False], [r.address.needs_smtputf8 for r in made.recipients])

    def test_words(self) -> None:
        """BODY and RET are the words of their RFCs: they stand in MAIL as they are (L5)."""
        for changes in (
            {"body": "8bitmime"},
            {"body": "BINARYMIME"},
            {"body": "7BIT SMTPUTF8"},
            {"body": ""},
            {"ret": "full"},
            {"ret": "FULL\r\nRCPT TO:<evil@example.com>"},
            {"ret": ""},
        ):
            self.assertRaises(ValueError, replace, envelope(), **changes)
        for body in ("7BIT", "8BITMIME", None):
            self.assertEqual(body, replace(envelope(), body=body).body)
        for ret in ("FULL", "HDRS", None):
            self.assertEqual(ret, replace(envelope(), ret=ret).ret)


class SubsetTests(SynchronousTestCase):
    """A message can be split by recipients."""

    def test_subset(self) -> None:
        """Chosen recipients stand in the order asked for; all else is the same, id included."""
        made = replace(envelope(4), envid="E", ret="HDRS", client=Client(ip="192.0.2.1"))
        part = made.subset([2, 0])
        self.assertEqual((made.recipients[2], made.recipients[0]), part.recipients)
        self.assertEqual(made, replace(part, recipients=made.recipients))
        self.assertIs(made.content, part.content)

    def test_all(self) -> None:
        """All positions give an equal envelope."""
        made = envelope(3)
        self.assertEqual(made, made.subset(range(3)))

    def test_no_such_recipient(self) -> None:
        """A position behind the last or before the first is an error: neither is in a report."""
        for positions in ([0, 2], [-1], [0, -2]):
            self.assertRaises(IndexError, envelope(2).subset, positions)

    def test_nobody(self) -> None:
        """A subset of nobody is no envelope."""
        self.assertRaises(ValueError, envelope(2).subset, [])

    @settings(derandomize=True, database=None, deadline=None)
    @given(st.permutations(range(6)), st.integers(1, 5))
    def test_property_split(self, positions: list[int], cut: int) -> None:
        """Two parts of a split hold all recipients, each at its position (OUT-10)."""
        made = envelope(6)
        parts = positions[:cut], positions[cut:]
        found = {
            position: recipient
            for part in parts
            for position, recipient in zip(part, made.subset(part).recipients, strict=True)
        }
        self.assertEqual(list(made.recipients), [found[position] for position in range(6)])
