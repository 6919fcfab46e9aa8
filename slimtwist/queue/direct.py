# -*- test-case-name: tests.queue.test_direct -*-
"""The queue that holds nothing: a client is promised what the next hop has said.

A message is handed to the relay while its client waits; there is one attempt, and the client is
the one who tries again.  So nothing is ever promised that was not delivered, and nothing has to be
kept.

Sources: RFC 5321 4.2.5 (responsibility), 4.5.3.2.6 (a client waits 10 minutes for the last reply).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from slimtwist.content import ContentWriter
from slimtwist.envelope import Envelope
from slimtwist.events import log_attempt
from slimtwist.interfaces import IMessageSink, IQueue, IRelay
from slimtwist.latch import Latch
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Outcome, Report, Verdict
from slimtwist.reply import Reply, printable
from slimtwist.runtime import Runtime
from slimtwist.settle import settle

_STOPPING: Final = Reply.parse("451 4.3.2 service is stopping")
_LIMITS: Final = Limits()
_TIMEOUTS: Final = Timeouts()


@implementer(IQueue)
class DirectQueue:
    """Hands each message to a relay at once, and lets the client wait for the outcome."""

    _log = Logger()
    single = True

    def __init__(
        self,
        runtime: Runtime,
        relay: IRelay,
        *,
        limits: Limits = _LIMITS,
        timeouts: Timeouts = _TIMEOUTS,
        name: str | None = None,
    ) -> None:
        """Begin without a message.

        @param relay: takes the messages; is stopped with the queue.
        @param limits: C{memory} says from where on a message is in a file.
        @param timeouts: C{direct} bounds an attempt, C{stop} the wait for running ones.
        @param name: names the relay in log events.
        """
        self._clock = runtime.reactor
        self._relay = relay
        self._limits = limits
        self._timeouts = timeouts
        self._name = name or str(relay)
        self._running: set[_Delivery] = set()
        self._stopping = False
        self._empty = Latch()
        self._stopped = Latch()

    def sink(self) -> IMessageSink:
        """Return where a message is written: in memory, or in a file when it is large."""
        return ContentWriter(threshold=self._limits.memory)

    def submit(self, envelope: Envelope) -> Deferred[Sequence[Reply]]:
        """Make an attempt, and promise what it led to.

        Cancelling does not end the attempt: nobody knows whether a half-sent message was taken.
        """
        if self._stopping:
            envelope.content.close()
            return succeed([_STOPPING] * len(envelope.recipients))
        delivery = _Delivery(self._clock, envelope, self._finished)
        self._running.add(delivery)
        return delivery.begin(self._relay, self._timeouts.direct)

    def stop(self) -> Deferred[None]:
        """Refuse new messages, let running attempts end, stop the relay.

        Attempts that no client waits for are cancelled at once, the others after C{Timeouts.stop}.

        @return: fires when nothing is left.
        """
        if not self._stopping:
            self._stopping = True
            Deferred.fromCoroutine(self._stop()).addErrback(self._trouble)
        return self._stopped.wait()

    async def _stop(self) -> None:
        self._cancel(lambda delivery: delivery.client_gone)
        timer = self._clock.callLater(self._timeouts.stop, self._cancel, lambda _: True)
        if self._running:
            await self._empty.wait()
        if timer.active():
            timer.cancel()
        try:
            await self._relay.stop()
        finally:
            self._stopped.release()

    def _cancel(self, which: Callable[[_Delivery], bool]) -> None:
        for delivery in [each for each in self._running if which(each)]:
            delivery.cancel()

    def _trouble(self, failure: object) -> None:
        self._log.failure("relay {relay} did not stop", failure, relay=self._name)  # type: ignore[arg-type]

    def _finished(self, delivery: _Delivery, report: Report) -> None:
        envelope = delivery.envelope
        began = self._clock.seconds() if envelope.received is None else envelope.received
        log_attempt(
            self._log,
            envelope,
            report,
            relay=self._name,
            delay=self._clock.seconds() - began,
            client_gone=delivery.client_gone,
        )
        self._running.discard(delivery)
        if self._stopping and not self._running:
            self._empty.release()


class _Delivery:
    """One message while its client waits.

    @ivar client_gone: whether the client waits no more.
    """

    def __init__(
        self,
        clock: IReactorTime,
        envelope: Envelope,
        finished: Callable[[_Delivery, Report], None],
    ) -> None:
        self.envelope = envelope
        self.client_gone = False
        self._clock = clock
        self._finished = finished
        self._promise: Deferred[Sequence[Reply]] = Deferred(self._abandon)

    def begin(self, relay: IRelay, seconds: float) -> Deferred[Sequence[Reply]]:
        self._attempt = settle(self._clock, relay, self.envelope, 0, seconds)
        self._attempt.addCallback(self._settled)
        return self._promise

    def cancel(self) -> None:
        self._attempt.cancel()

    def _abandon(self, _: object) -> None:
        self.client_gone = True

    def _settled(self, report: Report) -> None:
        self.envelope.content.close()
        if not self.client_gone:
            self._promise.callback([promised(outcome) for outcome in report])
        self._finished(self, report)


def promised(outcome: Outcome) -> Reply:
    """Return what a client is told of an outcome: the deciding reply, and who gave it to what.

    A success is 250, since a client expects nothing else from the end of its data.
    """
    reply = outcome.reply
    if outcome.verdict is Verdict.DELIVERED:
        return reply if reply.code == 250 else replace(reply, code=250)
    where = printable(", ".join(filter(None, (outcome.host, outcome.command))))
    if not where:
        return reply
    *lines, last = reply.lines or ("",)
    return replace(reply, lines=(*lines, f"{last} ({where})".lstrip()))
