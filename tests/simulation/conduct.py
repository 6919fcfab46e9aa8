# -*- test-case-name: tests.simulation.test_oracles -*-
"""How the relay and the edge behave, where the outcome alone does not show it.

A reply too many ends a connection, a dead pooled connection is replaced, no client is left without
an answer because of a next hop, and no host is connected to more often than it was configured.

Sources: the laws L3, L6, L10 and L12; RFC 2033 and RFC 5321 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation import opinion, oracles

if TYPE_CHECKING:
    from slimtwist.testing import Wire
    from tests.simulation.ledger import Said
    from tests.simulation.world import World

_BEFORE: Final = ("greeting", "EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA")
#: What may make connections linger that are no use: those do not count, and cannot be told apart.
_SETTLED: Final = ("MAIL", "RCPT", "DATA", "end of data")


@oracles.oracle
def _too_many(world: World) -> None:
    """Check that nothing is delivered behind a reply that nobody has asked for (L12)."""
    extra: dict[tuple[str, int], Said] = {}
    for said in world.ledger.said.values():
        where = said.host, said.connection
        if said.extra and said.stage in _BEFORE:
            extra.setdefault(where, said)
    for attempt in world.ledger.attempts:
        for name, outcome in zip(attempt.recipients, attempt.outcomes or (), strict=False):
            decided = world.ledger.deciding(outcome.reply.text)
            if decided is None or outcome.verdict.value != "delivered":
                continue
            before = extra.get((decided.host, decided.connection))
            if before is not None and before.token < decided.token:
                text = f"{name} in {attempt.key}: delivered behind #{before.token}, which is two"
                world.ledger.wrong("L12", text)


@oracles.oracle
def _replaced(world: World) -> None:
    """Check that a message that met a dead pooled connection gets another one (FRESH)."""
    if not opinion.has_opinion(world.plan):
        return
    all_said = [*world.ledger.said.values()]
    for attempt in world.ledger.attempts:
        mine = [each for each in all_said if each.sender == attempt.sender and attempt.sender]
        if len(mine) != 1 or (mine[0].stage, mine[0].kind) != ("MAIL", "lost"):
            continue
        (lost,) = mine
        same = [each for each in all_said if each.connection == lost.connection]
        used = any(each.stage == "MAIL" and each.token < lost.token for each in same)
        anew = any(each.stage == "greeting" and each.token > lost.token for each in all_said)
        if used and not anew:
            world.ledger.wrong("FRESH", f"{attempt.key} ended with a connection that was used")


@oracles.oracle
def _used(world: World) -> None:
    """Check that a connection carries no more messages than it may."""
    senders: dict[tuple[str, int], set[str]] = {}
    for said in world.ledger.said.values():
        if said.stage == "MAIL":
            senders.setdefault((said.host, said.connection), set()).add(said.sender)
    for where, each in senders.items():
        if len(each) > world.plan.settings.uses:
            world.ledger.wrong("L6", f"connection {where} carried {len(each)} messages")


@oracles.oracle
def _answered(world: World) -> None:
    """Check that each client is told something, whatever the next hop does (L3, L10)."""
    plan = world.plan
    harmless = all(
        each.kind == "segments" or (each.kind != "stop" and not each.where.startswith("client"))
        for each in plan.faults
    )
    bare = {each.client for each in plan.messages if each.shape == "bare"}
    excused = bare | {each.number for each in plan.clients if each.injects}
    clients = {each.number: each.client for each in plan.messages}
    tried = {each.sender for each in world.ledger.attempts}
    for told in world.ledger.told:
        nothing = told.code == 0 or (told.code == 421 and told.sender not in tried)
        if harmless and nothing and clients[told.message] not in excused:
            world.ledger.wrong("L3", f"nobody said what became of {told.recipient}")


def watch(world: World) -> None:
    """Look at each connection to the next hop in the moment in which it is made (L6)."""
    network = world.reactor.network
    before = network.on_wire
    assert before is not None
    settled = all(
        each.kind in ("cancel", "raise", "stop")
        or (each.kind == "reply" and each.where.rpartition(" ")[0] in _SETTLED)
        for each in world.plan.faults
    )
    most = 2 * world.plan.settings.pool  # as many may be leaving as may be open

    def look(wire: Wire) -> None:
        before(wire)
        if world.side(wire.attempt) == "peer":
            open_now = sum(
                world.side(each.attempt) == "peer" and not each.client.closed
                for each in network.wires
            )
            if open_now > most:
                world.ledger.wrong("L6", f"{open_now} connections, and {most} are allowed")

    if settled:
        network.on_wire = look
