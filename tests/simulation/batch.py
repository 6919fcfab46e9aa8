# -*- test-case-name: tests.simulation.test_command -*-
"""Many seeds, in one process or several."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from time import perf_counter
from typing import Any, Final, cast

from twisted.logger import ILogObserver, globalLogBeginner

from tests.simulation.run import Result, draw, run
from tests.simulation.statistics import Statistics

#: Seeds that a process runs before it tells.
_BATCH: Final = 250


@dataclass(slots=True)
class Batch:
    """What some seeds came to.

    @ivar failed: the results of those in which something was wrong.
    """

    figures: Statistics = field(default_factory=Statistics)
    failed: list[Result] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Range:
    """Seeds from C{first} on, at most C{seeds} of them, and none begun after C{seconds}."""

    first: int
    seeds: int | None = None
    seconds: float | None = None

    def parts(self) -> Iterator[range]:
        """Yield the seeds of batches, while there is time."""
        begun = perf_counter()
        end = None if self.seeds is None else self.first + self.seeds
        for start in count(self.first, _BATCH):
            late = self.seconds is not None and perf_counter() - begun > self.seconds
            if late or (end is not None and start >= end):
                return
            yield range(start, start + _BATCH if end is None else min(start + _BATCH, end))


def quiet() -> None:
    """Let log events go by: each run listens for itself."""
    observer = cast("ILogObserver", _nowhere)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False, discardBuffer=True)
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _nowhere(event: Any) -> None:  # noqa: ANN401 - as in ILogObserver
    """Look at nothing."""


def run_batch(scenarios: Sequence[str], seeds: range) -> Batch:
    """Run some seeds, each in the scenario whose turn it is."""
    batch = Batch()
    for seed in seeds:
        result = run(draw(scenarios[seed % len(scenarios)], seed))
        if result.violations:
            result = _certain(result)
        batch.figures.add(result)
        if result.violations:
            batch.failed.append(result)
    return batch


def _certain(result: Result) -> Result:
    """Return the result of a run by itself.

    An error that nobody has looked at is told of when its Deferred is collected, which may be in a
    later run than its own.
    """
    gc.collect()
    alone = run(result.plan)
    gc.collect()
    if alone.violations:
        return alone
    told = tuple(f"in a run before this: {each}" for each in result.violations)
    return replace(result, violations=told)


def run_all(scenarios: Sequence[str], seeds: Range, jobs: int) -> Iterator[Batch]:
    """Yield what batches came to, in the order of their seeds.

    @param jobs: how many processes.
    """
    if jobs == 1:
        yield from (run_batch(scenarios, part) for part in seeds.parts())
        return
    with ProcessPoolExecutor(jobs, initializer=quiet) as pool:
        running: list[Future[Batch]] = []
        for part in seeds.parts():
            running.append(pool.submit(run_batch, scenarios, part))
            if len(running) > 2 * jobs:
                yield running.pop(0).result()
        yield from (each.result() for each in running)
