# -*- test-case-name: tests.relay.test_unread -*-
"""Whether a program has read all that was written to it.

A pipe takes 64 KiB that nobody reads.  To see them when the program has ended, its other end is
opened once more, by way of C{/proc}; the program then gets no error at a later write, but only we
write.

Sources: pipe(7), proc(5), FIONREAD of ioctl_tty(2).
"""

from __future__ import annotations

import fcntl
import os
import termios
from typing import Final

_COUNT: Final = 4  # octets of an int


class Unread:
    """Looks at a pipe, if that is wanted."""

    def __init__(self, *, wanted: bool) -> None:
        """Look at nothing yet."""
        self._wanted = wanted
        self._end: int | None = None

    def watch(self, number: int) -> None:
        """Look at the pipe of which a descriptor is the end that is written to.

        @raise OSError: the system has no descriptor left, or no C{/proc}.
        """
        if self._wanted:
            self._end = os.open(f"/proc/self/fd/{number}", os.O_RDONLY | os.O_NONBLOCK)

    def close(self) -> bool:
        """Look no more; tell whether all was read, or nobody wanted to know."""
        if self._end is None:
            return True
        count = fcntl.ioctl(self._end, termios.FIONREAD, bytes(_COUNT))
        os.close(self._end)
        self._end = None
        return count == bytes(_COUNT)
