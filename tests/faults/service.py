# -*- test-case-name: tests.faults.test_cuts_http -*-
"""A strict HTTP service that takes messages, and answers as a test says.

It is for relays what L{slimtwist.testing.FakeSmarthost} is: it stores what came whole, and shares
no parser with the program.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome
from slimtwist.relay.http import HttpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor
from slimtwist.testing.network import Wire

GOOD = b'HTTP/1.1 200 OK\r\nX-Smtp-Reply: 250; message="2.0.0 ok"\r\nContent-Length: 2\r\n\r\nok'
TEXTS = (b"S: 1\r\n\r\n.x\r\n", b"S: 2\r\n\r\ny\r\n")
PEOPLE = ("r@b.c", "s@b.c")
_LENGTH = re.compile(rb"\r\nContent-Length: ([0-9]+)\r\n", re.IGNORECASE)
_RECIPIENT = re.compile(rb"\r\nX-Envelope-Recipient: ([^\r]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Taken:
    """A request that came whole."""

    recipients: tuple[str, ...]
    octets: bytes


class Connection(Protocol):
    """One connection of a client."""

    transport: Any

    def __init__(self, service: Service) -> None:
        self._service = service
        self._inbox = b""

    def dataReceived(self, data: bytes) -> None:
        """Take requests, and answer each."""
        self._inbox += data
        while (end := self._inbox.find(b"\r\n\r\n")) >= 0:
            head = self._inbox[: end + 4]
            found = _LENGTH.search(head)
            size = end + 4 + (int(found[1]) if found else 0)
            if len(self._inbox) < size:
                return
            body, self._inbox = self._inbox[end + 4 : size], self._inbox[size:]
            names = tuple(b64decode(each).decode() for each in _RECIPIENT.findall(head))
            self._service.take(Taken(names, body), self.transport)


class Service(Factory):
    """The service.

    @ivar answers: what it sends for each request, in order, and then for all others L{GOOD}; or a
        function that is given the transport.
    @ivar taken: what came whole.
    """

    noisy = False

    def __init__(self, *answers: bytes | Callable[[Any], object]) -> None:
        """Listen to nobody yet."""
        self.answers = list(answers)
        self.taken: list[Taken] = []

    def buildProtocol(self, addr: IAddress | None) -> Connection:
        """Return a connection."""
        return Connection(self)

    def take(self, taken: Taken, transport: Any) -> None:  # noqa: ANN401
        """Keep a request, and answer it."""
        self.taken.append(taken)
        answer = self.answers.pop(0) if self.answers else GOOD
        if callable(answer):
            answer(transport)
        else:
            transport.write(answer)


class Posting:
    """Two messages to a service, one after the other.

    @ivar outcomes: of each.
    @ivar wires: the connections.
    @ivar left: what was left in the end.
    """

    def __init__(self, service: Service, fault: Callable[[Wire], object] = lambda _: None) -> None:
        """Post them.

        @param fault: is given the first connection before anything passes over it.
        """
        self.service = service
        self.reactor = reactor = MemoryReactor(start=1_700_000_000.0)
        self.wires: Sequence[Wire] = reactor.network.wires
        reactor.network.on_wire = lambda wire: fault(wire) if wire is self.wires[0] else None
        reactor.add_host("w", service, 80)
        runtime = Runtime(reactor, hostname="c", random=Random(1))
        relay = HttpRelay("http://w/", runtime=runtime)
        self.outcomes: list[Outcome] = []
        for name, text in zip(PEOPLE, TEXTS, strict=True):
            message = Envelope.parse("a@b.c", [name], text)
            self.outcomes += reactor.wait(relay.attempt(message, 0), 400).outcomes
        reactor.wait(relay.stop())
        reactor.advance(6)
        left = reactor.leftovers()
        self.left = left.timers + left.connections + left.producers

    def copies(self, number: int) -> int:
        """Return how many copies of a message the service has, octets and all."""
        wanted = Taken((PEOPLE[number],), TEXTS[number])
        mine = [each for each in self.service.taken if PEOPLE[number] in each.recipients]
        return len(mine) if all(each == wanted for each in mine) else 1000
