# -*- test-case-name: tests.relay.http.test_result -*-
"""What responses mean."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Verdict
from slimtwist.relay.http.result import CONFIGURATION, SPARED, STATUSES, Meaning, Response

REPLY = "x-smtp-reply"
MEANING = Meaning("h:80")


def told(
    status: int,
    reply: str | None = None,
    *,
    meaning: Meaning = MEANING,
    retry: str | None = None,
    early: bool = False,
) -> str:
    """Return what a response means: code and enhanced code, and whether it is ambiguous."""
    headers = {REPLY: [reply]} if reply is not None else {}
    if retry is not None:
        headers["retry-after"] = [retry]
    [outcome] = meaning.outcomes(Response(status, "Text", headers, early=early), 1, 1_000_000.0)
    return f"{outcome.reply.code} {outcome.reply.enhanced}{' ambiguous' * outcome.ambiguous}"


def from_json(status: int, *results: object, count: int | None = None) -> list[int]:
    """Return the codes that a JSON body leads to."""
    headers = {"content-type": ["Application/JSON; charset=utf-8"]}
    body = json.dumps({"results": results}).encode()
    response = Response(status, "", headers, body)
    outcomes = MEANING.outcomes(response, len(results) if count is None else count, 0.0)
    return [outcome.reply.code for outcome in outcomes]


class StatusTests(SynchronousTestCase):
    """Without an SMTP reply the status decides."""

    def test_success(self) -> None:
        """Every 2xx is delivered (HTR-01)."""
        for status in range(200, 300):
            self.assertEqual(told(status), "250 2.0.0")

    def test_redirects(self) -> None:
        """No redirect is followed, or taken for a success (HTR-07, HTR-08)."""
        for status in range(300, 400):
            self.assertEqual(told(status), "451 4.5.0")

    def test_faults_of_ours(self) -> None:
        """4xx fails, but for what HTTP itself calls worth repeating (HTR-04)."""
        known = {
            413: "552 5.3.4",
            408: "451 4.4.2",
            421: "451 4.3.2",
            425: "451 4.3.2",
            429: "451 4.7.0",
        }
        for status in range(400, 500):
            self.assertEqual(told(status), known.get(status, "550 5.0.0"))
            later = told(status, retry="5")
            self.assertTrue(later.startswith("451 4."), f"{status}: {later}")

    def test_spared(self) -> None:
        """One option defers faults of configuration, and nothing else (HTR-04)."""
        meaning = Meaning("h", SPARED)
        for status in range(400, 500):
            expected = "451 4.3.5" if status in CONFIGURATION else told(status)
            self.assertEqual(told(status, meaning=meaning), expected)
        self.assertEqual(CONFIGURATION, (401, 403, 404, 405, 407, 410))
        self.assertEqual(told(404, '550; message="5.1.1 x"', meaning=meaning), "451 4.1.1")
        self.assertEqual(told(500, '550; message="5.1.1 x"', meaning=meaning), "550 5.1.1")
        self.assertEqual(told(404, '450; message="4.1.1 x"', meaning=meaning), "450 4.1.1")

    def test_faults_of_theirs(self) -> None:
        """Every 5xx is deferred (HTR-06)."""
        for status in range(500, 600):
            self.assertEqual(told(status), "451 4.3.0")

    def test_no_status(self) -> None:
        """What is no status of a final response is a fault of protocol (HTR-15)."""
        for status in (0, 100, 101, 199, 600, 999, -200):
            self.assertEqual(told(status), "451 4.5.0 ambiguous")

    def test_table(self) -> None:
        """The table is an argument; a wrong one is refused."""
        meaning = Meaning("h", {**STATUSES, 404: "451 4.3.5 later", 500: "554 5.0.0 no"})
        self.assertEqual(told(404, meaning=meaning), "451 4.3.5")
        self.assertEqual(told(503, meaning=meaning), "554 5.0.0")
        for wrong in ({404: "250 ok"}, {404: "354 go on"}, {404: "nonsense"}):
            self.assertRaises(ValueError, Meaning, "h", {**STATUSES, **wrong})
        self.assertRaises(ValueError, Meaning, "h", {200: "250 ok"})

    def test_retry_after(self) -> None:
        """Both forms of Retry-After reach the caller, within a day (issue 5)."""
        for text, seconds in {
            "17": 17.0,
            "0": 0.0,
            "99999999999999999999": 86400.0,
            "Mon, 12 Jan 1970 13:48:00 GMT": 80.0,
            "Mon, 12 Jan 1970 13:00:00 GMT": 0.0,
            "-1": None,
            "soon": None,
            "\u0661": None,
        }.items():
            response = Response(503, "", {"retry-after": [text]})
            [outcome] = MEANING.outcomes(response, 1, 1_000_000.0)
            self.assertEqual(outcome.retry_after, seconds, text)
        [outcome] = MEANING.outcomes(Response(204, "", {"retry-after": ["9"]}), 1, 0.0)
        self.assertIsNone(outcome.retry_after)

    def test_phrase(self) -> None:
        """The text of the status can be shown (INJ-11)."""
        [outcome] = MEANING.outcomes(Response(404, "\x1b[2J\r\n\u2028" + "x" * 9000, {}), 1, 0.0)
        self.assertTrue(outcome.reply.text.isprintable())
        self.assertLess(len(outcome.reply.text), 600)


class ReplyTests(SynchronousTestCase):
    """An SMTP reply decides where it is believable."""

    def test_negative(self) -> None:
        """4yz and 5yz hold whatever the status (issue 5)."""
        for status in (200, 204, 302, 404, 429, 500, 503):
            self.assertEqual(told(status, '550; message="5.1.1 no"'), "550 5.1.1")
            self.assertEqual(told(status, '450; message="4.2.1 no"'), "450 4.2.1")

    def test_positive(self) -> None:
        """2yz holds with 2xx; with any other status it is a contradiction (HTR-03)."""
        self.assertEqual(told(201, '252; message="2.6.0 ok"'), "252 2.6.0")
        for status in (300, 303, 400, 404, 429, 500, 503):
            self.assertEqual(told(status, '250; message="2.0.0 ok"'), "451 4.5.0 ambiguous")

    def test_early(self) -> None:
        """A success before the message has left is none (L1)."""
        self.assertEqual(told(204, early=True), "451 4.5.0")
        self.assertEqual(told(204, "250", early=True), "451 4.5.0")
        self.assertEqual(told(404, "250", early=True), "451 4.5.0")
        self.assertEqual(told(404, early=True), "550 5.0.0")
        self.assertEqual(told(999, early=True), "451 4.5.0")

    def test_malformed(self) -> None:
        """What is no such reply is ignored: the status decides (HTR-17, INJ-12)."""
        for text in (
            "999;",
            "abc",
            "",
            "354; message=x",
            "199",
            "5500",
            "550 x",
            '550; message="x',
            "550; " + "x" * 10_000,
            '550; message="a" command="b"',
            "\u0665\u0665\u0660",
        ):
            self.assertEqual(told(204, text), "250 2.0.0", text)
            self.assertEqual(told(500, text), "451 4.3.0", text)
        twice = Response(204, "", {REPLY: ["550", "250"]})
        self.assertEqual(MEANING.outcomes(twice, 1, 0.0)[0].reply.code, 250)

    def test_command(self) -> None:
        """The command of a refusal reaches the caller (L11)."""
        response = Response(500, "", {REPLY: ['550; message="5.1.1 no"; command="RCPT"']})
        [outcome] = MEANING.outcomes(response, 1, 0.0)
        self.assertEqual((outcome.command, outcome.host), ("RCPT", "h:80"))

    @given(st.integers(100, 700), st.text(max_size=80), st.binary(max_size=80), st.booleans())
    def test_anything(self, status: int, field: str, body: bytes, early: bool) -> None:
        """Whatever comes, each recipient has one outcome, which can be shown; and no success has
        another status than 2xx (L1, L3).
        """
        headers = {
            REPLY: [field],
            "retry-after": [field],
            "content-type": ["application/json"],
        }
        response = Response(status, field, headers, body, early=early)
        outcomes = MEANING.outcomes(response, 3, 0.0)
        self.assertEqual(len(outcomes), 3)
        for outcome in outcomes:
            self.assertTrue(str(outcome.reply).isprintable())
            if outcome.verdict is Verdict.DELIVERED:
                self.assertTrue(response.good and not early)


class JsonTests(SynchronousTestCase):
    """A result for each recipient (HTR-21)."""

    def test_results(self) -> None:
        """They go before all else, in the order of the recipients."""
        results: list[Any] = [
            {"code": 250, "message": "2.0.0 ok"},
            {"code": 450},
            {"code": 550, "message": "5.1.1 no", "command": "RCPT", "recipient": "x@y"},
        ]
        for status in (200, 500, 503, 404):
            self.assertEqual(from_json(status, *results), [250, 450, 550])

    def test_unbelievable(self) -> None:
        """Success for all with a status of failure, or a redirect, is not believed (L1)."""
        ok = {"code": 250, "message": "2.0.0 ok"}
        self.assertEqual(from_json(200, ok, ok), [250, 250])
        self.assertEqual(from_json(503, ok, ok), [451, 451])
        self.assertEqual(from_json(404, ok), [451])
        self.assertEqual(from_json(303, ok, {"code": 550}), [451, 451])

    def test_contradiction(self) -> None:
        """Nor does such a status decide: the message may have been taken (HTR-03, L4)."""
        body = json.dumps({"results": [{"code": 250, "message": "2.0.0 ok"}]}).encode()
        for status in (404, 413, 500, 503):
            for early in (False, True):
                fields = {"content-type": ["application/json"], "x-smtp-reply": ["550"]}
                response = Response(status, "", fields, body, early=early)
                [outcome] = MEANING.outcomes(response, 1, 0.0)
                self.assertEqual((outcome.reply.code, outcome.ambiguous), (451, not early))
                self.assertIn(f"HTTP {status} with 250 2.0.0 ok", outcome.reply.text)

    def test_malformed(self) -> None:
        """What has another form is ignored."""
        ok = {"code": 250}
        codes: list[object] = ["250", 354, 199, True, None, 250.0]
        wrongs: list[object] = [{}, [], None, 5, *({"code": code} for code in codes)]
        for wrong in wrongs:
            self.assertEqual(from_json(500, ok, wrong), [451, 451])
        self.assertEqual(from_json(500, {"code": 550}, count=2), [451, 451])
        for body in (
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"results": 5}',
            b"[" * 60000,
            b'{"results": {}}',
        ):
            response = Response(500, "", {"content-type": ["application/json"]}, body)
            self.assertEqual([o.reply.code for o in MEANING.outcomes(response, 1, 0.0)], [451])

    def test_kind(self) -> None:
        """It must say that it is JSON."""
        body = b'{"results": [{"code": 550}]}'
        for kind in ("text/html", "application/jsonp", "x application/json"):
            response = Response(204, "", {"content-type": [kind]}, body)
            self.assertEqual(MEANING.outcomes(response, 1, 0.0)[0].reply.code, 250)

    def test_shown(self) -> None:
        """Texts can be shown (INJ-11)."""
        evil = {"code": 550, "message": "5.1.1 \x1b[2J\r\n250 ok", "command": "R\r\nX" * 90}
        headers = {"content-type": ["application/json"]}
        body = json.dumps({"results": [evil]}).encode()
        [outcome] = MEANING.outcomes(Response(200, "", headers, body), 1, 0.0)
        self.assertTrue(str(outcome.reply).isprintable())
        self.assertTrue((outcome.command or "").isprintable())
        self.assertLessEqual(len(outcome.command or ""), 40)
