# -*- test-case-name: tests.edge.test_body -*-
"""Tests of a message's way from a client into a sink."""

from __future__ import annotations

import errno
from itertools import product

from hypothesis import given, settings, strategies
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import ContentWriter
from slimtwist.edge.body import Body, Normalizer, Receiver, counted, dotted
from slimtwist.edge.replies import BARE_NEWLINE, INTERNAL, LOOP, NO_ROOM, TOO_LARGE
from slimtwist.edge.trace import TraceScan
from slimtwist.limits import Limits
from slimtwist.smtp.wire import DotStuffer

SMALL = Limits(message=100, hops=2)


class Sink(ContentWriter):
    """A sink that can fail, and knows whether it was given up."""

    def __init__(self, *, code: int = 0, at_end: bool = False) -> None:
        super().__init__()
        self.abandoned = False
        self._code = code
        self._at_end = at_end

    def write(self, octets: bytes) -> None:
        """Take octets, or fail."""
        if self._code and not self._at_end:
            raise OSError(self._code, "no")
        super().write(octets)

    def finish(self) -> object:  # type: ignore[override]
        """End, or fail."""
        if self._code:
            raise OSError(self._code, "no")
        return super().finish()

    def abandon(self) -> None:
        """Note it."""
        self.abandoned = True
        super().abandon()


def body(sink: Sink | None = None, limits: Limits = SMALL) -> Body:
    """Return a message that has not begun."""
    return Body(sink or Sink(), limits, TraceScan())


def fed(receiver: Receiver, text: bytes, *, split: bool) -> bytes | None:
    """Give octets in one piece, or one by one; return what was left of them."""
    rest = None if split else receiver(text)
    for i in range(len(text) if split else 0):
        rest = receiver(text[i : i + 1])
        if rest is not None:
            return rest + text[i + 1 :]
    return rest


def read(
    text: bytes, *, normalize: bool = False, limits: Limits = SMALL
) -> tuple[bytes | None, bytes | None]:
    """Return the message in octets that follow DATA and what follows it, or the refusal."""
    results: list[tuple[bytes | None, bytes | None]] = []
    for split in (False, True):
        message = body(limits=limits)
        rest = fed(dotted(message, normalize=normalize), text, split=split)
        content = message.finish() if rest is not None else None
        octets = None if content is None else bytes(content)
        results.append((message.refusal or octets, rest))
    assert results[0] == results[1], results
    return results[0]


class Dotted(SynchronousTestCase):
    """Messages that end with a dot, in one piece and octet by octet."""

    def test_dots(self) -> None:
        """One dot is taken from where a line begins with it (SMI-07, SMI-12, SMI-13)."""
        for text, message in [
            (b"..\r\n.\r\n", b".\r\n"),
            (b".x\r\n.\r\n", b"x\r\n"),
            (b"a\r\n..\r\n...\r\nb.\r\n.\r\n", b"a\r\n.\r\n..\r\nb.\r\n"),
            (b".\r\n", b""),
            (b"\r\n.\r\n", b"\r\n"),
        ]:
            self.assertEqual(read(text), (message, b""))

    def test_not_the_end(self) -> None:
        """A dot with anything beside it does not end a message (SMI-10)."""
        for middle in (b". ", b".\t", b".\x0b", b" .", b".\0"):
            text = b"a\r\n" + middle + b"\r\n.\r\n"
            self.assertEqual(read(text), (b"a\r\n" + middle.removeprefix(b".") + b"\r\n", b""))

    def test_bare_rejected(self) -> None:
        """No line end but CRLF ends a message, and others refuse it (SMI-01, SMI-03..06)."""
        evil = b"MAIL FROM:<evil>\r\n"
        for end in (b"\n.\n", b"\r\n.\n", b"\r.\r\n", b"\r.\n", b"\n.\r", b"\r.\r", b"\n.\r\n"):
            result = read(b"a" + end + evil + b"\r\n.\r\nNOOP\r\n")
            self.assertEqual(result, (BARE_NEWLINE, b"NOOP\r\n"), end)

    def test_bare_normalized(self) -> None:
        """Normalized, they become line ends within the message, and never end it (SMI-01..06)."""
        for end in (b"\n.\n", b"\r\n.\n", b"\r.\r\n", b"\r.\n", b"\n.\r\n"):
            message, rest = read(b"a" + end + b"evil\r\n.\r\nNOOP\r\n", normalize=True)
            self.assertEqual(rest, b"NOOP\r\n", end)
            self.assertIn(message, {b"a\r\n.\r\nevil\r\n", b"a\r\n\r\nevil\r\n"}, end)

    def test_never_two_readings(self) -> None:
        """Of all short strings each is refused or read by CRLF alone, whole or split (L8)."""
        for letters in product([b"\r", b"\n", b".", b"a"], repeat=5):
            text = b"".join(letters) + b"\r\n.\r\n"
            lines = text.split(b"\r\n")
            end = lines.index(b".")
            message = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines[:end])
            bare = message.count(b"\r") != end or message.count(b"\n") != end
            wanted = BARE_NEWLINE if bare else message
            self.assertEqual(read(text), (wanted, b"\r\n".join(lines[end + 1 :])), text)

    @settings(deadline=None)
    @given(strategies.binary(max_size=500), strategies.data())
    def test_any_octets(self, octets: bytes, data: strategies.DataObject) -> None:
        """Any octets come out as they were sent, or are refused; split anywhere (MSG-12)."""
        stuffer = DotStuffer()
        sent = stuffer.feed(octets) + stuffer.finish() + b"NOOP\r\n"
        cut = data.draw(strategies.integers(0, len(sent)))
        message = body(limits=Limits())
        receive = dotted(message, normalize=False)
        rest = receive(sent[:cut])
        rest = receive(sent[cut:]) if rest is None else rest + sent[cut:]
        self.assertEqual(rest, b"NOOP\r\n")
        content = message.finish()
        bare = octets.replace(b"\r\n", b"")
        if b"\r" in bare or b"\n" in bare:
            self.assertEqual((content, message.refusal), (None, BARE_NEWLINE))
        else:
            assert content is not None
            ended = octets.endswith(b"\r\n") or not octets
            self.assertEqual(bytes(content), octets if ended else octets + b"\r\n")

    def test_size(self) -> None:
        """A message of the size allowed is taken; one octet more is 552 at its end (SMI-17)."""
        self.assertEqual(read(b"a" * 98 + b"\r\n.\r\n"), (b"a" * 98 + b"\r\n", b""))
        long = b"a" * 99 + b"\r\n.\r\nRSET\r\n"
        self.assertEqual(read(long), (TOO_LARGE, b"RSET\r\n"))

    def test_endless_line(self) -> None:
        """A line without an end is dropped up to the end of data, with what is in it (SMI-16)."""
        text = b"a" * 1000 + b" MAIL FROM:<evil>\r\n.\r\nRSET\r\n"
        self.assertEqual(read(text), (TOO_LARGE, b"RSET\r\n"))

    def test_large_and_bare(self) -> None:
        """A bare newline behind the size allowed still ends the connection (SMI-16)."""
        self.assertEqual(read(b"a" * 200 + b"\n.\n\r\n.\r\n"), (BARE_NEWLINE, b""))

    def test_dropped(self) -> None:
        """A message that is refused is not kept any longer (L6)."""
        sink = Sink()
        dotted(body(sink), normalize=False)(b"a" * 200 + b"\r\n")
        self.assertTrue(sink.abandoned)

    def test_hops(self) -> None:
        """More trace fields than allowed are a loop (ING-28)."""
        fields = b"Received: x\r\n"
        self.assertEqual(read(fields * 2 + b"\r\n.\r\n"), (fields * 2 + b"\r\n", b""))
        self.assertEqual(read(fields * 3 + b"\r\n.\r\n"), (LOOP, b""))


