# -*- test-case-name: tests.testing.test_leftovers -*-
"""What a program has left behind: timers, connections, ports, producers, programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slimtwist.testing.reactor import MemoryReactor


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What is still there, each as a text; false if that is nothing.

    @ivar timers: the pending timed calls.
    @ivar connections: the open connections, and those being made.
    @ivar ports: where somebody listens.
    @ivar producers: the producers that are registered with a transport.
    @ivar programs: the processes that run, or that nobody has waited for, and open pipes to them.
    """

    timers: tuple[str, ...]
    connections: tuple[str, ...]
    ports: tuple[str, ...]
    producers: tuple[str, ...]
    programs: tuple[str, ...]

    @classmethod
    def of(cls, reactor: MemoryReactor) -> Leftovers:
        """Look at a reactor."""
        network = reactor.network
        connecting = [f"connecting to {each.host}:{each.port}" for each in network.connecting()]
        wires = [f"{wire.client.name} to {wire.server.name}" for wire in network.wires if wire.open]
        return cls(
            timers=tuple(str(call) for call in reactor.getDelayedCalls()),
            connections=(*connecting, *wires),
            ports=tuple(network.listening()),
            producers=tuple(repr(producer) for producer in reactor.producers()),
            programs=tuple(reactor.system.leftovers()),
        )

    def __bool__(self) -> bool:
        return any((self.timers, self.connections, self.ports, self.producers, self.programs))

    def __str__(self) -> str:
        found = [
            f"{name}: {', '.join(texts)}"
            for name, texts in [
                ("timers", self.timers),
                ("connections", self.connections),
                ("ports", self.ports),
                ("producers", self.producers),
                ("programs", self.programs),
            ]
            if texts
        ]
        return "; ".join(found) or "nothing is left"
