# -*- test-case-name: tests.simulation.test_posting -*-
"""Each oracle of HTTP can find fault, and what clients and services of HTTP do is looked at."""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import planted
from tests.simulation.defects import DEFECTS, find
from tests.simulation.models.http_odd import NAMES, PLAIN, Response, odd
from tests.simulation.models.http_request import HOST, PATH, Header
from tests.simulation.run import run
from tests.simulation.table import RESPONSES

#: Seeds in which each defect has to be found here.
_WITHIN: Final = 20
_LINES: Final = (
    b"POST " + PATH + b" HTTP/1.1",
    b"Host: " + HOST.encode(),
    b"Content-Type: message/rfc822",
    b"Content-Length: 5",
    b'Idempotency-Key: "0123456789"',
    b"X-Ehlo: relay.example",
    b"X-Envelope-Sender: YUBi",
    b"X-Envelope-Recipient: Y0Bk",
    b"Accept: application/json",
)


class PostingTests(SynchronousTestCase):
    """The oracles."""

    def test_found(self) -> None:
        """Each planted defect of HTTP is found, and nothing is when it is gone."""
        planted.register()
        names = [name for name, each in DEFECTS.items() if each.scenario == "http"]
        self.assertGreater(len(names), 10)
        for name in names:
            result = find(DEFECTS[name], within=_WITHIN)
            self.flushLoggedErrors()
            assert result is not None, name
            self.assertEqual(run(result.plan).violations, (), name)


class RequestTests(SynchronousTestCase):
    """The service reads requests strictly."""

    def wrongs(self, *lines: bytes, login: bool = False) -> list[str]:
        """Return what is wrong with a header."""
        found: list[str] = []
        Header(b"\r\n".join(lines), found.append, login=login)
        return found

    def test_right(self) -> None:
        """A request of the right form says what it is."""
        self.assertEqual(self.wrongs(*_LINES), [])
        header = Header(b"\r\n".join(_LINES), self.fail, login=False)
        self.assertEqual((header.sender, header.recipients), ("a@b", ("c@d",)))
        self.assertEqual((header.length, header.expects), (5, False))

    def test_missing(self) -> None:
        """Nothing may be missing or be there twice, and nothing else may be there."""
        for place in range(len(_LINES)):
            self.assertTrue(self.wrongs(*_LINES[:place], *_LINES[place + 1 :]), _LINES[place])
        for each in (*_LINES[1:7], b"Cookie: a=b", b"Accept-Encoding: gzip", b" folded: x"):
            self.assertTrue(self.wrongs(*_LINES, each), each)
        self.assertTrue(self.wrongs(*_LINES, login=True))
        self.assertTrue(self.wrongs(*_LINES, b"Expect: 100-continue"))
        self.assertTrue(self.wrongs(*_LINES, b"X-Envelope-Recipient: not base64"))


class OddTests(SynchronousTestCase):
    """What a service says instead of the right response."""

    def test_kinds(self) -> None:
        """Each name stands for something of a kind for which there is a word."""
        right = Response(200, b"OK", body=b"taken")
        for name in NAMES:
            made = odd(name, b"#1#", right, "success", recipients=2, spare=False)
            self.assertIn(made.kind, RESPONSES, name)
            self.assertTrue(made.steps, name)
        self.assertLess(PLAIN, {*NAMES})
