# -*- test-case-name: tests.simulation.test_simulation -*-
"""SMTP or LMTP in, LMTP out: each recipient has a last reply of his own."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from slimtwist.interfaces import IRelay
from slimtwist.relay.smtp.static import StaticLmtpRelay
from tests.simulation import conduct, draws
from tests.simulation.models.odd import EXTRA
from tests.simulation.models.smtp_server import SmtpServer
from tests.simulation.plan import Client, Fault, Message, Plan, Settings, source, weighted

if TYPE_CHECKING:
    from tests.simulation.world import World

HOST: Final = "mailboxes.example"


def draw(seed: int) -> Plan:
    """Return the plan of a seed; more clients speak LMTP, and messages have more recipients."""
    random = source(seed, "plan")
    settings = _settings(random)
    clients = tuple(_more(random, each) for each in draws.clients(random))
    messages = tuple(_wider(random, each) for each in draws.messages(seed, random, clients))
    common = draws.faults(random, settings, messages, len(clients))
    faults = tuple(_to_one(random, each, messages) for each in common)
    return Plan(seed, "lmtp", settings, clients, messages, faults)


def relay(world: World) -> IRelay:
    """Let the server of mailboxes listen, and return the relay to it."""
    host = SmtpServer(world.reactor, world.ledger, world.plan.settings, world.script.choose)
    host.lmtp = True
    conduct.watch(world)
    world.reactor.add_host(HOST, host, 24)
    return StaticLmtpRelay(HOST, pool_size=world.plan.settings.pool, runtime=world.runtime)


def _settings(random: Random) -> Settings:
    offers = [word for word in ("8BITMIME", "SMTPUTF8") if random.random() < 0.5]
    if random.random() < 0.8:  # RFC 2033 5: a server must offer it; not all do
        offers.append("PIPELINING")
    if random.random() < 0.2:
        offers.append(weighted(random, (1, "LIMITS RCPTMAX=2"), (1, "LIMITS RCPTMAX=1 MAILMAX=3")))
    return Settings(
        pool=random.choice((1, 1, 2)),
        offers=tuple(offers),
        uses=random.choice((100, 100, 2)),
        direct=weighted(random, (8, 570.0), (1, 25.0)),
        final=weighted(random, (8, 600.0), (1, 20.0)),
        memory=random.choice((65536, 65536, 200)),
        shuffled=random.random() < 0.5,
    )


def _more(random: Random, client: Client) -> Client:
    return replace(client, entry="lmtp") if random.random() < 0.5 else client


def _wider(random: Random, message: Message) -> Message:
    """Give it up to three further recipients, perhaps one of whom it has already."""
    count = weighted(random, (3, 0), (2, 1), (1, 3))
    more = [f"m{message.number}r{100 + each}@d1.example" for each in range(count)]
    if more and random.random() < 0.1:
        more[0] = message.recipients[0]
    return replace(message, recipients=(*message.recipients, *more), null=False)


def _to_one(random: Random, fault: Fault, messages: tuple[Message, ...]) -> Fault:
    """Let a reply to the end of a message be that for one of its recipients."""
    stage, _, subject = fault.where.rpartition(" ")
    if fault.kind != "reply" or stage != "end of data":
        return fault
    (message,) = (each for each in messages if f"m{each.number}" == subject)
    # Two for anybody else are taken for his and the next recipient's: nobody can tell them apart.
    names = message.recipients
    if fault.value in EXTRA:
        names = names[-1:]
        if message.recipients.count(names[0]) > 1:  # then his is also one of those
            fault = replace(fault, value="slow")
    name, _, _ = random.choice(names).partition("@")
    return replace(fault, where=f"{stage} {name}")
