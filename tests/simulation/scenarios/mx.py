# -*- test-case-name: tests.simulation.test_simulation -*-
# ruff: noqa: ARG001 - all ways in which a domain may be are called alike
"""SMTP in, SMTP out to the exchangers that the domain name system names.

Hosts are numbered.  The host C{mx3} has the addresses C{192.0.2.30}, C{192.0.2.31} and
C{2001:db8::30}, C{2001:db8::31}, whatever names lead there; faults name it (C{"mx3 0 up"}: the
first connection to it), and a reply may be one host's only (C{"RCPT mx3 m0r1"}).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from ipaddress import ip_address
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Final

from slimtwist.interfaces import IRelay
from slimtwist.relay.smtp.mx import MxSmtpRelay
from tests.simulation import draws, exchange, forecast  # noqa: F401 - registers an oracle
from tests.simulation.models.smtp_server import SmtpServer
from tests.simulation.models.zones import ODD, TROUBLE, Record, Zones
from tests.simulation.plan import Client, Fault, Message, Plan, Settings, source, weighted
from tests.simulation.scenarios.smtp import POLICIES

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Addresses that are never connected to: this host's and its neighbours'.
_NEAR: Final = (
    *("127.0.0.2", "0.0.0.0", "169.254.7.7", "224.0.0.9"),
    *("::1", "fe80::9", "::ffff:127.0.0.2"),
)
#: The relay's own, where the plan lets it know them.
OWN_ADDRESS: Final = "192.0.2.250"
OWN_NAME: Final = "relay.example"
_TTLS: Final = (300, 300, 3600, 20, 5, 1, 0, 1 << 31)
_PREFERENCES: Final = (0, 10, 10, 10, 20, 20, 30, 65535)
_CONNECTION: Final = ("greeting", "EHLO", "STARTTLS", "AUTH", "RSET", "QUIT")


def draw(seed: int) -> Plan:
    """Return the plan of a seed."""
    random = source(seed, "plan")
    settings = _settings(random)
    records, domains = _zones(random)
    clients = tuple(_more(random, each) for each in draws.clients(random))
    sent = draws.messages(seed, random, clients)
    messages = tuple(_addressed(random, each, domains) for each in sent)
    hosts = sorted({name_of(each) for each in listening(records, settings, messages)} or {"mx1"})
    faults = draws.faults(random, settings, messages, len(clients))
    faults = tuple(_at_host(random, each, hosts) for each in faults)
    faults += tuple(_name_fault(random, records) for _ in range(random.choice((0, 0, 1, 1, 2))))
    faults += tuple(_address_faults(random, records))
    faults += tuple(_greetings(random, hosts))
    return Plan(seed, "mx", settings, clients, messages, faults, records)


def relay(world: World) -> IRelay:
    """Let the exchangers listen, and return the relay to them."""
    plan, settings = world.plan, world.plan.settings
    zones = Zones(world.reactor, plan.records, follows=settings.follows, minimum=settings.minimum)
    zones.injected = partial(world.ledger.injected.update, ["dns"])
    world.zones = zones
    hosts: dict[str, SmtpServer] = {}
    for address in listening(plan.records, settings, plan.messages):
        name = world.hosts[address] = name_of(address)
        if name not in hosts:
            hosts[name] = host = SmtpServer(
                world.reactor, world.ledger, settings, partial(_choose, world, name)
            )
            host.name = name
        world.reactor.listenTCP(25, hosts[name], interface=address)
    relay = MxSmtpRelay(
        settings.pool,
        tls=POLICIES[settings.tls],
        own=settings.own,
        stale=settings.stale,
        destinations=settings.destinations,
        runtime=replace(world.runtime, resolver=zones),
    )
    for each in settings.forced:
        domain, _, address = each.partition("=")
        relay.force_mx(domain, address)
    exchange.watch(world)
    return relay


def listening(
    records: tuple[str, ...], settings: Settings, messages: tuple[Message, ...]
) -> list[str]:
    """Return all addresses at which a host is that somebody could be sent to."""
    found = [Record.parse(each).data for each in records if " A " in each or " AAAA " in each]
    found += [each.partition("=")[2] for each in settings.forced]
    for message in messages:
        found += [literal(each) for each in message.recipients if each.endswith("]")]
    return [each for each in dict.fromkeys(found) if each.startswith(("192.0.2.", "2001:db8::"))]


def literal(address: str) -> str:
    """Return the IP address of a recipient whose domain is one."""
    text = address.partition("@")[2].strip("[]").lower()
    return str(ip_address(text.removeprefix("ipv6:")))


def name_of(address: str) -> str:
    """Return the name of the host that has an address."""
    number = int(address.rpartition("." if "." in address else ":")[2])
    return f"mx{number // 10}"


def _choose(world: World, name: str, stage: str, subject: str) -> str | None:
    """Return what a host says instead of the right reply; all hosts share what names none."""
    if subject.startswith((name, f"helo {name}")):
        return world.script.choose(stage, subject)
    mine = world.script.choose(stage, f"{name} {subject}")
    return mine if mine is not None else world.script.choose(stage, subject)


# What is drawn.


def _settings(random: Random) -> Settings:
    offers = [word for word in ("8BITMIME", "CHUNKING") if random.random() < 0.5]
    if random.random() < 0.7:
        offers.append("PIPELINING")
    if random.random() < 0.1:
        offers.append("LIMITS RCPTMAX=1 MAILMAX=3")
    own = weighted(random, (3, ()), (2, (OWN_ADDRESS,)), (1, ("gate.example", f"[{OWN_ADDRESS}]")))
    return Settings(
        pool=random.choice((1, 1, 2, 3)),
        tls=weighted(random, (5, "none"), (3, "opportunistic"), (1, "encrypt")),
        offers=tuple(offers),
        starttls=random.random() < 0.5,
        idle=random.choice((60.0, 60.0, 2.0)),
        uses=random.choice((100, 100, 2)),
        direct=weighted(random, (8, 570.0), (1, 25.0)),
        final=weighted(random, (8, 600.0), (1, 20.0)),
        shuffled=random.random() < 0.5,
        own=own,
        forced=("f1.example=192.0.2.40",) if random.random() < 0.1 else (),
        follows=random.random() < 0.7,
        minimum=random.choice((600, 600, 5, 0)),
        stale=random.choice((0.0, 0.0, 0.0, 100.0)),
        destinations=random.choice((1000, 1000, 1, 2)),
    )


def _more(random: Random, client: Client) -> Client:
    """Let more of them have several recipients in one attempt."""
    return (
        replace(client, entry=random.choice(("lmtp", "call"))) if random.random() < 0.6 else client
    )


def _addressed(random: Random, message: Message, domains: tuple[str, ...]) -> Message:
    """Give it recipients in the domains that there are, and perhaps a few more."""
    names = [each.partition("@")[0] for each in message.recipients]
    if not message.null and random.random() < 0.4:
        names += [f"m{message.number}r{100 + each}" for each in range(random.choice((1, 1, 2, 4)))]
    first = random.choice(domains)
    chosen = [first if random.random() < 0.3 else random.choice(domains) for _ in names]
    named = (
        f"{n}@{d.title() if random.random() < 0.1 else d}"
        for n, d in zip(names, chosen, strict=True)
    )
    return replace(message, recipients=tuple(named))


def _zones(random: Random) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return all records, and the domains that recipients may be in."""
    hosts = [f"mx{each}.example" for each in range(1, 1 + random.choice((1, 2, 2, 3, 4)))]
    records: list[str] = []
    for host in hosts:
        records += _host(random, host, int(host[2]))
    if random.random() < 0.3:  # another name for the first host, or for one of its addresses
        hosts.append("also.example")
        records += _host(random, "also.example", 1)
    if random.random() < 0.1:
        hosts.append("www.example")
        records.append(f"www.example {_ttl(random)} CNAME {hosts[0]}")
    if random.random() < 0.15:
        hosts.append("near.example")
        kind = random.choice(_NEAR)
        records.append(f"near.example {_ttl(random)} {_kind(kind)} {kind}")
    domains = [f"d{each}.example" for each in range(1, 1 + random.choice((1, 1, 2, 3, 4)))]
    for domain in domains:
        records += _domain(random, domain, hosts)
    if random.random() < 0.1:
        domains.append(random.choice(("[192.0.2.10]", "[IPv6:2001:db8::10]", "[127.0.0.2]")))
    if random.random() < 0.1:
        domains.append("f1.example")
    return tuple(records), tuple(domains)


