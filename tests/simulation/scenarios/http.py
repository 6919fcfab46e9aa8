# -*- test-case-name: tests.simulation.test_simulation -*-
"""SMTP in, HTTP out to a service."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from twisted.internet.task import LoopingCall

from slimtwist.interfaces import IRelay
from slimtwist.relay.http import HttpRelay, Secrets
from tests.simulation import draws, posting
from tests.simulation.models import http_odd, http_server
from tests.simulation.models.http_request import HOST, PATH, TOKEN
from tests.simulation.plan import Client, Fault, Message, Plan, Settings, source, weighted

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["draw", "posting", "relay"]

#: The first of a process makes Twisted install a reactor, which keeps descriptors.
LoopingCall(int)
_LARGE: Final = (65536, 131072, 262144)
_CODES: Final = ("550", "450", "421", "554", "251")
#: Faults that only change the pace of a connection.
_PACING: Final = ("segments", "delay", "window", "drip")
#: The kinds of those of L{draws.faults} that mean something here.
_FATES: Final = ("connect", "stop", "cancel", "raise")

#: Octets of a message above which it is not sent in small pieces.
_WHOLE: Final = 1 << 20


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = source(seed, "plan")
    settings = _settings(random)
    clients = tuple(_insistent(random, each) for each in draws.clients(random))
    messages = draws.messages(seed, random, clients)
    if random.random() < 0.005:
        messages = (replace(messages[0], size=(1 << 20) + 1, shape="exact"), *messages[1:])
    faults = _faults(random, settings, messages, len(clients))
    if messages[0].size > _WHOLE:  # octet by octet it takes a million turns
        faults = tuple(each for each in faults if each.kind not in ("segments", "drip"))
    if any(each.where.startswith("early") for each in faults) and random.random() < 0.8:
        size = random.choice(_LARGE)
        messages = tuple(replace(each, size=size, shape="exact") for each in messages)
    return Plan(seed, "http", settings, clients, messages, faults)


def relay(world: World) -> IRelay:
    """Let the service listen, and return the relay to it."""
    world.posts = http_server.listen(world)
    settings = world.plan.settings
    return HttpRelay(
        f"http://{HOST}{PATH.decode()}",
        settings.pool,
        timeout=settings.final,
        idle_timeout=settings.idle,
        secrets=Secrets(bearer=TOKEN if settings.login else ""),
        spare_configuration=settings.spare,
        auth_insecure=True,
        runtime=world.runtime,
    )


def _settings(random: Random) -> Settings:
    return Settings(
        pool=random.choice((1, 1, 2, 3)),
        login=random.random() < 0.2,
        idle=random.choice((4.0, 4.0, 60.0)),
        direct=weighted(random, (8, 570.0), (1, 25.0)),
        final=weighted(random, (8, 300.0), (1, 20.0)),
        memory=random.choice((65536, 65536, 200)),
        shuffled=random.random() < 0.5,
        answers=random.choice(("reply", "json", "status")),
        keeps=weighted(random, (6, 1000.0), (1, 5.0), (1, 4.0), (1, 0.0)),
        spare=random.random() < 0.2,
    )


def _insistent(random: Random, client: Client) -> Client:
    """Let some of them call, and again with the same envelope; let many of them post."""
    if random.random() < 0.5:
        client = replace(client, entry=random.choice(("http", "http", "call")))
    if client.entry == "http":
        keyed, as_json = random.random() < 0.5, random.random() < 0.5
        return replace(client, keyed=keyed, json=as_json, secure=False, injects=False)
    return replace(client, same=client.entry == "call" and random.random() < 0.5)


def _faults(
    random: Random, settings: Settings, sent: tuple[Message, ...], visits: int
) -> tuple[Fault, ...]:
    """Return no, one or a few faults."""
    count = weighted(random, (2, 0), (5, 1), (3, 2), (1, 5))
    found = [_fault(random, settings, sent, visits) for _ in range(count)]
    if any(each.where.startswith("early") or each.value == "then more" for each in found):
        # Who says too much, or too early, and is not heard to the end, has told a lie.
        found = [e for e in found if e.kind in ("reply", "connect") or "client" in e.where]
        if random.random() < 0.7:
            number = random.randrange(2)
            found.append(
                Fault("window", f"peer {number} up", at=random.choice((100, 1000, 20_000)))
            )
    return tuple(found)


def _fault(random: Random, settings: Settings, sent: tuple[Message, ...], visits: int) -> Fault:
    kind = weighted(random, (10, "reply"), (6, "flow"), (3, "other"))
    if kind == "reply":
        return _reply(random, settings, sent)
    if kind == "flow":
        return draws.flow(random, visits)
    number = random.randrange(3)
    kind = random.choice(_FATES)
    if kind == "connect":
        fate = random.choice(("REFUSED", "UNREACHABLE", "TIMED_OUT", "HANGING"))
        return Fault("connect", f"peer {number}", value=fate)
    when = random.choice((0.0, 0.5, 2.0, 7.5, 20.0, 100.0))
    if kind == "raise":
        return Fault("raise", str(number))
    return Fault(kind, str(number) if kind == "cancel" else "", at=when)


def _reply(random: Random, settings: Settings, sent: tuple[Message, ...]) -> Fault:
    """Return an odd response, or an odd result of one recipient."""
    message = random.choice(sent)
    often = weighted(random, (3, 1), (1, 0))
    if settings.answers == "json" and random.random() < 0.5:
        name = random.choice(message.recipients).partition("@")[0]
        return Fault("reply", f"result {name}", at=often, value=random.choice(_CODES))
    if random.random() < 0.15:
        name = random.choice(http_odd.INTERRUPTIONS)
        return Fault("reply", f"early response m{message.number}", at=often, value=name)
    name = random.choice(http_odd.NAMES)
    return Fault("reply", f"response m{message.number}", at=often, value=name)
