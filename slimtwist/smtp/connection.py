# -*- test-case-name: tests.smtp.test_connection -*-
"""A connection that carries one message after another.

It has many drivers (a pool, its peer, its timers) and says itself what it can still take.  Whatever
one message does to it, the next finds it at rest or not at all.

Sources: RFC 5321 4.1.1.5 (RSET), 4.1.1.10 (QUIT), RFC 9422 (how much a host takes), RFC 2920 3.1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from slimtwist.deadline import Deadline
from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, ConnectionLost, ReplyTimeout
from slimtwist.outcome import Outcome, Report
from slimtwist.smtp.connector import Connector
from slimtwist.smtp.session import Session
from slimtwist.smtp.transaction import Transaction

#: A connection unused for so many seconds is asked whether it is there before a message depends on
#: it.
_PROBE_AFTER: Final = 30.0
#: How long it has to say so.
_PROBE_WAIT: Final = 5.0


class Stale(Exception):
    """The connection was of no use to the message: a new one should be tried, once.

    @ivar report: what it comes to when there is no other try.
    """

    def __init__(self, report: Report) -> None:
        """Give up the connection, but not the message."""
        super().__init__(report)
        self.report = report


class _State(Enum):
    IDLE = "idle"
    BUSY = "busy"
    CLOSED = "closed"


class Connection:
    """A session, and what it can still carry.

    @ivar uses: how many messages it was given.
    @ivar on_change: called whenever it may have room again, and when it has ended.
    """

    def __init__(self, clock: IReactorTime, session: Session, connector: Connector) -> None:
        """Take over a session that is ready for mail."""
        self._clock = clock
        self._session = session
        self._connector = connector
        self._options = session.options
        self._born = self._since = clock.seconds()
        self._retiring = False
        self._state = _State.IDLE
        self._idle = Deadline(clock, self.retire)
        self._idle.set(self._options.timeouts.idle)
        self.uses = 0
        self.on_change: Callable[[], None] = lambda: None
        session.channel.on_close = self._ended
        if connector.knows("pipelining broken"):
            session.extensions = replace(session.extensions, pipelining=False)

    @property
    def closed(self) -> bool:
        """Whether nothing of it is left."""
        return self._state is _State.CLOSED

    def room(self) -> int:
        """Return how many more transactions may be given to it now."""
        ready = self._state is _State.IDLE and not self._retiring
        return int(ready and not self._worn() and self._session.channel.quiet())

    def deliver(self, envelope: Envelope) -> Deferred[Report]:
        """Carry a message to the host. To be called only when there is room.

        @return: fires with an outcome for each recipient. Fails with L{Stale}, or with
            L{AttemptCancelled} when cancelled.
        """
        self._state = _State.BUSY
        self._idle.clear()
        return Deferred.fromCoroutine(self._deliver(envelope))

    def retire(self) -> None:
        """Take no further message, and end when the running one has."""
        self._retiring = True
        if self._state is _State.IDLE:
            self._session.channel.close(b"QUIT\r\n")

    def __repr__(self) -> str:
        """Tell state and use, for operators and tests."""
        return f"<Connection {self._session.host} {self._state.value} uses={self.uses}>"

    async def _deliver(self, envelope: Envelope) -> Report:
        reused = self.uses > 0
        self.uses += 1
        dirty = True
        try:
            if reused and self._clock.seconds() - self._since > _PROBE_AFTER:
                await self._reset(_PROBE_WAIT)
            report, dirty = await self._transactions(envelope, reused=reused)
        except BaseException:
            self._session.channel.close()
            raise
        finally:
            self._rest(dirty=dirty)
        return report

    async def _transactions(self, envelope: Envelope, *, reused: bool) -> tuple[Report, bool]:
        """Carry the message in as many transactions as the host wants (RFC 5321 4.5.3.1.10)."""
        outcomes: dict[int, Outcome] = {}
        left, dirty = list(range(len(envelope.recipients))), False
        most = self._session.extensions.recipients or len(left)
        while left:
            if dirty:
                await self._reset(self._options.timeouts.rset)
            transaction = Transaction(self._session, envelope, left[:most])
            await transaction.run()
            outcomes.update(transaction.outcomes)
            if self._is_stale(transaction, reused=reused) and not outcomes.keys() - set(left):
                self._raise_stale(envelope, outcomes)
            left, dirty = [*transaction.postponed, *left[most:]], transaction.open
        report = Report(tuple(outcomes[i] for i in range(len(outcomes))))
        self._raise_cancelled(report)
        return report, dirty

    def _is_stale(self, transaction: Transaction, *, reused: bool) -> bool:
        """Tell whether the connection, not the host, kept the message from being taken."""
        trouble = self._session.channel.trouble
        if trouble is None or not transaction.lost:
            return False
        silent = trouble.kind in (ConnectionLost, ReplyTimeout) and not trouble.reply
        if silent and transaction.answered and self._session.extensions.pipelining:
            # Some hosts offer PIPELINING and then drop what follows the first command.
            self._connector.learn("pipelining broken")
            return True
        return reused and trouble.kind is ConnectionLost

    def _raise_stale(self, envelope: Envelope, outcomes: dict[int, Outcome]) -> None:
        trouble = self._session.trouble("MAIL")
        positions = range(len(envelope.recipients))
        raise Stale(Report(tuple(outcomes.get(i, trouble) for i in positions)))

    def _raise_cancelled(self, report: Report) -> None:
        trouble = self._session.channel.trouble
        if trouble is not None and trouble.kind is AttemptCancelled:
            worst = max(report, key=lambda outcome: outcome.ambiguous)
            if worst.ambiguous or worst.reply.enhanced == "4.3.2":
                raise AttemptCancelled(worst)

    async def _reset(self, wait: float) -> None:
        """Bring the session to rest; a host that will not is not used again."""
        replies = await self._session.channel.send(b"RSET\r\n", (wait,))
        if replies and not replies[0].startswith(b"250"):
            self._session.channel.close()

    def _worn(self) -> bool:
        most = min(self._options.limits.uses, self._session.extensions.messages or 1 << 30)
        age = self._clock.seconds() - self._born
        return self.uses >= most or age >= self._options.timeouts.age

    def _rest(self, *, dirty: bool) -> None:
        """Become ready for the next message, or end."""
        if self._state is _State.CLOSED:
            return
        if self._retiring or self._worn() or self._session.channel.trouble:
            self._state = _State.IDLE
            self.retire()
        elif dirty:
            tidying = Deferred.fromCoroutine(self._reset(self._options.timeouts.rset))
            tidying.addCallback(lambda _: self._rest(dirty=False))
        else:
            self._state, self._since = _State.IDLE, self._clock.seconds()
            self._idle.set(self._options.timeouts.idle)
            self.on_change()

    def _ended(self) -> None:
        self._state = _State.CLOSED
        self._idle.close()
        self.on_change()
