# -*- test-case-name: tests.test_documentation -*-
"""The folder keeps to the contract, and keeps what it was given."""

from __future__ import annotations

from pathlib import Path

from folder_relay import FolderRelay
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import Driver, MemoryDriver, MemoryReactor, RelayContract


class FolderContractTests(RelayContract, SynchronousTestCase):
    """It is a relay like any other."""

    recipients = ("one@example.com", "two@example.com", "three@example.com")
    refused = "nobody@example.org"

    def build(self) -> tuple[IRelay, Driver]:
        """Build one, with a folder and a clock."""
        reactor = MemoryReactor()
        folder = Path(self.mktemp())
        folder.mkdir()
        return FolderRelay(folder, "example.com", runtime=Runtime(reactor)), MemoryDriver(reactor)


class FolderTests(SynchronousTestCase):
    """What no contract can know."""

    def test_file(self) -> None:
        """There is one file for each message, with its octets and nothing else."""
        reactor, folder = MemoryReactor(), Path(self.mktemp())
        folder.mkdir()
        relay = FolderRelay(folder, "example.com", runtime=Runtime(reactor))
        octets = b"Subject: kept\r\n\r\n.\r\n"
        message = Envelope.parse("me@example.org", ["you@example.com"], octets)
        for attempts in (0, 1):
            reactor.wait(relay.attempt(message, attempts))
        self.assertEqual([path.read_bytes() for path in folder.iterdir()], [octets])
