# -*- test-case-name: tests.testing.test_script -*-
"""A peer that follows a script: what it sends, what it expects, when it fails.

A script is a list read from top to bottom. A text says a line of the dialogue, and steps
(L{slimtwist.testing.steps}) say everything else::

    peer = ScriptedPeer(
        [
            "S: 220 mx.example ESMTP",
            "C: EHLO ...",
            "S: 250-mx.example",
            "S: 250 PIPELINING",
            "C: MAIL FROM:<a@example.org>",
            "C: RCPT TO:<b@example.net>",
            "C: DATA",
            "S: 250 2.1.0 ok",
            "S: 450 4.7.1 greylisted",
            Reset(),
        ]
    )
    reactor.listenTCP(25, peer)
    ...
    peer.verify()

C{"S: text"} stands for the server's line, C{"C: text"} for the client's; the peer sends the one and
expects the other, and three dots at the end of an expected line stand for anything. A peer is the
server unless it is told to be the client. It works on real sockets as well.

What does not fit the script is noted, ends the connection, and is raised by L{ScriptedPeer.verify}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Literal

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory
from zope.interface import implementer

from slimtwist.testing.player import Player
from slimtwist.testing.steps import Ended, Expect, Send, Step

Script = Sequence[str | Step]


class ScriptedPeer(ClientFactory):
    """Plays a script on each connection: the first on the first, and so on.

    @ivar conversations: the connections made, in order.
    @param scripts: a script for each connection that is to be made.
    @param side: which lines are the peer's own, C{"S"} or C{"C"}.
    """

    noisy = False

    def __init__(self, *scripts: Script, side: Literal["S", "C"] = "S") -> None:
        self._scripts = [
            [_line(step, side) if isinstance(step, str) else step for step in script]
            for script in scripts
        ]
        self.side = side
        self.conversations: list[Conversation] = []

    @property
    def bodies(self) -> list[bytes]:
        """The messages taken, on all connections, without dot stuffing."""
        return [body for each in self.conversations for body in each.bodies]

    @property
    def transcript(self) -> list[str]:
        """What was said, on all connections: C{"S: 220 mx"}, C{"C: EHLO me"}."""
        return [line for each in self.conversations for line in each.transcript]

    def buildProtocol(self, addr: IAddress | None) -> Conversation:
        """Return the next connection; one too many is noted, and reset."""
        number = len(self.conversations)
        conversation = Conversation(self, number + 1, deque(self._script(number)))
        self.conversations.append(conversation)
        return conversation

    def _script(self, number: int) -> list[Step]:
        return self._scripts[number] if number < len(self._scripts) else []

    def expects(self, number: int) -> bool:
        """Whether there is a script for the connection with this number, from 1."""
        return number <= len(self._scripts)

    def verify(self) -> None:
        """Check that every script was played to its end, and nothing else was said.

        @raise AssertionError: it was not; the text tells the step and what was said before.
        """
        if failures := self.complaints():
            raise AssertionError("\n".join([*failures, "what was said:", *self.transcript]))

    def complaints(self) -> list[str]:
        """Return what L{verify} would complain of."""
        failures = [text for each in self.conversations for text in each.complaints()]
        missing = len(self._scripts) - len(self.conversations)
        if missing > 0:
            failures.append(f"{missing} more connections were expected")
        return failures


@implementer(IHalfCloseableProtocol)
class Conversation(Player):
    """One connection that plays one script."""

    def __init__(self, peer: ScriptedPeer, number: int, steps: deque[Step]) -> None:
        super().__init__()
        self.side = peer.side
        self._peer = peer
        self._number = number
        self._steps = steps
        self._total = len(steps)
        self._failures: list[str] = []

    def complaints(self) -> list[str]:
        """Return what does not fit the script, with the number of the connection and the step."""
        found = list(self._failures)
        if not found and self._steps:
            found.append(self._at(f"never came to {self._steps[0]}"))
        if not found and self.inbox and not self.resting:
            found.append(self._at(f"the script is over, got {bytes(self.inbox)!r}"))
        return found

    def _at(self, text: str) -> str:
        step = self._total - len(self._steps) + 1
        return f"connection {self._number}, step {step}: {text}"

    def connectionMade(self) -> None:
        """Begin, if there is a script."""
        if self._peer.expects(self._number):
            self.go()
        else:
            self.fail("no such connection was expected")

    def readConnectionLost(self) -> None:
        """Go on knowing that the other side sends no more; at the end of the script, end too."""
        self.ended = True
        self.go()

    def writeConnectionLost(self) -> None:
        """Do nothing: it was the script's doing."""

    def go(self) -> None:
        """Play the steps that can be played now."""
        while self._playable() and self._steps[0].play(self):
            if self._steps:
                self._steps.popleft()
        if self._steps and not self.busy and self.ended:
            got = bytes(self.inbox) if self.reason is None else self.reason.value
            self.fail(f"the other side ended before {self._steps[0]} ({got!r})")
        if self.ended and not self._steps:
            self.transport.loseConnection()

    def _playable(self) -> bool:
        """Whether there is a step to play; on a lost connection it can only be that it ended."""
        if not self._steps or self.busy:
            return False
        return self.reason is None or isinstance(self._steps[0], Ended)

    def fail(self, text: str) -> None:
        """Note a failure, and end."""
        self._failures.append(self._at(text))
        self._steps.clear()
        self.transport.abortConnection()


def _line(text: str, side: str) -> Step:
    who, found, line = text.partition(": ")
    if not found or who not in {"S", "C"}:
        raise ValueError(f"{text!r} begins neither with 'S: ' nor with 'C: '")
    return Send(line.encode() + b"\r\n") if who == side else Expect(line)
