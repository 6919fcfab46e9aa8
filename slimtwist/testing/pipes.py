# -*- test-case-name: tests.testing.test_pipes -*-
"""Pipes in memory, between a program and whoever has started it.

They are the kernel's part, as Linux does it: 64 KiB that nobody has read yet; an end for the reader
when the last writer has closed; an error for the writer when nobody is left who could read
(pipe(7)).
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final, Protocol

from slimtwist.testing.sockets import MemorySocket, failure

if TYPE_CHECKING:
    from slimtwist.testing.network import Network

#: Octets that a pipe holds.
CAPACITY: Final = 65536
#: Octets that must have room for a pipe to be writable: a page, as of PIPE_BUF.
_PAGE: Final = 4096


class Watcher(Protocol):
    """Who waits for a pipe."""

    def wake(self) -> None:
        """Look at it again."""


class Pipe:
    """Octets on their way from any number of writers to any number of readers.

    @ivar octets: what nobody has read yet.
    @ivar readers: how many ends are open that could read.
    @ivar writers: how many ends are open that could write.
    @ivar watchers: who is told when something has changed.
    """

    def __init__(self) -> None:
        """Begin with both ends open, and nothing in it."""
        self.octets = bytearray()
        self.readers = 1
        self.writers = 1
        self.watchers: list[Watcher] = []

    def read(self, size: int) -> bytes | None:
        """Return octets; none at the end; C{None} if some may still come."""
        if not self.octets:
            return None if self.writers else b""
        octets = bytes(self.octets[:size])
        del self.octets[:size]
        self.changed()
        return octets

    def write(self, octets: bytes | memoryview) -> int:
        """Take as many octets as there is room for, and return how many that was.

        @raise BrokenPipeError: nobody can read them.
        """
        if not self.readers:
            raise failure(errno.EPIPE)
        taken = bytes(octets[: CAPACITY - len(self.octets)])
        if taken:
            self.octets += taken
            self.changed()
        return len(taken)

    def readable(self) -> bool:
        """Whether reading would not block."""
        return bool(self.octets) or not self.writers

    def writable(self) -> bool:
        """Whether writing would get on, or fail."""
        return not self.readers or CAPACITY - len(self.octets) >= _PAGE

    def close(self, *, writing: bool) -> None:
        """Close an end."""
        if writing:
            self.writers -= 1
        else:
            self.readers -= 1
        self.changed()

    def changed(self) -> None:
        """Let everybody look again."""
        for watcher in [*self.watchers]:
            watcher.wake()


class PipeEnd(MemorySocket):
    """An end of a pipe that the reactor watches.

    @ivar pipe: the pipe.
    @ivar writing: whether it is the end that is written to.
    """

    def __init__(self, network: Network, pipe: Pipe, *, writing: bool) -> None:
        """Have one end of a new pipe."""
        super().__init__(network, socket.AF_UNSPEC)
        self.pipe = pipe
        self.writing = writing
        pipe.watchers.append(self)

    def wake(self) -> None:
        """Tell the reactor to look again."""
        self._network.wake(self)

    def readable(self) -> bool:
        """Whether reading would not block; for a writer, whether nobody reads any more."""
        return not self.pipe.readers if self.writing else self.pipe.readable()

    def writable(self) -> bool:
        """Whether writing would not block."""
        return self.writing and self.pipe.writable()

    def close(self) -> None:
        """Close this end."""
        if not self.closed:
            super().close()
            self.pipe.watchers.remove(self)
            self.pipe.close(writing=self.writing)
