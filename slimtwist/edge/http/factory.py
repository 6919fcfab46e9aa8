# -*- test-case-name: tests.edge.http.test_factory -*-
"""Takes the connections of HTTP clients, and bounds how many.

Sources: RFC 9110 15.6.4 (503).
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from slimtwist.edge.clients import Clients
from slimtwist.edge.http.channel import STOPPED, HttpChannel
from slimtwist.edge.http.repeats import Repeats
from slimtwist.edge.http.request import HttpRequest
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.peer import client_ip
from slimtwist.edge.setting import Setting
from slimtwist.interfaces import IQueue
from slimtwist.latch import Latch
from slimtwist.runtime import Runtime

_OPTIONS: Final = EdgeOptions()


class HttpEdgeFactory(Factory):
    """Makes a connection for each client."""

    noisy = False

    def __init__(
        self,
        runtime: Runtime,
        queue: IQueue,
        options: EdgeOptions = _OPTIONS,
        clients: Clients | None = None,
    ) -> None:
        """Begin without a client.

        @param queue: takes the messages; to be stopped after the edges in front of it.
        @param options: of which C{lmtp}, C{certificate} and C{greeting_delay} mean nothing here.
            The portal may know L{IBearerToken<slimtwist.edge.http.identity.IBearerToken>}.
        @param clients: counts them, with those of other edges; C{None} for those of this one alone.
        """
        self._setting = Setting.of(runtime, queue, options)
        self._repeats = Repeats(runtime.reactor, queue.submit)
        self._clients = clients or Clients(options.limits)
        self._channels: set[HttpChannel] = set()
        self._admitted: dict[HttpChannel, str | None] = {}  # by which address
        self._stopping = False
        self._empty = Latch()

    def buildProtocol(self, addr: IAddress | None) -> HttpChannel:
        """Return what talks to a client."""
        return HttpChannel(self._setting, self._request, self._joined, self._left)

    @property
    def speaks(self) -> str:
        """What is spoken, for the log."""
        return "HTTP"

    @property
    def patience(self) -> float:
        """Seconds that L{stop} may take."""
        return self._setting.options.timeouts.stop

    def stop(self) -> Deferred[None]:
        """Send idle clients away, let running requests end, up to C{Timeouts.stop}.

        Nothing may listen with this factory any more.

        @return: fires when no connection is left; may be asked for again.
        """
        if not self._stopping:
            self._stopping = True
            reactor = self._setting.runtime.reactor
            timer = reactor.callLater(self._setting.options.timeouts.stop, self._send_away)
            self._empty.wait().addCallback(lambda _: timer.active() and timer.cancel())
            for channel in list(self._channels):
                channel.stop()
            self._look_for_end()
        return self._empty.wait()

    def _request(self, channel: HttpChannel) -> HttpRequest:
        return HttpRequest(channel, self._setting, self._repeats)

    def _joined(self, channel: HttpChannel) -> bool:
        self._channels.add(channel)
        channel.stopping = self._stopping
        ip = client_ip(channel.transport)
        if self._stopping or not self._clients.admit(ip):
            return False
        self._admitted[channel] = ip
        return True

    def _left(self, channel: HttpChannel) -> None:
        self._channels.remove(channel)
        if channel in self._admitted:
            self._clients.leave(self._admitted.pop(channel))
        self._look_for_end()

    def _send_away(self) -> None:
        for channel in list(self._channels):
            channel.close(STOPPED)

    def _look_for_end(self) -> None:
        if self._stopping and not self._channels:
            self._repeats.stop()
            self._empty.release()
