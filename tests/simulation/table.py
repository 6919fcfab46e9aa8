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
del _HOST["no mail"]  # only a greeting says it
_MESSAGE: Final = _HOST | {"permanent": FAILED}

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


_HEAD: Final = """\
What a reply comes to
=====================

What becomes of a recipient when the next hop says this or that, at each point of the dialogue. The
simulator has this table as data, written from RFC 5321 without a look at the engine, and compares
the two in each of its runs; this page is made of it, and a test keeps the two in step.

``yes`` is the reply that is hoped for at that point: 354 to DATA, 235 to AUTH, 220 to a connection
and to STARTTLS, 250 to EHLO, any 2yz elsewhere that RFC 5321 does not give to other commands.
``no mail`` is a greeting of 521 or 556 (RFC 7504), ``goodbye`` is 421. A ``violation`` is all that
is no reply, or cannot stand there: the wrong class, an invalid code, lines with different codes, a
line or a reply without end. ``lost`` is an end of the connection before a complete reply, also in
the middle of one.

"""
_FOOT: Final = """
``body`` is a reply that comes before the end of the message has left. ``deferred, ambiguous``: the
next hop may have taken the message; whoever tries again may deliver it twice.

Beside the table:

- Where another exchanger or address of the same destination may be asked, what is deferred here is
  first tried there; only after the last one has it that outcome.
- A connection that was used before and is found dead is replaced by a new one, once, as long as
  nothing was decided; so is one of which the next hop loses the commands behind the first.
- EHLO that is refused for good is followed by HELO, where nothing is needed that only EHLO offers.
- STARTTLS that is refused, or a handshake that fails, is followed by plaintext where the policy is
  ``opportunistic``.
- A violation decides for all recipients of its group of commands: replies may have moved from one
  to another.
- 452 to a recipient behind one who was accepted means another transaction (RFC 5321 4.5.3.1.10).
- In LMTP the end of the message has a reply for each recipient.
"""


def page() -> str:
    """Return the page of the documentation that shows the table."""
    heads = ["at", *KINDS]
    rows = [[stage, *(TABLE.get((stage, kind), "") for kind in KINDS)] for stage in STAGES]
    lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for row in [heads, *rows]:
        lines += [f"   {' ' if place else '*'} - {cell}".rstrip() for place, cell in enumerate(row)]
    return _HEAD + "\n".join(lines) + "\n" + _FOOT


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - to be written to docs/outcomes.rst
