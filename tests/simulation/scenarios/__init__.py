# -*- test-case-name: tests.simulation.test_simulation -*-
"""What can be simulated: a module for each next hop.

Each has C{draw(seed)}, which returns the L{Plan<tests.simulation.plan.Plan>} of a seed, and
C{relay(world)}, which lets its peers listen and returns the relay to them.
"""

from __future__ import annotations

from typing import Final

#: The modules, by the names that a plan has for them.
SCENARIOS: Final = ("smtp", "lmtp", "mx", "pipe", "http")
