# -*- test-case-name: tests.edge.test_room -*-
"""Tests of running out of file descriptors."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.room import room_for
from slimtwist.tap import Options


class Rooms(SynchronousTestCase):
    """How many clients fit."""

    def test_share(self) -> None:
        """Half of the descriptors are for clients, but no more than are allowed (OS-07)."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for descriptors, clients in [(256, 128), (200, 100)]:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
            self.assertEqual(room_for(10_000), clients)
            self.assertEqual(room_for(7), 7)

    def test_all(self) -> None:
        """The daemon raises its limit as far as it may (OS-07)."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
        Options().parseOptions(["--relay", "blackhole:"])
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (hard, hard))


class Exhaustion(SynchronousTestCase):
    """A process that has none left (ING-16)."""

    def setUp(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "tests.edge.crowded", "40"]
        root = Path(__file__).parents[2]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)
        assert self.process.stdout is not None
        self.addCleanup(self.process.stdout.close)
        self.port = int(self.process.stdout.readline())

    def visit(self) -> socket.socket:
        """Return a connection."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        self.addCleanup(client.close)
        return client

    def greeting(self, client: socket.socket) -> bytes:
        """Return the code that a client is greeted with; nothing, if it is not."""
        try:
            return client.recv(4096)[:4]
        except ConnectionError:
            return b""

    def cpu(self) -> float:
        """Return the seconds that the process has computed."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def test_crowd(self) -> None:
        """Who fits is served, others told or closed; no busy loop, and it passes (ING-16)."""
        clients = [self.visit() for _ in range(100)]
        greetings = [self.greeting(client) for client in clients]
        self.assertEqual(greetings[:20], [b"220 "] * 20)
        self.assertIn(b"421 ", greetings[20:])
        self.assertLessEqual(set(greetings[20:]), {b"421 ", b""})
        before = self.cpu()
        time.sleep(0.5)
        self.assertLess(self.cpu() - before, 0.2)
        clients[0].sendall(b"EHLO x\r\n")
        self.assertEqual(self.greeting(clients[0]), b"250-")
        for client in clients:
            client.close()
        time.sleep(0.2)
        self.assertEqual(self.greeting(self.visit()), b"220 ")
