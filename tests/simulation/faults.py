# -*- test-case-name: tests.simulation.test_simulation -*-
"""The kinds of fault, and how each is put into a world.

A kind is a function of the world and the fault, called before the run begins; L{kind} registers it.
What a fault is for is said in C{Fault.where}: a side and a number (C{"peer 0"}: the first
connection to the next hop, C{"client 1"}: the second to the edge), followed by the direction for
what happens to a flow (C{"peer 0 up"}); where there are several hosts their names stand for C{peer}
(C{"mx1 0 up"}); or a point of the dialogue and whom it is about (C{"RCPT
m0r2"}).

    - C{reply}: the peer says something else; C{value}: one of C{models.odd.NAMES};
      C{at}: how often (0 for always).
    - C{connect}: C{value} is the name of a L{slimtwist.testing.Fate}; C{where} may be an address,
      for all attempts to connect there.
    - C{names}: a question (C{"d1.example MX"}) or all about a name get C{value}, one of
      C{models.zones.ODD} or C{TROUBLE} or C{slow} and seconds; C{at}: how often (0 for always).
    - C{zone}: from C{at} seconds on the name has the records in C{value}, separated by semicolons.
    - C{cut}: after C{at} octets; C{value} is the name of a L{slimtwist.testing.Cut}.
    - C{stall}: nothing arrives after C{at} octets.
    - C{window}: only C{at} octets may be on their way.
    - C{segments}: writes arrive in pieces, C{at} is the seed.
    - C{drip}: in pieces, C{value} seconds apart.
    - C{delay}: everything takes C{at} seconds.
    - C{handshake}: TLS fails; C{value} is C{client}, C{server} or C{hangs}.
    - C{stop}: the service is stopped at C{at} seconds.
    - C{cancel}: the attempt that is the C{where}th is cancelled after C{at} seconds.
    - C{raise}: the relay raises in the attempt that is the C{where}th.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random
from typing import TYPE_CHECKING, Final

from slimtwist.testing import Cut, Fate, Handshake, Wire
from tests.simulation.plan import Fault

if TYPE_CHECKING:
    from slimtwist.testing.flow import Flow
    from tests.simulation.world import World

Applier = Callable[["World", Fault], None]
#: By the name of the kind.
KINDS: Final[dict[str, Applier]] = {}


def kind(name: str) -> Callable[[Applier], Applier]:
    """Register what puts a kind of fault into a world."""

    def register(apply: Applier) -> Applier:
        KINDS[name] = apply
        return apply

    return register


def inject(world: World) -> None:
    """Put all faults of the plan into its world."""
    for fault in world.plan.faults:
        KINDS[fault.kind](world, fault)


class Script:
    """What peers say instead of the right reply."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._faults: dict[str, list[list[float | str]]] = {}

    def add(self, fault: Fault) -> None:
        """Take up a fault of the kind C{reply}."""
        self._faults.setdefault(fault.where, []).append([fault.at or float("inf"), fault.value])

    def choose(self, stage: str, subject: str) -> str | None:
        """Return the odd reply that is due, if one is."""
        for entry in self._faults.get(f"{stage} {subject}", ()):
            if float(entry[0]) > 0:
                entry[0] = float(entry[0]) - 1
                self._world.ledger.injected["reply"] += 1
                return str(entry[1])
        return None


@kind("reply")
def _reply(world: World, fault: Fault) -> None:
    world.script.add(fault)


@kind("connect")
def _connect(world: World, fault: Fault) -> None:
    world.fates[fault.where] = Fate[fault.value]


@kind("names")
def _names(world: World, fault: Fault) -> None:
    if world.zones is not None:
        often = fault.at or float("inf")
        world.zones.faults.setdefault(fault.where, []).append([often, fault.value])


@kind("zone")
def _zone(world: World, fault: Fault) -> None:
    if world.zones is not None:
        lines = [each for each in fault.value.split(";") if each]
        world.reactor.callLater(fault.at, world.zones.replace, fault.where, lines)


@kind("cut")
def _cut(world: World, fault: Fault) -> None:
    _on_flow(world, fault, lambda flow: flow.cut(int(fault.at), Cut[fault.value]))


@kind("stall")
def _stall(world: World, fault: Fault) -> None:
    _on_flow(world, fault, lambda flow: flow.stall(int(fault.at)))


@kind("window")
def _window(world: World, fault: Fault) -> None:
    _on_flow(world, fault, lambda flow: setattr(flow, "window", int(fault.at)))


@kind("delay")
def _delay(world: World, fault: Fault) -> None:
    _on_flow(world, fault, lambda flow: setattr(flow, "latency", fault.at))


@kind("segments")
def _segments(world: World, fault: Fault) -> None:
    def split(flow: Flow) -> None:
        flow.segment = Splitter(int(fault.at))

    _on_flow(world, fault, split)


@kind("drip")
def _drip(world: World, fault: Fault) -> None:
    def split(flow: Flow) -> None:
        flow.segment = Splitter(int(fault.at))
        flow.spacing = float(fault.value)

    _on_flow(world, fault, split)


@kind("handshake")
def _handshake(world: World, fault: Fault) -> None:
    def decide(wire: Wire) -> None:
        if fault.value == "hangs":
            wire.handshake = Handshake(hangs=True)
        else:
            wire.handshake = Handshake(refused_by=fault.value)  # type: ignore[arg-type]

    world.wires.setdefault(fault.where, []).append((fault, decide))


@kind("stop")
def _stop(world: World, fault: Fault) -> None:
    world.reactor.callLater(fault.at, world.stop)


@kind("cancel")
def _cancel(world: World, fault: Fault) -> None:
    world.relay.cancelled[int(fault.where)] = fault.at


@kind("raise")
def _raise(world: World, fault: Fault) -> None:
    world.relay.raising.add(int(fault.where))


def _on_flow(world: World, fault: Fault, act: Callable[[Flow], object]) -> None:
    where, _, direction = fault.where.rpartition(" ")

    def decide(wire: Wire) -> None:
        act(wire.up if direction == "up" else wire.down)

    world.wires.setdefault(where, []).append((fault, decide))


class Splitter:
    """Splits octets at places that a seed decides: small writes finely, large ones into a few."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)

    def __call__(self, octets: bytes) -> Iterable[bytes]:
        """Return the pieces."""
        random = self._random
        if len(octets) <= 16:
            return [octets[i : i + 1] for i in range(len(octets))]
        ends = sorted(random.randrange(len(octets) + 1) for _ in range(random.randrange(6)))
        return [octets[a:b] for a, b in zip([0, *ends], [*ends, len(octets)], strict=True)]
