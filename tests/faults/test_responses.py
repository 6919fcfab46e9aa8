# -*- test-case-name: tests.faults.test_responses -*-
"""Every status with every form of X-Smtp-Reply, however framed, and what is no response at all.

The outcome is compared with a table; the message after it is delivered as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.delivery import told
from tests.faults.replies import expected, table
from tests.faults.service import GOOD, Posting, Service

STATUSES = {
    "2xx": (200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 250, 299),
    "3xx": (300, 301, 302, 303, 304, 305, 307, 308, 399),
    "4xx": (
        *(400, 401, 402, 403, 404, 405, 406, 407, 409, 410, 411, 412, 413, 414, 415, 416, 417),
        *(418, 422, 423, 424, 426, 428, 431, 451, 499),
    ),
    "4xx to be repeated": (408, 421, 425, 429),
    "4xx with Retry-After": (400, 403, 404, 413, 422, 429, 499),
    "5xx": (500, 501, 502, 503, 504, 505, 507, 508, 511, 599),
    "none of HTTP": (600, 999),
}
#: One of each row.
ONE_EACH = {name: statuses[:1] for name, statuses in STATUSES.items()}
FORMS: dict[str, tuple[tuple[bytes, ...], ...]] = {
    "none": ((),),
    "2yz": ((b'250; message="2.0.0 ok"',), (b'250; message="2.0.0 \\"ok\\\\"; command="RCPT"',)),
    "4yz": ((b'450; message="4.2.1 busy"',), (b" 450 ; MESSAGE=busy ;x=y",)),
    "5yz": ((b'550; message="5.1.1 no"; command="RCPT"',), (b'550; message="\xff\x1b[2J"',)),
    "bad": (
        (b'999; message="x"',),
        (b'354; message="go"',),
        (b"abc",),
        (b"",),
        (b'250; message="never ended',),
        (b'550; message="2.0.0 ok" and more',),
        (b'250; message="%b"' % (b"x" * 10240),),
        (b"550; a=b; \xff",),
        (b'250; message="a"', b'550; message="b"'),
    ),
}
BODY = b"<html>a body</html>"
#: The body of a response, however it is framed: its fields, and its octets.
FRAMES: dict[str, tuple[bytes, bytes, bytes]] = {
    "a length": (b"", b"Content-Length: %d\r\n" % len(BODY), BODY),
    "chunks": (
        b"",
        b"Transfer-Encoding: chunked\r\n",
        b"6;a=b\r\n<html>\r\nd\r\na body</html>\r\n0\r\nX-Smtp-Reply: 550\r\n\r\n",
    ),
    "interim responses": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Smtp-Reply: 250\r\n\r\n",
        b"Content-Length: %d\r\n" % len(BODY),
        BODY,
    ),
    "an end": (b"", b"Connection: close\r\n", BODY),
}
_HEAD = b'HTTP/1.1 200 OK\r\nX-Smtp-Reply: 250; message="ok"\r\n'
_CHUNKS = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
#: What looks like a success, but is no whole response of HTTP/1 (HTR-12, HTR-13, HTR-15).
BROKEN = (
    b"",
    b"H",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200 OK\r\n",
    _HEAD,
    _HEAD + b"Content-Length: 2\r\n",
    _HEAD + b"Content-Length: 2\r\n\r\n",
    _HEAD + b"Content-Length: 2\r\n\r\no",
    _HEAD + b"Content-Length: -1\r\n\r\n",
    _HEAD + b"Content-Length: +2\r\n\r\nok",
    _HEAD + b"Content-Length: 2x\r\n\r\nok",
    _HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nok",
    _HEAD + b"Transfer-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok",
    _CHUNKS,
    _CHUNKS + b"2",
    _CHUNKS + b"2\r\no",
    _CHUNKS + b"2\r\nok",
    _CHUNKS + b"2\r\nok\r\n",
    _CHUNKS + b"2\r\nok\r\n0\r\n",
    _CHUNKS + b"2\r\nokxx0\r\n\r\n",
    _CHUNKS + b"fffffffffffffffffffff\r\nok",
    _CHUNKS + b"-2\r\nok\r\n0\r\n\r\n",
    _CHUNKS + b"nonsense\r\nok\r\n0\r\n\r\n",
    _CHUNKS + b"2;" + b"x" * 300_000,
    b"HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 abc OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 -200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 199 What\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/2 200\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"<html>delivered</html>\r\n",
    b"250 2.0.0 ok\r\n",
    b"\r\n\r\n",
    b"\0" * 100,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000,
    b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,
)


class ResponseTests(SynchronousTestCase):
    """L1 to L3, L10, L12, HTR-01 to HTR-17."""

    def check(self, complaints: Iterator[str]) -> None:
        """Check that nothing is wrong."""
        if wrong := next(complaints, None):
            self.fail(wrong)
        self.flushLoggedErrors()  # of Twisted's client, about what is none of HTTP

    def test_statuses(self) -> None:
        """Every status means what the table says, with an X-Smtp-Reply and without (HTR-01)."""
        firsts = {name: forms[:1] for name, forms in FORMS.items()}
        self.check(complaints(STATUSES, firsts, ["a length"]))

    def test_forms(self) -> None:
        """So does every form of X-Smtp-Reply, however the body comes (HTR-03, HTR-17)."""
        self.check(complaints(ONE_EACH, FORMS, FRAMES))

    def test_broken_then_end(self) -> None:
        """What is no whole response is none, when the connection ends (HTR-12, HTR-15)."""
        self.check(broken(lambda transport: transport.loseConnection()))

    def test_broken_then_silence(self) -> None:
        """Nor when nothing follows: the deadline holds (HTR-13)."""
        self.check(broken(lambda _: None))

    def test_two_at_once(self) -> None:
        """A response too many is none to the next message (L12)."""
        refusal = GOOD.replace(b"250", b"550")
        for more in (GOOD, GOOD[:30], b"x", GOOD * 9):
            posting = Posting(Service(GOOD + more, refusal))
            self.assertEqual(
                [told(each) for each in posting.outcomes], ["delivered 250", "failed 550"]
            )
            self.assertEqual(posting.left, ())


def complaints(
    statuses: dict[str, tuple[int, ...]],
    forms: dict[str, tuple[tuple[bytes, ...], ...]],
    frames: Any,  # noqa: ANN401
) -> Iterator[str]:
    """Let a service answer so, and yield what is wrong."""
    cells = table("http")
    for (row, form), frame in product(cells, frames):
        for status, fields in product(statuses[row], forms[form]):
            answer = _answer(status, fields, frame, again="Retry-After" in row)
            wanted = expected(cells[row, form])[0]
            if wrong := wrongs(Posting(Service(answer)), wanted):
                yield f"{status} in {frame} with {[each[:80] for each in fields]}: {wrong}"


def _answer(
    status: int, fields: tuple[bytes, ...], frame: str, *, again: bool
) -> bytes | Callable[[Any], object]:
    before, framing, body = FRAMES[frame]
    if status in (204, 304):
        framing = body = b""
    lines = b"".join(b"X-Smtp-Reply: %b\r\n" % each for each in fields)
    lines += b"Retry-After: 7\r\n" * again
    octets = b"%bHTTP/1.1 %d Text\r\n%b%b\r\n%b" % (before, status, lines, framing, body)
    if frame != "an end":
        return octets
    return lambda transport: (transport.write(octets), transport.loseConnection())


def broken(after: Callable[[Any], object]) -> Iterator[str]:
    """Let a service answer with each thing that is no response, and yield what is wrong."""
    for octets in BROKEN:

        def answer(transport: Any, octets: bytes = octets) -> None:  # noqa: ANN401
            transport.write(octets)
            after(transport)

        if wrong := wrongs(Posting(Service(answer)), "deferred?"):
            yield f"{octets[:150]!r}: {wrong}"


def wrongs(posting: Posting, wanted: str) -> list[str]:
    """Return what is wrong in a run."""
    found = [f"left: {each}" for each in posting.left]
    first, second = posting.outcomes
    given = f"{first.verdict.value}{'?' * first.ambiguous}"
    if given != wanted:
        found.append(f"{given}, and not {wanted}: {first.reply}")
    if told(second) != "delivered 250" or posting.copies(1) != 1:
        found.append(f"the message after it: {second.reply}, {posting.copies(1)} copies")
    if not all(line.isprintable() for line in first.reply.lines):
        found.append(f"{first.reply.lines} can do harm")
    return found
