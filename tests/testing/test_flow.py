# -*- test-case-name: tests.testing.test_flow -*-
"""One direction of a connection, and all that a test can do to it."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.testing import Cut
from slimtwist.testing.clock import VirtualClock
from slimtwist.testing.flow import Flow, Mark


class Socket:
    """An end that notes what it is told."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.told: list[tuple[float, object]] = []

    def receive(self, octets: bytes) -> None:
        """Note octets."""
        self.told.append((self._clock.seconds(), octets))

    def receive_end(self) -> None:
        """Note the end."""
        self.told.append((self._clock.seconds(), "end"))

    def receive_reset(self) -> None:
        """Note the reset."""
        self.told.append((self._clock.seconds(), "reset"))

    def room_made(self) -> None:
        """Do nothing."""


class FlowTests(SynchronousTestCase):
    """A flow between two ends."""

    def setUp(self) -> None:
        """Make both directions."""
        self.clock = VirtualClock()
        self.source, self.sink = Socket(self.clock), Socket(self.clock)
        self.flow = Flow(self.clock, self.source, self.sink)
        self.flow.reverse = Flow(self.clock, self.sink, self.source)
        self.flow.reverse.reverse = self.flow

    def run_to(self, seconds: float) -> None:
        """Let time pass."""
        while (moment := self.clock.next_moment()) is not None and moment <= seconds:
            self.clock.move_to(moment)
            while call := self.clock.pop():
                call.func(*call.args)
        self.clock.move_to(seconds)

    def arrived(self) -> list[object]:
        """Return what the sink was told, without moments."""
        return [what for _, what in self.sink.told]

    def test_plain(self) -> None:
        """Octets arrive at once, in order, and then the end."""
        self.assertEqual(self.flow.send(b"ab"), 2)
        self.flow.send(b"c")
        self.flow.finish()
        self.flow.finish()
        self.assertEqual(self.arrived(), [b"ab", b"c", "end"])
        self.assertEqual((self.flow.sent, self.flow.arrived, self.flow.tape), (3, 3, b"abc"))

    def test_segments(self) -> None:
        """What is sent arrives split as the test says."""
        self.flow.segment = lambda octets: [octets[:1], b"", octets[1:]]
        self.flow.send(b"abc")
        self.flow.send(b"d")
        self.assertEqual(self.arrived(), [b"a", b"bc", b"d"])

    def test_latency(self) -> None:
        """Everything comes later by as much, also the end."""
        self.flow.latency = 0.5
        self.flow.send(b"a")
        self.run_to(0.25)
        self.flow.send(b"b")
        self.flow.finish()
        self.run_to(9)
        self.assertEqual(self.sink.told, [(0.5, b"a"), (0.75, b"b"), (0.75, "end")])

    def test_less_latency_does_not_overtake(self) -> None:
        """Octets sent later do not arrive sooner."""
        self.flow.latency = 5
        self.flow.send(b"a")
        self.flow.latency = 0
        self.flow.send(b"b")
        self.assertEqual(self.arrived(), [])
        self.run_to(5)
        self.assertEqual(self.sink.told, [(5, b"a"), (5, b"b")])

    def test_drip(self) -> None:
        """Split octets may come with time between them (PEER-02)."""
        self.flow.segment = lambda octets: [bytes([octet]) for octet in octets]
        self.flow.spacing = 20
        self.flow.send(b"250")
        self.run_to(100)
        self.assertEqual(self.sink.told, [(20, b"2"), (40, b"5"), (60, b"0")])

    def test_window(self) -> None:
        """What is on its way or unread fills the window; reading empties it."""
        self.flow.window = 4
        self.assertEqual(self.flow.send(b"abcdef"), 4)
        self.assertEqual((self.flow.send(b"ef"), self.flow.room()), (0, 0))
        self.flow.taken(3)
        self.assertEqual(self.flow.send(b"ef"), 2)
        self.flow.window = 0
        self.assertEqual(self.flow.send(b"g"), 0)

    def test_stall(self) -> None:
        """After a stall nothing arrives, until it is over."""
        self.flow.stall(after=2)
        self.flow.send(b"abc")
        self.flow.send(b"d")
        self.flow.finish()
        self.run_to(1000)
        self.assertEqual(self.arrived(), [b"ab"])
        self.assertEqual(self.flow.room(), 65_536 - 4)
        self.flow.resume()
        self.assertEqual(self.arrived(), [b"ab", b"c", b"d", "end"])

    def test_cuts(self) -> None:
        """A cut comes after exactly so many octets, however they were sent."""
        for how, sink, source in [
            (Cut.RST, "reset", ["reset"]),
            (Cut.FIN, "end", ["reset"]),
            (Cut.HALF, "end", []),
        ]:
            for after in range(5):
                for split in range(5):
                    self.setUp()
                    self.flow.cut(after, how)
                    self.flow.send(b"abcde"[:split])
                    self.flow.send(b"abcde"[split:])
                    self.flow.finish()
                    self.run_to(1)
                    self.assertEqual(self.flow.tape, b"abcde"[:after])
                    self.assertEqual(self.arrived()[-1], sink)
                    self.assertEqual(self.arrived().count(sink), 1)
                    self.assertNotIn(b"", self.arrived())
                    self.assertEqual([what for _, what in self.source.told], source)

    def test_cut_at_once(self) -> None:
        """A cut at an octet that has passed comes now."""
        self.flow.send(b"abc")
        self.flow.cut(after=1)
        self.flow.send(b"defg")
        self.run_to(0)
        self.assertEqual(self.arrived(), [b"abc", "reset"])

    def test_after_a_cut(self) -> None:
        """After a FIN cut the other direction is answered by a reset; else it goes on."""
        self.flow.cut(0, Cut.FIN)
        self.run_to(0)
        self.flow.reverse.send(b"x")
        self.assertEqual(self.arrived(), ["end", "reset"])
        self.setUp()
        self.flow.cut(0, Cut.HALF)
        self.run_to(0)
        self.flow.reverse.send(b"x")
        self.assertEqual(self.source.told, [(0.0, b"x")])
        for _ in range(100):
            self.assertEqual(self.flow.send(b"x" * 1000), 1000)
        self.assertEqual(self.arrived(), ["end"])

    def test_cut_takes_what_is_on_its_way(self) -> None:
        """What was on its way in either direction when the connection is cut does not arrive."""
        self.flow.latency = self.flow.reverse.latency = 5
        self.flow.send(b"there")
        self.flow.reverse.send(b"back")
        self.flow.cut(0)
        self.run_to(9)
        self.assertEqual(self.arrived(), ["reset"])
        self.assertEqual([what for _, what in self.source.told], ["reset"])

    def test_reset(self) -> None:
        """A reset comes after what was on its way."""
        self.flow.latency = 1
        self.flow.send(b"a")
        self.flow.reset()
        self.run_to(2)
        self.assertEqual(self.sink.told, [(1, b"a"), (1, "reset")])

    def test_observer(self) -> None:
        """An observer sees each thing that arrives; without a record there is no tape."""
        seen: list[object] = []
        self.flow.record = False
        self.flow.observer = lambda flow, what: seen.append((flow is self.flow, what))
        self.flow.send(b"a")
        self.flow.finish()
        self.flow.reset()
        self.assertEqual(seen, [(True, b"a"), (True, Mark.FIN), (True, Mark.RST)])
        self.assertEqual(self.flow.tape, b"")

    def test_nothing_is_lost(self) -> None:
        """Whatever the splits, delays and pauses, the octets arrive whole and in order (L8)."""
        for seed in range(100):
            self.setUp()
            self.assert_whole(random.Random(seed))

    def assert_whole(self, source: random.Random) -> None:
        """Send octets through a flow that changes all the time."""
        octets = source.randbytes(500)
        sent = read = 0
        self.flow.segment = lambda part: [part[i : i + 7] for i in range(0, len(part), 7)]
        for moment in range(2000):
            self.flow.latency = source.choice([0, 1, 3])
            self.flow.spacing = source.choice([0, 0.5])
            self.flow.window = source.choice([0, 10, 100])
            sent += self.flow.send(octets[sent : sent + 30])
            self.flow.taken(self.flow.arrived - read)
            read = self.flow.arrived
            self.run_to(moment)
        self.assertEqual((sent, bytes(self.flow.tape)), (500, octets))
