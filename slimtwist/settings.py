# -*- test-case-name: tests.test_settings -*-
"""A runtime that also holds what an operator chose for the whole program.

A relay that is built of a description takes its limits and waits from here, unless the description
says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, Self

from slimtwist.limits import Limits, Timeouts
from slimtwist.runtime import Runtime

_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()


@dataclass(frozen=True)
class Settings(Runtime):
    """A runtime with limits and waits.

    @ivar limits: how much is taken.
    @ivar timeouts: how long is waited.
    """

    limits: Limits = _LIMITS
    timeouts: Timeouts = _TIMEOUTS

    @classmethod
    def of(cls, runtime: Runtime) -> Self:
        """Return a runtime's settings: the defaults, for one that has none."""
        if isinstance(runtime, cls):
            return runtime
        return cls(**{each.name: getattr(runtime, each.name) for each in fields(runtime)})
