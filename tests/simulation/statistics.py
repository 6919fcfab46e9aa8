# -*- test-case-name: tests.simulation.test_simulation -*-
"""What many runs came to, in figures that are what was really run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.simulation.run import Result
from tests.simulation.table import WORDS


@dataclass(slots=True)
class Statistics:
    """Figures.

    @ivar seeds: runs.
    @ivar seconds: virtual time.
    @ivar failed: in how many of them something was wrong.
    """

    seeds: int = 0
    seconds: float = 0.0
    violations: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    injected: Counter[str] = field(default_factory=Counter)
    covered: set[tuple[str, str]] = field(default_factory=set)
    failed: int = 0

    def add(self, result: Result) -> None:
        """Count a run."""
        self.seeds += 1
        self.seconds += result.seconds
        self.violations += len(result.violations)
        self.verdicts.update(result.verdicts)
        self.injected.update(result.injected)
        self.covered |= result.covered
        self.failed += bool(result.violations)

    def merge(self, other: Statistics) -> None:
        """Count what others counted."""
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.violations += other.violations
        self.verdicts.update(other.verdicts)
        self.injected.update(other.injected)
        self.covered |= other.covered
        self.failed += other.failed

    def lines(self, elapsed: float, first: int) -> Iterator[str]:
        """Yield the figures as text.

        @param elapsed: seconds of real time.
        @param first: the first seed.
        """
        yield f"seeds: {self.seeds} from {first} on"
        yield f"virtual time: {self.seconds / 86400:.1f} days"
        yield f"deliveries: {self.verdicts['delivered']}"
        yield f"outcomes: {_counts(self.verdicts)}"
        yield f"faults injected: {_counts(self.injected)}"
        known = self.covered & WORDS.keys()
        yield f"coverage of (stage, reply): {len(known)} of {len(WORDS)} pairs"
        if missing := sorted(WORDS.keys() - known):
            yield f"not covered: {', '.join(' '.join(pair) for pair in missing)}"
        yield f"speed: {self.seeds / max(elapsed, 1e-9):.0f} seeds a second"
        yield f"violations: {self.violations}"


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"
