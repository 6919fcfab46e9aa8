# -*- test-case-name: tests.edge.test_smtp -*-
"""The ESMTP and LMTP edge: takes connections, and bounds how many.

L{SmtpEdgeFactory} is what a server endpoint listens with.  A connection is a
L{Channel<slimtwist.edge.channel.Channel>} with a L{Session<slimtwist.edge.session.Session>} on it.

Sources: RFC 5321 4.2.4.2 (421), 7.8 (resistance to attacks).
"""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory

from slimtwist.edge.channel import Channel
from slimtwist.edge.clients import Clients
from slimtwist.edge.options import EdgeOptions
from slimtwist.edge.peer import client_ip
from slimtwist.edge.replies import STOPPING, TOO_MANY_CLIENTS
from slimtwist.edge.session import Session
from slimtwist.edge.setting import Setting
from slimtwist.interfaces import IQueue
from slimtwist.latch import Latch
from slimtwist.runtime import Runtime

_OPTIONS: Final = EdgeOptions()


class SmtpEdgeFactory(Factory):
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
        @param clients: counts them, with those of other edges; C{None} for those of this one alone.
        """
        self._setting = Setting.of(runtime, queue, options)
        self._options = options
        self._sessions: dict[Channel, Session | None] = {}  # None for who was turned away
        self._clients = clients or Clients(options.limits)
        self._stopping = False
        self._empty = Latch()

    def buildProtocol(self, addr: IAddress | None) -> Channel:
        """Return what talks to a client."""
        return Channel(
            self._setting.runtime.reactor,
            self._options.limits,
            self._options.timeouts,
            self._converse,
            self._left,
        )

    @property
    def speaks(self) -> str:
        """What is spoken, for the log."""
        return "LMTP" if self._options.lmtp else "ESMTP"

    @property
    def patience(self) -> float:
        """Seconds that L{stop} may take."""
        return self._options.timeouts.stop

    def stop(self) -> Deferred[None]:
        """Send idle clients away, let running transactions end, up to C{Timeouts.stop}.

        Nothing may listen with this factory any more.

        @return: fires when no connection is left; may be asked for again.
        """
        if not self._stopping:
            self._stopping = True
            reactor = self._setting.runtime.reactor
            timer = reactor.callLater(self._options.timeouts.stop, self._send_away)
            self._empty.wait().addCallback(lambda _: timer.active() and timer.cancel())
            for session in list(self._sessions.values()):
                if session is not None:
                    session.stop()
            self._look_for_end()
        return self._empty.wait()

    async def _converse(self, channel: Channel) -> None:
        self._sessions[channel] = None
        ip = client_ip(channel.transport)
        if self._stopping:
            channel.say(STOPPING)
        elif not self._clients.admit(ip):
            channel.say(TOO_MANY_CLIENTS)
        else:
            session = self._sessions[channel] = Session(self._setting, channel)
            try:
                await session.converse()
            finally:
                self._clients.leave(ip)

    def _left(self, channel: Channel) -> None:
        self._sessions.pop(channel, None)
        self._look_for_end()

    def _send_away(self) -> None:
        for channel in list(self._sessions):
            channel.dismiss(STOPPING)

    def _look_for_end(self) -> None:
        if self._stopping and not self._sessions:
            self._empty.release()
