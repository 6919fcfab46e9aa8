# -*- test-case-name: tests.test_events -*-
"""Tests of the log events of queues."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import LogEvent, Logger, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Client, Envelope
from slimtwist.events import log_attempt
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply
from tests.events import Events


class Attempts(SynchronousTestCase):
    """Finished attempts."""

    def log(self, envelope: Envelope, report: Report) -> list[LogEvent]:
        """Return the events."""
        events = Events()
        log_attempt(Logger(observer=events), envelope, report, relay="smtp:x", delay=1.25)
        return events

    def test_fields(self) -> None:
        """There is one event for each recipient, with all there is to know of it."""
        envelope = replace(
            Envelope.parse("a@b", ["c@d", "e@f"], b""), id="x1", client=Client(ip="192.0.2.1")
        )
        taken = Outcome.of(Reply.parse("250 2.0.0 taken"), host="mx:25", tls="TLSv1.3")
        refused = Outcome.of(Reply.parse("550 5.1.1 unknown"), host="mx:25", command="RCPT")
        one, two = self.log(envelope, Report((taken, refused)))
        for key, value in {
            "envelope": "x1",
            "sender": "a@b",
            "recipient": "c@d",
            "relay": "smtp:x",
            "client": "192.0.2.1",
            "peer": "mx:25",
            "tls": "TLSv1.3",
            "code": 250,
            "enhanced": "2.0.0",
            "text": "taken",
            "verdict": "delivered",
            "delay": 1.25,
            "ambiguous": False,
            "client_gone": False,
        }.items():
            self.assertEqual(one[key], value, key)
        self.assertEqual((two["recipient"], two["verdict"], two["code"]), ("e@f", "failed", 550))
        self.assertEqual((two["command"], two["tls"]), ("RCPT", None))

    def test_text(self) -> None:
        """People read one line."""
        outcome = Outcome.of(Reply.parse("450 4.2.1 busy"), host="mx:25")
        (event,) = self.log(Envelope.parse("a@b", ["c@d"], b""), Report((outcome,)))
        text = formatEvent(event)
        for part in ("from=<a@b>", "to=<c@d>", "relay=smtp:x", "delay=1.250", "450 4.2.1 busy"):
            self.assertIn(part, text)
        self.assertNotIn("\n", text)

    def test_no_formats(self) -> None:
        """Nothing that came from outside is a format (INJ-14)."""
        for evil in ("{0.__class__}", "{sender.__class__}", "%s%n", "{", "}}"):
            outcome = Outcome.of(Reply.parse("550 5.0.0 x").with_text(evil))
            envelope = Envelope.parse(f'"{evil}"@b', ["c@d"], b"")
            (event,) = self.log(envelope, Report((outcome,)))
            self.assertEqual(formatEvent(event).count(evil), 2, evil)

    def test_one_line(self) -> None:
        """A peer's reply cannot begin a line of its own (INJ-11, INJ-14)."""
        reply = Reply.received(b"550 5.0.0 a\r2026 delivered\x1b[2J\xe2\x80\xa8x")
        (event,) = self.log(Envelope.parse("a@b", ["c@d"], b""), Report((Outcome.of(reply),)))
        self.assertTrue(formatEvent(event).isprintable())
