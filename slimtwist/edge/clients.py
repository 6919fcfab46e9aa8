# -*- test-case-name: tests.edge.test_clients -*-
"""How many clients are connected, in all and from each address.

Edges of one process share one L{Clients}: they share its descriptors, and a stranger who may have
fifty connections has them once, not once at each door.
"""

from __future__ import annotations

from collections import Counter

from slimtwist.edge.peer import is_local
from slimtwist.edge.room import room_for
from slimtwist.limits import Limits


class Clients:
    """Counts who is connected, and says when there are enough."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nobody.

        @param limits: C{clients} in all, and C{clients_per_address} for those not of this host.
        """
        self._limits = limits
        self._count = 0
        self._addresses: Counter[str | None] = Counter()

    def admit(self, ip: str | None) -> bool:
        """Count a client in, if there is room.

        @param ip: its address; C{None} for a UNIX socket.
        @return: whether it was counted, and has to L{leave}.
        """
        room = self._count < room_for(self._limits.clients) and (
            is_local(ip) or self._addresses[ip] < self._limits.clients_per_address
        )
        if room:
            self._count += 1
            self._addresses[ip] += 1
        return room

    def leave(self, ip: str | None) -> None:
        """Count a client out."""
        self._count -= 1
        self._addresses[ip] -= 1
        if not self._addresses[ip]:
            del self._addresses[ip]
