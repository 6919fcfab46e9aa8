# -*- test-case-name: tests.smtp -*-
"""Messages that tests of the client let happen: a transaction with a script, or with a strict host,
and a connection that is kept.
"""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome
from slimtwist.smtp.connection import Connection, Stale
from slimtwist.smtp.transaction import Transaction
from slimtwist.testing import (
    Body,
    ScriptedPeer,
)
from slimtwist.testing.smarthost import FakeSmarthost
from tests.smtp.talks import USUAL, Talk, envelope, group, hello

READY = ["S: 250 ok", "S: 250 ok", "S: 354 go"]


#: A whole message, taken.
TAKEN: list[Any] = [*group(), *READY, Body(), "S: 250 taken"]


REFUSED = [*group(), "S: 250 ok", "S: 550 5.1.1 no", "S: 554 no recipients"]


#: A message that takes its time.
LONG = b"x\r\n" * 100_000


def told(outcome: Outcome) -> str:
    """Return reply and command of an outcome, with a mark if it is ambiguous."""
    return f"{outcome.reply} ({outcome.command}){'?' * outcome.ambiguous}"


class Played:
    """A transaction that a scripted peer took part in.

    @ivar transaction: it.
    @ivar peer: the peer; its script was played to the end.
    @ivar outcomes: C{"250 2.0.0 ok (end of data)"}, by position; what is postponed is missing.
    """

    def __init__(
        self,
        script: Iterable[Any],
        message: Envelope,
        *keywords: str,
        whole: bool = True,
        **options: Any,
    ) -> None:
        """Run it, until the connection is as it will stay.

        @param whole: whether the script must have been played to its end.
        """
        verb = "LHLO" if options.get("lmtp") else "EHLO"
        self.peer = ScriptedPeer([*hello(*keywords, verb=verb), *script])
        self.talk = Talk(self.peer, **options)
        self.transaction = Transaction(self.talk.session, message, range(len(message.recipients)))
        self.talk.reactor.wait(Deferred.fromCoroutine(self.transaction.run()))
        self.talk.reactor.flush()
        if whole:
            self.peer.verify()

    @property
    def outcomes(self) -> list[str]:
        """Reply and command for each position that was decided."""
        return [told(outcome) for _, outcome in sorted(self.transaction.outcomes.items())]

    @property
    def broken(self) -> bool:
        """Whether the connection is of no more use."""
        return self.talk.session.channel.trouble is not None


class Sent:
    """A transaction with a strict host.

    @ivar host: it.
    @ivar talk: the session.
    @ivar wire: between them.
    @ivar transaction: not begun.
    """

    def __init__(
        self, message: Envelope, host: FakeSmarthost | None = None, **options: Any
    ) -> None:
        """Connect."""
        self.host = host or FakeSmarthost(lhlo=options.get("lmtp", False))
        self.talk = Talk(self.host, **options)
        self.wire = self.talk.reactor.network.wires[0]
        positions = range(len(message.recipients))
        self.transaction = Transaction(self.talk.session, message, positions)

    def run(self) -> Sent:
        """Run the transaction to its end; return self."""
        self.talk.reactor.wait(Deferred.fromCoroutine(self.transaction.run()), 10**6)
        self.talk.reactor.flush()
        return self

    def hold(self, octets: int = 0) -> Deferred[None]:
        """Begin it, and let no more than so many octets of the message leave us."""
        group_size = sum(len(line) - 1 for line in group())  # without "C: ", with CRLF
        self.wire.up.stall(self.wire.up.arrived + group_size)
        self.wire.up.window = 1
        running = Deferred.fromCoroutine(self.transaction.run())
        self.talk.reactor.flush()
        self.wire.up.window = octets
        self.talk.reactor.flush()
        return running

    @property
    def bodies(self) -> list[bytes]:
        """The messages that the host took."""
        return [message.octets for message in self.host.messages]


class Kept:
    """A connection, and who talks over it.

    @ivar connection: it.
    @ivar talk: the session below it.
    @ivar rooms: the room it had whenever it told of a change.
    """

    def __init__(
        self, peer: IProtocolFactory | Iterable[Any], *keywords: str, **options: Any
    ) -> None:
        """Connect.

        @param peer: a peer, or what follows greeting and EHLO in the script of one.
        """
        if not isinstance(peer, ScriptedPeer | FakeSmarthost):
            peer = ScriptedPeer([*hello(*(keywords or USUAL)), *peer])  # type: ignore[misc]
        self.peer: Any = peer
        self.talk = Talk(self.peer, **options)
        self.reactor = self.talk.reactor
        self.channel = self.talk.session.channel
        self.connection = Connection(self.reactor, self.talk.session, self.talk.connector)
        self.rooms: list[int] = []
        self.connection.on_change = lambda: self.rooms.append(self.connection.room())

    def deliver(self, message: Envelope | None = None, within: float = 3600) -> list[str]:
        """Carry a message, and return what became of its recipients."""
        report = self.reactor.wait(self.connection.deliver(message or envelope()), within)
        return [told(outcome) for outcome in report]

    def stale(self, message: Envelope | None = None) -> list[str]:
        """Carry a message for which the connection is of no use; return what that comes to."""
        try:
            self.deliver(message)
        except Stale as error:
            return [told(outcome) for outcome in error.report]
        raise AssertionError("the connection was of use")

    @property
    def left(self) -> tuple[str, ...]:
        """What is left of it: timers, connections, producers."""
        left = self.reactor.leftovers()
        return left.timers + left.connections + left.producers
