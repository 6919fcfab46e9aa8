# -*- test-case-name: tests.testing.test_flow -*-
"""One direction of a connection: what is sent at one end arrives at the other, later and in order.

A L{Flow} is where a test has its way with the octets: it splits them, delays them, lets them drip,
stops them after the nth or cuts the connection there. The rest is TCP as Linux does it: a bounded
window, so that a reader who does not read stops the writer; an end (FIN) that comes after all
octets; a reset (RST) that comes after those on their way and makes an end of both directions.

Nothing here calls a protocol: octets go into the inbox of a socket, and its reactor is told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, Protocol

#: Octets that may be on their way or unread, unless a test says otherwise.
WINDOW: Final = 65536


class Cut(Enum):
    """How a connection is cut.

    @cvar FIN: the receiver sees an end, and a reset if it still writes; the sender sees a reset.
    @cvar RST: both see a reset.
    @cvar HALF: the receiver sees an end; the other direction goes on; what the sender still writes
        vanishes.
    """

    FIN = "fin"
    RST = "rst"
    HALF = "half"


class Mark(Enum):
    """What can follow the octets: the end of them, or a reset."""

    FIN = "fin"
    RST = "rst"


class Loop(Protocol):
    """What a flow needs of a reactor: the time, and a call at a moment."""

    def seconds(self) -> float:
        """Return the virtual time."""

    def at(self, moment: float, call: Callable[..., object], *args: object) -> object:
        """Call C{call} at C{moment}."""


class End(Protocol):
    """What a flow needs of a socket at either end."""

    def receive(self, octets: bytes) -> None:
        """Octets have arrived."""

    def receive_end(self) -> None:
        """No more octets will arrive."""

    def receive_reset(self) -> None:
        """The connection is no more."""

    def room_made(self) -> None:
        """More may be sent."""


Observer = Callable[["Flow", bytes | Mark], object]


class Flow:
    """One direction.

    @ivar name: the number of its wire and its direction: C{"1 up"}, C{"1 down"}.
    @ivar segment: splits the octets of one write into what arrives at a time; C{None}: not split.
    @ivar latency: seconds from one end to the other.
    @ivar spacing: seconds at least between two arrivals, so that split octets drip.
    @ivar window: octets that may be on their way or unread; 0 stops the sender.
    @ivar sent: octets taken from the sender so far.
    @ivar arrived: octets that reached the other end so far.
    @ivar tape: the octets that arrived, if C{record} is true.
    @ivar record: whether to keep a tape.
    @ivar observer: called with the flow and each piece of octets or mark that arrives.
    @ivar reverse: the other direction of the same connection.
    """

    reverse: Flow

    segment: Callable[[bytes], Iterable[bytes]] | None = None
    latency: float = 0.0
    spacing: float = 0.0
    record: bool = True

    def __init__(self, loop: Loop, source: End, sink: End, name: str = "") -> None:
        self.name = name
        self._loop = loop
        self._source = source
        self._sink = sink
        self._window = WINDOW
        self._way: deque[tuple[float, bytes | Mark]] = deque()
        self._last = 0.0
        self._unread = 0
        self._stop: int | None = None
        self._cut: tuple[int, Cut] | None = None
        self._finished = False
        self._swallowing = False
        self._answering = False
        self.sent = 0
        self.arrived = 0
        self.tape = bytearray()
        self.observer: Observer | None = None

    # What a test does.

    @property
    def window(self) -> int:
        """Octets that may be on their way or unread."""
        return self._window

    @window.setter
    def window(self, octets: int) -> None:
        self._window = octets
        self._source.room_made()

    def stall(self, after: int = 0) -> None:
        """Let nothing arrive after the first C{after} octets: neither octets nor end nor reset."""
        self._stop = after

    def resume(self) -> None:
        """End a stall: what waited arrives."""
        self._stop = None
        self._deliver()

    def cut(self, after: int, how: Cut = Cut.RST) -> None:
        """Cut the connection when exactly C{after} octets have arrived.

        If that many have arrived already, it is cut at once.
        """
        self._cut = (after, how)
        if self.arrived >= after:
            self._loop.at(self._loop.seconds(), self._cut_if_due)

    # What the sockets do.

    @property
    def finished(self) -> bool:
        """Whether the sender has said that it is done."""
        return self._finished

    def room(self) -> int:
        """Return how many octets may be sent now."""
        if self._swallowing:
            return WINDOW
        return max(0, self._window - (self.sent - self.arrived) - self._unread)

    def send(self, octets: bytes) -> int:
        """Take as many octets as there is room for, and return how many that was."""
        taken = octets[: self.room()]
        if self._answering:
            self._source.receive_reset()
        elif self._is_plain():
            self.sent += len(taken)
            if taken:
                self._arrive(taken)
        else:
            self.sent += len(taken)
            for chunk in filter(None, self.segment(taken) if self.segment else (taken,)):
                self._post(chunk, self.spacing)
            self._deliver()
        return len(taken)

    def _is_plain(self) -> bool:
        """Whether octets arrive at once and as they were sent: the usual case, which is quick."""
        if self.latency or self.spacing or self._way or self.segment or self._swallowing:
            return False
        return self._stop is None and self._cut is None

    def finish(self) -> None:
        """Say that no octets will follow (FIN)."""
        if not self._finished:
            self._finished = True
            self._post(Mark.FIN)
            self._deliver()

    def reset(self) -> None:
        """End the connection (RST); what is on its way still arrives."""
        self._finished = True
        self._post(Mark.RST)
        self._deliver()

    def taken(self, octets: int) -> None:
        """Note that the reader took so many octets."""
        self._unread -= octets
        self._source.room_made()

    def refuse(self) -> None:
        """Answer whatever is sent from now on with a reset, as a closed socket does."""
        self._answering = True

    def close_reader(self) -> None:
        """Let sending fail from now on: the sender of a UNIX socket sees that nobody reads."""
        self._finished = True
        self._source.room_made()

    def swallow(self) -> None:
        """Let whatever is sent from now on vanish."""
        self._swallowing = True
        self._way.clear()

    # On the way.

    def _post(self, item: bytes | Mark, spacing: float = 0.0) -> None:
        if self._swallowing:
            return
        now = self._loop.seconds()
        self._last = moment = max(now + self.latency, self._last + spacing)
        self._way.append((moment, item))
        if moment > now:
            self._loop.at(moment, self._deliver)

    def _deliver(self) -> None:
        """Let arrive what is due."""
        now = self._loop.seconds()
        while self._way and self._way[0][0] <= now and not self._stalled():
            moment, item = self._way.popleft()
            if isinstance(item, Mark):
                self._mark(item)
            else:
                item, rest = self._split(item)
                if rest:
                    self._way.appendleft((moment, rest))
                if item:
                    self._arrive(item)
                self._cut_if_due()

    def _stalled(self) -> bool:
        return self._stop is not None and self.arrived >= self._stop

    def _split(self, octets: bytes) -> tuple[bytes, bytes]:
        """Split octets where a stall or a cut begins."""
        ends = [len(octets)]
        if self._stop is not None:
            ends.append(self._stop - self.arrived)
        if self._cut is not None:
            ends.append(self._cut[0] - self.arrived)
        end = max(0, min(ends))
        return octets[:end], octets[end:]

    def _arrive(self, octets: bytes) -> None:
        self.arrived += len(octets)
        self._unread += len(octets)
        if self.record:
            self.tape += octets
        if self.observer is not None:
            self.observer(self, octets)
        self._sink.receive(octets)

    def _cut_if_due(self) -> None:
        if self._cut is not None and self.arrived >= self._cut[0]:
            how = self._cut[1]
            self._cut = None
            self._sever(how)

    def _mark(self, mark: Mark) -> None:
        if self.observer is not None:
            self.observer(self, mark)
        if mark is Mark.FIN:
            self._sink.receive_end()
        else:
            self._sink.receive_reset()

    def _sever(self, how: Cut) -> None:
        """Cut, once."""
        self.swallow()
        if self.observer is not None:
            self.observer(self, Mark.RST if how is Cut.RST else Mark.FIN)
        if how is Cut.RST:
            self._sink.receive_reset()
        else:
            self._sink.receive_end()
        if how is not Cut.HALF:
            self._source.receive_reset()
            self.reverse.swallow()
            self.reverse.refuse()
