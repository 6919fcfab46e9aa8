# -*- test-case-name: tests.simulation.test_defects -*-
"""The oracles of mail exchange: who may be asked for whom, in which order, and what zones decide.

They compare what hosts heard, and where was connected to, with the simulator's own
L{reading<tests.simulation.reading>} of what name servers answered.

Sources: RFC 5321 5.1, RFC 7505, and the limits on exchangers and addresses of one attempt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from slimtwist.outcome import Outcome
from slimtwist.testing import Fate
from tests.simulation import oracles
from tests.simulation.ledger import Attempt, Said
from tests.simulation.models.odd import PLAIN
from tests.simulation.plan import Plan
from tests.simulation.reading import Hop, Span

if TYPE_CHECKING:
    from slimtwist.testing.network import Attempt as Connecting
    from tests.simulation.world import World

#: Exchangers and addresses that are asked in one attempt at most.
EXCHANGERS: Final = 5
ADDRESSES: Final = 10
#: Seconds for which a connection lives at most: one that was opened for another message.
_AGE: Final = 305.0
#: What a zone may say for good, with the code of the reply.
_FOR_GOOD: Final = {
    "missing": (550, "5.1.2"),
    "null": (556, "5.1.10"),
    "loop": (550, "5.4.6"),
    "ours": (550, "5.4.6"),
    "unusable": (550, "5.4.4"),
}
_TROUBLE: Final = (451, "4.4.3")
_NOWHERE: Final = (550, "5.4.4")
#: Seconds that it may take to open a connection to one of two addresses that greet nobody.
_OPENING: Final = 700.0
#: Faults that leave what is said as it is, on its way.
_CALM: Final = frozenset({"reply", "names", "zone", "connect"})
#: Faults that end an attempt for reasons of their own.
_DISTURBING: Final = frozenset({"stop", "cancel", "raise"})
_ANSWERED: Final = ("yes", "transient", "permanent")
_LOOP: Final = (550, "5.4.6")


def _of_exchange(check: oracles.Oracle) -> oracles.Oracle:
    """Register an oracle for runs in which there are zones."""

    def look(world: World) -> None:
        if world.zones is not None:
            check(world)

    oracles.oracle(look)
    return check


class Case:
    """An attempt, and what the zones say of its recipients.

    @ivar own: the names, and the addresses, by which the relay knows itself.
    """

    def __init__(self, world: World, attempt: Attempt) -> None:
        assert world.zones is not None
        settings = world.plan.settings
        ended = attempt.ended or world.reactor.seconds()
        answers, stale = world.zones.answers, settings.stale
        self.span = Span(answers, attempt.began, ended, stale)
        #: Connections may be there that were opened when names still led elsewhere.
        self.wide = Span(answers, attempt.began - _AGE, ended, stale)
        self.attempt = attempt
        self.own = {world.runtime.hostname, *(each.strip("[]") for each in settings.own)}
        self._forced = dict(each.split("=") for each in settings.forced)

    def fixed(self, recipient: str) -> str:
        """Return the only address that a recipient's mail may go to, if no zone is asked."""
        domain = domain_of(recipient)
        if domain.startswith("["):
            text = domain.strip("[]")
            return str(ip_address(text.removeprefix("ipv6:")))
        return self._forced.get(domain, "")

    def hops(self, recipient: str) -> list[Hop]:
        """Return who may take a recipient's mail."""
        return self.span.hops(domain_of(recipient), self.own)

    def may_take(self, recipient: str) -> set[str]:
        """Return all addresses at which a recipient may be named."""
        if only := self.fixed(recipient):
            return {only}
        hosts = {host for hop in self.hops(recipient) for _, host in hop.hosts}
        return {each for host in hosts for each in self.wide.addresses(host)} - self.own

    def for_good(self, recipient: str) -> set[tuple[int, str]]:
        """Return what the zones may have said for good: codes, and enhanced codes."""
        found: set[tuple[int, str]] = set()
        if only := self.fixed(recipient):
            if only in self.own:
                found.add(_LOOP)
            if near(only):
                found.add(_NOWHERE)
            return found
        for hop in self.hops(recipient):
            if hop.word in _FOR_GOOD:
                found.add(_FOR_GOOD[hop.word])
            ours = [number for number, host in hop.hosts if self._is_ours(host)]
            rest = [host for number, host in hop.hosts if not ours or number < min(ours)]
            if hop.hosts and all(map(self.dead, rest)):
                found.add(_NOWHERE)
            if ours:
                found.add(_LOOP)
            if any(self._looping(host) for _, host in hop.hosts):
                found.add(_LOOP)
        return found

    def dead(self, host: str) -> bool:
        """Tell whether a host may have been found to have no address that may be used."""
        both = [self.span.found(host, kind) for kind in ("A", "AAAA")]
        return all(any(_useless(each.word, each.data) for each in found) for found in both)

    def trouble(self, host: str) -> bool:
        """Tell whether the addresses of a host may not have been to be had."""
        return self.span.trouble(host)

    def _is_ours(self, host: str) -> bool:
        return bool(self.own & self.span.addresses(host))

    def _looping(self, host: str) -> bool:
        both = [self.span.found(host, kind) for kind in ("A", "AAAA")]
        return any(each.word == "loop" for found in both for each in found)


