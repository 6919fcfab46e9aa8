# -*- test-case-name: tests.testing.test_reactor -*-
"""The event loop of the in-memory reactor: what runs next, and when.

One turn runs one thing: a timed call that is due, or one socket that can be read or written. As in
a real reactor, turns come in rounds: first the calls that were due when the round began, in order;
then the sockets that are ready, in the order in which they became so. So a call that schedules
itself again at once does not keep the network from working. L{EventLoop.pick} can choose another
order, which a real reactor might have chosen as well.

It is a subclass of Twisted's own C{ReactorBase}: system events, calls from threads and name
resolution are as in production.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.base import DelayedCall, ReactorBase
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.testing.clock import VirtualClock
from slimtwist.testing.sockets import MemorySocket

_log: Final = Logger()


class NeverAtRestError(AssertionError):
    """The program does ever more without any time passing."""


@implementer(IReactorFDSet)
class EventLoop(ReactorBase):
    """Timed calls and sockets, in turns that a test makes.

    @ivar clock: the timed calls.
    @ivar pick: given how many things could be done now, says which (0 is the first): the order of
        simultaneous events. C{None}: always the first.
    @ivar patience: turns at one moment after which a program is taken to be in a loop.
    @ivar turns: turns made so far.
    @param start: the virtual time in seconds at first.
    """

    patience = 1_000_000
    _registerAsIOThread = False

    def __init__(self, start: float) -> None:
        self.clock = VirtualClock(start)
        self.pick: Callable[[int], int] | None = None
        self.turns = 0
        self._ready: dict[MemorySocket, None] = {}
        self._watched: dict[FileDescriptor, MemorySocket] = {}
        self._called = False
        self._round = 0
        self._sockets = 0
        super().__init__()

    def flush(self) -> None:
        """Do everything that can be done without time passing.

        @raise NeverAtRestError: there is no end to it.
        """
        for _ in range(self.patience):
            if not self._turn():
                return
        raise NeverAtRestError(
            f"{self.patience} turns at {self.seconds()} s, and still something to do"
        )

    def next(self, before: float) -> bool:
        """Go on to the next moment at which something is due, if that is not after C{before}."""
        moment = self.clock.next_moment()
        if moment is None or moment > before:
            return False
        self.clock.move_to(moment)
        self.flush()
        return True

    # A turn.

    def _turn(self) -> bool:
        """Do one thing; tell whether there was one."""
        if self._called:
            self._called = False
            self.runUntilCurrent()
            return True
        due = self.clock.due()
        choices = len(self._ready) + due
        if not choices:
            return False
        self.turns += 1
        if self.pick is None:
            chosen = self._first(due=due)
        else:
            chosen = self.pick(choices) if choices > 1 else 0
        if due and chosen == 0:
            self._run_timed()
        else:
            self._run_socket(next(islice(self._ready, chosen - due, None)))
        return True

    def _first(self, *, due: bool) -> int:
        """Return which comes first in this round: 0 is the timed call, if one is due."""
        if not self._sockets:
            if due and self.clock.due(self._round):
                return 0
            self._sockets = len(self._ready)
        if not self._sockets or not self._ready:
            self._begin_round()
            return 0
        self._sockets -= 1
        if not self._sockets:
            self._begin_round()
        return int(due)

    def _begin_round(self) -> None:
        self._sockets = 0
        self._round = self.clock.serial

    def _run_timed(self) -> None:
        call = self.clock.pop()
        if call is not None:
            try:
                call.func(*call.args, **call.kw)
            except Exception:  # noqa: BLE001 - as in Twisted's reactors
                _log.failure("while handling timed call")

    def _run_socket(self, socket: MemorySocket) -> None:
        """Let a socket be read, and then written, as it is ready and watched."""
        del self._ready[socket]
        reader: Any = socket.reader
        if reader is not None and socket.readable():
            self._let(reader, reader.doRead, reading=True)
        writer: Any = socket.writer
        if writer is not None and socket.writable():
            self._let(writer, writer.doWrite, reading=False)
        self.wake(socket)

    def _let(self, who: FileDescriptor, do: Callable[[], Any], *, reading: bool) -> None:
        """Let a descriptor read or write, and disconnect it if that ends it."""
        why: Exception | None
        try:
            why = do()
        except Exception as error:  # noqa: BLE001 - what a protocol raises ends its connection
            _log.failure("while reading or writing")
            why = error
        if why is not None:
            with _log.failuresHandled("while losing a connection"):
                self._disconnect(who, why, reading=reading)

    def _disconnect(self, who: FileDescriptor, why: Exception, *, reading: bool) -> None:
        """End a descriptor, as C{twisted.internet.posixbase} does."""
        self.removeReader(who)
        half = reading and isinstance(why, ConnectionDone)
        if half and IHalfCloseableDescriptor.providedBy(who):
            who.readConnectionLost(Failure(why))
            return
        self.removeWriter(who)
        who.connectionLost(Failure(why))

    def wake(self, socket: MemorySocket) -> None:
        """Note that a socket may be ready for those who wait for it."""
        if (socket.reader is not None and socket.readable()) or (
            socket.writer is not None and socket.writable()
        ):
            self._ready[socket] = None

    # Time.

    def seconds(self) -> float:
        """Return the virtual time in seconds."""
        return self.clock.seconds()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., Any],  # noqa: A002 - named so in IReactorTime
        *args: object,
        **kw: object,
    ) -> DelayedCall:
        """Schedule a call. See C{twisted.internet.interfaces.IReactorTime}."""
        return self.clock.callLater(delay, callable, *args, **kw)

    def at(self, moment: float, call: Callable[..., object], *args: object) -> DelayedCall:
        """Schedule what the network or a process does."""
        return self.clock.at(moment, call, *args)

    def getDelayedCalls(self) -> list[DelayedCall]:
        """Return the pending timed calls."""
        return self.clock.getDelayedCalls()

    # Readers and writers.

    def socket_of(self, descriptor: FileDescriptor) -> MemorySocket:
        """Return the socket whose number a descriptor has; the reactor knows them."""
        raise LookupError(descriptor)

    def addReader(self, reader: Any) -> None:  # noqa: ANN401 - Twisted's are untyped
        """Watch for something to read."""
        socket = self._watch(reader)
        socket.reader = reader
        self.wake(socket)

    def addWriter(self, writer: Any) -> None:  # noqa: ANN401
        """Watch for room to write."""
        socket = self._watch(writer)
        socket.writer = writer
        self.wake(socket)

    def _watch(self, who: FileDescriptor) -> MemorySocket:
        socket = self._watched.get(who)
        if socket is None:
            socket = self._watched[who] = self.socket_of(who)
            socket.holder = who
        return socket

    def removeReader(self, reader: Any) -> None:  # noqa: ANN401
        """Watch no more for something to read."""
        if socket := self._watched.get(reader):
            socket.reader = None
            self._unwatch(reader, socket)

    def removeWriter(self, writer: Any) -> None:  # noqa: ANN401
        """Watch no more for room to write."""
        if socket := self._watched.get(writer):
            socket.writer = None
            self._unwatch(writer, socket)

    def _unwatch(self, who: FileDescriptor, socket: MemorySocket) -> None:
        if socket.reader is None and socket.writer is None:
            del self._watched[who]
            self._ready.pop(socket, None)

    def removeAll(self) -> list[Any]:
        """Watch nothing more, and return what was watched."""
        watched = list(self._watched)
        for who in watched:
            self.removeReader(who)
            self.removeWriter(who)
        return watched

    def getReaders(self) -> list[Any]:
        """Return who watches for something to read."""
        return [socket.reader for socket in self._watched.values() if socket.reader]

    def getWriters(self) -> list[Any]:
        """Return who watches for room to write."""
        return [socket.writer for socket in self._watched.values() if socket.writer]

    # What ReactorBase leaves to its subclasses.

    def installWaker(self) -> None:
        """Do nothing: nothing sleeps here."""

    def wakeUp(self) -> None:
        """Note that there is a call from a thread."""
        self._called = True

    def stop(self) -> None:
        """Shut down, in the next turn."""
        super().stop()
        self._called = True

    def run(self, installSignalHandlers: bool = True) -> None:  # noqa: FBT002, N803 - IReactorCore
        """Run until stopped or until nothing is left to wait for; it was started already."""
        self.mainLoop()

    def mainLoop(self) -> None:
        """Run until stopped or until nothing is left to wait for, as fast as time can pass."""
        self.flush()
        while self.running and self.next(before=float("inf")):
            pass

    def doIteration(self, delay: float | None) -> None:
        """Do what can be done now; C{delay} is not slept."""
        self.flush()