class Storage(SynchronousTestCase):
    """Sinks that fail."""

    def test_trouble(self) -> None:
        """Where there is no room the reply is 452, for other trouble 451, never 250 (OS-03)."""
        for at_end in (False, True):
            for number, reply in [
                (errno.ENOSPC, NO_ROOM),
                (errno.EDQUOT, NO_ROOM),
                (errno.EIO, INTERNAL),
                (errno.EROFS, INTERNAL),
                (errno.EMFILE, INTERNAL),
            ]:
                sink = Sink(code=number, at_end=at_end)
                message = body(sink)
                rest = dotted(message, normalize=False)(b"a\r\n.\r\nNOOP\r\n")
                self.assertEqual((rest, message.finish()), (b"NOOP\r\n", None))
                self.assertEqual((message.refusal, sink.abandoned), (reply, True))


class Chunks(SynchronousTestCase):
    """Messages in chunks."""

    def test_counted(self) -> None:
        """A chunk has the octets that were said, and no more (SMI-19)."""
        for split in (False, True):
            message = body()
            self.assertEqual(fed(counted(5, message.take), b"a\r\nbcXY", split=split), b"XY")
            self.assertEqual(fed(counted(2, message.take), b"\r\n", split=split), b"")
            content = message.finish()
            assert content is not None
            self.assertEqual(bytes(content), b"a\r\nbc\r\n")

    def test_empty(self) -> None:
        """A chunk of nothing is over before it begins."""
        self.assertEqual(counted(0, len)(b"NOOP\r\n"), b"NOOP\r\n")
        self.assertEqual(counted(0, len)(b""), b"")

    def test_identical(self) -> None:
        """Dots are not touched, and no line end is added (MSG-03)."""
        message = body()
        counted(9, message.take)(b"..\r\n.\r\na.")
        content = message.finish()
        assert content is not None
        self.assertEqual(bytes(content), b"..\r\n.\r\na.")

    def test_bare(self) -> None:
        """The same line ends are refused as after DATA, also at a chunk's end (SMI-20)."""
        for chunks in ([b"\n.\n"], [b"a\r", b"b"], [b"a\r"], [b"a", b"\n"]):
            message = body()
            for chunk in chunks:
                counted(len(chunk), message.take)(chunk)
            self.assertIsNone(message.finish())
            self.assertEqual(message.refusal, BARE_NEWLINE, chunks)

    def test_normalized(self) -> None:
        """Normalized, all line ends become CRLF, however they are split (SMI-20)."""
        for letters in product([b"\r", b"\n", b"a"], repeat=5):
            text = b"".join(letters)
            wanted = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
            for split in (False, True):
                taken: list[bytes] = []
                normalizer = Normalizer(taken.append)
                fed(counted(len(text), normalizer.feed), text, split=split)
                normalizer.finish()
                self.assertEqual(b"".join(taken), wanted, text)
