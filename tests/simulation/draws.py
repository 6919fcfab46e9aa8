# -*- test-case-name: tests.simulation.test_simulation -*-
"""What plans are drawn from, for all scenarios: clients, messages, and the common faults.

Most runs are small: one or two messages, short, and one or two faults.
"""

from __future__ import annotations

from random import Random
from typing import Final

from tests.simulation.models import odd
from tests.simulation.plan import Client, Fault, Message, Settings, derived, weighted

_SIZES: Final = (0, 1, 2, 3, 998, 1000, 8191, 8192, 16383, 16384, 16385, 32768)
_LARGE: Final = (65535, 65536, 65537, 81920, 131072, 262144)
_DOMAINS: Final = ("d1.example", "d2.example", "d3.example")
_FLOWS: Final = ("cut", "stall", "window", "segments", "drip", "delay")


def clients(random: Random) -> tuple[Client, ...]:
    """Return one to three clients."""
    count = weighted(random, (12, 1), (2, 2), (0.5, 3))
    return tuple(
        Client(
            number,
            start=random.choice((0.0, 0.0, 1.5, 40.0)),
            entry=weighted(random, (6, "smtp"), (2, "lmtp"), (1.2, "call"), (0.8, "http")),
            pipelined=random.random() < 0.5,
            chunk=(chunk := weighted(random, (4, 0), (1, 100), (1, 16384))),
            json=chunk > 0,
            **_protection(random),
        )
        for number in range(count)
    )


def _protection(random: Random) -> dict[str, bool]:
    secure = random.random() < 0.15
    return {
        "secure": secure,
        "injects": secure and random.random() < 0.15,
        "login": secure and random.random() < 0.5,
    }


def messages(seed: int, random: Random, senders: tuple[Client, ...]) -> tuple[Message, ...]:
    """Return a few messages; one in many runs is large, or has many recipients."""
    count = weighted(random, (10, 1), (2, 2), (0.5, 3), (0.1, 6))
    return tuple(
        _message(number, seed, random, senders[number % len(senders)]) for number in range(count)
    )


def _message(number: int, seed: int, random: Random, client: Client) -> Message:
    count = weighted(random, (12, 1), (3, 2), (1, 3), (0.15, 10), (0.02, 50))
    names = [f"m{number}r{each}@{random.choice(_DOMAINS)}" for each in range(count)]
    if count > 1 and random.random() < 0.1:
        names[-1] = names[0]
    tries = weighted(random, (5, 1), (1, 2))
    size = weighted(
        random,
        (10, random.randrange(200)),
        (3, random.choice(_SIZES)),
        (0.3, random.choice(_LARGE)),
    )
    bare = 0.3 if client.entry != "call" else 0
    shape = weighted(random, (5, "text"), (3, "exact"), (2, "dots"), (bare, "bare"))
    return Message(
        number,
        derived(seed, "message", number),
        size=min(size, 2000) if shape in ("dots", "bare") else size,
        shape=shape,
        recipients=tuple(names),
        client=client.number,
        tries=tries,
        null=count == 1 and tries == 1 and random.random() < 0.1,
    )


def faults(
    random: Random, settings: Settings, sent: tuple[Message, ...], visits: int
) -> tuple[Fault, ...]:
    """Return no, one or a few faults."""
    count = weighted(random, (2, 0), (5, 1), (3, 2), (1, 5))
    return tuple(_fault(random, settings, sent, visits) for _ in range(count))


def _fault(random: Random, settings: Settings, sent: tuple[Message, ...], visits: int) -> Fault:
    kind = weighted(
        random, (10, "reply"), (6, "flow"), (1, "connect"), (0.5, "stop"), (0.5, "cancel"),
        (0.2, "raise"), (2.0 if settings.starttls else 0.3, "handshake"),
    )  # fmt: skip
    number = random.randrange(3)
    if kind == "reply":
        return reply(random, sent, settings)
    if kind == "flow":
        return flow(random, visits)
    if kind == "connect":
        fate = random.choice(("REFUSED", "UNREACHABLE", "TIMED_OUT", "HANGING"))
        return Fault("connect", f"peer {number}", value=fate)
    if kind == "handshake":
        verdict = random.choice(("client", "server", "hangs"))
        side = "peer" if settings.starttls and random.random() < 0.8 else "client"
        return Fault("handshake", f"{side} {number}", value=verdict)
    when = random.choice((0.0, 0.5, 2.0, 7.5, 20.0, 100.0))
    if kind == "cancel":
        return Fault("cancel", str(number), at=when)
    return Fault("stop", at=when) if kind == "stop" else Fault("raise", str(number))


def reply(random: Random, sent: tuple[Message, ...], settings: Settings) -> Fault:
    """Return an odd reply somewhere in a dialogue."""
    tls = 1.5 if settings.starttls and settings.tls != "none" else 0.0
    login = 4.0 if settings.login else 0.0
    message = random.choice(sent)
    stage = weighted(
        random, (1, "greeting"), (1, "EHLO"), (tls, "STARTTLS"), (login, "AUTH"), (3, "MAIL"),
        (5, "RCPT"), (3, "DATA"), (1, "body"), (6, "end of data"), (0.5, "RSET"), (0.3, "QUIT"),
    )  # fmt: skip
    if stage in ("MAIL", "DATA", "body", "end of data"):
        subject = f"m{message.number}"
    elif stage == "RCPT":
        subject = random.choice(message.recipients).partition("@")[0]
    else:
        subject = str(weighted(random, (6, 0), (2, 1), (1, 2)))
    code = str(random.choice(odd.COMMON))
    name = weighted(random, (3, code), (4, random.choice(odd.NAMES)))
    if stage == "body":  # a host that agrees too early, and then ends, has told a lie
        name = random.choice(odd.INTERRUPTIONS)
        stage = weighted(random, (2, "body"), (1, "354"))  # together with the word to send
    return Fault("reply", f"{stage} {subject}", at=weighted(random, (3, 1), (1, 0)), value=name)


def flow(random: Random, visits: int) -> Fault:
    """Return something that happens to one direction of a connection."""
    kind = random.choice(_FLOWS)
    side = random.choice(("peer", "peer", "client"))
    number = random.randrange(2 if side == "peer" else visits)
    where = f"{side} {number} {random.choice(('up', 'down'))}"
    offset = weighted(random, (6, random.randrange(400)), (1, random.randrange(40_000)))
    if kind == "cut":
        return Fault("cut", where, at=offset, value=random.choice(("FIN", "RST", "HALF")))
    if kind == "stall":
        return Fault("stall", where, at=offset)
    if kind == "window":
        return Fault("window", where, at=random.choice((0, 100, 1000)))
    if kind == "segments":
        return Fault("segments", where, at=random.getrandbits(30))
    if kind == "drip":
        spacing = random.choice(("0.01", "1.0", "20.0"))
        return Fault("drip", where, at=random.getrandbits(30), value=spacing)
    return Fault("delay", where, at=random.choice((0.001, 0.2, 3.0)))


def dead(random: Random, sent: tuple[Message, ...]) -> tuple[Fault, ...]:
    """Return, in some runs of several messages, the end of a connection that was used before."""
    if len(sent) < 2 or random.random() > 0.3:
        return ()
    where = weighted(random, (2, "MAIL"), (1, "end of data"))
    value = random.choice(("close", "reset", "421"))
    return (Fault("reply", f"{where} m{sent[-1].number}", at=1, value=value),)
