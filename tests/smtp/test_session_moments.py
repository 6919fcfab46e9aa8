# -*- test-case-name: tests.smtp.test_session_moments -*-
"""Dialogues under every split of what the host says, and broken off at every octet of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import AttemptCancelled, RelayError
from slimtwist.outcome import Verdict
from slimtwist.smtp.session import Session
from slimtwist.testing import Close, Cut, Ended, Send, StartTls, Wire
from slimtwist.testing.steps import Step
from tests.smtp.dialogues import (
    BYE,
    GREETING,
    INSECURE,
    PASSWORD,
    STARTTLS,
    Dialogue,
    World,
    ehlo,
    policy,
)

LOGIN: list[str | Step] = [
    "C: AUTH LOGIN",
    "S: 334 VXNlcm5hbWU6",
    "C: am9l",
    "S: 334 UGFzc3dvcmQ6",
    "C: c2VjcmV0",
    "S: 235 2.7.0 ok",
]
#: Dialogues that end in a session.
SESSIONS = {
    "plain": Dialogue(([*GREETING, *ehlo("PIPELINING", "SIZE 5"), *BYE],)),
    "long greeting": Dialogue(([Send(b"220-a\n220-\xff\r\n220\n"), *ehlo(), *BYE],)),
    "HELO": Dialogue(
        ([*GREETING, "C: EHLO ...", "S: 502 what", "C: HELO ...", "S: 250 mx", *BYE],)
    ),
    "LMTP": Dialogue(
        ([*GREETING, "C: LHLO ...", "S: 250-mx", "S: 250 DSN", *BYE],), {"lmtp": True}
    ),
    "TLS and login": Dialogue(
        ([*GREETING, *ehlo("STARTTLS"), *STARTTLS, *ehlo("AUTH LOGIN"), *LOGIN, *BYE],),
        {"credentials": PASSWORD},
    ),
    "TLS first": Dialogue(
        ([StartTls(), *GREETING, *ehlo("DSN"), *BYE],), {"tls": policy("encrypt", first=True)}
    ),
    "TLS refused": Dialogue(
        ([*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", "S: 454 4.7.0 no", *BYE],)
    ),
    "TLS broken": Dialogue(
        (
            [*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", "S: 220 go", Close()],
            [*GREETING, *ehlo("STARTTLS"), *BYE],
        )
    ),
}
#: Dialogues that end in an error.
ERRORS = {
    "greeting refused": Dialogue(
        (["S: 554-5.7.1 go", "S: 554 5.7.1 away", *BYE],),
        ends="451 4.7.1 greeting refused: 554 5.7.1 go away (greeting)",
    ),
    "goodbye": Dialogue(
        ([*GREETING, "C: EHLO ...", "S: 421-4.3.2 a", "S: 421 4.3.2 b", Ended()],),
        ends="421 4.3.2 a b (EHLO)",
    ),
    "no mail here": Dialogue((["S: 521 5.3.2 no", *BYE],), ends="521 5.3.2 no (greeting)"),
    "no SMTP": Dialogue(
        ([Send(b"HTTP/1.1 400 Bad\r\n"), Ended()],),
        ends="451 4.5.0 protocol error: no reply code in 'HTTP/1.1 400 Bad' (greeting)",
    ),
    "different codes": Dialogue(
        ([*GREETING, "C: EHLO ...", Send(b"250-mx\r\n550 no\r\n"), Ended()],),
        ends="451 4.5.0 protocol error: the lines of a reply have different codes (EHLO)",
    ),
    "TLS required": Dialogue(
        ([*GREETING, *ehlo("STARTTLS"), "C: STARTTLS", "S: 454 4.7.0 no", *BYE],),
        {"tls": policy("encrypt")},
        ends="451 4.7.4 TLS is required: STARTTLS refused: 454 4.7.0 no (STARTTLS)",
    ),
    "login refused": Dialogue(
        ([*GREETING, *ehlo("AUTH LOGIN"), *LOGIN[:-1], "S: 535 5.7.8 no", *BYE],),
        {"credentials": PASSWORD} | INSECURE,
        ends="451 4.7.8 AUTH refused: 535 5.7.8 no (AUTH)",
    ),
    "login nonsense": Dialogue(
        ([*GREETING, *ehlo("AUTH CRAM-MD5"), "C: AUTH CRAM-MD5", "S: 334 !", Ended()],),
        {"credentials": PASSWORD} | INSECURE,
        ends="451 4.7.0 authentication failed: CRAM-MD5: Only base64 data is allowed (AUTH)",
    ),
}
ALL = SESSIONS | ERRORS
#: No wait of a session is longer than 300 s; this many of them are the longest dialogue.
BOUND = 300 * 4 + 60


def split_at(offset: int) -> Callable[[bytes], Iterator[bytes]]:
    """Return what splits a stream at an offset."""
    position = 0

    def segment(octets: bytes) -> Iterator[bytes]:
        nonlocal position
        cut = min(max(offset - position, 0), len(octets))
        position += len(octets)
        return iter([octets[:cut], octets[cut:]])

    return segment


def split(wire: Wire, offset: int) -> None:
    """Let the host's octets come in two parts."""
    wire.down.segment = split_at(offset)
    wire.down.spacing = 0.01


