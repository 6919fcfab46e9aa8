# -*- test-case-name: tests.simulation.test_simulation -*-
"""C{python -m tests.simulation --seeds N --first S}: run seeds, and say what came of them."""

from __future__ import annotations

import argparse
import sys
from itertools import count
from time import perf_counter
from typing import Any, cast

from twisted.logger import ILogObserver, globalLogBeginner

from tests.simulation.run import Result, draw, run
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.statistics import Statistics


def main(words: list[str] | None = None) -> int:
    """Run what the command line says, and return the status: 1 when something was wrong."""
    options = _options(words)
    globalLogBeginner.beginLoggingTo(
        [cast("ILogObserver", _nowhere)], redirectStandardIO=False, discardBuffer=True
    )
    began = perf_counter()
    figures = Statistics()
    for seed in count(options.first):
        late = options.seconds is not None and perf_counter() - began > options.seconds
        if late or (options.seeds is not None and seed >= options.first + options.seeds):
            break
        scenario = options.scenario[seed % len(options.scenario)]
        result = run(draw(scenario, seed), _say if options.trace else None)
        figures.add(result)
        if result.violations:
            _tell(result)
            if len(figures.failed) >= options.most:
                break
    for line in figures.lines(perf_counter() - began):
        _say(line)
    return 1 if figures.violations else 0


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--seconds", type=float, help="how long")
    parser.add_argument("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--most", type=int, default=10, help="seeds that fail before it ends")
    parser.add_argument("--trace", action="store_true", help="print all that arrives anywhere")
    options = parser.parse_args(words)
    if options.seeds is None and options.seconds is None:
        options.seeds = 1
    return options


def _tell(result: Result) -> None:
    plan = result.plan
    _say(f"seed {plan.seed} of {plan.scenario}:")
    for each in result.violations[:5]:
        _say(f"    {each}")
    again = f"--scenario {plan.scenario} --first {plan.seed} --trace"
    _say(f"  again: python -m tests.simulation {again}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - it talks to the person at the terminal


def _nowhere(event: Any) -> None:  # noqa: ANN401 - as in ILogObserver
    """Let log events go by: each run listens for itself."""


if __name__ == "__main__":
    sys.exit(main())
