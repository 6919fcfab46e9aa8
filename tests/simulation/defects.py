# -*- test-case-name: tests.simulation.test_oracles -*-
"""Defects that are planted into the engine, to see that the simulator finds them.

C{python -m tests.simulation.defects} plants one after the other and says in which seed each was
found; it fails when one is not found.  Most are in L{tests.simulation.planted}, a module for each
area; one for each oracle is here.  L{defect} registers a generator that plants, yields, and
takes the defect out again; L{put} helps it to put something in the place of something else.
"""

# ruff: noqa: ANN401, ARG001, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

from twisted.internet.defer import succeed

from slimtwist.deadline import Deadline
from slimtwist.edge.transaction import Transaction as EdgeTransaction
from slimtwist.outcome import Outcome
from slimtwist.pool import Pool
from slimtwist.queue import direct
from slimtwist.reply import Reply
from slimtwist.smtp import fit, transaction
from slimtwist.smtp.channel import Channel
from slimtwist.smtp.session import Session
from slimtwist.smtp.tls import TlsPolicy
from slimtwist.smtp.transaction import Transaction
from slimtwist.smtp.wire import DotStuffer
from tests.simulation import planted
from tests.simulation.batch import quiet
from tests.simulation.plan import Fault, Plan
from tests.simulation.run import Result, draw, run

#: Seeds within which a defect has to be found.
WITHIN: Final = 5000

