# -*- test-case-name: tests.policy.test_parts -*-
"""What a policy makes of a message: parts, each for some of the recipients.

Recipients are told apart by their positions, since an address can occur twice, and can change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome, Verdict
from slimtwist.reply import Reply


@dataclass(frozen=True, slots=True)
class Part:
    """Some recipients of a message, and what becomes of them.

    @ivar positions: where they are in the envelope that the policy was given, counted from 0.
    @ivar fate: the envelope that goes on, with a recipient for each position; or the outcome that
        they have without an attempt.
    @raise ValueError: there are more or fewer recipients than positions, or none; or they count as
        delivered, which only a relay can say.
    """

    positions: tuple[int, ...]
    fate: Envelope | Outcome

    def __post_init__(self) -> None:
        """Check that no recipient is lost, and none added."""
        if not self.positions:
            raise ValueError("a part is for nobody")
        if isinstance(self.fate, Outcome):
            if self.fate.verdict is Verdict.DELIVERED:
                raise ValueError("a policy cannot say that a message was delivered")
        elif len(self.fate.recipients) != len(self.positions):
            count, wanted = len(self.fate.recipients), len(self.positions)
            raise ValueError(f"the envelope has {count} recipients, and {wanted} positions")

    @classmethod
    def of(cls, envelope: Envelope, positions: Sequence[int]) -> Part:
        """Return the part of an envelope for the recipients at some positions."""
        return cls(tuple(positions), envelope.subset(positions))

    @classmethod
    def refused(cls, positions: Iterable[int], reply: str) -> Part:
        """Return the recipients at some positions as refused.

        @param reply: such as C{"550 5.7.1 not for you"}.
        @raise ValueError: it refuses nothing.
        """
        return cls(tuple(positions), Outcome.of(Reply.parse(reply)))

    def within(self, positions: Sequence[int]) -> Part:
        """Return the same part of a whole of which this whole is a part itself.

        @param positions: where the recipients of this whole are in that one.
        """
        return Part(tuple(positions[each] for each in self.positions), self.fate)


def checked(decision: object, envelope: Envelope) -> list[Part]:
    """Return what a policy has returned, as parts.

    @param envelope: what it was given.
    @raise ValueError: a recipient is lost or there twice, or it is nothing that a policy returns.
    """
    count = len(envelope.recipients)
    if isinstance(decision, Envelope):
        return [Part(tuple(range(count)), decision)]
    given: list[object] = list(decision) if isinstance(decision, Iterable) else [decision]
    parts = [each for each in given if isinstance(each, Part)]
    if len(parts) != len(given):
        kinds = ", ".join(sorted({type(each).__name__ for each in given} - {"Part"}))
        raise ValueError(f"{kinds} is neither one envelope nor parts")
    found = sorted(position for part in parts for position in part.positions)
    if found != list(range(count)):
        raise ValueError(f"recipients {found} are not each of 0 to {count - 1} once")
    return parts
