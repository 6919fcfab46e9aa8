# -*- test-case-name: tests.simulation.test_defects -*-
"""Planted defects, a module for each area of the engine.

A module registers its defects with L{tests.simulation.defects.defect} when it is imported, and has
its name in L{AREAS}.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final

#: The modules.
AREAS: Final = (
    "edge",
    "exchange",
    "http",
    "lmtp",
    "pipe",
    "pool",
    "queue",
    "session",
    "transaction",
)


def register() -> None:
    """Register the defects of all areas."""
    for each in AREAS:
        import_module(f"tests.simulation.planted.{each}")
