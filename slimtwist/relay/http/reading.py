# -*- test-case-name: tests.relay.http.test_relay -*-
"""The beginning of an HTTP response's body, and no more of it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IResponse


class _Reader(Protocol):
    transport: Any

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._octets = bytearray()
        self.done: Deferred[bytes] = Deferred(lambda _: self._leave())

    def dataReceived(self, data: bytes) -> None:
        self._octets += data[: self._limit - len(self._octets)]
        if len(self._octets) >= self._limit:
            self._finish()
            self._leave()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(ResponseDone, PotentialDataLoss):
            self._finish()
        elif not self.done.called:
            self.done.errback(reason)

    def _finish(self) -> None:
        if not self.done.called:
            self.done.callback(bytes(self._octets))

    def _leave(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


def read(response: IResponse, limit: int) -> Deferred[bytes]:
    """Read a response's body.

    @param limit: octets after which the rest is not waited for, and the connection ends.
    @return: fires with the octets; fails when the body is cut off before its end.
    """
    reader = _Reader(limit)
    response.deliverBody(reader)
    return reader.done
