# -*- test-case-name: tests.faults.test_cuts_smtp -*-
"""Two messages to one host, over a connection that may be cut anywhere.

The first goes over a new connection, the second over the same when it is still there.  Of each, one
recipient is refused.  What must become of them is told by where the cut was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from twisted.internet.defer import Deferred

from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError
from slimtwist.outcome import Outcome, Report
from slimtwist.smtp.auth import Credentials
from slimtwist.testing import FakeSmarthost, MemoryReactor
from slimtwist.testing.network import Wire
from tests.smtp.talks import listen, static

#: Which way the octets go among which the cut is.
Way = Literal["up", "down"]
#: The recipients of the two messages, each with what the host says to him.
PEOPLE = (
    {"r1": "250 ok", "r2": "550 no r2", "r3": "250 ok"},
    {"r4": "450 no r4", "r5": "250 ok"},
)
TEXTS = (b"S: 1\r\n\r\n.x\r\n", b"S: 2\r\n\r\ny\r\n")
#: What the host says, in few octets: each of them is a place for a cut.
SAID = {"MAIL": "250 ok", "DATA": "354 go", ".": "250 taken", "RSET": "250 ok", "QUIT": "221 bye"}


@dataclass(frozen=True)
class Dialogue:
    """A way to talk to a host.

    @ivar keywords: what the host offers.
    @ivar options: of the relay.
    @ivar users: who may log in.
    @ivar again: whether a new connection that broke may be followed by a plainer one at once
        (PEER-19: without PIPELINING; TLS-10: without TLS).
    """

    keywords: tuple[str, ...] = ("PIPELINING",)
    options: dict[str, Any] = field(default_factory=dict)
    users: dict[str, str] | None = None
    again: bool = False

    @property
    def lmtp(self) -> bool:
        """Whether it is LMTP."""
        return bool(self.options.get("lmtp"))

    def host(self) -> FakeSmarthost:
        """Return the host."""
        rcpt = {address(name): said for people in PEOPLE for name, said in people.items()}
        return FakeSmarthost(
            {**SAID, "RCPT": rcpt}, self.keywords, name="mx", lhlo=self.lmtp, users=self.users
        )


_LOGIN = Credentials("joe", "secret")
_INSECURE = {"credentials": _LOGIN, "auth_insecure": True}
_USUAL = ("PIPELINING",)
DIALOGUES = {
    "pipelined": Dialogue(again=True),
    "lock-step": Dialogue(()),
    "STARTTLS, required": Dialogue((*_USUAL, "STARTTLS"), {"tls": "encrypt"}, again=True),
    "STARTTLS, if offered": Dialogue(("STARTTLS",), {"tls": "opportunistic"}, again=True),
    "AUTH": Dialogue((), _INSECURE, {"joe": "secret"}),
    "LMTP": Dialogue(options={"lmtp": True}, again=True),
}


def address(name: str) -> str:
    """Return the mailbox of one of them."""
    return f"{name}@b.c"


def message(number: int) -> Envelope:
    """Return one of the two messages."""
    return Envelope.parse("a@b.c", map(address, PEOPLE[number]), TEXTS[number])


class Run:
    """Both messages, and what became of them.

    @ivar host: the host.
    @ivar wires: the connections.
    @ivar outcomes: of each message, of each recipient.
    @ivar left: what was left when the relay had stopped.
    """

    def __init__(
        self, dialogue: Dialogue, fault: Callable[[Wire], object] = lambda _: None
    ) -> None:
        """Deliver both.

        @param fault: is given the first connection before anything passes over it.
        """
        self.host = dialogue.host()
        self.reactor = reactor = MemoryReactor()
        reactor.network.on_wire = lambda wire: (
            fault(wire) if wire is reactor.network.wires[0] else None
        )
        listen(reactor, self.host, lmtp=dialogue.lmtp)
        relay = static(reactor, pool_size=1, ehlo_as="c", **dialogue.options)
        running = [relay.attempt(message(number), 0) for number in range(2)]
        self.outcomes = [self._wait(each, len(PEOPLE[n])) for n, each in enumerate(running)]
        reactor.wait(relay.stop())
        reactor.flush()
        left = reactor.leftovers()
        self.left = left.timers + left.connections + left.producers
        self.wires: Sequence[Wire] = reactor.network.wires

    def _wait(self, attempt: Deferred[Report], count: int) -> tuple[Outcome, ...]:
        try:
            return self.reactor.wait(attempt, 60).outcomes
        except RelayError as error:
            return (error.outcome,) * count

    def copies(self, name: str) -> int:
        """Return how many copies of his message the host has for a recipient, octets and all."""
        whose = address(name)
        text = next(text for text, people in zip(TEXTS, PEOPLE, strict=True) if name in people)
        found = [each.octets for each in self.host.messages if whose in each.recipients]
        return len(found) if all(octets == text for octets in found) else 1000

    def told(self) -> list[list[str]]:
        """Return what became of each recipient of each message."""
        return [[told(each) for each in outcomes] for outcomes in self.outcomes]


def told(outcome: Outcome) -> str:
    """Return verdict and code of an outcome, with a mark if it is ambiguous."""
    return f"{outcome.verdict.value} {outcome.reply.code}{'?' * outcome.ambiguous}"


@dataclass(frozen=True)
class Undisturbed:
    """The run that nothing happens to, and where its messages end.

    @ivar up: the octets of the client.
    @ivar down: the octets of the host.
    """

    run: Run
    up: bytes
    down: bytes

    @classmethod
    def of(cls, dialogue: Dialogue) -> Undisturbed:
        """Run it."""
        run = Run(dialogue)
        [wire] = run.wires
        return cls(run, bytes(wire.up.tape), bytes(wire.down.tape))