def _ttl(random: Random) -> int:
    return random.choice(_TTLS)


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _host(random: Random, name: str, number: int) -> list[str]:
    """Return the addresses of a host, some of them, or none."""
    addresses = weighted(
        random,
        (6, [f"192.0.2.{number}0"]),
        (2, [f"192.0.2.{number}0", f"2001:db8::{number}0"]),
        (1, [f"2001:db8::{number}0"]),
        (1, [f"192.0.2.{number}0", f"192.0.2.{number}1"]),
        (1, [f"192.0.2.{number}1", "192.0.2.10"]),
        (0.3, [*(f"192.0.2.{number}{each}" for each in range(8)), f"2001:db8::{number}0"]),
        (0.5, []),
    )
    ttl = _ttl(random)
    return [f"{name} {ttl} {_kind(each)} {each}" for each in dict.fromkeys(addresses)]


def _domain(random: Random, name: str, hosts: list[str]) -> list[str]:
    """Return the records of a domain, in one of the ways in which domains are."""
    draw_some = weighted(
        random, (12, _listed), (2, _implicit), (0.7, _null), (0.7, _missing), (0.4, _empty),
        (1, _alias), (0.5, _loop), (1, _ours), (0.3, _odd), (0.4, _many),
    )  # fmt: skip
    return draw_some(random, name, hosts)


