# -*- test-case-name: tests.edge.test_setting -*-
"""What all connections of one edge share."""

from __future__ import annotations

from dataclasses import dataclass

from slimtwist.edge.extensions import Offer
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.trace import Tracer
from slimtwist.interfaces import IQueue
from slimtwist.runtime import Runtime


@dataclass(frozen=True, slots=True)
class Setting:
    """One edge.

    @ivar runtime: clock, host name, randomness.
    @ivar queue: takes the messages.
    @ivar options: what the operator chose.
    @ivar offer: what clients may use.
    @ivar tracer: names messages.
    """

    runtime: Runtime
    queue: IQueue
    options: EdgeOptions
    offer: Offer
    tracer: Tracer

    @classmethod
    def of(cls, runtime: Runtime, queue: IQueue, options: EdgeOptions) -> Setting:
        """Work out what follows from the choices.

        An SMTP transaction has one reply: in front of a queue that answers for each recipient it
        takes one, and promises no notifications.
        """
        one = queue.single and not options.lmtp
        offer = Offer(options.limits.message, one_recipient=one, dsn=not queue.single)
        return cls(runtime, queue, options, offer, Tracer(runtime))

    @property
    def recipients(self) -> int:
        """How many recipients a transaction takes."""
        return 1 if self.offer.one_recipient else self.options.limits.recipients
