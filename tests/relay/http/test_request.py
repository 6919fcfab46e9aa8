# -*- test-case-name: tests.relay.http.test_request -*-
"""The fields of a request."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from slimtwist.envelope import Envelope
from slimtwist.relay.http.request import Names, Secrets, fields, idempotency_key

MESSAGE = b"Subject: x\r\n\r\nhello\r\n"


class FieldTests(SynchronousTestCase):
    """What an envelope becomes; the whole is in C{test_relay}."""

    def setUp(self) -> None:
        """Have a clock."""
        self.clock = Clock()
        self.clock.advance(1_700_000_000.9)

    def made(self, envelope: Envelope, secrets: Secrets) -> Headers:
        """Return the fields of a request."""
        making = Deferred.fromCoroutine(fields(envelope, "me.x", Names(), secrets, self.clock))
        while not making.called:
            self.clock.advance(0)
        return self.successResultOf(making)

    def test_null_sender(self) -> None:
        """The null sender is an empty field."""
        headers = self.made(Envelope.parse("", ["c@d"], MESSAGE), Secrets())
        self.assertEqual(headers.getRawHeaders("X-Envelope-Sender"), [""])
        self.assertFalse(headers.hasHeader("Authorization"))
        self.assertFalse(headers.hasHeader("X-Signature"))

    def test_signed(self) -> None:
        """The signature is over time, envelope and body, of whatever size (issue 5)."""
        body = MESSAGE + (b"y" * 70 + b"\r\n") * 50_000
        headers = self.made(Envelope.parse("a@b", ["c@d"], body), Secrets(key=b"0123456789abcdef"))
        signed = b"1700000000\nYUBi\nY0Bk\n\n" + body
        expected = hmac.new(b"0123456789abcdef", signed, hashlib.sha256).hexdigest()
        self.assertEqual(headers.getRawHeaders("X-Signature"), [expected])
        self.assertEqual(headers.getRawHeaders("X-Signature-Time"), ["1700000000"])

    def test_in_turns(self) -> None:
        """Others have their turn while a large message is signed."""
        body = MESSAGE + (b"y" * 70 + b"\r\n") * 50_000
        envelope = Envelope.parse("a@b", ["c@d"], body)
        secrets = Secrets(key=b"0123456789abcdef")
        made = fields(envelope, "me.x", Names(), secrets, self.clock)
        self.assertNoResult(Deferred.fromCoroutine(made))
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_key(self) -> None:
        """The key is of the message and its recipients."""
        envelope = Envelope.parse("a@b", ["c@d", "e@f"], MESSAGE)
        again = envelope.subset([0, 1])
        self.assertEqual(idempotency_key(envelope), idempotency_key(again))
        others = {idempotency_key(envelope.subset(chosen)) for chosen in ([0], [1], [1, 0])}
        self.assertEqual(len(others | {idempotency_key(envelope)}), 4)


class ChoiceTests(SynchronousTestCase):
    """What an operator may choose."""

    def test_secrets(self) -> None:
        """Secrets are not shown, and hold nothing that could become another field (L5)."""
        for secrets, field in (
            (Secrets(bearer="secret"), "Bearer secret"),
            (Secrets(basic="me:secret"), "Basic bWU6c2VjcmV0"),
            (Secrets(), None),
        ):
            self.assertEqual(secrets.authorization(), field)
            self.assertNotIn("secret", repr(secrets))
        wrongs: list[dict[str, Any]] = [
            {"bearer": "a", "basic": "b:c"},
            {"bearer": "a\r\nX: y"},
            {"bearer": "a b"},
            {"bearer": "\u00fc"},
            {"basic": "secret"},
            {"basic": "me:a\nb"},
        ]
        for wrong in wrongs:
            with self.assertRaises(ValueError) as caught:
                Secrets(**wrong)
            self.assertNotIn("secret", str(caught.exception))

    def test_names(self) -> None:
        """Names are names of fields, of which none is taken."""
        for name in ("", "a b", "a:", "a\r\nb", "\u00fc", "Host", "content-length", "x-ehlo"):
            with self.assertRaises(ValueError):
                Names(sender=name)
        self.assertEqual(Names(sender="X-From").sender, "X-From")
