# -*- test-case-name: tests.relay.test_process -*-
"""One run of a program that takes a message on its standard input.

The program leads a process group, so that all of it can be ended.  How it ended is told when it has
ended, whoever else holds its pipes open.

Sources: setsid(2), kill(2), pipe(7), POSIX process groups.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IPullProducer, IReactorTime
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.deadline import Deadline
from slimtwist.relay.group import exists, send_signal
from slimtwist.relay.output import Output
from slimtwist.relay.system import system_of
from slimtwist.relay.unread import Unread

#: Seconds for output that is still in a pipe when the program has ended.
LAST_WORDS: Final = 1.0
#: Seconds between asking a program to end and ending it; and then for the system to tell of it.
MERCY: Final = 5.0
#: Seconds until it is looked for the second time whether a group that was killed is dead; then
#: twice as many, and so on.
BRIEF: Final = 0.01
#: Seconds between looks whether somebody else has waited for our child.
LOOK: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    @ivar status: its exit status; C{None} when it was killed, or nobody knows.
    @ivar signal: the signal that killed it.
    @ivar stopped: why we have ended it: C{"timeout"}, C{"unreadable"} message, C{"unwatched"}
        pipe, C{"cancelled"}; else empty.
    @ivar fed: whether all of the message was given to it.
    @ivar read: whether it has read all of that, as far as this was looked for.
    @ivar output: what it printed: the beginning, and the end.
    """

    status: int | None
    signal: int | None
    stopped: str
    fed: bool
    read: bool
    output: str


@implementer(IPullProducer)
class Run(ProcessProtocol):
    """Feeds a program and waits for its end.

    @ivar ended: fires once with an L{Ending}.  Who cancels it ends the program, or is told at once
        how it has ended.
    @ivar fed: whether all of the message was written to the program.
    @ivar gone: fires when nothing is left of it.
    """

    _log = Logger()
    transport: Any

    def __init__(
        self, clock: IReactorTime, blocks: Iterator[bytes], timeout: float, unread: Unread
    ) -> None:
        """Prepare to be given to C{spawnProcess}.

        @param blocks: what the program reads.
        @param timeout: seconds that it may take.
        @param unread: looks for what the program did not read.
        """
        self._clock = clock
        self._system = system_of(clock)
        # Who writes nothing is never asked again.
        self._blocks: Iterator[bytes] = filter(None, blocks)
        self._unread = unread
        self._timer = Deadline(clock, lambda: self._stop("timeout"))
        self._timer.set(timeout)
        self._output = Output()
        self._stopped = ""
        self._reason: Failure | None = None
        self._wait: IDelayedCall | None = None
        self._mercy: float | None = None
        self._brief = BRIEF
        self._next_look: IDelayedCall | None = None
        self.pid: int | None = None
        self.fed = False
        self.ended: Deferred[Ending] = Deferred(self._cancelled)
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Begin to feed the program."""
        self.pid = self.transport.pid
        self._next_look = self._clock.callLater(LOOK, self._look)
        try:
            self._unread.watch(self.transport.pipes[0].fileno())
        except OSError:
            self._log.failure("a program cannot be watched")
            self._stop("unwatched")
            return
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Write the next block, or close the program's input."""
        if self._stopped:  # an end of its input would look like the end of the message
            return
        try:
            block = next(self._blocks, None)
        except Exception:  # noqa: BLE001 - a content may be anybody's file
            self._log.failure("a message cannot be read")
            self._stop("unreadable")
            return
        if block is not None:
            self.transport.writeToChild(0, block)
            return
        self.fed = True
        self.transport.unregisterProducer()
        self.transport.closeStdin()

    def stopProducing(self) -> None:
        """Feed the program no more: it has closed its input, or ended."""
        self._blocks = iter(())

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N803
        """Keep what the program prints, within bounds."""
        self._output.add(data)

    def processExited(self, reason: Failure) -> None:
        """Note how the program ended; its last words may still be on their way."""
        self._reason = reason
        self._timer.close()
        if self._stopped:
            self._signal(signal.SIGKILL)  # what it left behind must not deliver either
        if self.gone.called:  # it was let go of, and ends after all
            self._let_go()
        else:
            self._after(LAST_WORDS, self._let_go)

    def processEnded(self, reason: Failure) -> None:
        """Tell how it ended."""
        self._reason = reason
        self._end()

    def abandon(self) -> None:
        """Give up a run that could not begin as it should."""
        self.ended.addErrback(lambda _: None)
        self._stopped = "abandoned"
        if self.pid is None:
            self._finish()
        else:
            self._let_go()

    def _cancelled(self, _: Deferred[Ending]) -> None:
        if self._reason is None:
            self._stop("cancelled")
        else:
            self._let_go()

    def _stop(self, why: str) -> None:
        """End the program: first ask all of its group, then do not ask."""
        if not self._stopped and self._reason is None:
            self._stopped = why
            self._signal(signal.SIGTERM)
            self._after(MERCY, self._stop_now)

    def _stop_now(self) -> None:
        self._signal(signal.SIGKILL)
        self._after(MERCY, self._let_go)  # the system, or another user, may not let it end

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            send_signal(self.pid, number, alive=self._reason is None, system=self._system)

    def _look(self) -> None:
        """See that our child is still there: then somebody will tell us of its end."""
        self._next_look = self._clock.callLater(LOOK, self._look)
        self._system.reap()
        if self._reason is None and self.pid is not None and not exists(self.pid, self._system):
            self._system.forget(self.pid, self.transport)
            self._reason = Failure(ProcessLookupError("somebody else has waited for it"))
            self._let_go()

    def _let_go(self) -> None:
        """Wait for its pipes no longer: a grandchild may hold them for ever."""
        if self._stopped:
            self._signal(signal.SIGKILL)
        for number, pipe in list(self.transport.pipes.items()):
            # Who lives on must not see an end of the message that is none.
            if number != 0 or self._reason is not None:
                pipe.connectionLost(Failure(CONNECTION_DONE))
        self._end()

    def _end(self) -> None:
        """Tell how it ended; if it was stopped, not before those it left behind are dead too.

        A signal is sent in no time, but ends a process when the kernel gets to it, and until then
        it could still deliver a message that was said to be deferred.
        """
        left = self._mercy_left()
        if left > 0 and self.pid is not None and self._system.lives(self.pid):
            self._after(min(self._brief, left), self._end)
            self._brief = min(2 * self._brief, LOOK)
        else:
            self._finish()

    def _mercy_left(self) -> float:
        """Return for how many seconds those are waited for whom a stopped program left behind.

        Who cannot be ended is waited for no longer than the program itself.
        """
        if not self._stopped or self._reason is None or self.gone.called:
            return 0
        now = self._clock.seconds()
        if self._mercy is None:
            self._mercy = now + MERCY
        return self._mercy - now

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        _cancel(self._wait)
        self._wait = self._clock.callLater(seconds, what)

    def _finish(self) -> None:
        self._timer.close()
        _cancel(self._wait)
        _cancel(self._next_look)
        read = self._unread.close()
        if not self.ended.called:
            self.ended.callback(self._ending(read=read))
        if not self.gone.called:
            self.gone.callback(None)

    def _ending(self, *, read: bool) -> Ending:
        value = self._reason.value if self._reason is not None else None
        status, number = None, None
        if isinstance(value, ProcessDone):
            status = 0
        elif isinstance(value, ProcessTerminated):
            status, number = value.exitCode, value.signal
        return Ending(status, number, self._stopped, self.fed, read, self._output.text)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()
