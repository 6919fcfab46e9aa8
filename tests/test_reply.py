# -*- test-case-name: tests.test_reply -*-
"""The tests of L{slimtwist.reply}."""

from __future__ import annotations

import pickle
import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.reply import REPLY_LINE, STORED_LINES, STORED_TEXT, Reply, printable

#: A legal reply line (RFC 5321 4.2), read without the module's help.
LEGAL = re.compile(rb"([2-5][0-9]{2})(?:([ -])([\t -~]*))?\r\n")


def received(*lines: bytes) -> Reply:
    """A reply as the reply reader hands it over."""
    return Reply.received(b"\r\n".join(lines))


def decoded(octets: bytes) -> list[bytes]:
    """The texts of a reply that is legal on the wire, or an AssertionError."""
    lines = octets.splitlines(keepends=True)
    found = [LEGAL.fullmatch(line) for line in lines]
    assert octets.endswith(b"\r\n"), octets
    assert all(len(line) <= 512 for line in lines), octets
    matches = [match for match in found if match]
    assert len(matches) == len(lines), octets
    assert len({match[1] for match in matches}) == 1, octets
    assert [match[2] == b"-" for match in matches] == [True] * (len(lines) - 1) + [False], octets
    return [match[3] or b"" for match in matches]


class ParseTests(SynchronousTestCase):
    """A reply can be written in one line."""

    def test_parse(self) -> None:
        """Code, enhanced code and text are told apart."""
        for text, code, enhanced, lines in (
            ("550 5.1.1 No such user", 550, "5.1.1", ("No such user",)),
            ("250 2.0.0", 250, "2.0.0", ()),
            ("250 ok", 250, "2.0.0", ("ok",)),
            ("250", 250, "2.0.0", ()),
            ("451", 451, "4.0.0", ()),
            ("354 go ahead", 354, "", ("go ahead",)),
            ("550 5.1.1x", 550, "5.0.0", ("5.1.1x",)),
            ("550 5.1000.1 x", 550, "5.0.0", ("5.1000.1 x",)),
            ("550 5.123.456 x", 550, "5.123.456", ("x",)),
            ("550 5.1.1  two spaces", 550, "5.1.1", (" two spaces",)),
        ):
            self.assertEqual(Reply(code, enhanced, lines), Reply.parse(text))

    def test_malformed(self) -> None:
        """What is no reply is a readable ValueError."""
        for text in (
            "",
            "ok",
            "25",
            "2500",
            "150 x",
            "600 x",
            "250x",
            "250\tx",
            "-50 x",
            "\u0662\u0665\u0660 x",
        ):
            error = self.assertRaises(ValueError, Reply.parse, text)
            self.assertTrue(str(error).isprintable())
        self.assertRaises(ValueError, Reply.parse, "250 a\nb")

    def test_classes_differ(self) -> None:
        """In a reply of our own, an enhanced code of another class is a mistake (RFC 2034 4)."""
        for text in ("450 5.1.1 x", "250 4.0.0 x", "354 2.0.0 x"):
            self.assertRaises(ValueError, Reply.parse, text)

    def test_text_is_made_printable(self) -> None:
        """A text from elsewhere does no harm (INJ-11)."""
        self.assertEqual(("a?b c",), Reply.parse("250 a\x1bb\tc").lines)


