# -*- test-case-name: tests.simulation.test_defects -*-
"""The planted defects can be planted, and taken out again.

That each of them is found is shown by C{python -m tests.simulation.defects}, which takes a while.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import planted
from tests.simulation.defects import DEFECTS
from tests.simulation.plan import Plan
from tests.simulation.run import draw


class PlantTests(SynchronousTestCase):
    """What each defect does to the engine."""

    def setUp(self) -> None:
        """Know all of them."""
        planted.register()

    def test_planted(self) -> None:
        """Each changes something in the engine; afterwards all is as it was."""
        before = _engine()
        for each in DEFECTS.values():
            with each.plant():
                self.assertTrue(_changed(before), each.name)
            self.assertEqual(_changed(before), [], each.name)

    def test_aim(self) -> None:
        """Each is aimed at plans of the scenario in which it shows, which can be written down."""
        for each in DEFECTS.values():
            for seed in range(1, 6):
                aimed = each.aim(draw(each.scenario, seed))
                self.assertEqual(aimed.scenario, each.scenario)
                self.assertEqual(Plan.parse(repr(aimed)), aimed)


def _engine() -> dict[tuple[str, str], Any]:
    """Return all that modules and classes of the engine hold."""
    found: dict[tuple[str, str], Any] = {}
    modules = [each for name, each in sys.modules.items() if name.startswith("slimtwist.")]
    for module in modules:
        for name, value in [*vars(module).items()]:
            found[module.__name__, name] = value
            if isinstance(value, type) and value.__module__ == module.__name__:
                place = f"{module.__name__}.{name}"
                found |= {(place, attribute): held for attribute, held in vars(value).items()}
    return found


def _changed(before: dict[tuple[str, str], Any]) -> list[tuple[str, str]]:
    now = _engine()
    return [each for each, value in before.items() if now.get(each) is not value]
