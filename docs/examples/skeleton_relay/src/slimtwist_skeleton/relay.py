# -*- test-case-name: slimtwist_skeleton.test.test_relay -*-
"""The relay: when messages are posted, and what becomes of attempts that cannot be."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, fail
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectingCancelledError
from zope.interface import implementer

from slimtwist.description import number, seconds
from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, ConnectionFailed, ReplyTimeout, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Report
from slimtwist.runtime import Runtime
from slimtwist.together import Cancellable
from slimtwist_skeleton.post import Post

_T = TypeVar("_T")


@implementer(IRelay)
class SocketRelay:
    """Posts each message to a server on this host."""

    def __init__(self, path: str, timeout: float, connections: int, *, runtime: Runtime) -> None:
        """Connect to nothing yet.

        @param path: of the server's socket.
        @param timeout: seconds that a message may take.
        @param connections: how many messages are posted at once.
        """
        # Clock and network come from here, and from nowhere else: so tests can have them in memory.
        self._clock = runtime.reactor
        self._endpoint = UNIXClientEndpoint(runtime.reactor, path, timeout)
        self._path = path
        self._timeout = timeout
        self._places = DeferredSemaphore(connections)
        self._running = 0
        self._stopping = False
        self._ended = Latch()

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Post a message. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError.at("shutting down"))
        self._running += 1
        return Cancellable(lambda _: self._attempt(envelope)).done.addBoth(self._one_less)

    def stop(self) -> Deferred[None]:
        """Let running attempts end. See L{IRelay.stop}."""
        self._stopping = True
        self._look_for_end()
        return self._ended.wait()

    async def _attempt(self, envelope: Envelope) -> Report:
        try:
            await self._places.acquire()
            try:
                return await self._post(envelope)
            finally:
                self._places.release()
        except (CancelledError, ConnectingCancelledError) as error:
            raise AttemptCancelled.at("", host=self._path) from error  # before anything was sent

    async def _post(self, envelope: Envelope) -> Report:
        try:
            post = await connectProtocol(self._endpoint, Post(envelope, self._path))
        except ConnectError as error:
            raise ConnectionFailed.at(str(error), host=self._path) from error
        timer = self._clock.callLater(self._timeout, post.give_up, ReplyTimeout)
        try:
            report: Report = await post.report
            return report
        finally:
            if timer.active():
                timer.cancel()
            post.close()

    def _one_less(self, result: _T) -> _T:
        self._running -= 1
        self._look_for_end()
        return result

    def _look_for_end(self) -> None:
        if self._stopping and not self._running:
            self._ended.release()


def parse(runtime: Runtime, path: str, *, timeout: str = "60", connections: str = "10") -> IRelay:
    """Build the relay of a description, C{skeleton:/run/archive/socket:timeout=5}.

    @raise ValueError: an argument is wrong; the operator reads the text.
    """
    if not path.startswith("/"):
        raise ValueError(f"path {path!r} does not begin with /")
    at_once = number("connections", connections, least=1)
    return SocketRelay(path, seconds("timeout", timeout), at_once, runtime=runtime)
