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
        return "no mail" if stage == "greeting" and code == 521 else "permanent"
    if stage in _EXPECTED:
        return "yes" if code == _EXPECTED[stage] else "violation"
    return "yes" if 200 <= code < 300 and code not in _FOREIGN else "violation"


#: What an HTTP response can be: as L{kind_of_response} has it, or nothing that is one.
RESPONSES: Final = (
    "success",
    "redirect",
    "refusal",
    "configuration",
    "later",
    "trouble",
    "transient",
    "permanent",
    "contradiction",
    "violation",
    "silence",
    "lost",
)
_WHOLE: Final = dict.fromkeys(RESPONSES, DEFERRED) | {
    "success": DELIVERED,
    "refusal": FAILED,
    "permanent": FAILED,
    **dict.fromkeys(("contradiction", "violation", "silence", "lost"), UNKNOWN),
}

#: (point, kind) of HTTP -> what it comes to for those that it is about.
POSTED: Final = {
    **{("response", kind): each for kind, each in _WHOLE.items()},
    # What is said before the request has left is no success, and leaves nothing open (L1, L4).
    **{
        ("early response", kind): each
        for kind, each in (
            _WHOLE | dict.fromkeys((k for k, w in _WHOLE.items() if w != FAILED), DEFERRED)
        ).items()
    },
    ("result", "success"): DELIVERED,
    ("result", "transient"): DEFERRED,
    ("result", "permanent"): FAILED,
}
POSTED_STAGES: Final = ("response", "early response", "result")

#: All that there is a word for.
WORDS: Final = TABLE | POSTED

#: RFC 9110 15.5: these say that another time may do; RFC 6585 4, RFC 8470 5.2.
_ANOTHER_TIME: Final = frozenset({408, 421, 425, 429})
#: What an operator has to mend.
_SETTINGS: Final = frozenset({401, 403, 404, 405, 407, 410})


def kind_of_response(
    status: int, *, code: int = 0, later: bool = False, spare: bool = False
) -> str:
    """Return what a well-formed HTTP response is.

    @param code: of the SMTP reply in it, if there is one.
    @param later: whether it says when to come again.
    @param spare: whether faults of configuration are not the sender's to know.
    """
    mend = spare and status in _SETTINGS
    if code >= 400:
        hard = "configuration" if mend else "permanent"
        return hard if code >= 500 else "transient"
    if status // 100 == 2:
        return "success"
    if code:
        return "contradiction"
    if status // 100 == 4:
        if status in _ANOTHER_TIME or later:
            return "later"
        return "configuration" if mend else "refusal"
    return {3: "redirect", 5: "trouble"}.get(status // 100, "violation")


_HEAD: Final = """\
What a reply comes to
=====================

What becomes of a recipient when the next hop says this or that, at each point of the dialogue. The
simulator has this table as data, written from RFC 5321 without a look at the engine, and compares
the two in each of its runs; this page is made of it, and a test keeps the two in step.

``yes`` is the reply that is hoped for at that point: 354 to DATA, 235 to AUTH, 220 to a connection
and to STARTTLS, 250 to EHLO, any 2yz elsewhere that RFC 5321 does not give to other commands.
``no mail`` is a greeting of 521 (RFC 7504), ``goodbye`` is 421. A ``violation`` is all that
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
- A refusal that comes together with 354, and alone, is one at ``body``. Any other reply there, or
  more than one, is a violation.
- 452 to a recipient behind one who was accepted means another transaction (RFC 5321 4.5.3.1.10).
- In LMTP the end of the message has a reply for each recipient.

What an HTTP response comes to
------------------------------

``early response`` is one that is there before the whole request has left, ``result`` that of one
recipient in a JSON body, which goes before both. Where the response has an SMTP reply it is
``transient`` (4yz) or ``permanent`` (5yz) whatever the status is, a ``success`` if it is 2yz under
a status of 2xx, and a ``contradiction`` if it is 2yz under another, which a body with nothing but
successes is as well. Without one the status decides: ``later`` is 408, 421, 425, 429, or any 4xx
that says when to come again, ``configuration`` one of 401, 403, 404, 405, 407 and 410 where
``spare_configuration`` is set, ``refusal`` any other 4xx, ``redirect`` 3xx, ``trouble`` 5xx. A
``violation`` is what is no response of HTTP/1.1: no status line, a status below 200 that is no
interim response, or from 600 on, a body whose end is told in two ways, a header without end.

"""


def page() -> str:
    """Return the page of the documentation that shows the table."""
    heads = ["at", *KINDS]
    rows = [[stage, *(TABLE.get((stage, kind), "") for kind in KINDS)] for stage in STAGES]
    posted = [
        [kind, *(POSTED.get((stage, kind), "") for stage in POSTED_STAGES)] for kind in RESPONSES
    ]
    return _HEAD + _listed([heads, *rows]) + _FOOT + _listed([["", *POSTED_STAGES], *posted])


def _listed(rows: list[list[str]]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
    for row in rows:
        lines += [f"   {' ' if place else '*'} - {cell}".rstrip() for place, cell in enumerate(row)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201 - to be written to docs/outcomes.rst