def drip(wire: Wire) -> None:
    """Let the host's octets come one by one."""
    wire.down.segment = lambda octets: (octets[i : i + 1] for i in range(len(octets)))
    wire.down.spacing = 0.1


def stall(wire: Wire, offset: int) -> None:
    """Let nothing of the host's come after so many octets."""
    wire.down.stall(offset)


def cut(wire: Wire, offset: int, how: Cut) -> None:
    """End the connection after so many octets of the host's."""
    wire.down.cut(offset, how)


def narrow(wire: Wire, window: int) -> None:
    """Let the host read only so many octets."""
    wire.up.window = window


def octets_of(dialogue: Dialogue) -> int:
    """Return how many octets the host says at most on one connection up to the end."""
    world = dialogue.world()
    world.finish_opening()
    return max(wire.down.arrived for wire in world.reactor.network.wires)


def each_wire(world: World, prepare: Callable[[Wire], object]) -> None:
    """Do something with each connection before anything passes over it."""
    world.reactor.network.on_wire = prepare


class SplitTests(SynchronousTestCase):
    """What a host says means the same, however the network cuts it."""

    def test_whole(self) -> None:
        """The dialogues end as they should."""
        for name, dialogue in ALL.items():
            ended, said = dialogue.play()
            self.assertEqual(ended, dialogue.ends, name)
            self.assertTrue(said)

    def test_two_segments(self) -> None:
        """Every split into two segments gives the same transcript and outcome."""
        for name, dialogue in ALL.items():
            whole = dialogue.play()
            for offset in range(1, octets_of(dialogue)):
                parts = dialogue.play(partial(each_wire, prepare=partial(split, offset=offset)))
                self.assertEqual(parts, whole, (name, offset))

    def test_single_octets(self) -> None:
        """So do replies that drip octet by octet."""
        for name, dialogue in ALL.items():
            dripped = dialogue.play(partial(each_wire, prepare=drip))
            self.assertEqual(dripped, dialogue.play(), name)


class BrokenOffTests(SynchronousTestCase):
    """L3, L2: broken off anywhere, a dialogue ends once, in time, as something to try again."""

    def each_offset(self, name: str) -> Iterator[tuple[int, World, list[Wire]]]:
        """Yield each offset of a dialogue with its world anew, and the wires made in it."""
        for offset in range(octets_of(SESSIONS[name])):
            world = SESSIONS[name].world()
            yield offset, world, world.reactor.network.wires

    def check(self, world: World, what: object) -> None:
        """Check how it ended."""
        (result,) = world.results
        if isinstance(result, Failure):
            error = result.value
            assert isinstance(error, RelayError), (what, result)
            self.assertIs(error.outcome.verdict, Verdict.DEFERRED, what)
            self.assertFalse(error.outcome.ambiguous, what)
            self.assertIsNotNone(error.outcome.command, what)
            self.assertTrue(error.outcome.host, what)
        else:
            assert isinstance(result, Session)
            result.channel.close()
        world.reactor.advance(10)
        self.assertEqual(len(world.results), 1)
        self.assertEqual(world.left(), "", what)

    def test_cut(self) -> None:
        """PEER-05, TLS-10: an end of the connection after any octet, by FIN, RST or half-close."""
        for name in SESSIONS:
            for how in Cut:
                for offset, world, wires in self.each_offset(name):
                    each_wire(world, partial(cut, offset=offset, how=how))
                    world.finish_opening()
                    self.assertLess(world.reactor.seconds(), 1)
                    self.assertGreater(len(wires), 0)
                    self.check(world, (name, how, offset))

    def test_silent(self) -> None:
        """PEER-01, L7: silence after any octet ends at a deadline."""
        for name in SESSIONS:
            for offset, world, _ in self.each_offset(name):
                each_wire(world, partial(stall, offset=offset))
                world.finish_opening()
                self.assertLess(world.reactor.seconds(), BOUND)
                self.check(world, (name, offset))

    def test_cancelled(self) -> None:
        """OS-14: cancelled after any octet it ends at once, leaves nothing, and is called that."""
        for name in SESSIONS:
            for offset, world, wires in self.each_offset(name):
                each_wire(world, partial(stall, offset=offset))
                opened = world.start()
                world.reactor.advance(1)
                if not world.results:
                    made = len(wires)
                    opened.cancel()
                    self.assertIs(type(world.error()), AttemptCancelled, (name, offset))
                    self.assertEqual((world.reactor.seconds(), len(wires)), (1, made))
                self.check(world, (name, offset))

    def test_deaf(self) -> None:
        """L7: a host that says all, and reads nothing, is left at a deadline."""
        for name, dialogue in SESSIONS.items():
            for window in range(0, 60, 7):
                world = dialogue.world()
                each_wire(world, partial(narrow, window=window))
                world.finish_opening()
                self.assertLess(world.reactor.seconds(), BOUND)
                self.check(world, (name, window))
