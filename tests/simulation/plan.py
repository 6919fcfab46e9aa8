# -*- test-case-name: tests.simulation.test_simulation -*-
"""What happens in a run, as plain data: who sends what to whom, and what goes wrong.

A L{Plan} is drawn from a seed, and a run follows from its plan alone.  Each element has a seed of
its own, and faults name the elements that they are for, so that removing one leaves all others as
they were: that is what makes shrinking possible.  The C{repr} of a plan is a Python expression
that builds it again; values that are the default are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from hashlib import blake2b
from random import Random
from typing import TypeVar

_T = TypeVar("_T")


class _Short:
    """A dataclass whose C{repr} leaves out what is the default."""

    __slots__ = ()

    def __repr__(self) -> str:
        pairs = [(each, getattr(self, each.name)) for each in fields(self)]  # type: ignore[arg-type]
        told = [f"{each.name}={value!r}" for each, value in pairs if value != each.default]
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass(frozen=True, slots=True, repr=False)
class Message(_Short):
    """A message that a client has.

    @ivar number: names it for good: its addresses begin with C{m0}, C{m1}.
    @ivar seed: of its octets.
    @ivar size: about how many octets; what the shape makes of it is L{tests.simulation.octets}'s.
    @ivar shape: of its octets: C{dots}, C{text}, C{exact}; C{bare} has CR or LF alone.
    @ivar recipients: their addresses; one may occur twice.
    @ivar client: the number of the client that has it.
    @ivar tries: how often it is sent to those to whom it was not delivered yet.
    @ivar null: whether it has the null sender.
    """

    number: int
    seed: int
    size: int = 0
    shape: str = "text"
    recipients: tuple[str, ...] = ()
    client: int = 0
    tries: int = 1
    null: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Client(_Short):
    """Who hands messages over.

    @ivar number: names it for good.
    @ivar start: the second at which it comes.
    @ivar entry: C{smtp}, C{lmtp}, C{http}, or C{call} for an application that calls the queue.
    @ivar pipelined: whether it sends commands in groups.
    @ivar chunk: octets in a chunk of BDAT; 0 for DATA.
    @ivar secure: whether it starts TLS.
    @ivar injects: whether it says something between STARTTLS and TLS.
    @ivar login: whether it authenticates, which it does in TLS only.
    @ivar same: whether it tries again with the same envelope, under the same id.
    @ivar keyed: whether its requests of HTTP have an C{Idempotency-Key}, and come again under it.
    @ivar json: whether it asks for a result for each recipient.
    """

    number: int
    start: float = 0.0
    entry: str = "smtp"
    pipelined: bool = False
    chunk: int = 0
    secure: bool = False
    injects: bool = False
    login: bool = False
    same: bool = False
    keyed: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Fault(_Short):
    """Something that goes wrong; L{tests.simulation.faults} says what the kinds are.

    @ivar kind: such as C{reply} or C{cut}.
    @ivar where: what it happens to, in the words of its kind.
    @ivar at: a time, an offset or a count, as its kind has it.
    @ivar value: the rest.
    """

    kind: str
    where: str = ""
    at: float = 0
    value: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Settings(_Short):
    """How relay, edge and next hop are configured.  A scenario may add its own, with a default.

    @ivar pool: connections to the next hop.
    @ivar tls: the policy of the relay.
    @ivar login: whether the relay has credentials.
    @ivar offers: the lines of the next hop's reply to EHLO, but STARTTLS and AUTH.
    @ivar starttls: whether the next hop offers STARTTLS.
    @ivar clear: what it offers before TLS, where that is not C{offers}.
    @ivar idle: seconds that an unused connection is kept.
    @ivar uses: messages over a connection.
    @ivar direct: seconds that an attempt may take.
    @ivar final: seconds that the last reply may take.
    @ivar memory: octets above which a message is in a file.
    @ivar shuffled: whether the order of simultaneous events is drawn.
    @ivar own: names and addresses by which the relay knows itself.
    @ivar forced: who takes a domain's mail, whatever its zone says: C{d1.example=192.0.2.10}.
    @ivar follows: whether answers hold all that an alias leads to.
    @ivar minimum: seconds for which it is believed that a name or record is not there.
    @ivar destinations: hosts that there may be connections to at once.
    @ivar stale: seconds for which answers serve that are out of date.
    @ivar answers: how an HTTP service says that all is well: C{reply}, C{json} or C{status}.
    @ivar keeps: seconds for which it keeps an unused connection.
    @ivar spare: whether the relay defers what is an operator's fault.
    """

    pool: int = 2
    tls: str = "none"
    login: bool = False
    offers: tuple[str, ...] = ("PIPELINING", "8BITMIME")
    starttls: bool = False
    clear: tuple[str, ...] = ()
    idle: float = 60.0
    uses: int = 100
    direct: float = 570.0
    final: float = 600.0
    memory: int = 65536
    shuffled: bool = False
    own: tuple[str, ...] = ()
    forced: tuple[str, ...] = ()
    follows: bool = True
    minimum: int = 600
    destinations: int = 1000
    stale: float = 0.0
    answers: str = "reply"
    keeps: float = 1000.0
    spare: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Plan(_Short):
    """A run.

    @ivar seed: of the run's own randomness: nonces, the order of events.
    @ivar scenario: a module of L{tests.simulation.scenarios}.
    @ivar records: what zones hold: C{d1.example 300 MX 10 mx1.example}.
    """

    seed: int
    scenario: str = "smtp"
    settings: Settings = Settings()
    clients: tuple[Client, ...] = ()
    messages: tuple[Message, ...] = ()
    faults: tuple[Fault, ...] = ()
    records: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Plan:
        """Return the plan whose C{repr} this is."""
        names = {each.__name__: each for each in (cls, Settings, Client, Message, Fault)}
        plan: Plan = eval(text, {"__builtins__": {}}, names)
        return plan


def derived(seed: int, *path: object) -> int:
    """Return the seed of a part, which depends on no other part."""
    text = f"{seed} {path}".encode()
    return int.from_bytes(blake2b(text, digest_size=6).digest(), "big")


def source(seed: int, *path: object) -> Random:
    """Return a source of randomness for a part."""
    return Random(derived(seed, *path))


def weighted(random: Random, *choices: tuple[float, _T]) -> _T:
    """Return one of some values, each with its weight."""
    total = random.random() * sum(weight for weight, _ in choices)
    for weight, value in choices:
        total -= weight
        if total < 0:
            return value
    return choices[-1][1]
