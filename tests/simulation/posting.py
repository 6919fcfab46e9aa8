# -*- test-case-name: tests.simulation.test_posting -*-
"""The oracles of HTTP: what responses mean, what they ask for, and how long they are waited for.

They compare each attempt with the service's side of it: the responses that were given to the
requests of that attempt.  Where more than responses decides, they look only at what always holds.

Sources: RFC 9110 10.2.3 (Retry-After), RFC 3463 (5.3.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from slimtwist.outcome import Outcome, Verdict
from tests.simulation import oracles
from tests.simulation.ledger import Attempt
from tests.simulation.models.http_odd import AFTER, LARGE, PLAIN
from tests.simulation.models.http_server import Posted
from tests.simulation.plan import Plan
from tests.simulation.table import POSTED

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Faults that leave what is said as it is, on its way.
_CALM: Final = frozenset({"reply", "segments", "delay", "connect"})
#: Faults under which a request that has left may not have arrived.
_SWALLOWING: Final = frozenset({"cut", "stall", "window", "drip", "delay", "cancel", "stop"})
_TOO_LARGE: Final = 413


def _of_posting(check: oracles.Oracle) -> oracles.Oracle:
    """Register an oracle for runs in which there is an HTTP service."""

    def look(world: World) -> None:
        if world.posts is not None:
            check(world)

    return oracles.oracle(look)


def _pairs(world: World) -> Iterator[tuple[Attempt, list[Posted]]]:
    """Yield each attempt that can be told from others, and its requests."""
    assert world.posts is not None
    for attempt in world.ledger.attempts:
        if attempt.sender and attempt.outcomes and not _met(world, attempt):
            began, ended = attempt.began, attempt.ended
            mine = [each for each in world.posts.posted if each.sender == attempt.sender]
            yield attempt, [each for each in mine if began <= each.began <= ended]


def _met(world: World, attempt: Attempt) -> bool:
    """Tell whether another attempt with the same message has a moment in common with one."""
    return any(
        each is not attempt
        and each.sender == attempt.sender
        and each.began <= attempt.ended
        and attempt.began <= each.ended
        for each in world.ledger.attempts
    )


def calm(plan: Plan) -> bool:
    """Tell whether nothing but responses decides."""
    patience = min(plan.settings.direct, plan.settings.final)
    slow = patience < LARGE and any(each.value.startswith("slow") for each in plan.faults)
    return not slow and all(
        each.kind in _CALM and not (each.kind == "reply" and not _plain(each.value))
        for each in plan.faults
    )


def _plain(value: str) -> bool:
    return value in PLAIN or value.isdigit()


@_of_posting
def _once(world: World) -> None:
    """Check that an attempt is one request: nobody repeats what may have been taken (L4)."""
    for attempt, posted in _pairs(world):
        if len(posted) > 1:
            world.ledger.wrong("L4", f"{len(posted)} requests in {attempt.key}")


@_of_posting
def _meant(world: World) -> None:
    """Compare each outcome with what the response means, by the table."""
    for attempt, posted in _pairs(world):
        if len(posted) != 1 or posted[0].said is None:
            continue
        for place, outcome in enumerate(attempt.outcomes or ()):
            said = posted[0].said
            if posted[0].results:
                said = posted[0].results[place]
            words = {POSTED[said.stage, said.kind]}
            if said.stage == "early response":  # the request may have left, and be on its way
                words.add(POSTED["response", said.kind])
            word = oracles.verdict_of(outcome)
            if calm(world.plan) and word not in words:
                text = f"{word} after {said.kind}, and not {words}: {outcome}"
                world.ledger.wrong("opinion", f"{attempt.recipients[place]}: {text}")
            elif word in words:
                world.ledger.covered.add((said.stage, said.kind))
                _details(world, attempt, posted[0], outcome)


def _details(world: World, attempt: Attempt, posted: Posted, outcome: Outcome) -> None:
    """Check what else a response says (L11)."""
    assert posted.odd is not None
    if world.ledger.deciding(outcome.reply.text) is not posted.said:
        return
    if posted.odd.status == _TOO_LARGE and outcome.reply.enhanced != "5.3.4":
        world.ledger.wrong("L11", f"{attempt.key}: {outcome} after 413")
    if outcome.verdict is Verdict.DEFERRED and outcome.retry_after != posted.odd.retry:
        world.ledger.wrong("L11", f"{attempt.key}: {outcome}, and {posted.odd.retry} s were asked")
    if posted.odd.command is not None and outcome.command != posted.odd.command:
        world.ledger.wrong("L11", f"{attempt.key}: {outcome} is not of {posted.odd.command}")


@_of_posting
def _fresh(world: World) -> None:
    """Check that a connection that was ended while it was idle fails no message (FRESH).

    Only where the end meets a request on its way, nobody can know.
    """
    settings = world.plan.settings
    if world.plan.faults or settings.keeps < 1.0:
        return
    for attempt in world.ledger.attempts:
        for outcome in attempt.outcomes or ():
            word = oracles.verdict_of(outcome)
            racing = outcome.ambiguous and settings.keeps < LARGE
            if outcome.verdict is not Verdict.DELIVERED and not racing:
                world.ledger.wrong("FRESH", f"{attempt.key}: {word} though nothing is wrong")


@_of_posting
def _ambiguous(world: World) -> None:
    """Check that nothing is left open before the whole request has left (L4)."""
    faults = world.plan.faults
    if any(e.kind in _SWALLOWING or e.where.startswith("early") for e in faults):
        return
    if any(e.value in AFTER for e in faults):  # then a next request is not heard
        return
    for attempt, posted in _pairs(world):
        left = any(each.whole for each in posted)
        if any(o.ambiguous for o in attempt.outcomes or ()) and not left and _kept_long(world):
            world.ledger.wrong("L4", f"{attempt.key} is ambiguous, and no request was heard")


def _kept_long(world: World) -> bool:
    """Tell whether no connection is ended just when it is used again."""
    return world.plan.settings.keeps > LARGE


@_of_posting
def _patient(world: World) -> None:
    """Check that a response is waited for as long as is set, and no longer (L7)."""
    for attempt, posted in _pairs(world):
        for each in posted:
            waited = attempt.ended - each.began
            if waited > world.plan.settings.final + 1.0:
                world.ledger.wrong("L7", f"{attempt.key} waited {waited} s for a response")


@oracles.oracle
def _repeated(world: World) -> None:
    """Check that a request that comes again is the same delivery (HTI-07)."""
    before: dict[str, Attempt] = {}
    for attempt in world.ledger.attempts:
        last = before.get(attempt.sender)
        if attempt.sender and last is not None:
            if last.outcomes is None or attempt.began < last.ended:
                world.ledger.wrong("L4", f"{attempt.key} and {last.key} run at once")
            elif all(each.positive for each in last.promised or ()) and last.promised:
                world.ledger.wrong("L4", f"{attempt.key} after the success of {last.key}")
        before[attempt.sender] = attempt
