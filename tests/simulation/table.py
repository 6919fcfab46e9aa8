# -*- test-case-name: tests.simulation.test_table -*-
"""The second opinion: what each kind of reply means at each point of a dialogue, as data.

It was written from RFC 5321 and the laws of a delivery, and knows nothing of the engine; each run
compares the two.  A kind is what a reply is to the point at which it is said: C{yes} is what the
client hopes for, C{no mail} the greeting of a host that takes none (RFC 7504), C{goodbye} is 421,
C{lost} an end of the connection, C{violation} all that cannot stand there.
"""

from __future__ import annotations

from typing import Final

#: The points of the dialogue, in order.
STAGES: Final = (
    "greeting",
    "EHLO",
    "STARTTLS",
    "AUTH",
    "MAIL",
    "RCPT",
    "DATA",
    "body",
    "end of data",
)
KINDS: Final = (
    "yes",
    "transient",
    "permanent",
    "no mail",
    "goodbye",
    "violation",
    "silence",
    "lost",
)
DELIVERED, DEFERRED, FAILED, UNKNOWN, ON = (
    "delivered",
    "deferred",
    "failed",
    "deferred, ambiguous",
    "goes on",
)

_HOST: Final = dict.fromkeys(KINDS, DEFERRED) | {"yes": ON}
_MESSAGE: Final = _HOST | {"permanent": FAILED, "no mail": FAILED}

#: (point, kind) -> what it comes to for those that it is about.
TABLE: Final = {
    **{("greeting", kind): each for kind, each in (_HOST | {"no mail": FAILED}).items()},
    **{(stage, kind): each for stage in STAGES[1:4] for kind, each in _HOST.items()},
    **{(stage, kind): each for stage in STAGES[4:7] for kind, each in _MESSAGE.items()},
    # Whoever agrees before he has heard all has not understood (PEER-27).
    **{("body", kind): each for kind, each in (_MESSAGE | {"yes": DEFERRED}).items()},
    **{
        ("end of data", kind): each
        for kind, each in (
            _MESSAGE | {"yes": DELIVERED, "violation": UNKNOWN, "silence": UNKNOWN, "lost": UNKNOWN}
        ).items()
    },
}

#: The only code that is C{yes} at a point; where a point is missing, any 2yz is that is not in...
_EXPECTED: Final = {"greeting": 220, "EHLO": 250, "STARTTLS": 220, "AUTH": 235, "DATA": 354}
#: ...these, which RFC 5321 4.2.3 and RFC 4954 6 give to other commands.
_FOREIGN: Final = frozenset({211, 214, 220, 221, 235})


def kind_of(stage: str, code: int) -> str:
    """Return what a well-formed reply with a code is at a point of the dialogue."""
    if code == 421:
        return "goodbye"
    if 400 <= code < 500:
        return "transient"
    if 500 <= code < 600:
        return "no mail" if stage == "greeting" and code in (521, 556) else "permanent"
    if stage in _EXPECTED:
        return "yes" if code == _EXPECTED[stage] else "violation"
    return "yes" if 200 <= code < 300 and code not in _FOREIGN else "violation"
