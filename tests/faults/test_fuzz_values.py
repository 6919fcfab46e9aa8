# -*- test-case-name: tests.faults.test_fuzz_values -*-
"""Hostile texts for all that makes values of them: a value, or the error that is documented."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.address import Address
from slimtwist.description import parse_description
from slimtwist.outcome import Outcome
from slimtwist.relay import sysexits
from slimtwist.relay.http.result import Meaning, Response
from slimtwist.relay.sysexits import EXIT_STATUSES
from slimtwist.smtpreply import SmtpReply
from tests.faults.fuzz import ALIKE, inputs


class ValueTests(SynchronousTestCase):
    """Texts: a value, or the error that is documented."""

    def test_smtp_reply(self) -> None:
        """X-Smtp-Reply is a reply or nothing, and stays the same when written (HTR-17, INJ-12)."""
        for octets in inputs("fields", 5000):
            for field in (octets.decode("latin-1"), octets.decode("utf-8", "replace")):
                self.check_field(field)

    @ALIKE
    @given(st.text('250;" \\=message\r\n\x85é', max_size=40))
    def test_property_smtp_reply(self, text: str) -> None:
        """Whatever stands in it."""
        self.check_field(text)
        self.check_field(f'550; message="{text}')
        self.check_field(f'550; message="{text}"; command={text}')

    def check_field(self, field: str) -> None:
        """Check one."""
        parsed = SmtpReply.parse(field)
        if parsed is not None:
            written = parsed.format()
            self.assertTrue(written.isascii() and written.isprintable(), field)
            again = SmtpReply.parse(written)
            self.assertIsNotNone(again, field)
            self.assertEqual(again and again.format(), written, field)

    def test_descriptions(self) -> None:
        """A description is taken apart, or refused with a text."""
        for octets in inputs("descriptions", 5000):
            text = octets.decode("latin-1")
            try:
                found = parse_description(text)
            except ValueError as error:
                self.assertTrue(str(error))
            else:
                self.assertTrue(text.startswith(found.prefix))

    def test_addresses(self) -> None:
        """An address is kept octet by octet, or refused (INJ-01, INJ-05)."""
        for octets in inputs("commands", 3000):
            for word in re.split(rb"[ \r\n]", octets):
                path = word.partition(b"<")[2].rpartition(b">")[0]
                try:
                    address = Address(path)
                except ValueError:
                    continue
                self.assertEqual(address.octets, path)
                self.assertIsNone(re.search(rb"[\x00-\x1f\x7f]", path), path)

    def test_outputs(self) -> None:
        """Whatever a program prints, its status is an outcome that can be shown (L5)."""
        for number, octets in enumerate(inputs("outputs", 2000)):
            output = octets.decode("utf-8", "replace")
            self.check_outcome(sysexits.outcome(number % 256, output, EXIT_STATUSES, "program"))

    def test_results(self) -> None:
        """Whatever a body and Retry-After hold, there is an outcome that can be shown (HTR-21)."""
        dates = inputs("dates", 4000)
        for number, octets in enumerate(inputs("results", 3000)):
            when = next(dates).decode("utf-8", "replace")
            fields = {"content-type": ["application/json"], "retry-after": [when]}
            status = (200, 303, 404, 503)[number % 4]
            response = Response(status, "text", fields, octets)
            [outcome] = Meaning("service").outcomes(response, 1, 1_700_000_000.0)
            self.check_outcome(outcome)
            self.assertTrue(0 <= (outcome.retry_after or 0) <= 86400, when)

    def check_outcome(self, outcome: Outcome) -> None:
        """Check that nobody is harmed who is told of it."""
        self.assertTrue(all(map(str.isprintable, outcome.reply.lines)))
        self.assertTrue((outcome.command or "").isprintable())
        self.assertTrue(outcome.reply.encode().isascii())
