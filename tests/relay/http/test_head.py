# -*- test-case-name: tests.relay.http.test_head -*-
"""The first lines of responses are looked at, however they are cut into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.relay.http.head import Heads

_OK = b"HTTP/1.1 200 Ok\r\n"


class HeadTests(SynchronousTestCase):
    """L{Heads}."""

    def test_right(self) -> None:
        """What is a response passes, and so does whatever its body is (HTR-01, HTR-09)."""
        for octets in (
            b"HTTP/1.1 204 No Content\r\n\r\n",
            b"HTTP/1.0 200\r\n\r\n",
            b"HTTP/1.1 999 Odd\n\n",
            _OK + b"Content-Length: 3\r\n\r\nHTTP",
            _OK + b"Content-Length: 3\r\ncontent-length: 3\r\n\r\nabc",
            _OK + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
            _OK + b"X-Smtp-Reply: 250;\r\n message=ok\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + _OK + b"\r\n\0",
            _OK + b"\r\n" + b"x" * 100_000,
        ):
            self.assertEqual(Heads().feed(octets), "", octets[:80])

    def test_status(self) -> None:
        """A status line has three digits, and a version that is spoken (HTR-15)."""
        for status in (
            b"00200",
            b"+200",
            b"-200",
            b"2000",
            b"20",
            b"",
            b"099",
            b"2_0",
            b"\xb2\xb0\xb0",
        ):
            complaint = Heads().feed(b"HTTP/1.1 %b Ok\r\n" % status)
            self.assertEqual(complaint, "no status line of HTTP/1.1", status)
        for line in (b"HTTP/2 200 Ok", b"HTTP/1.10 200 Ok", b" HTTP/1.1 200", b"", b"<html>"):
            self.assertEqual(Heads().feed(line + b"\r\n"), "no status line of HTTP/1.1", line)

    def test_switching(self) -> None:
        """101 leads elsewhere (HTR-09)."""
        octets = b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"
        self.assertEqual(Heads().feed(octets), "101 Switching Protocols")

    def test_fields(self) -> None:
        """A body ends in one way, and each field has a name (HTR-15)."""
        for lines, complaint in (
            (
                b"Content-Length: 2\r\nTransfer-Encoding: chunked",
                "the end of the body is told in two ways",
            ),
            (b"Content-Length: 1\r\nContent-Length: 2", "no Content-Length"),
            (b"Content-Length: -1", "no Content-Length"),
            (b"Content-Length: +2", "no Content-Length"),
            (b"Content-Length: 1, 2", "no Content-Length"),
            (b"Content-Length:", "no Content-Length"),
            (b"Transfer-Encoding: gzip", "unknown Transfer-Encoding"),
            (
                b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "unknown Transfer-Encoding",
            ),
            (b"Content-Length", "no field"),
            (b" folded: x", "no field"),
        ):
            self.assertEqual(Heads().feed(_OK + lines + b"\r\n\r\n"), complaint, lines)

    def test_endless(self) -> None:
        """A line has an end (L6)."""
        for begun in (b"", _OK):
            heads = Heads()
            self.assertEqual(heads.feed(begun + b"X-Long: " + b"x" * 10_000), "")
            self.assertEqual(heads.feed(b"x" * 10_000), "a line without end")
            self.assertEqual(
                Heads().feed(begun + b"x:" + b"x" * 20_000 + b"\n"), "a line without end"
            )

    def test_again(self) -> None:
        """Each response is looked at."""
        heads = Heads()
        self.assertEqual(heads.feed(_OK + b"\r\n"), "")
        heads.begin()
        self.assertEqual(heads.feed(b"HTTP/1.1 "), "")
        self.assertEqual(heads.feed(b"+200 Ok\r\n"), "no status line of HTTP/1.1")
        self.assertEqual(heads.feed(_OK), "no status line of HTTP/1.1")

    @given(
        st.binary(max_size=80), st.sampled_from([b"", _OK, _OK + b"Content-Length: "]), st.data()
    )
    def test_pieces(self, tail: bytes, begun: bytes, data: st.DataObject) -> None:
        """Pieces make no difference, and nothing raises (L12)."""
        octets = begun + tail
        place = data.draw(st.integers(0, len(octets)))
        heads = Heads()
        heads.feed(octets[:place])
        self.assertEqual(heads.feed(octets[place:]), Heads().feed(octets))
