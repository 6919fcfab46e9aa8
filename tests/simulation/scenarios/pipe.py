# -*- test-case-name: tests.simulation.test_simulation -*-
"""SMTP or LMTP in, a program out.

Of the settings, C{final} is how long a program may take, C{pool} how many run at once, and
C{offers} holds words: C{together} for one program for all recipients, C{full read} where a program
has to read all of a message.
"""

from __future__ import annotations

import errno
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from slimtwist.interfaces import IRelay
from slimtwist.relay.pipe import PipeRelay
from tests.simulation import draws
from tests.simulation.faults import kind
from tests.simulation.models.program import BEHAVIOURS, UNREAD, Mailboxes
from tests.simulation.plan import Fault, Message, Plan, Settings, source, weighted

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Errors with which the system may refuse to start a program.
_ERRORS: Final = ("EAGAIN", "ENOMEM", "EMFILE", "ENOENT", "EACCES")
#: Seconds for which it does.
_TROUBLED: Final = 5.0


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = source(seed, "plan")
    settings = _settings(random)
    clients = draws.clients(random)
    sizes = source(seed, "sizes")
    messages = tuple(_larger(sizes, each) for each in draws.messages(seed, random, clients))
    faults = _faults(random, settings, messages, len(clients))
    return Plan(seed, "pipe", settings, clients, messages, faults)


def relay(world: World) -> IRelay:
    """Install the program, and return the relay to it."""
    settings = world.plan.settings
    world.reactor.programs["deliver"] = Mailboxes(world).program
    return PipeRelay(
        ["deliver", "--", "{sender}", "{recipient}"],
        settings.final,
        per_recipient="together" not in settings.offers,
        concurrency=settings.pool,
        require_full_read="full read" in settings.offers,
        runtime=world.runtime,
    )


def _larger(random: Random, message: Message) -> Message:
    """Let more of them be larger than a pipe."""
    if random.random() > 0.05:
        return message
    return replace(message, size=random.choice((81920, 131072, 262144)), shape="exact")


@kind("system")
def _system(world: World, fault: Fault) -> None:
    """Let the system start no program for some seconds."""
    reactor = world.reactor

    def begin() -> None:
        world.ledger.injected["system"] += 1
        reactor.system.trouble = getattr(errno, fault.value)
        reactor.callLater(_TROUBLED, setattr, reactor.system, "trouble", 0)

    reactor.callLater(fault.at, begin)


def _settings(random: Random) -> Settings:
    return Settings(
        pool=random.choice((1, 2, 20)),
        offers=tuple(word for word in ("together", "full read") if random.random() < 0.3),
        direct=weighted(random, (8, 570.0), (1, 25.0)),
        final=weighted(random, (3, 600.0), (3, 10.0)),
        memory=random.choice((65536, 65536, 200)),
        shuffled=random.random() < 0.5,
    )


def _faults(
    random: Random, settings: Settings, sent: tuple[Message, ...], visits: int
) -> tuple[Fault, ...]:
    """Return what programs do, what the system does, and what clients suffer."""
    programs = tuple(
        _behaviour(random, settings, sent) for _ in range(weighted(random, (1, 0), (4, 1), (2, 2)))
    )
    common = draws.faults(random, settings, sent, visits) if random.random() < 0.4 else ()
    peers = ("reply", "connect", "handshake")
    kept = [each for each in common if each.kind not in peers and "peer" not in each.where]
    system: tuple[Fault, ...] = ()
    if random.random() < 0.1:
        when = random.choice((0.0, 1.0, 39.0))
        system = (Fault("system", at=when, value=random.choice(_ERRORS)),)
    return (*programs, *kept, *system)


def _behaviour(random: Random, settings: Settings, sent: tuple[Message, ...]) -> Fault:
    message = random.choice(sent)
    name = random.choice([each.partition("@")[0] for each in message.recipients])
    subject = weighted(random, (4, name), (1, f"m{message.number}"))
    times = weighted(random, (3, 1), (1, 0))
    names = (*BEHAVIOURS, UNREAD) if "full read" in settings.offers else BEHAVIOURS
    return Fault("reply", f"program {subject}", at=times, value=random.choice(names))
