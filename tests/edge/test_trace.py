# -*- test-case-name: tests.edge.test_trace -*-
"""Tests of trace fields."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Recipient
from slimtwist.edge.trace import Tracer, TraceScan, protocol
from slimtwist.envelope import Client
from slimtwist.runtime import Runtime

HELO = "client.example"


def tracer(seed: int = 1) -> Tracer:
    """Return a tracer of a host, at a certain second."""
    clock = Clock()
    clock.rightNow = 1_700_000_000.9
    return Tracer(Runtime(clock, hostname="relay.example", random=Random(seed)))


def field(client: Client, *recipients: str) -> str:
    """Return the trace field of a message for somebody."""
    people = [Recipient.parse(each) for each in recipients or ("b@example.org",)]
    return tracer().field(client, "1.abc", people).decode()


class Protocols(SynchronousTestCase):
    """The word in the with clause."""

    def test_words(self) -> None:
        """Each combination has the word that RFC 3848 and RFC 6531 give it."""
        for flags, word in [
            ("", "SMTP"),
            ("esmtp", "ESMTP"),
            ("esmtp tls", "ESMTPS"),
            ("esmtp auth", "ESMTPA"),
            ("esmtp tls auth", "ESMTPSA"),
            ("esmtp smtputf8", "UTF8SMTP"),
            ("esmtp smtputf8 tls auth", "UTF8SMTPSA"),
            ("lmtp", "LMTP"),
            ("lmtp tls", "LMTPS"),
            ("lmtp tls auth smtputf8", "UTF8LMTPSA"),
            ("tls", "SMTP"),
        ]:
            names = ("lmtp", "esmtp", "tls", "auth", "smtputf8")
            self.assertEqual(protocol(**{name: name in flags.split() for name in names}), word)


class Fields(SynchronousTestCase):
    """The field itself."""

    def test_field(self) -> None:
        """It says from whom, by whom, with what, for whom and when (RFC 5321 4.4)."""
        client = Client(ip="192.0.2.1", helo=HELO, protocol="ESMTPS")
        self.assertEqual(
            field(client),
            "Received: from client.example ([192.0.2.1])\r\n"
            "\tby relay.example with ESMTPS id 1.abc\r\n"
            "\tfor <b@example.org>; Tue, 14 Nov 2023 22:13:20 +0000\r\n",
        )

    def test_one_field(self) -> None:
        """Another program finds one field with one date in it (MSG-13)."""
        octets = field(Client(ip="2001:db8::1", helo=HELO, protocol="ESMTP")).encode() + b"\r\n"
        found = message_from_bytes(octets, policy=policy.default).items()
        self.assertEqual([name for name, _ in found], ["Received"])
        when = parsedate_to_datetime(found[0][1].rpartition(";")[2])
        self.assertEqual(when.timestamp(), 1_700_000_000)
        self.assertIn("([IPv6:2001:db8::1])", found[0][1])

    def test_date_moves(self) -> None:
        """The date is that of the message."""
        clock = Clock()
        writer = Tracer(Runtime(clock, random=Random(1)))
        client, people = Client(protocol="ESMTP"), [Recipient.parse("b@c")]
        self.assertIn(b"Thu, 01 Jan 1970 00:00:00 +0000", writer.field(client, "1", people))
        clock.advance(61)
        self.assertIn(b"Thu, 01 Jan 1970 00:01:01 +0000", writer.field(client, "1", people))

    def test_evil_names(self) -> None:
        """Names that have not the form of one are left out; the field stays one (INJ-13)."""
        for name in [
            "a)b",
            "a;b",
            "(a",
            "a\\b",
            '"a"',
            "a,b",
            "[x",
            "[1.2.3.4](",
            "é",
            "a\r\nX: y",
        ]:
            text = field(Client(ip="192.0.2.1", helo=name, protocol="ESMTP"))
            self.assertTrue(text.startswith("Received: from [192.0.2.1] ([192.0.2.1])\r\n"), name)
            self.assertNotIn(name, text)
            text = field(Client(ip=None, helo=name, protocol="ESMTP"))
            self.assertTrue(text.startswith("Received: from unknown\r\n"), name)

    def test_nobody_else(self) -> None:
        """Neither identity nor host name of the client are told (INJ-13)."""
        client = Client(ip="192.0.2.1", host="ptr.example", helo=HELO, protocol="LMTP", auth="joe")
        self.assertNotIn("joe", field(client))
        self.assertNotIn("ptr", field(client))

    def test_recipients(self) -> None:
        """One recipient is named, several are not; nor is one beyond ASCII."""
        client = Client(helo=HELO, protocol="LMTP")
        self.assertIn('for <"b b"@c>;', field(client, '"b b"@c'))
        for people in (["b@c", "d@e"], ["ü@c"]):
            text = field(client, *people)
            self.assertNotIn("for", text)
            self.assertTrue(text.isascii())

    def test_lines(self) -> None:
        """No line is longer than 998 octets (MSG-13)."""
        client = Client(ip="2001:db8::1", helo="a." * 127 + "b", protocol="UTF8LMTPSA")
        for line in field(client, "b" * 200 + "@" + "c" * 50).split("\r\n"):
            self.assertLess(len(line), 400)

    def test_ids(self) -> None:
        """No two messages have the same id, nor have two processes (OUT-12)."""
        one, other = tracer(1), tracer(2)
        ids = {each.next_id() for each in (one, other) for _ in range(100)}
        self.assertEqual(len(ids), 200)


class Scans(SynchronousTestCase):
    """Fields that are there already."""

    def scan(self, text: bytes, mark: bytes | None = None) -> tuple[int, bool]:
        """Scan octets, in pieces of every size."""
        results = set()
        for size in range(1, len(text) + 1):
            scan = TraceScan(mark)
            for start in range(0, len(text), size):
                scan.feed(text[start : start + size])
            results.add((scan.count, scan.looped))
        self.assertEqual(len(results), 1, results)
        return results.pop()

    def test_count(self) -> None:
        """Fields are counted in any case, at line starts of the header only (ING-28)."""
        text = (
            b"Received: a\r\nSubject: Received:\r\nRECEIVED:b\r\n\tReceived: c\r\n"
            b"received: d\r\nX-Received: e\r\n\r\nReceived: f\r\n"
        )
        self.assertEqual(self.scan(text), (3, False))

    def test_no_header(self) -> None:
        """A message without a header has none."""
        self.assertEqual(self.scan(b"\r\nReceived: a\r\n"), (0, False))

    def test_loop(self) -> None:
        """A message for whom it was for when it was here before goes in a circle (ING-28)."""
        one = tracer()
        people = [Recipient.parse("b@example.org")]
        client = Client(ip="192.0.2.1", helo=HELO, protocol="ESMTP")
        text = b"X: y\r\n" + one.field(client, one.next_id(), people) + b"\r\nbody\r\n"
        self.assertEqual(self.scan(text, one.mark(people)), (1, True))

    def test_no_loop(self) -> None:
        """Sent on to somebody else, or from another process, it does not; nor in the body."""
        one, other = tracer(1), tracer(2)
        people, others = [Recipient.parse("b@c")], [Recipient.parse("bb@c")]
        client = Client(helo=HELO, protocol="ESMTP")
        text = one.field(client, one.next_id(), people) + b"\r\n"
        self.assertEqual(self.scan(text, one.mark(others)), (1, False))
        self.assertEqual(self.scan(text, other.mark(people)), (1, False))
        self.assertEqual(self.scan(b"\r\n" + text, one.mark(people)), (0, False))
        self.assertIsNone(one.mark([*people, *others]))
