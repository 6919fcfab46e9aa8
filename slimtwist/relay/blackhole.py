# -*- test-case-name: tests.relay.test_blackhole -*-
"""The relay to nowhere: for tests, and for mail that nobody wants."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import TransientRelayError, fault_outcome
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply

_GONE: Final = Outcome.of(Reply.parse("250 2.0.0 gone"))


@implementer(IRelay)
class BlackholeRelay:
    """Says of every message that it was delivered, and forgets it."""

    def __init__(self) -> None:
        """Take messages until it is stopped."""
        self._stopping = False

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Forget a message. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError(fault_outcome("deferred", "shutting down")))
        return succeed(Report.uniform(_GONE, len(envelope.recipients)))

    def stop(self) -> Deferred[None]:
        """Refuse new attempts. See L{IRelay.stop}."""
        self._stopping = True
        return succeed(None)

    def __repr__(self) -> str:
        """Tell what it is, for operators."""
        return "<BlackholeRelay>"
