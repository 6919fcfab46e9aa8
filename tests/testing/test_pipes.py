# -*- test-case-name: tests.testing.test_pipes -*-
"""A pipe in memory against one of the kernel's, call by call."""

from __future__ import annotations

import os
import select

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing.pipes import CAPACITY, Pipe


class RealPipe:
    """The kernel's, with the calls of ours."""

    def __init__(self) -> None:
        """Make it."""
        self._ends: list[int] = [*os.pipe2(os.O_NONBLOCK)]

    def read(self, size: int) -> bytes | None:
        """Read octets; none at the end, C{None} if nothing is there."""
        try:
            return os.read(self._ends[0], size)
        except BlockingIOError:
            return None

    def write(self, octets: bytes) -> int:
        """Write octets; return how many that was."""
        try:
            return os.write(self._ends[1], octets)
        except BlockingIOError:
            return 0

    def readable(self) -> bool:
        """Whether reading would not block."""
        return bool(select.select([self._ends[0]], [], [], 0)[0])

    def writable(self) -> bool:
        """Whether writing would not block."""
        return bool(select.select([], [self._ends[1]], [], 0)[1])

    def close(self, *, writing: bool) -> None:
        """Close an end."""
        os.close(self._ends[writing])
        self._ends[writing] = -1

    def tidy(self) -> None:
        """Close what is left."""
        for end in self._ends:
            if end >= 0:
                os.close(end)


class PipeTests(SynchronousTestCase):
    """Both get the same calls, and must say the same."""

    def setUp(self) -> None:
        """Make both."""
        self.ours, self.real = Pipe(), RealPipe()
        self.addCleanup(self.real.tidy)

    def state(self, pipe: Pipe | RealPipe) -> tuple[bool | None, bool | None]:
        """Return what a pipe can do, as far as its ends are open."""
        return (
            pipe.readable() if self.ours.readers else None,
            pipe.writable() if self.ours.writers else None,
        )

    def assert_same(self) -> None:
        """Compare what can be done."""
        self.assertEqual(self.state(self.ours), self.state(self.real))

    def write(self, octets: bytes) -> int:
        """Write to both."""
        written = self.ours.write(octets)
        self.assertEqual(written, self.real.write(octets))
        self.assert_same()
        return written

    def read(self, size: int) -> bytes | None:
        """Read from both."""
        octets = self.ours.read(size)
        self.assertEqual(octets, self.real.read(size))
        self.assert_same()
        return octets

    def close(self, *, writing: bool) -> None:
        """Close an end of both."""
        self.ours.close(writing=writing)
        self.real.close(writing=writing)
        self.assert_same()

    def test_through(self) -> None:
        """Octets come out as they went in, in pieces of any size."""
        self.assert_same()
        self.assertIsNone(self.read(10))
        self.write(b"one")
        self.write(b"two")
        self.assertEqual(self.read(4), b"onet")
        self.assertEqual(self.read(9), b"wo")

    def test_full(self) -> None:
        """It holds 64 KiB; there is room again when a page of it was read."""
        self.assertEqual(self.write(b"x" * 100_000), CAPACITY)
        self.assertEqual(self.write(b"x" * 100_000), 0)
        self.read(CAPACITY - 4096)
        self.assertEqual(self.write(b"y" * 4096), 4096)
        self.assertEqual(self.read(CAPACITY), b"x" * 4096 + b"y" * 4096)

    def test_end(self) -> None:
        """What was written can be read after the writer has closed; then comes the end."""
        self.write(b"x")
        self.close(writing=True)
        self.assertEqual(self.read(9), b"x")
        self.assertEqual(self.read(9), b"")
        self.assertEqual(self.read(9), b"")

    def test_nobody_reads(self) -> None:
        """Writing to nobody is an error."""
        self.write(b"x")
        self.close(writing=False)
        self.assertRaises(BrokenPipeError, self.ours.write, b"x")
        self.assertRaises(BrokenPipeError, self.real.write, b"x")

    def test_watched(self) -> None:
        """Who watches is told of each change, and of nothing else."""
        told: list[str] = []

        class Watcher:
            def wake(self) -> None:
                told.append("x")

        self.ours.watchers.append(Watcher())
        self.ours.read(9)
        self.ours.write(b"")
        self.assertEqual(told, [])
        self.ours.write(b"x")
        self.ours.read(9)
        self.ours.close(writing=True)
        self.assertEqual(told, ["x"] * 3)
