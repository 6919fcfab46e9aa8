# -*- test-case-name: tests.policy.test_headers -*-
"""Fields go on top, where they are wanted, and the rest of the message stays as it is."""

from __future__ import annotations

import io
import socket
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelayPolicy
from slimtwist.policy.headers import AddDateHeader, AddHeader, AddMessageIdHeader
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor

OCTETS = b"Subject: x\r\n\r\nDate: x\r\nMessage-ID: y\r\n"


def message(octets: bytes = OCTETS) -> Envelope:
    """Return an envelope with a content in a file."""
    content = Content.read(io.BytesIO(octets), threshold=0)
    return replace(Envelope.parse("a@b", ["c@d"], b""), id="1.2", content=content)


class HeaderTestCase(SynchronousTestCase):
    """Has a clock and a name."""

    def setUp(self) -> None:
        """Begin at some time."""
        self.runtime = Runtime(MemoryReactor(start=1_700_000_000.0), hostname="relay.example")

    def top(self, policy: IRelayPolicy, envelope: Envelope) -> bytes:
        """Return what the policy has put on top."""
        self.assertTrue(verifyObject(IRelayPolicy, policy))
        before = bytes(envelope.content)
        found = policy.apply(envelope)
        assert isinstance(found, Envelope)
        octets = bytes(found.content)
        self.assertTrue(octets.endswith(before))
        self.assertIs(found.content.body, envelope.content.body, "the message was read to memory")
        self.addCleanup(envelope.content.close)
        return octets[: len(octets) - len(before)]


class AddHeaderTests(HeaderTestCase):
    """One field for every message."""

    def test_field(self) -> None:
        """It goes on top, also where there is one like it (L8)."""
        for octets in (OCTETS, b"X-Via: other\r\n\r\nx", b""):
            top = self.top(AddHeader("X-Via", "me, at home"), message(octets))
            self.assertEqual(top, b"X-Via: me, at home\r\n")

    def test_injection(self) -> None:
        """A field is one line, and its name a name (L5)."""
        for name, value in (
            ("", "x"),
            ("X Y", "x"),
            ("X:", "x"),
            ("X\r\n", "x"),
            ("\xfc", "x"),
            ("X", "x\r\nBcc: y"),
            ("X", "x\ny"),
            ("X", "\xfc"),
            ("X", "\0"),
            ("X", "x" * 996),
        ):
            self.assertRaises(ValueError, AddHeader, name, value)
        AddHeader("X", "x" * 995)

    def test_repr(self) -> None:
        """Operators see the field."""
        self.assertIn("X-Via: me", repr(AddHeader("X-Via", "me")))


class AddDateHeaderTests(HeaderTestCase):
    """C{Date}."""

    def test_missing(self) -> None:
        """A message without one gets that of its coming in, in each attempt; or else the present
        time (RFC 5322 3.6.1).
        """
        policy = AddDateHeader(runtime=self.runtime)
        self.assertEqual(self.top(policy, message()), b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n")
        early = replace(message(), received=1_600_000_000.7)
        self.assertEqual(self.top(policy, early), b"Date: Sun, 13 Sep 2020 12:26:40 +0000\r\n")

    def test_there(self) -> None:
        """A message with one keeps it, however it is written."""
        policy = AddDateHeader(runtime=self.runtime)
        for octets in (b"Date: x\r\n\r\n", b"X: y\r\nDATE :\r\n x\r\n", b"date:\r\n\r\n"):
            self.assertEqual(self.top(policy, message(octets)), b"")

    def test_not_that(self) -> None:
        """Other fields, and the body, do not count."""
        policy = AddDateHeader(runtime=self.runtime)
        for octets in (b"Resent-Date: x\r\n\r\n", b"X: y\r\n Date: z\r\n\r\n", OCTETS):
            self.assertNotEqual(self.top(policy, message(octets)), b"")


class AddMessageIdHeaderTests(HeaderTestCase):
    """C{Message-ID}."""

    def test_missing(self) -> None:
        """A message without one is called by its id, the same in each attempt."""
        policy = AddMessageIdHeader(runtime=self.runtime)
        self.assertEqual(self.top(policy, message()), b"Message-ID: <1.2@relay.example>\r\n")
        other = AddMessageIdHeader("other.example", runtime=self.runtime)
        self.assertEqual(self.top(other, message()), b"Message-ID: <1.2@other.example>\r\n")

    def test_there(self) -> None:
        """A message with one keeps it."""
        policy = AddMessageIdHeader(runtime=self.runtime)
        self.assertEqual(self.top(policy, message(b"message-id: <x@y>\r\n\r\n")), b"")

    def test_default_runtime(self) -> None:
        """Without a runtime it is the host's own name."""
        self.patch(socket, "getfqdn", lambda: "host.example")
        policy = AddMessageIdHeader()
        self.assertEqual(self.top(policy, message()), b"Message-ID: <1.2@host.example>\r\n")
        self.assertIn(b"Date: ", self.top(AddDateHeader(), message()))

    def test_wrong(self) -> None:
        """The name is one (L5)."""
        self.assertRaises(ValueError, AddMessageIdHeader, "x>\r\n")
