# -*- test-case-name: tests.simulation.test_simulation -*-
"""What happened in a run, written down by models and seams, read by the oracles.

Each reply of a modelled peer carries a token, C{#17}, by which it is known again wherever it
appears later: in an outcome, in a log, in what a client is told.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

_TOKEN: Final = re.compile(r"#(\d+)#")
_NAME: Final = re.compile(r"m(\d+)")


@dataclass(slots=True)
class Said:
    """A reply of a peer.

    @ivar stage: the point of the dialogue, as L{slimtwist.errors} names them.
    @ivar kind: what it is at that point, as L{tests.simulation.table} names it.
    @ivar sender: of the transaction in which it was said; empty outside of one.
    @ivar recipients: those that it is about; empty when it is about all.
    @ivar code: of a well-formed reply; 0 for others.
    @ivar odd: whether it is the plan's, not the right one.
    @ivar complete: whether the peer has written all of it.
    @ivar host: the address at which it was said, where there are several hosts.
    @ivar extra: whether there was more in it than one reply, or it was said together with one.
    """

    token: int
    connection: int
    stage: str
    kind: str
    moment: float
    sender: str = ""
    recipients: tuple[str, ...] = ()
    code: int = 0
    odd: bool = False
    complete: bool = False
    host: str = ""
    extra: bool = False


@dataclass(slots=True)
class Stored:
    """A message as a peer stored it, for one recipient."""

    sender: str
    recipient: str
    octets: bytes
    token: int


@dataclass(slots=True)
class Attempt:
    """What a queue was given, and what came of it.

    @ivar key: the envelope's id, which its trace field has as well.
    @ivar outcomes: one for each recipient, when it has ended.
    @ivar promised: what the queue answered.
    """

    key: str
    sender: str
    recipients: tuple[str, ...]
    began: float
    outcomes: Sequence[Any] | None = None
    ended: float = 0.0
    promised: Sequence[Any] | None = None
    cancelled: bool = False
    logged: int = 0


@dataclass(slots=True)
class Told:
    """What a client was told of a recipient in answer to the end of its data.

    @ivar code: of the reply; 0 when the connection ended before it.
    """

    message: int
    position: int
    sender: str
    recipient: str
    code: int
    text: str = ""


@dataclass(slots=True)
class Ledger:
    """All of it.

    @ivar violations: what an oracle or a strict model found wrong.
    @ivar injected: how many faults of each kind took effect.
    """

    said: dict[int, Said] = field(default_factory=dict)
    stored: list[Stored] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    covered: set[tuple[str, str]] = field(default_factory=set)
    events: list[dict[str, Any]] = field(default_factory=list)

    def wrong(self, law: str, what: str) -> None:
        """Note a violation."""
        self.violations.append(f"{law}: {what}")

    def say(self, said: Said) -> Said:
        """Note a reply."""
        self.said[said.token] = said
        return said

    def next_token(self) -> int:
        """Return the token of the next reply."""
        return len(self.said) + 1

    def deciding(self, text: str) -> Said | None:
        """Return the reply that a text was made of."""
        found = _TOKEN.search(text)
        return self.said.get(int(found[1])) if found else None


def message_name(address: str) -> str:
    """Return C{m3} for each address of message 3, or nothing."""
    found = _NAME.match(address.lstrip('"'))
    return found[0] if found else ""
