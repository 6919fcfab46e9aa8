# -*- test-case-name: tests.edge.test_room -*-
"""How many clients the process has room for.

Each client takes a file descriptor, and perhaps another for a large message or for its next hop.  A
client too many is told so while there still is a descriptor to tell it with; Twisted's own reserve,
with which it closes connections that it cannot take, is for what comes in between.
"""

from __future__ import annotations

from resource import RLIM_INFINITY, RLIMIT_NOFILE, getrlimit, setrlimit


def use_all_descriptors() -> None:
    """Let this process have as many descriptors as it may; most systems begin with 1,024."""
    _, hard = getrlimit(RLIMIT_NOFILE)
    setrlimit(RLIMIT_NOFILE, (hard, hard))


def room_for(clients: int) -> int:
    """Return how many clients may be connected at once.

    @param clients: as many as are allowed at all.
    """
    soft, _ = getrlimit(RLIMIT_NOFILE)
    return clients if soft == RLIM_INFINITY else min(clients, max(1, soft // 2))
