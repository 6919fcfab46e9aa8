# -*- test-case-name: tests.simulation.test_simulation -*-
"""What peers say instead of the right reply.

An L{Odd} is a reply as a list of steps: octets, a wait in seconds, or an end.  Its kind is what it
is at the point where it is said, as L{tests.simulation.table} names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.simulation.table import kind_of

#: Octets, seconds, or one of the ends: C{fin}, C{rst}, C{mute}.
Step = bytes | float | str


@dataclass(frozen=True, slots=True)
class Odd:
    """A reply.

    @ivar kind: at the point where it is said.
    @ivar code: of a well-formed reply; 0 for others.
    @ivar extra: whether there is more in it than one reply.
    """

    kind: str
    steps: tuple[Step, ...]
    code: int = 0
    extra: bool = False


#: Codes that are worth a try at any point.
CODES: Final = (
    *(200, 211, 214, 220, 221, 235, 250, 251, 252, 299, 334, 354, 355),
    *(400, 421, 432, 450, 451, 452, 454, 459, 499),
    *(500, 501, 502, 503, 504, 521, 530, 535, 550, 551, 552, 553, 554, 555, 556, 571, 599),
)
#: Codes that are seen often, and those that are most often taken wrongly.
COMMON: Final = (250, 354, 421, 450, 451, 452, 550, 552, 554)

_MALFORMED: Final[dict[str, bytes]] = {
    "short": b"25 %s\r\n",
    "four digits": b"2500 %s\r\n",
    "below": b"099 %s\r\n",
    "one": b"199 %s\r\n",
    "six": b"600 %s\r\n",
    "eight": b"850 RUBBISH %s\r\n",
    "negative": b"-1 %s\r\n",
    "indented": b" 250 %s\r\n",
    "plus": b"+25 %s\r\n",
    "underscore": b"2_0 %s\r\n",
    "word": b"abc %s\r\n",
    "empty": b"\r\n",
    "nul": b"\x00%s\r\n",
    "two codes": b"550-%s\r\n250 ok\r\n",
    "two codes turned": b"250-%s\r\n550 no\r\n",
    "endless": b"250-%s\r\n" * 300,
    "long": b"250 " + b"x" * 9000 + b" %s\r\n",
    "longer": b"250 " + b"x" * 70000,
    "no digits": b"2\xb20 %s\r\n",
}
_ENDS: Final[dict[str, tuple[Step, ...]]] = {
    "close": ("fin",),
    "reset": ("rst",),
    "part": (b"25", "fin"),
    "line": (b"250-x\r\n", "fin"),
    "no end": (b"250 ok", "fin"),
    "part reset": (b"250 o", "rst"),
}
_SILENT: Final[dict[str, tuple[Step, ...]]] = {
    "none": ("mute",),
    "begun": (b"250-x\r\n", "mute"),
    "cut short": (b"250 ok", "mute"),
    "drip": (*(part for _ in range(60) for part in (b"2", 20.0)), "mute"),
}
#: The right reply, said in another way.
_WAYS: Final[dict[str, Callable[[bytes], tuple[Step, ...]]]] = {
    "slow": lambda right: (30.0, right),
    "slower": lambda right: (110.0, right),
    "octets": lambda right: tuple(right[i : i + 1] for i in range(len(right))),
    "halves": lambda right: (right[:4], 1.0, right[4:]),
    "bare lf": lambda right: (right.replace(b"\r\n", b"\n"),),
    "then close": lambda right: (right, "fin"),
    "then reset": lambda right: (right, "rst"),
    "then mute": lambda right: (right, "mute"),
}
#: More than one reply.
EXTRA: Final = ("double", "double later", "tail", "injected")

NAMES: Final = (
    *map(str, CODES),
    *(f"bare {code}" for code in COMMON),
    *(f"multi {code}" for code in COMMON),
    *(f"dirty {code}" for code in COMMON),
    *_MALFORMED,
    *_ENDS,
    *_SILENT,
    *_WAYS,
    *EXTRA,
)

#: Those after which nothing but the reply decides.
PLAIN: Final = frozenset({*NAMES} - {*EXTRA, "then close", "then reset", "then mute", "drip"})
#: What may be said in the middle of a message.
INTERRUPTIONS: Final = (*map(str, CODES), *_MALFORMED, *_ENDS, *_SILENT)


def odd(name: str, stage: str, mark: bytes, right: bytes) -> Odd:
    """Return the reply of a name.

    @param mark: the token that is to be in it.
    @param right: the reply that would be right.
    """
    if name in _MALFORMED:
        return Odd("violation", (_MALFORMED[name].replace(b"%s", mark),))
    if name in _ENDS:
        return Odd("lost", _ENDS[name])
    if name in _SILENT:
        # Octets that drip for ever are a line that gets too long, or one that never ends.
        return Odd("silence", _SILENT[name])
    kind = kind_of(stage, int(right[:3]))
    if name in _WAYS:
        return Odd(kind, _WAYS[name](right), int(right[:3]))
    if name in EXTRA:
        return Odd(kind, _extra(name, right), int(right[:3]), extra=True)
    return _coded(name, stage, mark)


def _extra(name: str, right: bytes) -> tuple[Step, ...]:
    if name == "tail":
        return (right + b"2",)
    if name == "injected":  # what would be an answer to the command that follows
        return (right + b"250-mx.example\r\n250 SIZE 1\r\n",)
    again = right.replace(b"#", b"")  # not the same reply: nothing may be decided by it
    return (right + again,) if name == "double" else (right, 0.5, again)


def _coded(name: str, stage: str, mark: bytes) -> Odd:
    way, _, code = name.rpartition(" ")
    octets = {
        "": b"%b x.1 %b said\r\n",
        "bare": b"%b\r\n%.0b",
        "multi": b"%b-one\r\n%b two %b\r\n",
        "dirty": b"%b \x1b[31m\xff\xfe\x00 %b\r\n",
    }[way]
    number = code.encode()
    if way == "multi":
        said = octets % (number, number, mark)
    else:
        said = octets.replace(b"x.1", b"%b.1.1" % number[:1]) % (number, mark)
    return Odd(kind_of(stage, int(code)), (said,), int(code))
