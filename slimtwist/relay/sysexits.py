# -*- test-case-name: tests.relay.test_sysexits -*-
"""What the end of a delivery program means.

Exit statuses follow sysexits.h; a program that fails may say more: output that begins with an
enhanced status code, C{4.2.2 mailbox full}, decides over its status.

Sources: sysexits.h of BSD, Postfix's pipe(8) and Exim's pipe transport (whose meanings these are),
RFC 3463.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from slimtwist.outcome import Outcome
from slimtwist.reply import STORED_LINES, Reply, printable

#: Exit status -> enhanced status code. Whatever is not in it fails for good, with 5.3.0.
EXIT_STATUSES: Final[Mapping[int, str]] = MappingProxyType(
    {
        0: "2.0.0",  # delivered
        64: "5.3.0",  # EX_USAGE
        65: "5.6.0",  # EX_DATAERR
        66: "5.3.0",  # EX_NOINPUT
        67: "5.1.1",  # EX_NOUSER
        68: "5.1.2",  # EX_NOHOST
        69: "4.3.0",  # EX_UNAVAILABLE
        70: "4.3.0",  # EX_SOFTWARE
        71: "4.3.0",  # EX_OSERR
        72: "4.3.5",  # EX_OSFILE
        73: "5.2.0",  # EX_CANTCREAT
        74: "4.3.0",  # EX_IOERR
        75: "4.3.0",  # EX_TEMPFAIL
        76: "5.5.0",  # EX_PROTOCOL
        77: "5.7.0",  # EX_NOPERM
        78: "4.3.5",  # EX_CONFIG
        126: "4.3.5",  # of setsid(1), prlimit(1) and shells: not executable
        127: "4.3.5",  # not found
    }
)
_CODES: Final = {"2": 250, "4": 451, "5": 554}
_STATUS: Final = re.compile(r"\s*([45]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)(.*)", re.ASCII | re.DOTALL)


def exit_statuses(changes: Mapping[int, str]) -> Mapping[int, str]:
    """Return L{EXIT_STATUSES} with an operator's changes.

    @raise ValueError: a status is no exit status, or a code no enhanced status code.
    """
    for status, code in changes.items():
        if not 0 <= status <= 255:
            raise ValueError(f"exit_codes: {status} is not an exit status from 0 to 255")
        if not re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", code, re.ASCII):
            said = f"{code!r} is not a code such as 4.3.0 for exit status {status}"
            raise ValueError(f"exit_codes: {said}")
    return MappingProxyType({**EXIT_STATUSES, **changes})


def outcome(status: int, output: str, statuses: Mapping[int, str], program: str) -> Outcome:
    """Return what an exit status means.

    @param output: what the program has printed.
    @param statuses: of L{exit_statuses}.
    """
    enhanced, text = statuses.get(status, "5.3.0"), output.strip()
    if enhanced[0] != "2" and (match := _STATUS.match(text)):
        enhanced, text = match.groups()
    text = text or ("delivered" if enhanced[0] == "2" else f"exit status {status}")
    lines = tuple(printable(line) for line in _few(text.splitlines()))
    return Outcome.of(
        Reply(_CODES[enhanced[0]], enhanced, lines), host=program, command="end of data"
    )


def _few(lines: list[str]) -> list[str]:
    """Return the first and the last lines, of as many as a reply may have."""
    half = STORED_LINES // 2
    return lines if len(lines) <= STORED_LINES else lines[:half] + lines[-half:]
