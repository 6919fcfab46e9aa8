# -*- test-case-name: tests.simulation.test_simulation -*-
"""SMTP in, SMTP out to a smart host."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from slimtwist.interfaces import IRelay
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.smtp.auth import Credentials
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from tests.simulation import conduct, draws
from tests.simulation.models.smtp_server import CREDENTIALS, SmtpServer
from tests.simulation.plan import Plan, Settings, source, weighted

if TYPE_CHECKING:
    from tests.simulation.world import World

HOST: Final = "smarthost.example"
#: Made once: a policy keeps the OpenSSL contexts that nobody looks at here.
POLICIES: Final = {mode.value: TlsPolicy(mode) for mode in TlsMode}


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = source(seed, "plan")
    settings = replace(_settings(random), clear=_clear(source(seed, "clear")))
    clients = draws.clients(random)
    messages = draws.messages(seed, random, clients)
    faults = draws.faults(random, settings, messages, len(clients))
    faults += draws.dead(source(seed, "dead"), messages)
    return Plan(seed, "smtp", settings, clients, messages, faults)


def _clear(random: Random) -> tuple[str, ...]:
    """Return what is offered before TLS only; mostly that is as in TLS."""
    words = ("8BITMIME", "SMTPUTF8", "PIPELINING", "SIZE")
    return tuple(random.sample(words, 3)) if random.random() < 0.2 else ()


def relay(world: World) -> IRelay:
    """Let the smart host listen, and return the relay to it."""
    settings = world.plan.settings
    host = SmtpServer(world.reactor, world.ledger, settings, world.script.choose)
    conduct.watch(world)
    world.reactor.add_host(HOST, host)
    return StaticSmtpRelay(
        HOST,
        25,
        settings.pool,
        tls=POLICIES[settings.tls],
        credentials=Credentials(*(each.decode() for each in CREDENTIALS))
        if settings.login
        else None,
        runtime=world.runtime,
    )


def _settings(random: Random) -> Settings:
    tls = weighted(random, (5, "none"), (3, "opportunistic"), (1, "encrypt"), (1, "verify"))
    offers = [word for word in ("8BITMIME", "SMTPUTF8", "CHUNKING") if random.random() < 0.5]
    if random.random() < 0.7:
        offers.append("PIPELINING")
    if random.random() < 0.5:
        offers.append(weighted(random, (3, "SIZE"), (3, "SIZE 100000000"), (1, "SIZE 200")))
    if random.random() < 0.2:
        offers.append(weighted(random, (1, "LIMITS RCPTMAX=2"), (1, "LIMITS RCPTMAX=1 MAILMAX=3")))
    return Settings(
        pool=random.choice((1, 1, 2, 3)),
        tls=tls,
        login=tls == "verify" and random.random() < 0.5,
        offers=tuple(offers),
        starttls=tls in ("encrypt", "verify") or random.random() < 0.5,
        idle=random.choice((60.0, 60.0, 5.0)),
        uses=random.choice((100, 100, 2)),
        direct=weighted(random, (8, 570.0), (1, 25.0)),
        final=weighted(random, (8, 600.0), (1, 20.0)),
        memory=random.choice((65536, 65536, 200)),
        shuffled=random.random() < 0.5,
    )