class ReceivedTests(SynchronousTestCase):
    """What a peer sent becomes a reply that can be kept and shown."""

    def test_lines(self) -> None:
        """Each line's text is kept without its codes."""
        reply = received(b"250-mx.example.com", b"250-PIPELINING", b"250 SIZE 1000")
        self.assertEqual(("mx.example.com", "PIPELINING", "SIZE 1000"), reply.lines)
        self.assertEqual((250, "2.0.0"), (reply.code, reply.enhanced))

    def test_no_text(self) -> None:
        """A code without text, or without a space, is enough (PEER-09)."""
        for octets in (b"250", b"250 ", b"250-\r\n250", b"250-\r\n250 "):
            self.assertEqual(Reply(250, "2.0.0"), Reply.received(octets))
        self.assertEqual(("", "x"), received(b"250-", b"250 x").lines)

    def test_unknown_codes(self) -> None:
        """A code that nobody defined counts by its first digit (PEER-11)."""
        for code, positive, permanent in (
            (299, True, False),
            (355, False, False),
            (459, False, False),
            (559, False, True),
            (251, True, False),
            (252, True, False),
            (499, False, False),
            (500, False, True),
        ):
            reply = received(b"%d x" % code)
            self.assertEqual(
                (code, positive, permanent), (reply.code, reply.positive, reply.permanent)
            )

    def test_enhanced(self) -> None:
        """The enhanced code is taken off all lines of the reply."""
        reply = received(b"550-5.1.1 No such user", b"550 5.1.1 here")
        self.assertEqual(Reply(550, "5.1.1", ("No such user", "here")), reply)

    def test_enhanced_of_another_class(self) -> None:
        """The code decides; the enhanced code gets its class (OUT-02)."""
        self.assertEqual(Reply(450, "4.1.1", ("x",)), received(b"450 5.1.1 x"))
        self.assertEqual(Reply(550, "5.2.2", ("x",)), received(b"550 2.2.2 x"))
        self.assertEqual(Reply(250, "2.1.5", ("x", "y")), received(b"250-4.1.5 x", b"250 4.1.5 y"))

    def test_enhanced_is_supplied(self) -> None:
        """Where the peer sends none, x.0.0 is supplied (OUT-03)."""
        for code in (250, 450, 550):
            self.assertEqual(f"{code // 100}.0.0", received(b"%d x" % code).enhanced)

    def test_no_enhanced_code(self) -> None:
        """What only looks like an enhanced code stays text."""
        for text in (b"5.1", b"5.1.1.1 x", b"3.1.1 x", b"5.1.1234 x", b"x 5.1.1", b"5.1.1: x"):
            self.assertEqual(Reply(550, "5.0.0", (text.decode(),)), received(b"550 " + text))

    def test_go_ahead(self) -> None:
        """3yz has no enhanced code, also when the peer sends something like one."""
        self.assertEqual(Reply(354, "", ("2.0.0 go",)), received(b"354 2.0.0 go"))

    def test_text_is_made_printable(self) -> None:
        """Nothing that a terminal, a log or a header would obey is kept (INJ-11, PEER-15)."""
        for octets, text in (
            (b"a\x00b", "a?b"),
            (b"\x1b[2Jx", "?[2Jx"),
            (b"a\tb", "a b"),
            ("a\u202eb\u2066c".encode(), "a?b?c"),
            ("a\u2028b\u0085c".encode(), "a?b?c"),
            (b"caf\xe9", "caf\ufffd"),
            (b"\xff\xfe", "\ufffd\ufffd"),
            ("größe".encode(), "größe"),
            (b"{0.__class__} %s%n", "{0.__class__} %s%n"),
        ):
            self.assertEqual((text,), received(b"550 " + octets).lines)

    def test_bounded(self) -> None:
        """At most 2 KiB of text and 64 lines are kept (INJ-11, L6)."""
        long = received(b"550-" + b"x" * 8000, b"550 y")
        self.assertEqual(STORED_TEXT, len(long.text))
        many = received(*[b"550-x"] * 250, b"550 y")
        self.assertEqual(STORED_LINES, len(many.lines))
        both = received(*[b"550-" + b"x" * 200] * 250, b"550 y")
        self.assertLessEqual(sum(map(len, both.lines)), STORED_TEXT)

    @settings(derandomize=True, database=None, deadline=None, max_examples=300)
    @given(
        st.integers(200, 599),
        st.lists(st.binary(max_size=200).map(lambda o: o.replace(b"\n", b"")), min_size=1),
    )
    def test_property(self, code: int, texts: list[bytes]) -> None:
        """Any octets become a reply that is printable, bounded and legal on the wire (L5)."""
        lines = [b"%d-%b" % (code, text) for text in texts[:-1]]
        reply = received(*lines, b"%d %b" % (code, texts[-1]))
        self.assertEqual(code, reply.code)
        self.assertTrue(str(reply).isprintable())
        self.assertLessEqual(len(reply.text), STORED_TEXT + STORED_LINES)
        self.assertLessEqual(len(reply.lines), STORED_LINES)
        self.assertTrue(all(text.startswith(b"%d" % code) for text in [reply.encode()]))
        decoded(reply.encode())

    def test_cr_in_text(self) -> None:
        """A CR within a line is a character like any other: no text is lost behind it (L11)."""
        self.assertEqual(("user?unknown",), received(b"550 user\runknown").lines)
        self.assertEqual(("a?", "?b"), received(b"550-a\r", b"550 \rb").lines)

    def test_enhanced_code_of_a_line(self) -> None:
        """Of further lines, only the same enhanced code is taken off, whole and with its space."""
        reply = received(b"550-5.1.1", b"550-5.1.1 a", b"550-5.1.10 b", b"550 5.1.2 c")
        self.assertEqual(Reply(550, "5.1.1", ("", "a", "5.1.10 b", "5.1.2 c")), reply)
        reply = received(b"550-5.1.1 a", b"550 5.1.1")
        self.assertEqual(Reply(550, "5.1.1", ("a", "")), reply)


