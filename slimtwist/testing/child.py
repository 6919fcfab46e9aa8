# -*- test-case-name: tests.testing.test_processes -*-
"""Twisted's own process transport, on pipes in memory.

As with sockets, only the kernel's part is put in its place: the pipes, signals and waiting.  Order,
producers and what a C{ProcessProtocol} is told are Twisted's code.
"""

# ruff: noqa: ANN401 - Twisted's processes have no annotations to meet.

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IProcessProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.process import Process, ProcessReader, ProcessWriter
from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.testing.pipes import PipeEnd

if TYPE_CHECKING:
    from slimtwist.testing.processes import Processes

#: Octets that are read at a time, as in C{twisted.internet.fdesc}.
_BLOCK = 8192


class MemoryWriter(ProcessWriter):
    """Writes to a program."""

    def __init__(self, reactor: Any, process: Any, number: int, end: PipeEnd) -> None:
        FileDescriptor.__init__(self, reactor)
        self.proc = process
        self.name = number
        self.end = end
        self.fd = end.fileno()
        self.enableReadHack = True
        self.startReading()

    def writeSomeData(self, data: bytes) -> Any:
        """Write what there is room for."""
        try:
            count = self.end.pipe.write(data)
        except BrokenPipeError:
            return CONNECTION_LOST
        if count == len(data):
            self.startReading()
        return count

    def connectionLost(self, reason: Failure) -> None:
        """Tell the process that the pipe is closed."""
        FileDescriptor.connectionLost(self, reason)
        self.proc.childConnectionLost(self.name, reason)


class MemoryReader(ProcessReader):
    """Reads from a program."""

    def __init__(self, reactor: Any, process: Any, number: int, end: PipeEnd) -> None:
        FileDescriptor.__init__(self, reactor)
        self.proc = process
        self.name = number
        self.end = end
        self.fd = end.fileno()
        self.startReading()

    def doRead(self) -> Any:
        """Read what there is."""
        octets = self.end.pipe.read(_BLOCK)
        if octets is None:
            return None
        if not octets:
            return CONNECTION_DONE
        self.dataReceived(octets)
        return None


class MemoryProcess(Process):
    """A process in memory, as whoever has started it has it.

    @param system: the kernel.
    @param pid: the number of the process.
    @param ends: the pipes to and from it, by its own descriptors.
    """

    _log = Logger()

    def __init__(
        self, reactor: Any, system: Processes, pid: int, ends: Mapping[int, PipeEnd]
    ) -> None:
        self._reactor = reactor
        self._system = system
        self.pid: int | None = pid
        self.proto: Any = None
        self.pipes: dict[int, Any] = {n: self._watched(n, end) for n, end in ends.items()}

    def begin(self, protocol: IProcessProtocol | None) -> None:
        """Tell a protocol of what happens."""
        self.proto = protocol
        if protocol is not None:
            with self._log.failuresHandled("while beginning with a process"):
                protocol.makeConnection(self)

    def _watched(self, number: int, end: PipeEnd) -> MemoryWriter | MemoryReader:
        kind = MemoryWriter if end.writing else MemoryReader
        return kind(self._reactor, self, number, end)

    def reapProcess(self) -> None:
        """Look whether it has ended, and tell if it has."""
        status = self._system.wait(self.pid)
        if status is not None:
            self.processEnded(status)

    def signalProcess(self, signalID: str | int) -> None:  # noqa: N803
        """Send it a signal. See C{IProcessTransport}."""
        number = getattr(signal, f"SIG{signalID}") if isinstance(signalID, str) else signalID
        if self.pid is None:
            raise ProcessExitedAlready
        try:
            self._system.kill(self.pid, number)
        except ProcessLookupError:
            raise ProcessExitedAlready from None

    def childConnectionLost(self, childFD: int, reason: Failure) -> None:  # noqa: N803
        """Close our end of a pipe, and tell of it."""
        self.pipes.pop(childFD).end.close()
        with self._log.failuresHandled("while losing a pipe of a process"):
            self.proto.childConnectionLost(childFD)
        self.maybeCallProcessEnded()
