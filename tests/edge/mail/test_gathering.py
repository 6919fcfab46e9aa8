# -*- test-case-name: tests.edge.mail.test_gathering -*-
"""Lines on their way into a queue's sink."""

from __future__ import annotations

import errno

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.mail.gathering import LONGEST_LINE, Gathering
from slimtwist.edge.mail.refused import Refused
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.setting import Setting
from slimtwist.limits import Limits
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor
from tests.edge import spool
from tests.edge.spool import Sink, Spool


class GatheringTests(SynchronousTestCase):
    """One message."""

    def begin(
        self,
        options: EdgeOptions | None = None,
        mark: bytes | None = None,
        longest: int = LONGEST_LINE,
    ) -> Gathering:
        """Begin a message."""
        self.queue = Spool()
        setting = Setting.of(Runtime(MemoryReactor()), self.queue, options or EdgeOptions())
        return Gathering(setting, mark, longest)

    def give(self, gathering: Gathering, *lines: bytes) -> bytes:
        """Give lines, and return the octets that they make."""
        for line in lines:
            gathering.take(line)
        return bytes(gathering.finish())

    def refused(self, gathering: Gathering, *lines: bytes) -> str:
        """Give lines that are refused, and return the reply."""
        error = self.assertRaises(Refused, self.give, gathering, *lines)
        self.assertIn("abandoned", self.queue.sinks[0].ends)
        self.assertIsInstance(error.resp, bytes)
        return str(error.reply)

    def test_octets(self) -> None:
        """Lines get their ends, and nothing else is changed (L8)."""
        lines = [b"a: b", b"", b".", b"..", b"\0\xff" * 1000, b" ", b"x" * LONGEST_LINE, b""]
        octets = self.give(self.begin(), *lines)
        self.assertEqual(octets, b"\r\n".join([*lines, b""]))
        self.assertEqual(self.queue.sinks[0].ends, "finished ")

    def test_none(self) -> None:
        """A message may have no line (MSG-06)."""
        self.assertEqual(self.give(self.begin()), b"")

    def test_blocks(self) -> None:
        """Not much is kept outside the sink (L6)."""
        gathering = self.begin()
        for count in range(1, 10_000):
            gathering.take(b"x" * 98)
            self.assertLess(count * 100 - self.queue.sinks[0].size, 65_636)

    def test_longest_line(self) -> None:
        """There is a limit to a line, whatever the server has (L6)."""
        self.assertEqual(self.give(self.begin(longest=10), b"x" * 10), b"x" * 10 + b"\r\n")
        self.assertEqual(self.refused(self.begin(longest=10), b"x" * 11), "500 5.5.6 line too long")

    def test_size(self) -> None:
        """There is a limit to a message (ING-11)."""
        options = EdgeOptions(limits=Limits(message=10))
        self.assertEqual(len(self.give(self.begin(options), b"123456", b"")), 10)
        for lines in ((b"123456", b"x"), (b"x" * 70_000,)):
            gathering = self.begin(options, longest=100_000)
            self.assertEqual(self.refused(gathering, *lines), "552 5.3.4 message too large")

    def test_bare(self) -> None:
        """A CR or LF alone refuses the message (SMI)."""
        for line in (b"a\nb", b"a\rb", b"a\r", b"\n.", b"\r"):
            self.assertEqual(
                self.refused(self.begin(), b"x", line), "521 5.5.2 CR or LF alone in the message"
            )

    def test_normalize(self) -> None:
        """Or it becomes a line end, if that was chosen."""
        options = EdgeOptions(bare_newline="normalize")
        octets = self.give(self.begin(options), b"a\nb\rc", b"d\r", b"\n.")
        self.assertEqual(octets, b"a\r\nb\r\nc\r\nd\r\n\r\n\r\n.\r\n")

    def test_trace(self) -> None:
        """The server's own trace field, which comes as one line, gives way to ours; a client's
        does not.
        """
        field = b"Received: from x\n\tby y; date"
        self.assertEqual(self.give(self.begin(), field, b"a: b"), b"a: b\r\n")
        single = b"Received: from x by y; date"
        self.assertEqual(self.give(self.begin(), single, b""), single + b"\r\n\r\n")
        self.assertTrue(self.refused(self.begin(), b"a: b", field).startswith("521 "))

    def test_loop(self) -> None:
        """A message that has been here before, or at too many hosts, is refused (ING-26)."""
        told = "554 5.4.6 routing loop: too many hops"
        self.assertEqual(self.refused(self.begin(mark=b".token;"), b"Received: x.token;"), told)
        options = EdgeOptions(limits=Limits(hops=2))
        self.assertEqual(self.refused(self.begin(options), *[b"Received: x"] * 3), told)

    def test_no_room(self) -> None:
        """Where there is no room, the client may come again."""
        full = OSError(errno.ENOSPC, "full")

        class Full(Sink):
            def write(self, octets: bytes) -> None:
                raise full

        self.patch(spool, "Sink", Full)
        self.assertEqual(self.refused(self.begin(), b"x"), "452 4.3.1 no room for the message")
        self.queue.sink_error = full
        setting = Setting.of(Runtime(MemoryReactor()), self.queue, EdgeOptions())
        error = self.assertRaises(Refused, Gathering, setting, None, 10)
        self.assertEqual(error.code, 452)
