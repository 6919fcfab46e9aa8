# -*- test-case-name: tests.relay.test_process -*-
"""One run of a program that takes a message on its standard input.

The program has a process group of its own, so that all of it can be ended; it has the descriptors
0, 1 and 2 and nothing else of ours.  How it ended is told when it has ended, whoever else holds its
pipes open.

Sources: setsid(2), kill(2), POSIX process groups.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IPullProducer, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.deadline import Deadline

#: Octets kept of the beginning, and of the end, of what a program prints.
_KEPT: Final = 2048
#: Seconds for output that is still in a pipe when the program has ended.
_LAST_WORDS: Final = 1.0
#: Seconds between asking a program to end and ending it; and for the system to tell of it.
_MERCY: Final = 5.0


@dataclass(frozen=True, slots=True)
class Ending:
    """How a program ended.

    @ivar status: its exit status; C{None} when it was killed, or nobody knows.
    @ivar signal: the signal that killed it.
    @ivar timed_out: whether it did not end in time.
    @ivar fed: whether all of the message was given to it.
    @ivar output: what it printed: the beginning, and the end.
    """

    status: int | None
    signal: int | None
    timed_out: bool
    fed: bool
    output: str


@implementer(IPullProducer)
class Run(ProcessProtocol):
    """Feeds a program and waits for its end.

    @ivar ended: fires once with an L{Ending}. Cancelling it ends the program.
    @ivar fed: whether all of the message was written to the program.
    @ivar gone: fires when nothing is left of it.
    """

    transport: Any

    def __init__(self, clock: IReactorTime, blocks: Iterator[bytes], timeout: float) -> None:
        """Prepare to be given to C{spawnProcess}.

        @param blocks: what the program reads.
        @param timeout: seconds that it may take.
        """
        self._clock = clock
        self._blocks = blocks
        self._timer = Deadline(clock, self._overdue)
        self._timer.set(timeout)
        self._output = bytearray()
        self._lost = 0  # octets of output that were not kept
        self.fed = False
        self._timed_out = False
        self._killed = False
        self._reason: Failure | None = None
        self._wait: IDelayedCall | None = None
        self.ended: Deferred[Ending] = Deferred(lambda _: self.kill())
        self.gone: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        """Begin to feed the program."""
        self.pid = self.transport.pid
        self.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Write the next block, or close the program's input."""
        try:
            block = next(self._blocks, None)
        except Exception:  # noqa: BLE001 - a content may be anybody's file
            self._blocks = iter(())
            self.kill()
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
        self._output += data
        if len(self._output) > 2 * _KEPT:
            self._lost += len(self._output) - 2 * _KEPT
            del self._output[_KEPT : len(self._output) - _KEPT]

    def processExited(self, reason: Failure) -> None:
        """Note how the program ended; its last words may still be on their way."""
        self._reason = reason
        self._timer.close()
        if self._killed:
            self._signal(signal.SIGKILL)  # what it left behind must not deliver either
        self._after(_LAST_WORDS, self._let_go)

    def processEnded(self, reason: Failure) -> None:
        """Tell how it ended."""
        self._reason = reason
        self._finish()

    def kill(self) -> None:
        """End the program: first ask all of its group, then do not ask."""
        if not self._killed and self._reason is None:
            self._killed = True
            self._signal(signal.SIGTERM)
            self._after(_MERCY, self._kill_now)

    def abandon(self) -> None:
        """Give up a run that never began."""
        self.ended.addErrback(lambda _: None)
        self._finish()

    def _overdue(self) -> None:
        self._timed_out = True
        self.kill()

    def _kill_now(self) -> None:
        self._signal(signal.SIGKILL)
        # Somebody else may have waited for our child: then nobody tells us of its end.
        self._after(_MERCY, self._let_go)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            # It has no group of its own yet, started a moment ago; or there is nothing left.
            with suppress(ProcessExitedAlready):
                self.transport.signalProcess(number.name.removeprefix("SIG"))

    def _let_go(self) -> None:
        """Wait for its pipes no longer: a grandchild may hold them for ever."""
        self._wait = None
        self.transport.loseConnection()
        self._finish()

    def _after(self, seconds: float, what: Callable[[], None]) -> None:
        if self._wait is not None and self._wait.active():
            self._wait.cancel()
        self._wait = self._clock.callLater(seconds, what)

    def _finish(self) -> None:
        self._timer.close()
        if self._wait is not None and self._wait.active():
            self._wait.cancel()
        if not self.ended.called:
            self.ended.callback(self._ending())
        if not self.gone.called:
            self.gone.callback(None)

    def _ending(self) -> Ending:
        value = self._reason.value if self._reason is not None else None
        status, number = None, None
        if isinstance(value, ProcessDone):
            status = 0
        elif isinstance(value, ProcessTerminated):
            status, number = value.exitCode, value.signal
        return Ending(status, number, self._timed_out, self.fed, self._text())

    def _text(self) -> str:
        octets = bytes(self._output)
        if self._lost:
            octets = octets[:_KEPT] + b" [...] " + octets[_KEPT:]
        return octets.decode("utf-8", "replace")
