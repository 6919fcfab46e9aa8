# -*- test-case-name: slimtwist_skeleton.test.test_relay -*-
"""A server for tests: it takes all mail but that for C{nobody}, and keeps it."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.basic import LineReceiver


class Archive(LineReceiver):
    """A connection."""

    factory: Any  # an ArchiveFactory

    def lineReceived(self, line: bytes) -> None:
        """Take what is told of a message."""
        self._head = json.loads(line)
        self._octets = b""
        self._left = self._head["octets"]
        self.setRawMode()
        self._look_for_end()

    def rawDataReceived(self, data: bytes) -> None:
        """Take octets of the message."""
        self._octets += data
        self._left -= len(data)
        self._look_for_end()

    def _look_for_end(self) -> None:
        if self._left == 0:
            self.factory.messages.append({**self._head, "octets": self._octets})
            for each in self._head["recipients"]:
                refused = each.startswith("nobody@")
                self.sendLine(b"550 5.1.1 unknown" if refused else b"250 2.0.0 stored")


class ArchiveFactory(Factory):
    """The server.

    @ivar messages: what was taken.
    """

    protocol = Archive
    noisy = False

    def __init__(self) -> None:
        """Begin without a message."""
        self.messages: list[dict[str, Any]] = []
