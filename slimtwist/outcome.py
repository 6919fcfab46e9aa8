# -*- test-case-name: tests.test_outcome -*-
"""What became of a message: one L{Outcome} for each recipient, gathered in a L{Report}.

The three verdicts are all there is: delivered, try again later, failed for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from slimtwist.reply import Reply


class Verdict(Enum):
    """What a queue does next with a recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"

    @classmethod
    def of(cls, reply: Reply) -> Verdict:
        """Return the verdict that a final reply is. Raises ValueError for 3yz."""
        if reply.code < 300:
            return cls.DELIVERED
        if reply.code < 400:
            raise ValueError(f"{reply} is no final reply")
        return cls.DEFERRED if reply.code < 500 else cls.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended for one recipient.

    @ivar verdict: always that of the reply's code.
    @ivar reply: the deciding reply: the next hop's own, or ours where it sent none.
    @ivar host: who gave the reply, or should have: C{"mx.example.com [192.0.2.1]:25"}.
    @ivar command: where in the dialogue: one of L{slimtwist.errors.STAGES}.
    @ivar ambiguous: the next hop may have taken the message although no success was read.
    @ivar retry_after: seconds that the next hop asks to wait.
    @ivar tls: what protected the connection, if anything did.
    @ivar relay: names the relay that decided, where several make up one; C{None} elsewhere.
    @raise ValueError: verdict and reply disagree, or a delivered or failed one is ambiguous.
    """

    verdict: Verdict
    reply: Reply
    host: str | None = None
    command: str | None = None
    ambiguous: bool = False
    retry_after: float | None = None
    tls: str | None = None
    relay: str | None = None

    def __post_init__(self) -> None:
        """Refuse an outcome that says two things."""
        if Verdict.of(self.reply) is not self.verdict:
            raise ValueError(f"{self.reply} does not mean {self.verdict.value}")
        if self.ambiguous and self.verdict is not Verdict.DEFERRED:
            raise ValueError("only a deferred recipient can be ambiguous")

    @classmethod
    def of(
        cls,
        reply: Reply,
        *,
        host: str | None = None,
        command: str | None = None,
        tls: str | None = None,
    ) -> Outcome:
        """Return the outcome that a final reply means. Raises ValueError for 3yz."""
        return cls(Verdict.of(reply), reply, host=host, command=command, tls=tls)


@dataclass(frozen=True, slots=True)
class Report:
    """The outcomes of an attempt, in the order of the envelope's recipients."""

    outcomes: tuple[Outcome, ...]

    @classmethod
    def uniform(cls, outcome: Outcome, count: int) -> Report:
        """Return a report in which one outcome holds for all of C{count} recipients."""
        return cls((outcome,) * count)

    @classmethod
    def merge(cls, parts: Iterable[tuple[Sequence[int], Report]]) -> Report:
        """Put the reports of split envelopes together.

        @param parts: the positions that were given to
            L{subset<slimtwist.envelope.Envelope.subset>}, each time with the report on them.
        @raise ValueError: a position is missing, occurs twice, or has no outcome.
        """
        merged: dict[int, Outcome] = {}
        for positions, report in parts:
            for position, outcome in zip(positions, report.outcomes, strict=True):
                if position in merged:
                    raise ValueError(f"two outcomes for recipient {position}")
                merged[position] = outcome
        if sorted(merged) != list(range(len(merged))):
            raise ValueError(f"recipients {sorted(merged)} are not all from 0 on")
        return cls(tuple(merged[position] for position in range(len(merged))))

    def __iter__(self) -> Iterator[Outcome]:
        """Iterate over the outcomes."""
        return iter(self.outcomes)

    def __len__(self) -> int:
        """Return for how many recipients there is an outcome."""
        return len(self.outcomes)

    def __getitem__(self, position: int) -> Outcome:
        """Return the outcome of the recipient at a position."""
        return self.outcomes[position]
