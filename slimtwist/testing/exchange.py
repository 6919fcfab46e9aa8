# -*- test-case-name: tests.testing.test_smarthost -*-
"""The order of a fake mail server's connection: a line is taken, answered, and then the next.

What the lines mean is told by its subclasses, L{slimtwist.testing.transactions} and
L{slimtwist.testing.session}.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from slimtwist.testing.answers import code, shortened
from slimtwist.testing.flow import Cut
from slimtwist.testing.player import Player
from slimtwist.testing.steps import Close, HalfClose, Reset, Stall, Step

if TYPE_CHECKING:
    from slimtwist.testing.smarthost import FakeSmarthost

#: Neither is allowed in SMTP, except together (RFC 5321 2.3.8).
LONE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
#: The step that cuts a connection so.
ENDS: Final[dict[Cut, Step]] = {Cut.FIN: Close(), Cut.RST: Reset(), Cut.HALF: HalfClose()}


class Exchange(Player):
    """Lines in, answers out.

    @ivar host: the server that this connection belongs to.
    @ivar number: which of the server's connections it is, from 1.
    @ivar queue: what is to be played before the next line is taken.
    @ivar take: takes what is next in the inbox, and returns whether it was there.
    @ivar wrongs: how the client broke the protocol.
    @ivar commands: the command lines that were read.
    """

    def __init__(self, host: FakeSmarthost) -> None:
        super().__init__()
        self.host = host
        self.number = len(host.sessions) + 1
        self.queue: deque[Step] = deque()
        self.take: Callable[[], bool] = self.take_command
        self.wrongs: list[str] = []
        self.commands: list[str] = []

    def connectionMade(self) -> None:
        """Greet."""
        self.answer("GREETING", "", f"220 {self.host.name} ESMTP")
        self.go()

    def go(self) -> None:
        """Play the answers that are due, then take what came."""
        while not (self.busy or self.resting) and self.reason is None:
            if self.queue:
                self.queue.popleft().play(self)
            elif not self.take():
                return

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end, and what came too late to be answered."""
        super().connectionLost(reason)
        self.queue.clear()

    def fail(self, text: str) -> None:
        """Note what the client did wrong."""
        self.wrongs.append(f"connection {self.number}: {text}")

    def answer(self, command: str, argument: str, default: str) -> str:
        """Answer a command, and return the code of the answer."""
        steps = self.host.answers.choose(command, argument, default)
        answered = code(steps)
        if cut := self.host.cut_at(command):
            steps = (*shortened(steps, cut.octets), ENDS[cut.how], Stall())
        self.queue.extend(steps)
        return answered

    def take_line(self) -> bytes | None:
        """Return the next line without its CRLF, if it is there."""
        end = self.inbox.find(b"\r\n")
        if end < 0:
            return None
        line = bytes(self.inbox[:end])
        del self.inbox[: end + 2]
        return line

    def take_command(self) -> bool:
        """Take a command line, and carry it out."""
        line = self.take_line()
        if line is None:
            return False
        self.heard(line)
        if LONE.search(line):
            self.fail(f"a lone CR or LF in {line!r}")
        text = line.decode("utf-8", "surrogateescape")
        self.commands.append(text)
        verb, _, argument = text.partition(" ")
        self.obey(verb.upper(), argument)
        return True

    def obey(self, verb: str, argument: str) -> None:
        """Carry a command out, and answer it."""
        self.answer(verb, argument, "500 5.5.1 unknown command")
