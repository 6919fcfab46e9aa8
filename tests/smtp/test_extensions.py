# -*- test-case-name: tests.smtp.test_extensions -*-
"""What hosts write in reply to EHLO, and what is read from it (PEER-37, PEER-40)."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.limits import Limits
from slimtwist.smtp.extensions import Extensions
from slimtwist.smtp.wire import ReplyReader


def parse(*keywords: str | bytes) -> Extensions:
    """Return what a reply with these lines behind its first offers."""
    lines = [b"mx.example.com", *(k if isinstance(k, bytes) else k.encode() for k in keywords)]
    sent = b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1]
    (reply,) = ReplyReader(Limits()).feed(sent)
    return Extensions.parse(reply)


class ExtensionsTests(SynchronousTestCase):
    """Extensions that are offered, in usual and in odd forms."""

    def test_all(self) -> None:
        """Each keyword is a field of its own."""
        self.assertEqual(
            parse(
                "PIPELINING",
                "SIZE 1000",
                "8BITMIME",
                "SMTPUTF8",
                "DSN",
                "STARTTLS",
                "REQUIRETLS",
                "AUTH PLAIN LOGIN",
                "LIMITS RCPTMAX=50 MAILMAX=7",
                "ENHANCEDSTATUSCODES",
                "X-UNHEARD OF",
            ),
            Extensions(
                pipelining=True,
                size=1000,
                declares_size=True,
                eight_bit=True,
                smtputf8=True,
                dsn=True,
                starttls=True,
                requiretls=True,
                auth=frozenset({"PLAIN", "LOGIN"}),
                recipients=50,
                messages=7,
            ),
        )

    def test_each_alone(self) -> None:
        """A keyword sets its own field and no other."""
        for keyword, field in {
            "PIPELINING": "pipelining",
            "8BITMIME": "eight_bit",
            "SMTPUTF8": "smtputf8",
            "DSN": "dsn",
            "STARTTLS": "starttls",
            "REQUIRETLS": "requiretls",
        }.items():
            self.assertEqual(parse(keyword), Extensions(**{field: True}))  # type: ignore[arg-type]

    def test_none(self) -> None:
        """PEER-37: a reply without keywords, in any form, offers nothing."""
        for reply in (
            b"250",
            b"250 ",
            b"250 mx STARTTLS",
            b"250-mx\r\n250",
            b"250-\r\n250-\r\n250 ",
        ):
            self.assertEqual(Extensions.parse(reply), Extensions(), reply)

    def test_first_line(self) -> None:
        """The first line names the host, whatever it looks like."""
        self.assertEqual(Extensions.parse(b"250-STARTTLS\r\n250 DSN"), Extensions(dsn=True))

    def test_case(self) -> None:
        """RFC 5321 4.1.1.1: keywords are the same in any case."""
        self.assertEqual(
            parse("StartTls", "auth plain Login", "size 5", "limits rcptmax=3"),
            parse("STARTTLS", "AUTH PLAIN LOGIN", "SIZE 5", "LIMITS RCPTMAX=3"),
        )

    def test_spaces(self) -> None:
        """Spaces and tabs, however many, are one separator."""
        self.assertEqual(
            parse("STARTTLS  ", "  SIZE   77 ", "AUTH\tPLAIN\t LOGIN", "", "   "),
            parse("STARTTLS", "SIZE 77", "AUTH PLAIN LOGIN"),
        )

    def test_longer_words(self) -> None:
        """A word that only begins or ends like a keyword is another."""
        self.assertEqual(
            parse("STARTTLSX", "XSTARTTLS", "STARTTLS=1", "DSN-", "8BITMIME2", "X-AUTH PLAIN"),
            Extensions(),
        )

    def test_parameters(self) -> None:
        """A keyword with parameters that it should not have counts."""
        self.assertEqual(parse("STARTTLS now", "DSN 1"), Extensions(starttls=True, dsn=True))

    def test_line_ends_in_a_line(self) -> None:
        """L12: a CR alone, or what Python calls a line end, begins no new line."""
        self.assertEqual(parse("HELP\r250-STARTTLS"), Extensions())
        self.assertEqual(parse(b"HELP\x0b250-STARTTLS\x0c250-DSN"), Extensions())

    def test_not_ascii(self) -> None:
        """PEER-15: other octets in a line neither raise nor make a keyword."""
        self.assertEqual(
            parse(b"START\xffTLS", b"DSN\x00", b"AUTH PLAIN \xe9", "\u017fize 5", "DSN"),
            Extensions(dsn=True, auth=frozenset({"PLAIN", "\ufffd"})),
        )

    def test_many(self) -> None:
        """PEER-37: as many keywords as a reply may have lines are read, in whatever order."""
        others = [f"X-{number}" for number in range(Limits().reply_lines - 2)]
        self.assertTrue(parse(*others, "STARTTLS").starttls)
        self.assertTrue(parse("STARTTLS", *others).starttls)

    def test_long(self) -> None:
        """A line as long as a reply line may be is read."""
        self.assertEqual(parse("X" * 8000, "DSN", "AUTH " + "A " * 4000).auth, frozenset({"A"}))

    def test_twice(self) -> None:
        """A keyword that comes twice counts as one; mechanisms are added up."""
        self.assertEqual(parse("DSN", "DSN"), Extensions(dsn=True))
        self.assertEqual(parse("AUTH PLAIN", "AUTH LOGIN").auth, {"PLAIN", "LOGIN"})


class SizeTests(SynchronousTestCase):
    """RFC 1870: how large a message may be."""

    def test_size(self) -> None:
        """PEER-37: no number, 0 or nonsense is no limit; SIZE may then be declared all the same."""
        for keyword, size in {
            "SIZE 1": 1,
            "SIZE 052428800": 52428800,
            "SIZE 99999999999999999999": 99999999999999999999,
            "SIZE": None,
            "SIZE 0": None,
            "SIZE x": None,
            "SIZE -5": None,
            "SIZE +5": None,
            "SIZE 5_0": None,
            "SIZE 1e3": None,
            "SIZE 5.5": None,
            "SIZE \u0665": None,
            "SIZE 5 5": None,
            "SIZE " + "9" * 21: None,
            "SIZE " + "9" * 8000: None,
        }.items():
            self.assertEqual(parse(keyword), Extensions(size=size, declares_size=True), keyword)

    def test_equals(self) -> None:
        """C{SIZE=100} is another word: nothing is known, and nothing declared."""
        self.assertEqual(parse("SIZE=100"), Extensions())

    def test_two_sizes(self) -> None:
        """Two sizes are no size."""
        self.assertEqual(parse("SIZE 5", "SIZE 7"), Extensions(declares_size=True))


class AuthTests(SynchronousTestCase):
    """RFC 4954: mechanisms."""

    def test_equals(self) -> None:
        """C{AUTH=LOGIN}, from before RFC 2554, counts like C{AUTH LOGIN}; so do both forms."""
        self.assertEqual(parse("AUTH=LOGIN").auth, {"LOGIN"})
        self.assertEqual(
            parse("AUTH=LOGIN PLAIN", "AUTH CRAM-MD5").auth, {"LOGIN", "PLAIN", "CRAM-MD5"}
        )

    def test_none(self) -> None:
        """AUTH without a mechanism offers none."""
        self.assertEqual(parse("AUTH"), Extensions())
        self.assertEqual(parse("AUTH="), Extensions())


class LimitsTests(SynchronousTestCase):
    """RFC 9422: limits that a host declares."""

    def test_bad(self) -> None:
        """PEER-40: what is no limit is ignored, and the rest holds."""
        for keyword in (
            "LIMITS",
            "LIMITS RCPTMAX",
            "LIMITS RCPTMAX=",
            "LIMITS RCPTMAX=0",
            "LIMITS RCPTMAX=x",
            "LIMITS RCPTMAX=-1",
            "LIMITS RCPTMAX = 5",
            "LIMITS RCPTMAX=" + "9" * 30,
            "LIMITS =5",
            "LIMITS XRCPTMAX=5",
        ):
            self.assertEqual(parse(keyword), Extensions(), keyword)
            self.assertEqual(parse(f"{keyword} MAILMAX=5").messages, 5, keyword)

    def test_others(self) -> None:
        """Limits of other kinds are not ours."""
        self.assertEqual(parse("LIMITS RCPTDOMAINMAX=1 RCPTMAX=9"), Extensions(recipients=9))


class AnythingTests(SynchronousTestCase):
    """Whatever a host writes, it is read without an error."""

    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=6))
    def test_anything(self, lines: list[bytes]) -> None:
        """Fields have their types, and numbers are above 0."""
        found = parse(*lines)
        for each in fields(found):
            value = getattr(found, each.name)
            if each.name in {"size", "recipients", "messages"}:
                self.assertTrue(value is None or value > 0)
            elif each.name == "auth":
                self.assertTrue(all(name == name.upper() for name in value))
            else:
                self.assertIsInstance(value, bool)
