# -*- test-case-name: tests.test_pool -*-
"""The connections to one host: how many, and which message goes over which.

There is one waiting line.  Its first is given to any connection that has room; when nobody has, and
the limit allows, one more connection is opened for it.  A message that met a dead connection goes
back to the head of the line, once, and gets a new connection.  A connection that says goodbye does
not count: nobody waits for a host's reply to that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, RelayError, TransientRelayError, fault_outcome
from slimtwist.outcome import Report
from slimtwist.smtp.connection import Stale

_NO_ROOM: Final = "a new connection takes no message"


class PooledConnection(Protocol):
    """What a pool needs of a connection.

    @ivar uses: how many messages it was given.
    @ivar leaving: whether it will take no message any more, and carries none.
    @ivar closed: whether nothing of it is left.
    @ivar on_change: to be called when it may have room again, takes no more, or has ended.
    """

    uses: int
    leaving: bool
    closed: bool
    on_change: Callable[[], None]

    def room(self) -> int:
        """Return how many more messages may be given to it now."""

    def deliver(self, envelope: Envelope) -> Deferred[Report]:
        """Carry a message. Fails with L{Stale} when a new connection should be tried."""

    def retire(self) -> None:
        """Take no further message, and end when the running ones have."""


class _Job:
    """A message on its way through the pool.

    @ivar fresh: whether it has met a dead connection, and may be given only an unused one.
    """

    __slots__ = ("done", "envelope", "fresh", "running")

    def __init__(self, envelope: Envelope, cancel: Callable[[_Job], None]) -> None:
        self.envelope = envelope
        self.fresh = False
        self.running: Deferred[Report] | None = None
        self.done: Deferred[Report] = Deferred(lambda _: cancel(self))


class Pool:
    """Carries messages to one host over a bounded number of connections."""

    _log = Logger()

    def __init__(self, open_one: Callable[[], Awaitable[PooledConnection]], size: int) -> None:
        """Hold no connection yet.

        @param open_one: opens a connection, or raises what its message is to fail with.
        @param size: how many connections there may be, those being opened included.
        @raise ValueError: C{size} is below 1.
        """
        if size < 1:
            raise ValueError(f"a pool of {size} connections carries nothing")
        self._open_one = open_one
        self._size = size
        self._waiting: deque[_Job] = deque()
        self._connections: list[PooledConnection] = []
        self._opening: list[Deferred[None]] = []
        self._running = 0
        self._assigning = self._again = False
        self._stopped: list[Deferred[None]] = []
        self._stopping = False

    def deliver(self, envelope: Envelope) -> Deferred[Report]:
        """Carry a message, when its turn comes.

        @return: fires with an outcome for each recipient; fails with a L{RelayError} when no
            connection could be had, or with L{AttemptCancelled}.
        """
        job = _Job(envelope, self._cancel)
        if self._stopping:
            job.done.errback(TransientRelayError(fault_outcome("deferred", "shutting down")))
        else:
            self._waiting.append(job)
            self._assign()
        return job.done

    def stop(self) -> Deferred[None]:
        """Refuse new messages; fires when the others have ended and no connection is left."""
        self._stopping = True
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        self._assign()
        return stopped

    def __repr__(self) -> str:
        """Tell how much is going on, for operators and tests."""
        return (
            f"<Pool {len(self._connections)} open, {len(self._opening)} opening, "
            f"{self._running} running, {len(self._waiting)} waiting>"
        )

    @property
    def unused(self) -> bool:
        """Whether it holds nothing, and nobody waits."""
        return not (self._connections or self._opening or self._waiting or self._running)

    def _assign(self) -> None:
        """Give those who wait what is there, and open what is missing.

        Whatever this sets off may call for it again: that is done in the same loop, not inside.
        """
        self._again = True
        if self._assigning:
            return
        self._assigning = True
        while self._again:
            self._again = False
            self._give_out()
            while self._waiting and self._wanted() > 0 and not self._again:
                self._open()
            if self._stopping and not (self._waiting or self._running):
                self._wind_up()
        self._assigning = False

    def _give_out(self) -> None:
        for connection in self._connections:
            if not self._waiting:
                break
            while connection.room() and (job := self._next(connection)):
                self._give(job, connection)

    def _changed(self, connection: PooledConnection) -> None:
        if connection.closed:
            self._connections = [each for each in self._connections if each is not connection]
        if self._waiting or self._stopping:
            self._assign()

    def _wanted(self) -> int:
        """Return how many connections are missing; the line counts, not who happens to be idle."""
        leaving = sum(each.leaving for each in self._connections)
        # As many as may be open may be leaving beside them: there is an end to both.
        there = len(self._connections) - min(leaving, self._size)
        return min(self._size - there, len(self._waiting)) - len(self._opening)

    def _next(self, connection: PooledConnection) -> _Job | None:
        """Take the first out of the line whom the connection suits."""
        for job in self._waiting:
            if connection.uses == 0 or not job.fresh:
                self._waiting.remove(job)
                return job
        return None

    def _give(self, job: _Job, connection: PooledConnection) -> None:
        self._running += 1
        job.running = delivery = connection.deliver(job.envelope)
        delivery.addCallbacks(self._finished, self._failed, callbackArgs=(job,), errbackArgs=(job,))

    def _finished(self, report: Report, job: _Job) -> None:
        self._running -= 1
        job.running = None
        job.done.callback(report)
        if self._stopping:
            self._assign()

    def _failed(self, failure: Failure, job: _Job) -> None:
        self._running -= 1
        job.running = None
        if not isinstance(failure.value, Stale):
            job.done.errback(failure)
        elif job.fresh:
            job.done.callback(failure.value.report)
        else:
            job.fresh = True
            self._waiting.appendleft(job)
        self._assign()

    def _open(self) -> None:
        opening = Deferred.fromCoroutine(self._opened())
        self._opening.append(opening)
        opening.addBoth(self._no_longer_opening, opening)

    async def _opened(self) -> None:
        try:
            connection = await self._open_one()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one message's outcome
            self._not_opened(error)
            return
        connection.on_change = partial(self._changed, connection)
        self._connections.append(connection)
        if not connection.room():  # or another would be opened for the same message, and another
            connection.retire()
            self._not_opened(TransientRelayError(fault_outcome("deferred", _NO_ROOM)))

    def _not_opened(self, error: Exception) -> None:
        """End one message with it; the next in the line tries for itself."""
        if not self._waiting:
            return
        if not isinstance(error, RelayError):
            self._log.failure("opening a connection failed", Failure(error))
            kind = type(error).__name__
            error = TransientRelayError(fault_outcome("internal", kind, command="connect"))
        self._waiting.popleft().done.errback(error)

    def _no_longer_opening(self, _: object, opening: Deferred[None]) -> None:
        self._opening.remove(opening)
        self._assign()

    def _cancel(self, job: _Job) -> None:
        if job.running is not None:
            job.running.cancel()
        elif job in self._waiting:
            self._waiting.remove(job)
            job.done.errback(AttemptCancelled.at("no connection was free", command="connect"))
            self._assign()

    def _wind_up(self) -> None:
        for opening in self._opening[:]:
            opening.cancel()
        for connection in self._connections[:]:
            connection.retire()
        if self.unused:
            stopped, self._stopped = self._stopped, []
            for each in stopped:
                each.callback(None)