class EncodeTests(SynchronousTestCase):
    """A reply can be sent on."""

    def test_encode(self) -> None:
        """Every line has both codes; the last one a space (RFC 5321 4.2, RFC 2034 4)."""
        for reply, octets in (
            (Reply(250, "2.0.0", ("ok",)), b"250 2.0.0 ok\r\n"),
            (Reply(250, "2.0.0"), b"250 2.0.0\r\n"),
            (Reply(354), b"354\r\n"),
            (Reply(354, "", ("go",)), b"354 go\r\n"),
            (Reply(250, "", ("a", "b")), b"250-a\r\n250 b\r\n"),
            (Reply(550, "5.1.1", ("a", "b")), b"550-5.1.1 a\r\n550 5.1.1 b\r\n"),
            (Reply(550, "5.1.1", ("", "b")), b"550-5.1.1 \r\n550 5.1.1 b\r\n"),
        ):
            self.assertEqual(octets, reply.encode())

    def test_not_ascii(self) -> None:
        """Other characters are written out in ASCII (INJ-11)."""
        self.assertEqual(b"550 5.0.0 caf\\xe9 \\u20ac\r\n", Reply.parse("550 café €").encode())

    def test_long_lines(self) -> None:
        """No line is longer than 512 octets, and no octet of text is lost (INJ-11)."""
        for enhanced in ("", "5.0.0", "5.123.456"):
            for length in (0, 400, 498, 499, 500, 501, 502, 503, 505, 506, 507, 508, 2048):
                text = "".join(chr(0x61 + place % 26) for place in range(length))
                octets = Reply(550, enhanced, (text,)).encode()
                texts = [each.removeprefix(f"{enhanced} ".encode()) for each in decoded(octets)]
                whole = b"".join(texts)
                self.assertEqual(text or enhanced, whole.decode())
        full = Reply(550, "5.0.0", ("x" * (REPLY_LINE - 12),)).encode()
        self.assertEqual(REPLY_LINE, len(full))

    def test_survives_the_hop(self) -> None:
        """A reply passed on and read again is the same (L11, OUT-01)."""
        for reply in (
            Reply(250, "2.0.0"),
            Reply(550, "5.1.1", ("No such user",)),
            Reply(451, "4.7.1", ("greylisted", "try again in 300 s")),
            Reply(354, "", ("go",)),
        ):
            self.assertEqual(reply, Reply.received(reply.encode()))


class ReplyTests(SynchronousTestCase):
    """Codes are checked, texts can be changed."""

    def test_code_range(self) -> None:
        """A code is from 200 to 599."""
        for code in (0, 99, 100, 199, 600, 999, 2500, -250):
            self.assertRaises(ValueError, Reply, code)

    def test_softened(self) -> None:
        """A refusal of us is turned into one that says try again, and quotes it (PEER-08)."""
        self.assertEqual(
            Reply(451, "4.7.8", ("AUTH refused: 535 5.7.8 bad password",)),
            Reply.parse("535 5.7.8 bad password").softened("AUTH refused"),
        )
        self.assertEqual("4.0.0", Reply(554).softened("greeting refused").enhanced)

    def test_with_text(self) -> None:
        """The text is another, the codes are the same, and it is made printable."""
        reply = Reply.parse("451 4.4.2 lost").with_text("lost\r\n250 ok")
        self.assertEqual(Reply(451, "4.4.2", ("lost??250 ok",)), reply)

    def test_one_line(self) -> None:
        """As text a reply is one line."""
        reply = Reply(550, "5.1.1", ("a", "b"))
        self.assertEqual(("550 5.1.1 a b", "a b"), (str(reply), reply.text))
        self.assertEqual("354", str(Reply(354)))

    def test_value(self) -> None:
        """Replies compare, hash and pickle (OUT-10)."""
        reply = Reply(550, "5.1.1", ("a", "b"))
        self.assertEqual(reply, pickle.loads(pickle.dumps(reply)))
        self.assertEqual(1, len({reply, Reply(550, "5.1.1", ("a", "b"))}))

    def test_printable(self) -> None:
        """Text stays as it is but for characters that are obeyed, not shown."""
        for text in ("", "abc", "größe €", "{0} %s"):
            self.assertEqual(text, printable(text))
        self.assertEqual("a b c?d?e", printable("a\tb\xa0c\nd\ud800e"))

    def test_text_is_checked(self) -> None:
        """A reply with a text that is not printable cannot be built: it would be two (L5)."""
        for lines in (("a\r\n250 ok",), ("a", "b\n"), ("\x1b[2J",), ("\u202e",), ("a\tb",)):
            self.assertRaises(ValueError, Reply, 550, "5.0.0", lines)

    def test_enhanced_is_checked(self) -> None:
        """An enhanced code is three numbers, of the code's class, and none for 3yz (RFC 3463 2)."""
        for code, enhanced in (
            (250, "2"),
            (250, "2.0"),
            (250, "2.0.0.0"),
            (250, "2.0.0\r\n550 x"),
            (250, "2.0.0\n"),
            (250, "2.x.0"),
            (250, "2.1000.0"),
            (250, "5.0.0"),
            (354, "3.0.0"),
            (250, "2.\u0660.0"),
        ):
            self.assertRaises(ValueError, Reply, code, enhanced)
