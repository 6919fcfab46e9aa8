# -*- test-case-name: tests.relay.smtp -*-
"""What tests of relays to one host share: a relay, its host, and the time and network of both."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from slimtwist.envelope import Envelope
from slimtwist.errors import (
    RelayError,
)
from slimtwist.outcome import Report
from slimtwist.testing import (
    Close,
    MemoryReactor,
    Reset,
    Send,
    Stall,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.plays import told
from tests.smtp.talks import envelope, listen, static

#: Ways in which a host ends a connection in the place of an answer.
ENDS: tuple[tuple[Any, ...], ...] = (
    (Close(), Stall()),
    (Reset(), Stall()),
    ("421 4.3.2 bye", Close(), Stall()),
    (Send(b"25"), Close(), Stall()),
)


TAKEN = "250 2.0.0 taken (end of data)"


class World:
    """A relay, its host, and the time and network of both.

    @ivar host: the host, a FakeSmarthost unless told otherwise.
    """

    def __init__(self, host: Any = None, **options: Any) -> None:
        """Let the host listen."""
        self.reactor = MemoryReactor()
        self.host = host or FakeSmarthost(lhlo=options.get("lmtp", False))
        listen(self.reactor, self.host, lmtp=options.get("lmtp", False))
        self.relay = static(self.reactor, **options)

    def begin(self, message: Envelope | None = None) -> Deferred[Report]:
        """Begin an attempt."""
        return self.relay.attempt(message or envelope(), 0)

    def attempt(self, message: Envelope | None = None) -> list[str]:
        """Make an attempt, and return what became of the recipients."""
        try:
            return [told(each) for each in self.reactor.wait(self.begin(message))]
        except RelayError as error:
            return [told(error.outcome)]

    def stop(self) -> tuple[str, ...]:
        """Stop the relay, and return what it leaves behind."""
        self.reactor.wait(self.relay.stop())
        self.reactor.flush()
        left = self.reactor.leftovers()
        return left.timers + left.connections + left.producers

    @property
    def connections(self) -> int:
        """How many were made."""
        return len(self.reactor.network.wires)
