# -*- test-case-name: tests.simulation.test_simulation -*-
"""A run from its plan to its result."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from typing import Any

from twisted.internet.protocol import Factory
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from slimtwist.testing import MemoryReactor
from slimtwist.testing.flow import Flow, Mark
from tests.simulation import oracles
from tests.simulation.ledger import Ledger
from tests.simulation.plan import Plan
from tests.simulation.world import HORIZON, START, STOP, World


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a run.

    @ivar violations: what was wrong; none if all is well.
    @ivar digest: of all octets and the moments at which they arrived.
    @ivar seconds: virtual time.
    @ivar verdicts: how many recipients got which verdict.
    @ivar injected: how many faults of which kind took effect.
    @ivar covered: the pairs of stage and kind of reply that decided something.
    """

    plan: Plan
    violations: tuple[str, ...]
    digest: str
    seconds: float
    verdicts: Counter[str]
    injected: Counter[str]
    covered: frozenset[tuple[str, str]]


#: The first port of a process makes Twisted keep a descriptor in reserve.
MemoryReactor().listenTCP(25, Factory())
Tracer = Callable[[str], object]


def draw(scenario: str, seed: int) -> Plan:
    """Return the plan of a seed."""
    plan: Plan = import_module(f"tests.simulation.scenarios.{scenario}").draw(seed)
    return plan


def run(plan: Plan, trace: Tracer | None = None) -> Result:
    """Make a run.

    @param trace: is given a line for everything that arrives anywhere.
    """
    import_module(f"tests.simulation.scenarios.{plan.scenario}")  # may open what stays open
    files = oracles.descriptors()
    with _events() as events:
        world = World(plan)
        world.files = files
        world.ledger.events = events
        digest = blake2b(digest_size=16)
        world.reactor.network.observer = _observer(world.reactor, digest.update, trace)
        try:
            _play(world)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            world.ledger.wrong("raised", f"{type(error).__name__}: {error}"[:2000])
        if trace is not None:
            gc.collect()  # so that errors that nobody has looked at are told of here
        oracles.judge(world)
    return _result(world, digest.hexdigest())


def _play(world: World) -> None:
    """Let time pass until nobody wants anything, then stop the service."""
    reactor = world.reactor
    _pass(world, START + HORIZON, lambda: world.idle and reactor.seconds() > START)
    world.stop()
    _pass(world, reactor.seconds() + STOP, lambda: world.stopped and world.idle)
    reactor.flush()
    world.left = oracles.timers(world)
    # What takes no time, and what peers and networks do to connections that we have ended.
    _pass(world, reactor.seconds() + HORIZON, lambda: False)


def _pass(world: World, end: float, over: Callable[[], bool]) -> None:
    reactor = world.reactor
    reactor.flush()
    oracles.buffers(world)
    while not over() and reactor.next(before=end):
        oracles.buffers(world)


def _observer(
    reactor: MemoryReactor, note: Callable[[bytes], object], trace: Tracer | None
) -> Callable[[Flow, bytes | Mark], None]:
    def observe(flow: Flow, piece: bytes | Mark) -> None:
        octets = piece if isinstance(piece, bytes) else piece.value.encode()
        note(b"%a %b " % (reactor.seconds(), flow.name.encode()) + octets)
        if trace is not None:
            shown = octets if len(octets) < 400 else octets[:200] + b"..." + octets[-200:]
            trace(f"{reactor.seconds() - START:12.3f} {flow.name:>8} {shown!r}")

    return observe


def _result(world: World, digest: str) -> Result:
    ledger: Ledger = world.ledger
    verdicts: Counter[str] = Counter()
    for attempt in ledger.attempts:
        verdicts.update(map(oracles.verdict_of, attempt.outcomes or ()))
    return Result(
        world.plan,
        tuple(ledger.violations),
        digest,
        world.reactor.seconds() - START,
        verdicts,
        ledger.injected,
        frozenset(ledger.covered),
    )


@implementer(ILogObserver)
class Listener:
    """Keeps the events of a run that say something: failures, and outcomes."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: dict[str, Any]) -> None:
        """Keep it, if it does."""
        if "verdict" in event or event.get("log_failure") is not None:
            self.events.append(event)


@contextmanager
def _events() -> Iterator[list[dict[str, Any]]]:
    listener = Listener()
    globalLogPublisher.addObserver(listener)
    try:
        yield listener.events
    finally:
        globalLogPublisher.removeObserver(listener)
