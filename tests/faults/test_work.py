# -*- test-case-name: tests.faults.test_work -*-
"""No input makes us work more than in proportion to its length (PEER-14, L6, L7).

What is written in Python is counted: twice the input must not be much more than twice the work.
What a pattern or a method does inside cannot be counted; there, input that repeats itself as far as
the limits allow must take next to nothing of the processor, which is far less than what its square
would take.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.description import parse_description
from slimtwist.edge.auth import portal
from slimtwist.edge.body import Normalizer
from slimtwist.edge.http import HttpEdgeFactory
from slimtwist.edge.lines import CommandReader
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.errors import RelayError
from slimtwist.limits import Limits
from slimtwist.queue.direct import DirectQueue
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime
from slimtwist.smtp.auth import Credentials
from slimtwist.smtp.extensions import Extensions
from slimtwist.smtp.wire import DotReader, DotStuffer, ReplyReader
from slimtwist.smtpreply import SmtpReply
from slimtwist.testing import MemoryReactor, MemoryRelay
from tests.edge.world import Visitor
from tests.faults.fuzz import growth, pumps, quick, segments
from tests.faults.service import Posting, Service
from tests.faults.test_fuzz_sessions import Babble
from tests.smtp.talks import listen, many, static

#: Seconds of the processor for a whole session, most of which its making takes.
QUICK = 0.25
_USERS = portal([InMemoryUsernamePasswordDatabaseDontUse(joe=b"secret")])


def _fed(make: Callable[[], Any], unit: bytes, *, split: bool) -> Callable[[int], Any]:
    """Return what makes a call that feeds so many octets to a new reader."""

    def prepare(size: int) -> Callable[[], object]:
        octets = unit * (size // len(unit))
        pieces, reader = segments(octets) if split else [octets], make()
        return lambda: [reader.feed(piece) for piece in pieces]

    return prepare


def _forget(_: bytes) -> None:
    """Keep nothing."""


class _Lines:
    """Takes all lines out of a command reader."""

    def __init__(self) -> None:
        self._reader = CommandReader()

    def feed(self, octets: bytes) -> None:
        """Feed it, and take what is there."""
        self._reader.feed(octets)
        while self._reader.line(2048) is not None:
            pass


class CountTests(SynchronousTestCase):
    """Twice the input is about twice the work."""

    def assert_linear(self, prepare: Callable[[int], Any], size: int = 2000) -> None:
        """Check that the work grows with the input, and no faster."""
        self.assertLess(growth(prepare, size), 2.4)

    def test_readers(self) -> None:
        """Replies, commands and messages, in one piece and octet by octet."""
        for split in (False, True):
            for unit in (b"250 ok\r\n", b"250-ok\r\n", b"\n", b"250 " + b"x" * 500 + b"\r\n"):
                self.assert_linear(_fed(lambda: ReplyReader(Limits()), unit, split=split))
            for unit in (b"NOOP\r\n", b"RCPT TO:<" + b"x" * 500 + b"@y>\r\n"):
                self.assert_linear(_fed(_Lines, unit, split=split))
            for unit in (b"text\r\n", b"..\r\n", b"\r", b"\n.", b"\r\n..\r", b"x" * 2000):
                self.assert_linear(_fed(DotReader, unit, split=split))
                self.assert_linear(_fed(DotStuffer, unit, split=split))
                self.assert_linear(_fed(lambda: Normalizer(_forget), unit, split=split))

    def test_values(self) -> None:
        """Replies that are kept, extensions, fields, descriptions."""
        for function, unit in (
            (lambda octets: Reply.received(b"250-" + octets + b"\r\n250 x").encode(), b"\r\n250-x"),
            (Extensions.parse, b"250-AUTH x\r\n250-LIMITS a=1\r\n"),
            (lambda octets: SmtpReply.parse("550" + octets.decode()), b"; a=b"),
            (lambda octets: SmtpReply.parse(f'550; a="{octets.decode()}"'), b'\\"'),
            (lambda octets: parse_description("smtp:" + octets.decode()), b"a:"),
            (lambda octets: parse_description("smtp:" + octets.decode()), b"[a]"),
        ):

            def prepare(size: int, function: Any = function, unit: bytes = unit) -> Any:  # noqa: ANN401
                octets = unit * (size // len(unit))
                return lambda: function(octets)

            self.assert_linear(prepare, 4000)


class ProcessorTests(SynchronousTestCase):
    """Input that repeats itself takes next to nothing of the processor."""

    def check(self, session: Callable[[bytes], object], inputs: Iterator[bytes]) -> None:
        """Check a session with each input."""
        for octets in inputs:
            if not quick(lambda octets=octets: session(octets), QUICK):  # type: ignore[misc]
                self.fail(f"{octets[:60]!r}...{octets[-60:]!r} keeps us busy")
        self.flushLoggedErrors()

    def test_commands(self) -> None:
        """Command lines as long as they may be."""
        beginnings = (b"", b"MAIL FROM:<", b"MAIL FROM:<a@b> ", b'MAIL FROM:<"', b"RCPT TO:<@")
        self.check(
            lambda octets: _visit(SmtpEdgeFactory, b"EHLO c\r\n" + octets + b"\r\nQUIT\r\n"),
            (begin + pump[:2000] for begin in beginnings for pump in pumps(2000)),
        )

    def test_login(self) -> None:
        """Lines within AUTH as long as they may be."""
        self.check(
            lambda octets: _visit(SmtpEdgeFactory, b"EHLO c\r\nAUTH PLAIN " + octets + b"\r\n"),
            (form for pump in pumps(9000) for form in (pump, b64encode(pump))),
        )

    def test_messages(self) -> None:
        """Messages whose header is long."""
        begin = b"EHLO c\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
        heads = (b"", b"Received: ", b"Received: x\r\n")
        self.check(
            lambda octets: _visit(SmtpEdgeFactory, begin + octets + b"\r\n.\r\n"),
            (head + pump for head in heads for pump in pumps(60000)),
        )

    def test_requests(self) -> None:
        """Fields of HTTP requests as long as they may be."""
        names = (
            *(b"X-Envelope-Recipient", b"X-Envelope-Sender", b"Authorization", b"Accept"),
            *(b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Connection"),
        )
        rest = b"X-Envelope-Recipient: YkB4\r\nContent-Length: 0\r\n\r\n"
        head = b"POST /messages/ HTTP/1.1\r\nHost: e\r\nX-Envelope-Sender: YkB4\r\n"
        self.check(
            lambda octets: _visit(HttpEdgeFactory, octets),
            (
                head.replace(name, b"X") + name + b": " + begin + pump + b"x\r\n" + rest
                for name in names
                for begin in (b"", b"Basic " if name == b"Authorization" else b"a")
                for pump in pumps(9000)
            ),
        )

    def test_responses(self) -> None:
        """Fields of HTTP responses."""
        names = (
            *(b"X-Smtp-Reply: 550; message=", b"X-Smtp-Reply: ", b"Content-Length: "),
            *(b"Retry-After: Wed, 15 Nov ", b"Retry-After: 1", b"Content-Type: a"),
        )
        self.check(
            lambda octets: Posting(Service(octets)),
            (
                b"HTTP/1.1 503 x\r\n" + name + pump + b"x\r\nContent-Length: 0\r\n\r\n"
                for name in names
                for pump in pumps(15000)
            ),
        )

    def test_results(self) -> None:
        """Bodies of HTTP responses."""
        head = b"HTTP/1.1 200 x\r\nContent-Type: application/json\r\nContent-Length: 65000\r\n\r\n"
        self.check(
            lambda octets: Posting(Service(head + octets.ljust(65000))),
            (
                begin + pump
                for begin in (b"", b'{"results": [', b'{"results": ["', b'{"a": ')
                for pump in (*pumps(60000), b"[" * 60000, b'{"a":' * 12000, b"1" * 60000)
            ),
        )

    def test_hosts(self) -> None:
        """Replies as long as they may be, to a client that logs in."""
        for words in (
            [b"220 ", b"\r\n"],
            [b"220 mx\r\n", b"250-mx\r\n250 AUTH ", b"\r\n"],
            [b"220 mx\r\n", b"250-mx\r\n250 LIMITS ", b"\r\n"],
            [b"220 mx\r\n", b"250-mx\r\n250 AUTH LOGIN\r\n", b"334 ", b"\r\n"],
            [b"220 mx\r\n", b"250-mx\r\n250 AUTH CRAM-MD5\r\n", b"334 ", b"\r\n"],
            [b"220 mx\r\n", b"250-mx\r\n250 AUTH SCRAM-SHA-256\r\n", b"334 ", b"\r\n"],
            [b"220 mx\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"535 ", b"\r\n"],
        ):
            *before, begin, end = words
            self.check(
                lambda octets: _login([*before, begin + octets + end]),  # noqa: B023 - called now
                (form for pump in pumps(6000) for form in (pump, b64encode(pump))),
            )


def _visit(factory: Any, octets: bytes) -> None:  # noqa: ANN401
    """Let a client say something at once."""
    reactor = MemoryReactor(start=1_700_000_000.0)
    runtime = Runtime(reactor, hostname="edge", random=Random(1))
    options = EdgeOptions(portal=_USERS, auth_in_clear=True)
    made = factory(runtime, DirectQueue(runtime, MemoryRelay()), options)
    reactor.listenTCP(25, made, interface="0.0.0.0")
    endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", 25)
    visitor: Any = reactor.wait(endpoint.connect(Factory.forProtocol(Visitor)))
    visitor.transport.write(octets)
    reactor.flush()


def _login(words: list[bytes]) -> None:
    """Deliver to a host that says these things, one after the other."""
    reactor = MemoryReactor()
    listen(reactor, Babble(words))
    login = Credentials("joe", "secret")
    relay = static(reactor, credentials=login, auth_insecure=True)
    try:
        reactor.wait(relay.attempt(many(2), 0), 4000)
    except RelayError:
        reactor.flush()
