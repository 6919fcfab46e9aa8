# -*- test-case-name: tests.simulation.test_oracles -*-
"""What each attempt should have come to, worked out from what the peer said and the table alone.

It reads the peer's side of the ledger only: which replies were given to which commands of an
attempt, in order.  Where more than replies decides (a network that fails, a deadline, a stop, a
reply too many) it has no opinion.

Rules beside the table: a violation decides for all in its group of commands; a message that starts
again on another connection starts from nothing; 452 to a recipient behind one who was accepted
means another transaction (RFC 5321 4.5.3.1.10).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from tests.simulation.ledger import Attempt, Said
from tests.simulation.models.odd import PLAIN
from tests.simulation.plan import Plan
from tests.simulation.table import DEFERRED, DELIVERED, TABLE, UNKNOWN

if TYPE_CHECKING:
    from tests.simulation.world import World

#: Words of the table, of which any will do.
Words = frozenset[str]
_ONE_HOST: Final = ("smtp", "lmtp")
_SESSION: Final = ("greeting", "EHLO", "STARTTLS", "AUTH")
_GROUP: Final = ("MAIL", "RCPT", "DATA")
#: Kinds of replies behind which there is another.
_ANSWERS: Final = ("yes", "transient", "permanent")
_CUT: Final = frozenset({DEFERRED, UNKNOWN})
_REFUSED: Final = ("transient", "permanent")
#: A host that says it to MAIL or DATA may have another transaction in mind.
_FORGOTTEN: Final = 503
_RCPTMAX: Final = re.compile(r"RCPTMAX=(\d+)")


def has_opinion(plan: Plan) -> bool:
    """Tell whether in a run of this plan nothing but replies decides."""
    if plan.scenario not in _ONE_HOST:
        return False
    hasty = plan.settings.direct < 500
    if plan.settings.final < 500:  # then a slow reply may be none
        hasty |= any(each.value.startswith("slow") for each in plan.faults)
    # A reset takes along what was said before it and not read yet.
    plain = all(each.value in PLAIN and "reset" not in each.value for each in plan.faults)
    return plain and not hasty and all(each.kind == "reply" for each in plan.faults)


def expected(world: World, attempt: Attempt) -> dict[str, Words]:
    """Return what may become of recipients; nothing for those of whom there is no opinion."""
    if not attempt.sender or len(set(attempt.recipients)) < len(attempt.recipients):
        return {}
    said = [each for each in world.ledger.said.values() if each.sender == attempt.sender]
    if any(each.code == _FORGOTTEN and each.odd for each in said):
        return {}
    if not said:
        return _host(world, attempt)
    if _met_again(world, said[-1]):
        return {}
    opinion: dict[str, Words] = {}
    connection = None
    for transaction in _transactions(said):
        if transaction[0].connection != connection:
            opinion, connection = {}, transaction[0].connection
        left = [name for name in attempt.recipients if name not in opinion]
        if transaction[0].kind in _REFUSED:  # those who were to come are another transaction's
            left = left[: _most(world.plan)]
        decided = _judge(transaction, left, world.ledger.covered)
        if any(each.extra and each.kind not in _REFUSED for each in transaction):
            # What is said together with 354 may be taken for a violation, or for what is said in
            # the middle of the message.
            decided = {name: words | {DEFERRED} for name, words in decided.items()}
        opinion |= decided
    if attempt.ended - attempt.began > world.plan.settings.direct - 1:
        # Its deadline may have cut it off anywhere.
        opinion = {name: words | _CUT for name, words in opinion.items()}
    return opinion


def _most(plan: Plan) -> int | None:
    """Return how many recipients the peer wants in a transaction (RFC 9422), if it says so."""
    found = [_RCPTMAX.search(offer) for offer in plan.settings.offers]
    return next((int(each[1]) for each in found if each), None)


def _host(world: World, attempt: Attempt) -> dict[str, Words]:
    """Return what becomes of a message that no session was there for; its host is the only one."""
    ledger = world.ledger
    if world.plan.scenario not in _ONE_HOST or len(ledger.attempts) > 1:
        return {}
    last = next((each for each in reversed(ledger.said.values()) if each.stage in _SESSION), None)
    if last is None or last.kind == "yes":
        return {}
    return dict.fromkeys(attempt.recipients, _word(last, ledger.covered))


def _met_again(world: World, last: Said) -> bool:
    """Tell whether a lost message was to go over another connection, and did not get that far."""
    later = [each for each in world.ledger.said.values() if each.connection > last.connection]
    return last.kind == "lost" and any(each.stage in _SESSION and each.odd for each in later)


def _transactions(said: Iterable[Said]) -> Iterator[list[Said]]:
    found: list[list[Said]] = []
    for each in said:
        if each.stage == "MAIL":
            found.append([])
        if found and (each.stage in _GROUP or each.stage in ("body", "end of data")):
            found[-1].append(each)
    yield from found


def _judge(said: list[Said], left: list[str], covered: set[tuple[str, str]]) -> dict[str, Words]:
    """Return what one transaction decides, and for whom."""
    group = [each for each in said if each.stage in _GROUP]
    wrong = next((each for each in group if each.kind == "violation"), None)
    if wrong is not None:
        covered.add((wrong.stage, wrong.kind))
        return dict.fromkeys(left, frozenset({DEFERRED}))
    mail = group[0]
    if mail.kind != "yes":
        return dict.fromkeys(left, _word(mail, covered))
    opinion: dict[str, Words] = {}
    accepted: list[str] = []
    for each in group[1:]:
        if each.stage != "RCPT":
            continue
        if each.kind == "yes":
            accepted += each.recipients
        elif not (accepted and each.code == 452):
            opinion |= dict.fromkeys(each.recipients, _word(each, covered))
        if each.kind in ("silence", "lost", "goodbye"):
            rest = [name for name in left if name not in opinion]
            return opinion | dict.fromkeys(rest, frozenset({DEFERRED}))
    return opinion | _conclude(said, accepted, covered)


def _conclude(
    said: list[Said], accepted: list[str], covered: set[tuple[str, str]]
) -> dict[str, Words]:
    """Return what becomes of those who were accepted."""
    last = [each for each in said if each.stage in ("DATA", "body", "end of data")]
    if last and last[-1].stage == "body" and not (last[-1].extra and last[-1].kind in _ANSWERS):
        return {}  # of what is said together with 354, no octet of the message can change anything
    if not last or (last[-1].stage, last[-1].kind) == ("DATA", "yes"):
        # All is well, so that there is no reason not to go on.
        return dict.fromkeys(accepted, frozenset({DELIVERED}))
    opinion: dict[str, Words] = dict.fromkeys(accepted, _word(last[-1], covered))
    over = False
    for each in last:
        if each.stage == "end of data" and each.recipients:
            words = frozenset({UNKNOWN}) if over else _word(each, covered)
            opinion |= dict.fromkeys(each.recipients, words)
            over |= each.kind not in _ANSWERS  # LMTP: what was to follow did not reach anybody
            if each.kind == "lost":  # a reset overtakes what was said before
                opinion = {name: old | {UNKNOWN} for name, old in opinion.items()}
    return opinion


def _word(said: Said, covered: set[tuple[str, str]]) -> Words:
    covered.add((said.stage, said.kind))
    return frozenset({TABLE[said.stage, said.kind]})
