# -*- test-case-name: tests.edge.test_clients -*-
"""Tests of counting clients."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.clients import Clients
from slimtwist.limits import Limits

NEAR, FAR, FARTHER = "127.0.0.1", "192.0.2.1", "192.0.2.2"


class ClientsTests(SynchronousTestCase):
    """Who has room (L6)."""

    def test_in_all(self) -> None:
        """No more than the limit, wherever they come from; who leaves makes room."""
        clients = Clients(Limits(clients=3))
        self.assertEqual(list(map(clients.admit, [FAR, NEAR, None, FARTHER])), [True] * 3 + [False])
        clients.leave(None)
        self.assertEqual(list(map(clients.admit, [FARTHER, NEAR])), [True, False])

    def test_each_address(self) -> None:
        """One address takes its own share, and this host any (ING-16)."""
        clients = Clients(Limits(clients_per_address=2))
        self.assertEqual([clients.admit(FAR) for _ in range(3)], [True, True, False])
        self.assertEqual([clients.admit(NEAR) for _ in range(3)], [True] * 3)
        self.assertEqual([clients.admit(None) for _ in range(3)], [True] * 3)
        self.assertTrue(clients.admit(FARTHER))
        clients.leave(FAR)
        self.assertEqual([clients.admit(FAR) for _ in range(2)], [True, False])

    def test_descriptors(self) -> None:
        """There are no more than the process has descriptors for (OS-07)."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        clients = Clients(Limits())
        self.assertEqual([clients.admit(NEAR) for _ in range(33)], [True] * 32 + [False])