Aim = Callable[[Plan], Plan]
Plant = Callable[[], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class Defect:
    """A defect.

    @ivar name: what is wrong.
    @ivar scenario: where it shows.
    @ivar law: with what a violation begins that finds it.
    @ivar plant: plants it, and takes it out again.
    @ivar aim: makes plans in which it may show of those that are drawn; L{towards} makes one.
    """

    name: str
    scenario: str
    law: str
    plant: Plant
    aim: Aim


#: By name.
DEFECTS: Final[dict[str, Defect]] = {}


def defect(
    name: str, law: str, scenario: str = "smtp", aim: Aim = lambda plan: plan
) -> Callable[[Callable[[], Iterator[None]]], Plant]:
    """Register a generator that plants a defect; see L{Defect}."""

    def register(planting: Callable[[], Iterator[None]]) -> Plant:
        plant = contextmanager(planting)
        DEFECTS[name] = Defect(name, scenario, law, plant, aim)
        return plant

    return register


def towards(*faults: Fault, recipients: int = 0, size: int = 0, **settings: Any) -> Aim:
    """Return an aim: plans with these faults and settings.

    @param recipients: so many for message 0, which an application has; 0 for those that were drawn.
    @param size: of all messages; 0 for what was drawn.
    """

    def aim(plan: Plan) -> Plan:
        messages, clients = plan.messages, plan.clients
        if size:
            messages = tuple(replace(each, size=size, shape="exact") for each in messages)
        if recipients:
            names = tuple(f"m0r{each}@d1.example" for each in range(recipients))
            first = replace(messages[0], recipients=names, null=False)
            messages = (first, *messages[1:])
            clients = tuple(replace(each, entry="call") for each in clients)
        return replace(
            plan,
            settings=replace(plan.settings, **settings),
            clients=clients,
            messages=messages,
            faults=faults or plan.faults,
        )

    return aim


@contextmanager
def put(place: Any, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Put something in the place of an attribute.

    @param make: is given what is there, and returns what is put in its place.
    """
    there = place.__dict__[name]
    setattr(place, name, make(there))
    try:
        yield
    finally:
        setattr(place, name, there)


def find(wanted: Defect, first: int = 1, within: int = WITHIN) -> Result | None:
    """Plant a defect, and return the first run that finds it."""
    with wanted.plant():
        for seed in range(first, first + within):
            result = run(wanted.aim(draw(wanted.scenario, seed)))
            if any(each.startswith(f"{wanted.law}:") for each in result.violations):
                return result
    return None


def main(words: list[str] | None = None) -> int:
    """Look for all defects, or those that are named; return the status."""
    planted.register()
    parser = ArgumentParser(prog="tests.simulation.defects", description=main.__doc__)
    parser.add_argument("name", nargs="*", choices=[*DEFECTS, []], metavar="NAME", help="a defect")
    quiet()
    missed = 0
    for name in parser.parse_args(words).name or DEFECTS:
        found = find(DEFECTS[name])
        missed += found is None
        seen = f"seed {found.plan.seed}: {found.violations[0][:100]}" if found else "NOT FOUND"
        print(f"{name}: {seen}", flush=True)  # noqa: T201 - it talks to the person at the terminal
    return 1 if missed else 0


_LOST: Final = Fault("reply", "end of data m0", value="close")
_REFUSED: Final = Fault("reply", "RCPT m0r1", value="550")
_STALLED: Final = Fault("stall", "peer 0 up", at=20_000)
_LEFT: Final = Fault("cut", "client 0 up", at=130, value="FIN")

# One for each oracle.


@defect("an end of the connection after the message is a success", "L1", aim=towards(_LOST))
def _false_success() -> Iterator[None]:
    def make(there: Any) -> Any:
        def give_up(
            self: Transaction, positions: Any, command: str, *, ambiguous: bool = False
        ) -> None:
            if ambiguous:
                taken = Outcome.of(Reply.parse("250 2.0.0 taken"), command=command)
                self.outcomes.update(dict.fromkeys(positions, taken))
            else:
                there(self, positions, command)

        return give_up

    with put(Transaction, "_give_up", make):
        yield


@defect("a transient refusal is for good", "table")
def _hardened() -> Iterator[None]:
    def make(there: Any) -> Any:
        def heed(self: Transaction, positions: Any, command: str, reply: bytes) -> None:
            hard = b"5" + reply[1:] if reply.startswith(b"45") else reply
            there(self, positions, command, hard.replace(b" 4.", b" 5."))

        return heed

    with put(Transaction, "_heed", make):
        yield


@defect("an attempt has no deadline", "L3")
def _unbounded() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda clock, relay, envelope, attempts, _: there(
            clock, relay, envelope, attempts, 1e6
        )

    with put(direct, "settle", make):
        yield


@defect("no wait has an end", "L7", aim=towards(Fault("reply", "RCPT m0r0", value="none")))
def _endless() -> Iterator[None]:
    with put(Deadline, "set", lambda _: lambda self, wait: None):
        yield


@defect("an end after the message is not ambiguous", "L4", aim=towards(_LOST))
def _unambiguous() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self, positions, command, ambiguous=False: there(self, positions, command)

    with put(Transaction, "_give_up", make):
        yield


@defect("a recipient is made better", "L5")
def _repaired() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda recipient, extensions: there(recipient, extensions).replace(b"d2.", b"d4.")

    with put(fit, "rcpt_command", make), put(transaction, "rcpt_command", make):
        yield


@defect("a message is written without waiting", "L6", aim=towards(_STALLED, size=262144))
def _hasty() -> Iterator[None]:
    with put(Channel, "_leave", lambda _: lambda self, wait: succeed(None)):
        yield


@defect("dots are stuffed in each block for itself", "L8")
def _stuffed_by_block() -> Iterator[None]:
    def make(there: Any) -> Any:
        def feed(self: DotStuffer, octets: bytes) -> bytes:
            return octets.replace(b"\r\n.", b"\r\n..")

        return feed

    with put(DotStuffer, "feed", make):
        yield


@defect("TLS that is required may be missing", "peer", aim=towards(tls="encrypt", starttls=False))
def _weakened() -> Iterator[None]:
    with put(TlsPolicy, "required", lambda _: property(lambda self: False)):
        yield


@defect("a reply decides for the recipient before", "L12", aim=towards(_REFUSED, recipients=3))
def _shifted() -> Iterator[None]:
    def make(there: Any) -> Any:
        def judge(self: Transaction, replies: list[bytes]) -> None:
            mine = replies[: len(self._positions)]
            there(self, [*mine[1:], *mine[:1], *replies[len(mine) :]])

        return judge

    with put(Transaction, "_judge_recipients", make):
        yield


@defect("the text of a refusal is lost", "L11")
def _textless() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda outcome: replace(there(outcome), lines=("sorry",))

    with put(direct, "promised", make):
        yield


@defect("a refusal stops all recipients", "opinion", aim=towards(_REFUSED, recipients=3))
def _all_refused() -> Iterator[None]:
    def make(there: Any) -> Any:
        def judge(self: Transaction, replies: list[bytes]) -> None:
            worst = next((each for each in replies if each[:1] in b"5"), None)
            there(self, [worst] * len(replies) if worst else replies)

        return judge

    with put(Transaction, "_judge_recipients", make):
        yield


@defect("a timer stays behind", "left")
def _timer() -> Iterator[None]:
    with put(Deadline, "close", lambda _: lambda self: None):
        yield


@defect("a message that is given up keeps its file", "left", aim=towards(_LEFT, memory=10))
def _file() -> Iterator[None]:
    kept: list[object] = []

    def make(there: Any) -> Any:
        def reset(self: EdgeTransaction) -> None:
            if self._body is not None:
                kept.append(self._body)
                self._body = None
            there(self)

        return reset

    with put(EdgeTransaction, "reset", make):
        yield
    kept.clear()


@defect("a pool stumbles over its messages", "unexpected")
def _stumbling() -> Iterator[None]:
    def make(there: Any) -> Any:
        def finished(self: Pool, report: Any, job: Any) -> None:
            there(self, report, job)
            raise RuntimeError("stumbled")

        return finished

    with put(Pool, "_finished", make):
        yield


@defect("AUTH is tried where nothing protects it", "peer", aim=towards(tls="verify", login=True))
def _in_clear() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def starttls(self: Session, name: str, policy: Any) -> None:
            await there(self, name, policy) if self.options.credentials is None else None

        return starttls

    with put(Session, "_starttls", make):
        yield


if __name__ == "__main__":
    # Modules of defects register theirs in the module of that name, which this one is not.
    sys.exit(import_module("tests.simulation.defects").main(sys.argv[1:]))
