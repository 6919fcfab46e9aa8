# -*- test-case-name: tests.faults.test_fuzz -*-
"""Hostile octets: seeds from a corpus, what becomes of them by chance, and how they are split.

Everything is the same in every run: chance is a L{random.Random} with a number, and Hypothesis is
told to draw alike each time.  A line of a corpus is one input, with escapes as in Python's strings.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from time import thread_time
from types import FrameType
from typing import Any

from hypothesis import settings

#: For tests by Hypothesis: no clock, no memory of other runs.
ALIKE = settings(derandomize=True, database=None, deadline=None, max_examples=200)
#: Octets that mean something to somebody.
_TOKENS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b".", b"..", b"-", b":", b";", b",", b"=", b'"'),
    *(b"\\", b"<", b">", b"@", b"[", b"]", b"\xff", b"\xc3\xa9", b"\x1b[2J", b"\r\n.\r\n", b"0"),
    *(b"-1", b"2147483648", b"18446744073709551616", b"250", b"A" * 70, b"\x80", b"%s{0}"),
)


def corpus(name: str) -> list[bytes]:
    """Return the seeds of a name."""
    text = (Path(__file__).with_name("corpus") / f"{name}.txt").read_text("ascii")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def inputs(name: str, count: int) -> Iterator[bytes]:
    """Yield the seeds of a corpus, and so many that chance has made of them."""
    seeds = corpus(name)
    yield from seeds
    chance = Random(name)
    for _ in range(count):
        yield mutant(chance, seeds)


def mutant(chance: Random, seeds: Sequence[bytes]) -> bytes:
    """Return what chance makes of a seed: octets lost, doubled, changed, put in, from elsewhere."""
    octets = chance.choice(seeds)
    for _ in range(chance.choice((1, 1, 2, 4))):
        begin = chance.randrange(len(octets) + 1)
        end = min(len(octets), begin + chance.choice((0, 1, 1, 2, 8)))
        other = chance.choice(seeds)
        start = chance.randrange(len(other) + 1)
        middle = chance.choice(
            (
                b"",
                chance.choice(_TOKENS),
                octets[begin:end] * 2,
                other[start : start + 20],
                chance.randbytes(2),
            )
        )
        octets = octets[:begin] + middle + octets[end:]
    return octets


def segments(octets: bytes, chance: Random | None = None) -> list[bytes]:
    """Return octets in pieces: single ones, or as chance has it."""
    if chance is None:
        return [octets[at : at + 1] for at in range(len(octets))]
    pieces, at = [], 0
    while at < len(octets):
        size = chance.choice((1, 1, 2, 3, 5, 17, 100))
        pieces.append(octets[at : at + size])
        at += size
    return pieces


def ways(octets: bytes) -> Iterator[list[bytes]]:
    """Yield octets whole, one by one, and split by chance."""
    yield [octets]
    yield segments(octets)
    yield segments(octets, Random(len(octets)))


#: Methods that go through all of what they belong to.
_WHOLE = {"count", "decode", "encode", "lower", "replace", "split", "splitlines", "upper"}


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let nobody collect meanwhile what others have left."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Work:
    """Counts what is done: lines run, and octets that methods of octets and texts go through.

    It counts the same in every run, on every machine.
    """

    def __init__(self) -> None:
        self.done = 0

    def of(self, function: Callable[[], object]) -> int:
        """Return how much a call does."""
        self.done = 0
        before, traced = sys.getprofile(), sys.gettrace()
        sys.setprofile(self._profile)
        sys.settrace(self._trace)
        try:
            with _undisturbed():
                function()
        finally:
            sys.settrace(traced)
            sys.setprofile(before)
        return self.done

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:  # noqa: ANN401
        self.done += 1
        return self._trace

    def _profile(self, frame: FrameType, event: str, arg: object) -> None:
        if event == "c_call":
            whose = getattr(arg, "__self__", None)
            if isinstance(whose, bytes | bytearray | str) and arg.__name__ in _WHOLE:  # type: ignore[attr-defined]
                self.done += len(whose)


def pumps(size: int) -> Iterator[bytes]:
    """Yield octets that are nothing but the same again and again, as long as they may be."""
    for token in (*_TOKENS, b"a", b"a ", b"a=", b"a=b;", b'\\"', b'"a"', b"a,", b"\r\n ", b"a:"):
        yield token * (size // len(token))


def quick(function: Callable[[], object], seconds: float) -> bool:
    """Tell whether a call takes little of the processor: at least once in three times.

    What goes through its input once takes a hundredth of the time that is allowed here.
    """
    for _ in range(3):
        began = thread_time()
        with _undisturbed():
            function()
        if thread_time() - began < seconds:
            return True
    return False


def growth(make: Callable[[int], Callable[[], object]], size: int) -> float:
    """Return how much more work twice the input is.

    @param make: given a size, returns what is to be measured.
    """
    small, large = (Work().of(make(each)) for each in (size, 2 * size))
    return large / small
