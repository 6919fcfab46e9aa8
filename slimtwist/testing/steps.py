# -*- test-case-name: tests.testing.test_script -*-
"""What a scripted peer does, step by step.

Each step is a value. It is played against a L{Stage}, the connection as a step sees it, and says
whether it is done; one that is not is played again when more octets have come.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from slimtwist.testing.flow import Cut


class Stage(Protocol):
    """A connection as a step sees it.

    @ivar inbox: octets that have come and that no step has taken yet.
    @ivar seen: how far the current step has looked into it.
    @ivar ended: whether the other side has ended the connection.
    @ivar bodies: the messages taken so far.
    """

    inbox: bytearray
    seen: int
    ended: bool
    bodies: list[bytes]

    def send(self, octets: bytes) -> None:
        """Send octets."""

    def heard(self, octets: bytes) -> None:
        """Note in the transcript what a step has taken."""

    def fail(self, text: str) -> None:
        """Note that the script does not fit what the other side does."""

    def sleep(self, seconds: float) -> None:
        """Play no step for so long."""

    def secure(self, context: object) -> None:
        """Begin TLS, and play no step until it is there."""

    def leave(self, how: Cut) -> None:
        """End the connection, after what was sent."""

    def deafen(self) -> None:
        """Read no more."""

    def rest(self) -> None:
        """Play no step any more, and mind nothing that comes."""


class Sleeper(Protocol):
    """Whoever can do nothing for a while: a connection, or a program."""

    def sleep(self, seconds: float) -> None:
        """Play no step for so long."""


class Rester(Protocol):
    """Whoever can do nothing for ever."""

    def rest(self) -> None:
        """Play no step any more."""


class Step(Protocol):
    """One thing that a peer does, or waits for."""

    def play(self, stage: Stage) -> bool:
        """Do it, and return whether it is done."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send these octets as they are."""

    octets: bytes

    def play(self, stage: Stage) -> bool:
        """Send them."""
        stage.send(self.octets)
        return True


@dataclass(frozen=True, slots=True)
class Expect:
    """Take a line, which must be this text or match this expression as a whole.

    A text that ends with three dots stands for every line that begins with what is before them.
    """

    line: str | re.Pattern[str]

    def play(self, stage: Stage) -> bool:
        """Take a line if one is there."""
        end = stage.inbox.find(b"\r\n")
        if end < 0:
            return False
        octets = bytes(stage.inbox[:end])
        del stage.inbox[: end + 2]
        stage.heard(octets + b"\r\n")
        if not self._fits(octets.decode("utf-8", "surrogateescape")):
            wish = self.line if isinstance(self.line, str) else self.line.pattern
            stage.fail(f"expected {wish!r}, got {octets!r}")
        return True

    def _fits(self, line: str) -> bool:
        if isinstance(self.line, re.Pattern):
            return self.line.fullmatch(line) is not None
        if self.line.endswith("..."):
            return line.startswith(self.line[:-3])
        return line == self.line


@dataclass(frozen=True, slots=True)
class Body:
    """Take a message up to its line with a single dot, and keep it without dot stuffing."""

    def play(self, stage: Stage) -> bool:
        """Take the message if all of it is there (RFC 5321 4.5.2)."""
        end = end_of_data(stage.inbox, stage.seen)
        if end is None:
            stage.seen = len(stage.inbox)
            return False
        stage.seen = 0
        octets, taken = bytes(stage.inbox[:end]), bytes(stage.inbox[: end + 3])
        del stage.inbox[: end + 3]
        stage.heard(taken)
        stage.bodies.append(unstuffed(octets))
        return True


@dataclass(frozen=True, slots=True)
class Octets:
    """Take exactly so many octets, and keep them as a message."""

    count: int

    def play(self, stage: Stage) -> bool:
        """Take them if they are there."""
        if len(stage.inbox) < self.count:
            return False
        octets = bytes(stage.inbox[: self.count])
        del stage.inbox[: self.count]
        stage.heard(octets)
        stage.bodies.append(octets)
        return True


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for some seconds; what comes is kept for the next step."""

    seconds: float

    def play(self, stage: Sleeper) -> bool:
        """Begin to wait."""
        stage.sleep(self.seconds)
        return True


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing that no step has taken may be there now: the other side waits for its reply."""

    def play(self, stage: Stage) -> bool:
        """Look."""
        if stage.inbox:
            stage.fail(f"expected silence, got {bytes(stage.inbox)!r}")
        return True


@dataclass(frozen=True, slots=True)
class StartTls:
    """Begin TLS, and wait until it is there. The context is looked at on real sockets only."""

    context: object = None

    def play(self, stage: Stage) -> bool:
        """Begin; nothing may have come in plaintext for the time after."""
        if stage.inbox:
            stage.fail(f"plaintext before TLS: {bytes(stage.inbox)!r}")
        stage.secure(self.context)
        return True


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection, after what was sent (FIN)."""

    def play(self, stage: Stage) -> bool:
        """Close."""
        stage.leave(Cut.FIN)
        return True


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST), after what was sent."""

    def play(self, stage: Stage) -> bool:
        """Reset."""
        stage.leave(Cut.RST)
        return True


@dataclass(frozen=True, slots=True)
class HalfClose:
    """Send no more, but go on reading."""

    def play(self, stage: Stage) -> bool:
        """Half close."""
        stage.leave(Cut.HALF)
        return True


@dataclass(frozen=True, slots=True)
class Stall:
    """Read on and on, and do nothing more."""

    def play(self, stage: Rester) -> bool:
        """Rest."""
        stage.rest()
        return True


@dataclass(frozen=True, slots=True)
class Deafen:
    """Read no more, so that the other side's window fills."""

    def play(self, stage: Stage) -> bool:
        """Stop reading."""
        stage.deafen()
        return True


@dataclass(frozen=True, slots=True)
class Ended:
    """Wait until the other side ends the connection."""

    def play(self, stage: Stage) -> bool:
        """Look."""
        return stage.ended


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function of the test."""

    function: Callable[[], object]

    def play(self, stage: object) -> bool:
        """Call it."""
        self.function()
        return True


def drip(octets: bytes, seconds_each: float) -> list[Step]:
    """Return the steps that send octets one at a time, for a script to hold as C{*drip(...)}."""
    return [step for octet in octets for step in (Send(bytes([octet])), Wait(seconds_each))]


def end_of_data(octets: bytearray, seen: int) -> int | None:
    """Return where the line with the single dot begins, if it is there (RFC 5321 4.1.1.4).

    @param seen: how many of the octets were looked at before.
    """
    if octets.startswith(b".\r\n"):
        return 0
    found = octets.find(b"\r\n.\r\n", max(0, seen - 4))
    return None if found < 0 else found + 2


def unstuffed(octets: bytes) -> bytes:
    """Return a message's octets without the dots that were added (RFC 5321 4.5.2)."""
    return b"\r\n".join(
        line[1:] if line.startswith(b".") else line for line in octets.split(b"\r\n")
    )
