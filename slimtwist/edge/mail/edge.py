# -*- test-case-name: tests.edge.mail.test_edge -*-
"""Servers of twisted.mail as an edge.

With it a L{RelayService<slimtwist.service.RelayService>} starts and stops them: clients leave
between two messages, each with the true reply to its last one, and before the queue stops.

Sources: RFC 5321 4.2.4.2 (421).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.mail.smtp import ESMTP, SMTPFactory

from slimtwist.edge.mail.protocol import TrueReplies, with_true_replies
from slimtwist.latch import Latch
from slimtwist.limits import Timeouts
from slimtwist.runtime import Runtime

_TIMEOUTS: Final = Timeouts()


class MailEdge(Factory):
    """A factory of twisted.mail's servers that knows its clients."""

    noisy = False

    def __init__(
        self, runtime: Runtime, factory: SMTPFactory, timeouts: Timeouts = _TIMEOUTS
    ) -> None:
        """Begin without a client.

        @param factory: makes the servers, which are given true replies, as by
            L{with_true_replies<slimtwist.edge.mail.protocol.with_true_replies>}.
        @param timeouts: C{stop} bounds how long running messages are waited for, C{quit} how long
            clients may take to leave.
        @raise TypeError: its C{protocol} is no subclass of C{twisted.mail.smtp.SMTP}.
        """
        self._factory = with_true_replies(factory)
        self._clock = runtime.reactor
        self._timeouts = timeouts
        self._servers: set[TrueReplies] = set()
        self._stopping = False
        self._empty = Latch()

    def doStart(self) -> None:
        """Tell the factory that it is listened with."""
        self._factory.doStart()

    def doStop(self) -> None:
        """Tell the factory that it is not."""
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> TrueReplies:
        """Return what talks to a client; or what the factory returns if it does not want him."""
        server: TrueReplies = self._factory.buildProtocol(addr)
        if isinstance(server, TrueReplies):
            server.noted = self._note
        return server

    @property
    def speaks(self) -> str:
        """What is spoken, for the log."""
        return "ESMTP" if issubclass(self._factory.protocol, ESMTP) else "SMTP"

    @property
    def patience(self) -> float:
        """Seconds that L{stop} may take."""
        return self._timeouts.stop + self._timeouts.quit

    def stop(self) -> Deferred[None]:
        """Send idle clients away, let running messages end, up to C{Timeouts.stop}.

        Nothing may listen with this factory any more.

        @return: fires when no connection is left; may be asked for again.
        """
        if not self._stopping:
            self._stopping = True
            self._later(self._timeouts.stop, self._send_away)
            for server in list(self._servers):
                server.stop()
            self._look_for_end()
        return self._empty.wait()

    def _note(self, server: TrueReplies, *, here: bool) -> None:
        if here:
            self._servers.add(server)
            if self._stopping:
                server.stop()
        else:
            self._servers.discard(server)
            self._look_for_end()

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something, unless nobody is left by then."""
        timer = self._clock.callLater(seconds, call)
        self._empty.wait().addCallback(lambda _: timer.active() and timer.cancel())

    def _send_away(self) -> None:
        self._later(self._timeouts.quit, self._cut_off)
        for server in list(self._servers):
            server.dismiss()

    def _cut_off(self) -> None:
        """End the connections of those who do not read their last reply."""
        for server in list(self._servers):
            server.transport.abortConnection()

    def _look_for_end(self) -> None:
        if self._stopping and not self._servers:
            self._empty.release()