def _listed(random: Random, name: str, hosts: list[str]) -> list[str]:
    ttl = _ttl(random)
    chosen = random.sample(hosts, random.randrange(1, len(hosts) + 1))
    if random.random() < 0.1:
        chosen.append("nowhere.example")
    return [f"{name} {ttl} MX {random.choice(_PREFERENCES)} {host}" for host in chosen]


def _implicit(random: Random, name: str, hosts: list[str]) -> list[str]:
    return _host(random, name, random.randrange(1, 4))


def _null(random: Random, name: str, hosts: list[str]) -> list[str]:
    others = _listed(random, name, hosts) if random.random() < 0.3 else []
    return [f"{name} {_ttl(random)} MX 0 .", *others, *_implicit(random, name, hosts)]


def _missing(random: Random, name: str, hosts: list[str]) -> list[str]:
    return []


def _empty(random: Random, name: str, hosts: list[str]) -> list[str]:
    return _host(random, f"below.{name}", 1) or [f"below.{name} 60 A 192.0.2.10"]


def _alias(random: Random, name: str, hosts: list[str]) -> list[str]:
    """Return a chain of aliases: of a few links, of as many as are followed, or of more."""
    links = random.choice((1, 1, 2, 3, 7, 8, 9, 20))
    names = [name, *(f"l{each}.{name}" for each in range(1, links + 1))]
    chain = [f"{a} {_ttl(random)} CNAME {b}" for a, b in pairwise(names)]
    end = random.choice((_listed, _listed, _implicit, _missing, _null))
    return [*chain, *end(random, names[-1], hosts)]


def _loop(random: Random, name: str, hosts: list[str]) -> list[str]:
    names = [name, f"l1.{name}", f"l2.{name}"][: random.choice((1, 2, 3))]
    return [f"{a} 60 CNAME {b}" for a, b in zip(names, [*names[1:], names[0]], strict=True)]


