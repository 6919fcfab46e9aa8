# -*- test-case-name: tests.relay.test_unread -*-
"""Whether a program has read all that was written to it.

A pipe takes 64 KiB that nobody reads.  To see them when the program has ended, its other end is
opened once more; the program then gets no error at a later write, but only we write.
"""

from __future__ import annotations

from slimtwist.relay.system import LINUX, System


class Unread:
    """Looks at a pipe, if that is wanted."""

    def __init__(self, *, wanted: bool, system: System = LINUX) -> None:
        """Look at nothing yet.

        @param system: whose pipe it is.
        """
        self._wanted = wanted
        self._system = system
        self._end: int | None = None

    def watch(self, number: int) -> None:
        """Look at the pipe of which a descriptor is the end that is written to.

        @raise OSError: the system has no descriptor left, or no C{/proc}.
        """
        if self._wanted:
            self._end = self._system.reopen(number)

    def close(self) -> bool:
        """Look no more; tell whether all was read, or nobody wanted to know."""
        if self._end is None:
            return True
        count = self._system.unread(self._end)
        self._system.close(self._end)
        self._end = None
        return count == 0
