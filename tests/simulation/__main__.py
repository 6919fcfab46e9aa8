# -*- test-case-name: tests.simulation.test_command -*-
"""C{python -m tests.simulation --seeds N --first S}: run seeds, and say what came of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, time
from typing import Final

from tests.simulation import batch
from tests.simulation.run import Result, draw, run
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import breaks_same, shrink, write
from tests.simulation.statistics import Statistics

#: Every seed that ever failed: scenario and number, one a line.
SEEDS: Final = Path(__file__).with_name("seeds.txt")
_SHOWN: Final = 5


def main(words: list[str] | None = None) -> int:
    """Run what the command line says, and return the status: 1 when something was wrong."""
    options = _options(words)
    batch.quiet()
    began = perf_counter()
    if options.trace:
        done = _traced(options)
    else:
        seeds = batch.Range(options.first, options.seeds, options.seconds)
        done = batch.run_all(options.scenario, seeds, options.jobs)
    figures = Statistics()
    for each in done:
        figures.merge(each.figures)
        for result in each.failed:
            _tell(result, smaller=options.shrink)
        if figures.failed >= options.most:
            break
    for line in figures.lines(perf_counter() - began, options.first):
        _say(line)
    return 1 if figures.violations else 0


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many; 1 unless --seconds is given")
    parser.add_argument("--seconds", type=float, help="how long")
    parser.add_argument("--first", type=int, help="the first seed; the time of day if missing")
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--most", type=int, default=10, help="failures after which it ends")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--trace", action="store_true", help="print all that arrives anywhere")
    parser.add_argument(
        "--shrink",
        action="store_true",
        help="make each plan that fails smaller, and add it to the regression tests",
    )
    options = parser.parse_args(words)
    if options.first is None:
        options.first = int(time())
    if options.seeds is None and options.seconds is None:
        options.seeds = 1
    return options


def _traced(options: argparse.Namespace) -> Iterator[batch.Batch]:
    for seed in range(options.first, options.first + (options.seeds or 1)):
        plan = draw(options.scenario[seed % len(options.scenario)], seed)
        _say(f"{plan!r}")
        result = run(plan, _say)
        done = batch.Batch(failed=[result] if result.violations else [])
        done.figures.add(result)
        yield done


def _tell(result: Result, *, smaller: bool) -> None:
    plan = result.plan
    _say(f"seed {plan.seed} of {plan.scenario}:")
    for each in result.violations[:_SHOWN]:
        _say(f"    {each}")
    again = f"--scenario {plan.scenario} --first {plan.seed} --trace"
    _say(f"  again: python -m tests.simulation {again}")
    if smaller:
        least = shrink(plan, breaks_same(plan))
        _say(f"  smaller: {least!r}")
        write(least, result.violations[0])
        with SEEDS.open("a", encoding="utf-8") as seeds:
            seeds.write(f"{plan.scenario} {plan.seed}\n")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it talks to the person at the terminal


if __name__ == "__main__":
    sys.exit(main())