def domain_of(recipient: str) -> str:
    """Return the domain of a recipient, in lower case."""
    return recipient.rpartition("@")[2].lower()


def near(address: str) -> bool:
    """Tell whether an address is this host's or its neighbours', which no zone may lead to."""
    given = ip_address(address)
    given = getattr(given, "ipv4_mapped", None) or given
    local = given.is_loopback or given.is_link_local
    return local or given.is_unspecified or given.is_multicast


def _useless(word: str, data: tuple[str, ...]) -> bool:
    return word in ("none", "missing", "loop") or (word == "data" and all(map(near, data)))


def _excused(world: World, attempt: Attempt, name: str, outcome: Outcome) -> bool:
    """Tell whether a zone has said an outcome for good."""
    if world.zones is None or outcome.verdict.value != "failed":
        return False
    said = outcome.reply.code, outcome.reply.enhanced
    return said in Case(world, attempt).for_good(name)


oracles.EXCUSES.append(_excused)


@_of_exchange
def _places(world: World) -> None:
    """Check that a recipient is named only to hosts that the zone of his domain names (L10)."""
    for attempt in world.ledger.attempts:
        if not attempt.sender and len(world.ledger.attempts) > 1:
            continue  # what was said to several null senders cannot be told apart
        case = Case(world, attempt)
        for said in heard(world, attempt):
            for name in said.recipients if said.stage == "RCPT" else ():
                if said.host not in case.may_take(name):
                    may = sorted(case.may_take(name))
                    text = f"{name} in {attempt.key} was named to {said.host}, not one of {may}"
                    world.ledger.wrong("MX place", text)


@_of_exchange
def _near_by(world: World) -> None:
    """Check that no zone leads to this host or its neighbours (DNS-13)."""
    for each in world.reactor.network.attempts:
        if world.side(each) == "peer" and near(each.host):
            world.ledger.wrong("MX near", f"{each.host} was connected to")


def heard(world: World, attempt: Attempt) -> list[Said]:
    """Return what hosts said in the transactions of an attempt, in order."""
    said = world.ledger.said.values()
    if attempt.sender:
        return [each for each in said if each.sender == attempt.sender]
    (name,) = attempt.recipients
    rcpt = [each for each in said if each.recipients == (name,)]
    within = {(each.host, each.connection) for each in rcpt}
    return [each for each in said if not each.sender and (each.host, each.connection) in within]


def calm(plan: Plan) -> bool:
    """Tell whether each side hears what the other says."""
    return all(
        each.kind in _CALM and (each.kind != "reply" or each.value in PLAIN) for each in plan.faults
    )


def undisturbed(world: World, attempt: Attempt) -> bool:
    """Tell whether an attempt took its course."""
    patient = attempt.ended - attempt.began < world.plan.settings.direct - 1
    return patient and not any(each.kind in _DISTURBING for each in world.plan.faults)


@_of_exchange
def _words_of_zones(world: World) -> None:
    """Check that what zones say decides, and that their servers' trouble defers (L2)."""
    for attempt in world.ledger.attempts:
        case = Case(world, attempt)
        for name, outcome in zip(attempt.recipients, attempt.outcomes or (), strict=False):
            words = {each.word for each in case.hops(name)} if not case.fixed(name) else set()
            if len(words) == 1 and words != {"hosts"} and undisturbed(world, attempt):
                (word,) = words
                said = outcome.reply.code, outcome.reply.enhanced
                if said != _FOR_GOOD.get(word, _TROUBLE):
                    text = f"{name} in {attempt.key}: {word}, and the outcome is {outcome}"
                    world.ledger.wrong("MX zone", text)


@_of_exchange
def _order(world: World) -> None:
    """Check that nobody is asked before those who are preferred to him (RFC 5321 5.1)."""
    for attempt in world.ledger.attempts:
        case = Case(world, attempt)
        said = heard(world, attempt)
        for place, each in enumerate(said):
            for name in each.recipients if each.stage == "RCPT" else ():
                tried = _tried(world, attempt, each.moment) | {e.host for e in said[:place]}
                for host in _passed_over(case, name, each.host, tried):
                    text = f"{name} in {attempt.key} was named to {each.host} before {host}"
                    world.ledger.wrong("MX order", text)


def _tried(world: World, attempt: Attempt, until: float) -> set[str]:
    """Return where was connected to.

    What another attempt began, and was given up, ends the next one that waits for a connection.
    """
    connects = world.reactor.network.attempts
    since = attempt.began - (_OPENING if len(world.ledger.attempts) > 1 else 0)
    return {a.host for a in connects if since <= a.moment <= until}


