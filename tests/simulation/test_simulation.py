# -*- test-case-name: tests.simulation.test_simulation -*-
"""Runs of the simulator: fresh ground, old failures, and that a run is the same each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.__main__ import SEEDS
from tests.simulation.plan import Plan
from tests.simulation.run import Result, draw, run
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.seams import PluginError
from tests.simulation.shrink import regressions

#: Of each scenario.
_SEEDS: Final = 200
_ROOT: Final = Path(__file__).parents[2]


class RunTestCase(SynchronousTestCase):
    """Makes runs whose planned errors are no errors of the test."""

    def play(self, plan: Plan) -> Result:
        """Make a run."""
        result = run(plan)
        self.flushLoggedErrors(PluginError)
        return result

    def assert_lawful(self, plan: Plan) -> None:
        """Check that no law is broken."""
        self.assertEqual(self.play(plan).violations, (), f"{plan!r}")


class LawTests(RunTestCase):
    """The laws L1 to L12 hold."""

    def test_seeds(self) -> None:
        """Nothing is wrong in some runs of each scenario; .ci/run makes many more."""
        for scenario in SCENARIOS:
            for seed in range(1, _SEEDS + 1):
                self.assert_lawful(draw(scenario, seed))

    def test_failed_seeds(self) -> None:
        """Nothing is wrong in runs in which something was wrong once."""
        for line in SEEDS.read_text(encoding="utf-8").splitlines():
            scenario, seed = line.split()
            self.assert_lawful(draw(scenario, int(seed)))

    def test_regressions(self) -> None:
        """Nothing is wrong with the plans that were made of such runs, whatever is drawn today."""
        for plan in regressions():
            self.assert_lawful(plan)


class SameTests(RunTestCase):
    """A seed decides everything."""

    def test_twice(self) -> None:
        """The same seed gives the same octets at the same moments, and the same outcomes."""
        for scenario in SCENARIOS:
            for seed in range(1, 31):
                first, second = (self.play(draw(scenario, seed)) for _ in range(2))
                self.assertEqual(first, second)

    def test_other_seed(self) -> None:
        """Another seed gives other octets, as long as there are any."""
        for scenario in SCENARIOS:
            digests = {self.play(draw(scenario, seed)).digest for seed in range(1, 31)}
            self.assertGreater(len(digests), 20)

    def test_hashes(self) -> None:
        """They do not depend on the hashes of texts, which differ from process to process."""
        code = (
            "from tests.simulation.run import draw, run\n"
            "from tests.simulation.scenarios import SCENARIOS\n"
            "for scenario in SCENARIOS:\n"
            "    for seed in range(1, 16):\n"
            "        print(run(draw(scenario, seed)).digest)\n"
        )
        printed = set()
        for number in ("1", "2"):
            environment = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": _path()}
            command = [sys.executable, "-c", code]
            done = subprocess.run(
                command, capture_output=True, check=True, env=environment, text=True
            )
            printed.add(done.stdout)
        self.assertEqual(len(printed), 1)
        self.assertEqual(len(printed.pop().splitlines()), 15 * len(SCENARIOS))


def _path() -> str:
    """Return the path on which another process finds what is tested here."""
    return os.pathsep.join([str(_ROOT), *filter(None, sys.path)])


class PlanTests(SynchronousTestCase):
    """A plan is plain data."""

    def test_text(self) -> None:
        """It can be written down and read again."""
        for scenario in SCENARIOS:
            for seed in range(1, 101):
                plan = draw(scenario, seed)
                self.assertEqual(Plan.parse(repr(plan)), plan)
