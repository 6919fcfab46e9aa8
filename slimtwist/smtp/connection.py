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
from slimtwist.errors import AttemptCancelled, ConnectionLost, ReplyTimeout, fault_outcome
from slimtwist.outcome import Outcome, Report
from slimtwist.smtp.channel import Trouble
from slimtwist.smtp.connector import Connector
from slimtwist.smtp.session import Session
from slimtwist.smtp.transaction import Transaction

#: A connection unused for so many seconds is asked whether it is there before a message depends on
#: it.
_PROBE_AFTER: Final = 30.0
#: How long it has to say so.
_PROBE_WAIT: Final = 5.0
#: An unused connection is new for so many seconds; then it may have gone stale, like a used one.
_NEW: Final = 1.0


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
    LEAVING = "leaving"
    CLOSED = "closed"


class Connection:
    """A session, and what it can still carry.

    @ivar uses: how many messages it was given.
    @ivar leaving: whether it will take no message any more, and carries none.
    @ivar closed: whether nothing of it is left.
    @ivar on_change: called whenever it may have room again, takes no more, or has ended.
    """

    def __init__(self, clock: IReactorTime, session: Session, connector: Connector) -> None:
        """Take over a session that is ready for mail."""
        self._clock = clock
        self._session = session
        self._connector = connector
        self._options = session.options
        self._born = self._since = clock.seconds()
        self._transactions = 0
        self._busy = False  # whether messages follow each other closely
        self._retiring = False
        self._state = _State.IDLE
        self._idle = Deadline(clock, self.retire)
        self._await_use()
        self.uses = 0
        self.leaving = self.closed = False
        self.on_change: Callable[[], None] = lambda: None
        session.channel.on_close = self._ended
        if connector.knows("pipelining broken"):
            session.extensions = replace(session.extensions, pipelining=False)

    def room(self) -> int:
        """Return how many more transactions may be given to it now."""
        return int(self._state is _State.IDLE and self._session.channel.quiet())

    def deliver(self, envelope: Envelope) -> Deferred[Report]:
        """Carry a message to the host. To be called only when there is room.

        @return: fires with an outcome for each recipient. Fails with L{Stale}, or with
            L{AttemptCancelled} when it is cancelled before the host has decided for anybody.
        """
        self._state = _State.BUSY
        self._idle.clear()
        return Deferred.fromCoroutine(self._deliver(envelope))

    def retire(self) -> None:
        """Take no further message, and end when the running one has."""
        self._retiring = True
        if self._state is _State.IDLE:
            self._state, self.leaving = _State.LEAVING, True
            self._session.channel.close(b"QUIT\r\n")
            self.on_change()

    def __repr__(self) -> str:
        """Tell state and use, for operators and tests."""
        return f"<Connection {self._session.host} {self._state.value} uses={self.uses}>"

    # One message

    async def _deliver(self, envelope: Envelope) -> Report:
        rested = self._clock.seconds() - self._since
        reused = self.uses > 0 or rested > _NEW
        self._busy = self.uses > 0 and rested < _NEW
        self.uses += 1
        dirty = True
        try:
            if rested > _PROBE_AFTER:
                await self._probe(envelope)
            report, dirty = await self._carry(envelope, reused=reused)
        except BaseException:
            self._session.channel.close()
            raise
        finally:
            self._rest(dirty=dirty)
        return report

    async def _probe(self, envelope: Envelope) -> None:
        """Ask whether the host is still there; the message then needs a new connection."""
        await self._reset(_PROBE_WAIT)
        if (trouble := self._session.channel.trouble) is not None:
            outcome = self._session.trouble("MAIL")
            if trouble.kind is AttemptCancelled:
                raise AttemptCancelled(outcome)
            raise Stale(Report.uniform(outcome, len(envelope.recipients)))

    async def _carry(self, envelope: Envelope, *, reused: bool) -> tuple[Report, bool]:
        """Use as many transactions as the host wants (RFC 5321 4.5.3.1.10, RFC 9422)."""
        count = len(envelope.recipients)
        outcomes: dict[int, Outcome] = {}
        left, dirty = list(range(count)), False
        most = self._session.extensions.recipients or count
        while left and not self._spent():
            self._transactions += 1
            transaction = Transaction(self._session, envelope, left[:most])
            await transaction.run()
            if not outcomes:
                self._check(transaction, count, reused=reused)
            outcomes.update(transaction.outcomes)
            left, dirty = [*transaction.postponed, *left[most:]], transaction.open
            if left and dirty:
                await self._reset(self._options.timeouts.rset)
        if unsaid := [each for each in left if each not in outcomes]:
            outcomes |= dict.fromkeys(unsaid, self._unsaid())
        return Report(tuple(outcomes[i] for i in range(count))), dirty

    def _spent(self) -> bool:
        """Tell whether no transaction can follow over this connection."""
        most = self._session.extensions.messages
        full = most is not None and self._transactions >= most
        return full or self._session.channel.trouble is not None

    def _check(self, transaction: Transaction, count: int, *, reused: bool) -> None:
        """Raise if nobody has decided anything, and the message should not just be reported on."""
        trouble = self._session.channel.trouble
        if trouble is None:
            return
        undecided = len(transaction.unheard) == len(transaction.outcomes)
        if undecided and trouble.kind is AttemptCancelled:
            raise AttemptCancelled(transaction.outcomes[0])
        if self._is_stale(transaction, trouble, reused=reused):
            if trouble.reply and self._busy:
                self._connector.learn("messages", str(self.uses - 1))
            outcome = self._session.trouble("MAIL")
            raise Stale(Report(tuple(transaction.outcomes.get(i, outcome) for i in range(count))))

    def _is_stale(self, transaction: Transaction, trouble: Trouble, *, reused: bool) -> bool:
        """Tell whether the connection, not the host, kept the message from being taken."""
        if not transaction.lost:
            return False
        silent = trouble.kind in (ConnectionLost, ReplyTimeout) and not trouble.reply
        first = self.uses == 1 and transaction.answered == 1
        if first and silent and self._session.extensions.pipelining:
            # Some hosts offer PIPELINING and then drop what follows the first command.
            self._connector.learn("pipelining broken")
            return True
        return reused and trouble.kind is ConnectionLost

    def _unsaid(self) -> Outcome:
        """Return what becomes of recipients of whom the host was never told."""
        trouble = self._session.channel.trouble
        fault, why = "deferred", "the host takes no more transactions over this connection"
        if trouble is not None:
            fault, why = trouble.kind.fault, trouble.detail
        return fault_outcome(fault, why, command="MAIL", host=self._session.host)

    async def _reset(self, wait: float) -> None:
        """Bring the session to rest; a host that will not is not used again."""
        replies = await self._session.channel.send(b"RSET\r\n", (wait,))
        if replies and not replies[0].startswith(b"250"):
            self._session.channel.close()

    # Between messages

    def _worn(self) -> bool:
        age = self._clock.seconds() - self._born
        old = age >= self._options.timeouts.age
        most = int(self._connector.recall("messages") or self._options.limits.uses)
        return old or self.uses >= min(most, self._options.limits.uses) or self._spent()

    def _rest(self, *, dirty: bool) -> None:
        """Become ready for the next message, or end."""
        if self.closed:
            return
        if self._retiring or self._worn():
            self._state = _State.IDLE
            self.retire()
        elif dirty:
            tidying = Deferred.fromCoroutine(self._reset(self._options.timeouts.rset))
            tidying.addCallback(lambda _: self._rest(dirty=False))
        else:
            self._state, self._since = _State.IDLE, self._clock.seconds()
            self._await_use()
            self.on_change()

    def _await_use(self) -> None:
        """Retire when unused for too long, or too old for use: nobody must wait for such a one."""
        until_old = self._born + self._options.timeouts.age - self._clock.seconds()
        self._idle.set(min(self._options.timeouts.idle, until_old))

    def _ended(self) -> None:
        self._state = _State.CLOSED
        self.leaving = self.closed = True
        self._idle.close()
        self.on_change()