def _passed_over(case: Case, name: str, address: str, tried: set[str]) -> Iterator[str]:
    """Yield the hosts that are preferred to one at an address, and were not tried."""
    hops = case.hops(name) if not case.fixed(name) else []
    if len({hop.hosts for hop in hops}) != 1:
        return
    hosts = hops[0].hosts
    mine = [number for number, host in hosts if address in case.wide.addresses(host)]
    # Whoever answered at one address has spoken for the others.
    known = [case.wide.addresses(host) for _, host in hosts]
    tried = tried.union(*(each for each in known if each & tried))
    for number, host in hosts:
        if mine and number < min(mine) and not case.trouble(host) and not case.dead(host):
            usable = {each for each in case.wide.addresses(host) if not near(each)}
            if not usable & (tried | case.own):
                yield host


@_of_exchange
def _final(world: World) -> None:
    """Check that nobody else is asked for whom somebody has decided, or may have (L4)."""
    for attempt in world.ledger.attempts:
        if len(set(attempt.recipients)) == len(attempt.recipients):
            said = heard(world, attempt)
            for name in attempt.recipients:
                _asked_again(world, attempt, name, said)


def _asked_again(world: World, attempt: Attempt, name: str, said: list[Said]) -> None:
    decided: Said | None = None
    talks: dict[tuple[str, int], list[Said]] = {}
    for each in said:
        where = each.host, each.connection
        if each.stage == "MAIL":
            talks[where] = []
        talk = talks.setdefault(where, [])
        talk.append(each)
        named = each.stage == "RCPT" and name in each.recipients and decided is not None
        if named and decided and where != (decided.host, decided.connection):
            text = f"{name} in {attempt.key} was named to {each.host} after {decided}"
            world.ledger.wrong("MX final", text)
            return
        if _decides(talk, name, sure=calm(world.plan)):
            decided = decided or each


def _decides(talk: list[Said], name: str, *, sure: bool) -> bool:
    """Tell whether the last that was said in a transaction leaves nothing to ask others for.

    @param sure: whether the other side has heard it.
    """
    last = talk[-1]
    accepted = any(
        each.stage == "RCPT" and name in each.recipients and each.kind == "yes" for each in talk
    )
    if accepted and last.stage == "end of data":
        return True
    if not sure or any(each.kind == "violation" for each in talk):
        return False
    if last.stage == "RCPT" and name in last.recipients:
        return last.kind == "permanent" and talk[0].kind == "yes"
    return accepted and last.stage in ("DATA", "body") and last.kind in ("transient", "permanent")


@_of_exchange
def _bounds(world: World) -> None:
    """Check how many are asked in one attempt, and that no address is tried twice."""
    for attempt in world.ledger.attempts:
        domains = {domain_of(each) for each in attempt.recipients}
        if len(world.ledger.attempts) > 1 or len(domains) > 1:
            return
        connects = [a.host for a in world.reactor.network.attempts if a.host in world.hosts]
        if len(set(connects)) > ADDRESSES:
            world.ledger.wrong("MX bounds", f"{len(set(connects))} addresses in {attempt.key}")
        assert world.zones is not None
        asked = {each.name for each in world.zones.answers if each.kind == "A"}
        if world.plan.settings.follows and len(asked) > EXCHANGERS:
            world.ledger.wrong("MX bounds", f"{len(asked)} exchangers in {attempt.key}")
        # One that hangs is given up when the other family answers, and may be tried anew.
        hanging = any(each.value == "HANGING" for each in world.plan.faults)
        if calm(world.plan) and world.plan.settings.tls == "none" and not hanging:
            _once(world, connects)


def _once(world: World, connects: list[str]) -> None:
    # A connection that is lost may be replaced by a new one, to any address of the host.
    lost = any(each.kind not in _ANSWERED for each in world.ledger.said.values())
    for address, count in Counter(connects).items() if not lost else ():
        if count > 1:
            world.ledger.wrong("MX twice", f"{address} was connected to {count} times")


def watch(world: World) -> None:
    """Look at each attempt to connect in the moment in which it is made."""
    network = world.reactor.network
    decide = network.fate
    assert decide is not None

    def look(attempt: Connecting) -> Fate | None:
        others = [each for each in network.connecting() if each.host in world.hosts]
        if attempt.host in world.hosts and len(others) > 1:
            _race(world, attempt.host, others)
        return decide(attempt)

    network.fate = look


def _race(world: World, address: str, connecting: list[Connecting]) -> None:
    """Check that two are connected to at once only where they are one exchanger."""
    running = [each for each in world.ledger.attempts if each.outcomes is None]
    domains = {domain_of(name) for each in running for name in each.recipients}
    if len(running) != 1 or len(domains) != 1:
        return
    before = [each.ended for each in world.ledger.attempts if each.outcomes is not None]
    if max(before, default=0.0) >= running[0].began:
        return  # its connections may be those of one that ended in this moment
    case = Case(world, running[0])
    hosts = {host for hop in case.hops(running[0].recipients[0]) for _, host in hop.hosts}
    mine = [case.span.addresses(host) for host in hosts if address in case.span.addresses(host)]
    # What another attempt began, which was given up, goes on for a while.
    others = {each.host for each in connecting if each.moment >= running[0].began}
    for other in others - {address}:
        if mine and not any(other in each for each in mine):
            world.ledger.wrong("MX race", f"{address} and {other} are connected to at once")
