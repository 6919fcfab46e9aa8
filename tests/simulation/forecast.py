# -*- test-case-name: tests.simulation.test_defects -*-
"""The second opinion on mail exchange: what zones and replies alone make of each recipient.

It reads the peers' side of the ledger and what name servers answered, one exchanger after the
other, and knows nothing of the engine.  Where more than these decides (a network that fails on the
way, a deadline, a stop, answers that change meanwhile) it has no opinion.

Sources: RFC 5321 5.1 and 4.5.4.1; L{tests.simulation.table} for each reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation import oracles
from tests.simulation.exchange import EXCHANGERS, Case, calm, domain_of, heard, near, undisturbed
from tests.simulation.ledger import Attempt, Said
from tests.simulation.opinion import Words, _judge, _most, _transactions
from tests.simulation.table import DEFERRED, FAILED

if TYPE_CHECKING:
    from tests.simulation.world import World

_PATIENT: Final = 500.0
_LATER: Final[Words] = frozenset({DEFERRED})
_FAILED: Final[Words] = frozenset({FAILED})
#: A host that says it may have another transaction in mind.
_FORGOTTEN: Final = 503


@oracles.oracle
def _forecast(world: World) -> None:
    """Compare each outcome with what it should be, where zones and replies alone decide."""
    if world.zones is None or not calm(world.plan) or _hasty(world):
        return
    for attempt in world.ledger.attempts:
        words = expected(world, attempt) if _plain(world, attempt) else {}
        for name, outcome in zip(attempt.recipients, attempt.outcomes or (), strict=False):
            word = oracles.verdict_of(outcome)
            if name in words and word not in words[name]:
                text = f"{name} in {attempt.key}: {word}, not {', '.join(words[name])}: {outcome}"
                world.ledger.wrong("opinion", text)


def _hasty(world: World) -> bool:
    settings = world.plan.settings
    if any(each.kind == "zone" for each in world.plan.faults):
        return True  # what holds depends on when it is asked for
    slow = any(each.value.startswith("slow") for each in world.plan.faults if each.kind == "reply")
    return settings.direct < _PATIENT or (settings.final < _PATIENT and slow)


def _plain(world: World, attempt: Attempt) -> bool:
    """Tell whether all recipients of an attempt take the same way, once each."""
    names = attempt.recipients
    once = len(set(names)) == len(names) and len({domain_of(each) for each in names}) == 1
    return once and bool(attempt.sender) and undisturbed(world, attempt)


def expected(world: World, attempt: Attempt) -> dict[str, Words]:
    """Return what may become of recipients; nothing for those of whom there is no opinion."""
    said = heard(world, attempt)
    if any(each.stage == "body" or (each.code == _FORGOTTEN and each.odd) for each in said):
        return {}
    if not said:
        return _unheard(world, attempt)
    return _heard(world, attempt, said)


def _heard(world: World, attempt: Attempt, said: list[Said]) -> dict[str, Words]:
    """Go from one exchanger to the next, with those whom the one before did not decide about."""
    decided: dict[str, Words] = {}
    later: dict[str, Words] = {}
    before: dict[str, Words] = {}
    here: dict[str, Words] = {}
    place = ("", -1)
    for transaction in _transactions(said):
        first = transaction[0]
        if (first.host, first.connection) != place:
            # A message that starts again at the same host starts from nothing.
            before = before if first.host == place[0] else decided
            decided, here, place = dict(before), {}, (first.host, first.connection)
        left = [each for each in attempt.recipients if each not in decided and each not in here]
        if first.kind == "permanent":  # those who were to come are another transaction's
            left = left[: _most(world.plan)]
        here |= _judge(transaction, left, world.ledger.covered)
        later |= {name: words for name, words in here.items() if words == _LATER}
        decided |= {name: words for name, words in here.items() if words != _LATER}
    return later | decided


def _unheard(world: World, attempt: Attempt) -> dict[str, Words]:
    """Return what becomes of a message that no exchanger was ready for.

    It fails when all of them have no address, or say in their greeting that they take no mail.
    """
    case = Case(world, attempt)
    hops = case.hops(attempt.recipients[0])
    fixed = case.fixed(attempt.recipients[0])
    if fixed or len(world.ledger.attempts) > 1 or len(set(hops)) != 1 or hops[0].word != "hosts":
        return {}
    hosts = [host for _, host in hops[0].hosts]
    if len(hosts) > EXCHANGERS or any(case.own & case.span.addresses(host) for host in hosts):
        return {}
    greeted = {each.host: each for each in world.ledger.said.values() if each.stage == "greeting"}
    silent = {host for host, each in greeted.items() if each.kind == "no mail"}
    for host in hosts:
        usable = {each for each in case.span.addresses(host) if not near(each)}
        if usable - silent or (not usable and case.trouble(host)):
            return dict.fromkeys(attempt.recipients, _LATER)
    return dict.fromkeys(attempt.recipients, _FAILED)
