# -*- test-case-name: tests.edge.http.test_channel -*-
"""The octets of one HTTP client: Twisted's parser, made strict, and told of headers and blocks.

C{twisted.web} keeps a whole body before anybody sees the request.  Here a request is told when its
header is complete, then of each block, then of the end.  What two programs could read in two ways
is answered with 400, and ends the connection.

Sources: RFC 9112 (syntax; 5.2 line folding, 6.3 message length, 9.3 persistence).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from slimtwist.edge.http.answer import Answer
from slimtwist.edge.http.header import Head, malformed
from slimtwist.edge.http.pace import Pace
from slimtwist.edge.peer import ServerTransport
from slimtwist.edge.replies import STOPPING, TIMED_OUT, TOO_MANY_CLIENTS
from slimtwist.edge.setting import Setting
from slimtwist.reply import Reply

#: Octets and fields of a header that no recipient is among.
_FIELDS, _OCTETS = 100, 16384
#: Octets of the field of one recipient: an address in base64, and the field's name.
_RECIPIENT = 400

_LATE = Answer.of(Reply.received(TIMED_OUT.rstrip()), 408)
STOPPED = Answer.of(Reply.received(STOPPING.rstrip()))
_CROWDED = Answer.of(Reply.received(TOO_MANY_CLIENTS.rstrip()))


class Request(Protocol):
    """A request, as the channel speaks to it."""

    def begin(self, head: Head) -> None:
        """Take note of the header."""

    @property
    def answering(self) -> bool:
        """Whether any of the response was written."""


class HttpChannel(HTTPChannel):
    """One connection.

    @ivar stopping: whether its next response is its last.
    """

    _logger = Logger()
    transport: ServerTransport  # type: ignore[assignment]

    def __init__(
        self,
        setting: Setting,
        request: Callable[[HttpChannel], Any],
        joined: Callable[[HttpChannel], bool],
        left: Callable[[HttpChannel], object],
    ) -> None:
        """Begin, not connected.

        @param request: makes a request.
        @param joined: is told when it is connected, and says whether it is welcome.
        @param left: is told when it is gone.
        """
        super().__init__()
        limits, timeouts = setting.options.limits, setting.options.timeouts
        self._request = request
        self.maxHeaders = _FIELDS + limits.recipients
        self.totalHeadersSize = _OCTETS + _RECIPIENT * limits.recipients
        self.requestFactory = self._make  # type: ignore[assignment]
        self.pace = Pace(setting.runtime.reactor, limits, timeouts, self._too_slow)
        self.stopping = False
        self._joined = joined
        self._left = left
        self._idle = True
        self._closed = False

    # What Twisted calls.

    def connectionMade(self) -> None:
        """Wait for a request, or send the client away."""
        super().connectionMade()
        self.pace.idle()
        if not self._joined(self):
            self.close(STOPPED if self.stopping else _CROWDED)

    def dataReceived(self, data: bytes) -> None:
        """Take octets."""
        if self._closed:
            return
        if self._idle:
            self._idle = False
            self.pace.header()
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        """Take a line of a header."""
        if self._closed:
            return
        if line[:1] in (b" ", b"\t"):
            self._respondToBadRequestAndDisconnect()
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a line that is longer than any may be."""
        self._respondToBadRequestAndDisconnect()

    def rawDataReceived(self, data: bytes) -> None:
        """Take octets that are no lines."""
        if not self._closed:
            super().rawDataReceived(data)

    def allHeadersReceived(self) -> None:
        """Tell the request what it is."""
        if self._closed:
            return
        request = self.requests[-1]
        self.persistent = self.checkPersistence(request, self._version)
        fields = request.requestHeaders
        request.begin(Head.of(self._command, self._path, self._version, fields, self.length))

    def allContentReceived(self) -> None:
        """Tell the request that nothing follows."""
        if not self._closed:
            super().allContentReceived()

    def requestDone(self, request: Any) -> None:  # noqa: ANN401 - as in Twisted
        """Wait for the next request."""
        self._idle = True
        self.pace.idle()
        self._closed = not self.persistent
        if self._closed:
            self.pace.farewell()
        super().requestDone(request)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell everybody."""
        self._closed = True
        self.pace.close()
        super().connectionLost(reason)
        self._left(self)

    def _make(self, _: HTTPChannel, __: object) -> Any:  # noqa: ANN401 - as in Twisted
        return self._request(self)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self.close(malformed("malformed request", "5.5.2").answer)

    # What requests and the factory call.

    def hold(self) -> None:
        """Read no more for now."""
        self._networkProducer.pauseProducing()

    def go_on(self, *, encourage: bool) -> None:
        """Read the body.

        @param encourage: tell the client that it is wanted.
        """
        self.pace.body()
        self._networkProducer.resumeProducing()
        if encourage:
            self._send100Continue()

    def go_on_passing(self) -> None:
        """Read what nobody wants."""
        self._networkProducer.resumeProducing()

    def stop(self) -> None:
        """Let what is under way end, and take no more."""
        self.stopping = True
        if self._idle:
            self.close(None)

    def close(self, answer: Answer | None) -> None:
        """End the connection, with a last answer unless one is there.

        A client that does not take it is not waited for.
        """
        if self._closed:
            self.transport.abortConnection()
            return
        self._closed = True
        answering = bool(self.requests) and self.requests[0].answering
        if answer is not None and not answering:
            self.transport.write(_written(answer))
        self.pace.farewell()
        self.loseConnection()

    def _too_slow(self) -> None:
        if self._idle or self._closed:
            self.close(None)
        else:
            self.close(_LATE)


def _written(answer: Answer) -> bytes:
    """Return the octets of an answer that is not Twisted's to write."""
    fields = [*answer.fields(), ("Connection", "close")]
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return (
        f"HTTP/1.1 {answer.status} {_PHRASES[answer.status]}\r\n{head}\r\n".encode() + answer.body
    )


_PHRASES = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}
