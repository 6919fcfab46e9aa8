# -*- test-case-name: tests.testing.test_script -*-
"""A protocol that plays steps: what a scripted peer and a fake server have in common."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from slimtwist.testing.ending import end
from slimtwist.testing.flow import Cut


@implementer(IHandshakeListener)
class Player(Protocol):
    """A connection, as a L{slimtwist.testing.steps.Stage}.

    Its subclasses say what comes next: L{go} is called whenever something can.

    @ivar side: C{"S"} or C{"C"}: whose lines are its own.
    @ivar inbox: octets that have come and that nobody has taken yet.
    @ivar seen: how far the current step has looked into it.
    @ivar bodies: the messages taken by steps.
    @ivar ended: whether the other side has ended.
    @ivar reason: why the connection was lost, if it was.
    """

    transport: Any
    side = "S"

    def __init__(self) -> None:
        self.busy = False
        self.resting = False
        self._timer: IDelayedCall | None = None
        self._said: list[tuple[str, bytes]] = []
        self.inbox = bytearray()
        self.seen = 0
        self.bodies: list[bytes] = []
        self.ended = False
        self.reason: Failure | None = None

    @property
    def transcript(self) -> list[str]:
        """What was said."""
        return [
            f"{who}: {line.decode('utf-8', 'backslashreplace')}"
            for who, octets in self._said
            for line in octets.splitlines()
        ]

    def go(self) -> None:
        """Do what can be done now, unless L{busy}."""
        raise TypeError(f"{type(self).__name__} does not say what comes next")

    # What the transport says.

    def connectionMade(self) -> None:
        """Begin."""
        self.go()

    def dataReceived(self, data: bytes) -> None:
        """Keep what came, and go on."""
        if not self.resting:
            self.inbox += data
            self.go()

    def handshakeCompleted(self) -> None:
        """Go on inside TLS."""
        self.busy = False
        self.go()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Note the end."""
        self.reason = reason
        self.ended = True
        self.busy = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.go()

    # What steps do.

    def send(self, octets: bytes) -> None:
        """Send octets."""
        self._said.append((self.side, octets))
        self.transport.write(octets)

    def heard(self, octets: bytes) -> None:
        """Note what was taken."""
        self._said.append(("C" if self.side == "S" else "S", octets))

    def sleep(self, seconds: float) -> None:
        """Be busy for so long."""
        self.busy = True
        self._timer = self.transport.reactor.callLater(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self.busy = False
        self.go()

    def secure(self, context: object) -> None:
        """Begin TLS, and be busy until it is there."""
        self.busy = True
        self.transport.startTLS(context)

    def leave(self, how: Cut) -> None:
        """End, after what was sent."""
        end(self.transport, how)

    def deafen(self) -> None:
        """Read no more."""
        self.transport.pauseProducing()

    def rest(self) -> None:
        """Mind nothing more."""
        self.resting = True
