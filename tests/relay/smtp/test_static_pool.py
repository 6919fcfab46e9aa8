# -*- test-case-name: tests.relay.smtp.test_static_pool -*-
"""Tests of the connections of relays to one host: how many, how long, and what when they die."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.content import Content
from slimtwist.errors import (
    RelayError,
)
from slimtwist.limits import Limits, Timeouts
from slimtwist.outcome import Report, Verdict
from slimtwist.testing import (
    Close,
    Cut,
    ScriptedPeer,
    Send,
    Stall,
    Wait,
)
from slimtwist.testing.smarthost import FakeSmarthost
from slimtwist.testing.steps import Step
from tests.relay.smtp.worlds import ENDS, TAKEN, World
from tests.smtp.plays import told
from tests.smtp.talks import USUAL, envelope, hello

DELIVERED, DEFERRED, FAILED = Verdict.DELIVERED, Verdict.DEFERRED, Verdict.FAILED


class PoolTests(SynchronousTestCase):
    """Connections: how many, how long, and what happens when they die."""

    def test_reuse(self) -> None:
        """One connection carries one message after another; a hundred, then a new one (POOL-08)."""
        world = World()
        for _ in range(101):
            self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual([s.commands.count("DATA") for s in world.host.sessions], [100, 1])
        self.assertEqual(world.host.sessions[0].commands[-1], "QUIT")
        self.assertEqual(world.stop(), ())

    def test_size(self) -> None:
        """There are never more connections than C{pool_size}, or the limit (POOL-06)."""
        for options, most in (
            ({"pool_size": 1}, 1),
            ({"pool_size": 3}, 3),
            ({"limits": Limits(connections=4)}, 4),
            ({}, 20),
        ):
            world = World(FakeSmarthost({".": lambda _: (Wait(1), "250 taken")}), **options)
            running = [world.begin() for _ in range(50)]
            for each in running:
                self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
            self.assertEqual(world.connections, most)
            self.assertEqual(world.stop(), ())

    def test_fair(self) -> None:
        """Messages are sent in the order in which they came (POOL-06)."""
        world = World(pool_size=1)
        running = [world.begin(envelope(f"r{number}@example.net")) for number in range(40)]
        for each in running:
            world.reactor.wait(each)
        names = [message.recipients[0] for message in world.host.messages]
        self.assertEqual(names, [f"r{number}@example.net" for number in range(40)])

    def test_mailmax(self) -> None:
        """What the host takes over one connection is respected, and nobody pays (POOL-08)."""
        world = World(FakeSmarthost(extensions=(*USUAL, "LIMITS MAILMAX=2")), pool_size=1)
        running = [world.begin() for _ in range(5)]
        for each in running:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        self.assertEqual([s.commands.count("DATA") for s in world.host.sessions], [2, 2, 1])

    def test_dead_while_idle(self) -> None:
        """A connection that ends while it is idle is not used again (POOL-01 a)."""
        for goodbye, how in ((b"", Cut.FIN), (b"", Cut.RST), (b"421 4.3.2 bye\r\n", Cut.FIN)):
            world = World()
            self.assertEqual(world.attempt(), [TAKEN])
            world.host.sessions[0].transport.write(goodbye)
            world.host.sessions[0].leave(how)
            world.reactor.flush()
            self.assertIn("<Pool 0 open", repr(world.relay))
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_dead_when_used(self) -> None:
        """One found dead when it is used is replaced, and nobody notices (POOL-01 b, c, d)."""
        for command in ("MAIL", "RCPT", "DATA"):
            for keywords in (USUAL, ()):
                for end in ENDS:
                    host = FakeSmarthost({command: [None, end]}, keywords)
                    world = World(host)
                    self.assertEqual(world.attempt(), [TAKEN])
                    self.assertEqual(world.attempt(), [TAKEN], (command, keywords, end))
                    self.assertEqual((world.connections, len(host.messages)), (2, 2))
                    self.assertEqual(world.stop(), ())

    def test_dead_in_the_same_turn(self) -> None:
        """Also if the end was there in the turn in which it was used (POOL-01 b)."""
        for how in (Cut.FIN, Cut.RST):
            world = World()
            self.assertEqual(world.attempt(), [TAKEN])
            world.reactor.network.wires[0].cut(how)
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_dead_twice(self) -> None:
        """What befalls the second connection is what became of the message (POOL-03)."""
        for end in ENDS:
            host = FakeSmarthost({"MAIL": [None, end, end]})
            world = World(host)
            world.attempt()
            self.assertRegex(world.attempt()[0], r"\A4(51 4\.4\.2|21 4\.3\.2) .*\(MAIL\)\Z")
            self.assertEqual((world.connections, len(host.messages)), (2, 1))
            self.assertEqual(world.attempt(), [TAKEN])

    def test_half_open(self) -> None:
        """A host that vanished is noticed before a message depends on it (POOL-04)."""
        world = World(timeouts=Timeouts(idle=3600, age=3600))
        self.assertEqual(world.attempt(), [TAKEN])
        wire = world.reactor.network.wires[0]
        wire.up.stall()
        wire.down.stall()
        world.reactor.advance(1800)
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), 1805)
        self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_unsolicited(self) -> None:
        """Anything said while nothing was asked ends the connection (POOL-05)."""
        for octets in (b"250 ad\r\n", b"x", b"\x15\x03\x03", b"220 hello\r\n250 ok\r\n250 ok\r\n"):
            world = World()
            world.attempt()
            world.host.sessions[0].transport.write(octets)
            world.reactor.flush()
            self.assertEqual(world.attempt(), [TAKEN])
            self.assertEqual((world.connections, len(world.host.messages)), (2, 2))

    def test_exactly_one_copy(self) -> None:
        """However many idle connections die at once, each message is there once (POOL-01)."""
        world = World(pool_size=5)
        for each in [world.begin() for _ in range(20)]:
            world.reactor.wait(each)
        for wire in world.reactor.network.wires:
            wire.cut(Cut.RST)
        running = [world.begin(envelope(f"s{number}@example.net")) for number in range(30)]
        for each in running:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        names = sorted(message.recipients[0] for message in world.host.messages[20:])
        self.assertEqual(names, sorted(f"s{number}@example.net" for number in range(30)))
        self.assertEqual(world.stop(), ())

    def test_pipelining_lie(self) -> None:
        """A host that drops what follows MAIL is asked anew in lock-step, once (PEER-19)."""
        ignoring = ScriptedPeer(
            [*hello(*USUAL), "C: MAIL FROM:<a@example.org>", "S: 250 ok", Stall()],
            [
                *hello(*USUAL),
                *("C: MAIL FROM:<a@example.org>", "S: 250 ok"),
                *("C: RCPT TO:<b@example.net>", "S: 550 5.1.1 no", "C: RSET", "S: 250 ok"),
            ],
        )
        world = World(ignoring)
        self.assertEqual(world.attempt(), ["550 5.1.1 no (RCPT)"])
        ignoring.verify()

    def test_pipelining_lie_twice(self) -> None:
        """There is no third try."""
        host = FakeSmarthost({"RCPT": [(Close(), Stall())] * 3})
        world = World(host)
        self.assertRegex(world.attempt()[0], r"\A451 4\.4\.2 .*\(RCPT\)\Z")
        self.assertEqual(world.connections, 2)

    def test_idle_expiry(self) -> None:
        """An idle connection says QUIT after 60 seconds, and a message then begun has a new one."""
        host = FakeSmarthost({"QUIT": lambda _: (Wait(3), "221 bye", Close())})
        world = World(host)
        world.attempt()
        world.reactor.advance(60)
        self.assertEqual(host.sessions[0].commands[-1], "QUIT")
        self.assertEqual(world.attempt(), [TAKEN])  # POOL-11
        self.assertEqual(world.reactor.seconds(), 60)
        self.assertEqual(host.sessions[0].commands.count("DATA"), 1)

    def test_nobody_waits_for_quit(self) -> None:
        """A host that never answers QUIT delays no message (PEER-35)."""
        host = FakeSmarthost({"QUIT": lambda _: Stall()})
        world = World(host, pool_size=1, limits=Limits(uses=1))
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), 0)
        world.reactor.advance(5)
        self.assertEqual(world.reactor.leftovers().connections, ())

    def test_nobody_waits_for_age(self) -> None:
        """A connection that grew too old while idle delays no message (POOL-08)."""
        world = World(pool_size=1)
        for _ in range(11):
            self.assertEqual(world.attempt(), [TAKEN])
            world.reactor.advance(29)
        before = world.reactor.seconds()
        self.assertEqual(world.attempt(), [TAKEN])
        self.assertEqual(world.reactor.seconds(), before)
        self.assertEqual(world.connections, 2)

    def test_connections_that_take_nothing(self) -> None:
        """A host whose new connections are of no use is not asked again and again (PEER-17)."""
        hi = "".join(f"{line[3:]}\r\n" for line in hello(*USUAL) if line.startswith("S: 250"))
        script: list[str | Step] = [*hello()[:2], Send(hi.encode() + b"250 extra\r\n")]
        world = World(ScriptedPeer(script, script, script))
        running = [world.begin(), world.begin()]
        for each in running:
            error = self.failureOf(world, each)
            self.assertIs(type(error.outcome.verdict), Verdict)
            self.assertEqual(error.outcome.verdict, DEFERRED)
        self.assertEqual(world.connections, 2)
        self.assertEqual(world.stop(), ())

    def failureOf(self, world: World, running: Deferred[Report]) -> RelayError:
        """Return the error of an attempt."""
        try:
            report = world.reactor.wait(running)
        except RelayError as error:
            return error
        raise AssertionError(report)

    def test_poison(self) -> None:
        """A message that breaks our code is alone in that (POOL-14, L10)."""
        world = World(pool_size=1)

        class Poison(Content):
            def blocks(self) -> Any:
                yield b"x"
                raise ZeroDivisionError

        good = [world.begin(), world.begin()]
        bad = world.begin(replace(envelope(), content=Poison(b"x", 1)))
        good.append(world.begin())
        for each in good:
            self.assertEqual(world.reactor.wait(each)[0].verdict, DELIVERED)
        [outcome] = world.reactor.wait(bad)
        self.assertEqual(told(outcome), "451 4.3.0 internal error: ZeroDivisionError (DATA)")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(len(world.host.messages), 3)
        self.assertEqual(world.stop(), ())