def _ours(random: Random, name: str, hosts: list[str]) -> list[str]:
    """Return exchangers of which one is the relay itself, by its name or by its address."""
    ours = random.choice((OWN_NAME, "gate.example", "home.example"))
    home = [f"home.example 300 A {OWN_ADDRESS}"] if ours == "home.example" else []
    preference = random.choice((0, 10, 20, 30))
    others = _listed(random, name, hosts) if random.random() < 0.8 else []
    return [f"{name} 300 MX {preference} {ours}", *others, *home]


def _odd(random: Random, name: str, hosts: list[str]) -> list[str]:
    target = random.choice(("192.0.2.10", "2001:db8::10", "-mx.example", "m_x.example"))
    others = _listed(random, name, hosts) if random.random() < 0.5 else []
    return [f"{name} 300 MX 10 {target}", *others]


def _many(random: Random, name: str, hosts: list[str]) -> list[str]:
    """Return more exchangers than are asked."""
    more = [f"n{each}.example" for each in range(1, random.choice((7, 9, 12)))]
    places = [record for each in more for record in _host(random, each, int(each[1]) % 4 + 1)]
    named = [f"{name} 300 MX {random.choice((10, 10, 20))} {each}" for each in more]
    return [*named, *places, *_listed(random, name, hosts)]


def _at_host(random: Random, fault: Fault, hosts: list[str]) -> Fault:
    """Let a fault be one host's; a reply about a message may be anybody's, who is asked first."""
    first, _, rest = fault.where.partition(" ")
    host = random.choice(hosts)
    if first == "peer":
        return replace(fault, where=f"{host} {rest}")
    if fault.kind == "reply" and first in _CONNECTION:
        return replace(fault, where=f"{first} {host} {rest}")
    if fault.kind == "reply" and random.random() < 0.5:
        stage, _, subject = fault.where.rpartition(" ")
        return replace(fault, where=f"{stage} {host} {subject}")
    return fault


def _greetings(random: Random, hosts: list[str]) -> list[Fault]:
    """Return hosts that do not let anybody in, on some connections."""
    chosen = random.sample(hosts, random.choice((0, 0, 0, 1, min(2, len(hosts)))))
    words = ("521", "521", "556", "554", "450", "421", "close", "none")
    word = random.choice(words)
    return [
        Fault("reply", f"greeting {host} {number}", at=1, value=word)
        for host in chosen
        for number in range(random.choice((1, 1, 2)))
    ]


def _name_fault(random: Random, records: tuple[str, ...]) -> Fault:
    """Return what is wrong with the answer to a question, or a zone that changes."""
    name = random.choice(records).split()[0] if records else "d1.example"
    where = random.choice((f"{name} MX", f"{name} A", f"{name} AAAA", name))
    if random.random() < 0.15:
        line = f"{name} {random.choice((0, 1, 300))}"
        value = random.choice((f"{line} MX 10 mx1.example", f"{line} A 192.0.2.20", ""))
        return Fault("zone", name, at=random.choice((0.5, 6.0, 41.0)), value=value)
    slow = f"slow {random.choice((0.5, 3.0, 12.0, 59.0, 61.0, 700.0))}"
    value = random.choice((*TROUBLE, *ODD, "SERVFAIL", "SERVFAIL", slow, slow))
    return Fault("names", where, at=weighted(random, (2, 1), (3, 0)), value=value)


def _address_faults(random: Random, records: tuple[str, ...]) -> list[Fault]:
    """Return addresses that are dead as long as the run lasts."""
    found = [each.split()[3] for each in records if " A " in each or " AAAA " in each]
    count = random.choice((0, 0, 1, 2)) if found else 0
    fates = ("REFUSED", "REFUSED", "UNREACHABLE", "HANGING", "TIMED_OUT")
    chosen = dict.fromkeys(random.choice(found) for _ in range(count))
    return [Fault("connect", each, value=random.choice(fates)) for each in chosen]
