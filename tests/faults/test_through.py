# -*- test-case-name: tests.faults.test_through -*-
"""Every odd reply of a next hop, and every cut, as the client of the whole relay hears of it.

The relay is assembled from an operator's options; a client brings a message, and waits.  It hears a
success if, and only if, the next hop has said so for the message; a refusal arrives as one, with
its code; all else is to be tried again (OUT-01, L1, L2, L11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.assembly import assemble
from slimtwist.choices import Choices
from slimtwist.runtime import Runtime
from slimtwist.testing import Cut, FakeSmarthost, MemoryReactor
from slimtwist.testing.network import Wire
from tests.edge.world import Visitor
from tests.faults.replies import REPLIES, Odd, expected, table
from tests.faults.tapes import Tape
from tests.faults.test_replies import POINTS, USUAL

MESSAGE = b"S: 1\r\n\r\n.x\r\n"
SAID = b"EHLO c\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n"
#: The codes that a verdict may be told with.
TOLD = {"delivered": "2", "deferred": "4", "failed": "5"}


class Through:
    """One message through the whole relay.

    @ivar reply: what its client heard in the end.
    @ivar copies: how many copies the next hop has.
    @ivar left: what was left when the relay had stopped.
    """

    def __init__(
        self, rules: dict[str, Any], fault: Callable[[Wire], object] = lambda _: None
    ) -> None:
        """Bring it.

        @param rules: what the next hop says.
        @param fault: is given the connection to it before anything passes over it.
        """
        self.reactor = reactor = MemoryReactor(start=1_700_000_000.0)
        self.hop = FakeSmarthost(rules, name="mx")
        reactor.add_host("mx.example", self.hop)
        reactor.network.on_wire = lambda wire: (
            fault(wire) if len(reactor.network.wires) == 2 else None
        )
        runtime = Runtime(reactor, hostname="relay.example", random=Random(1))
        options: dict[str, Any] = {"relay": "smtp:mx.example"}
        service = assemble(Choices(**options), runtime)
        service.privilegedStartService()
        service.startService()
        self.reply = self._talk()
        stopped: Deferred[None] = service.stopService()
        reactor.wait(stopped)
        reactor.advance(6)
        left = reactor.leftovers()
        self.left = left.timers + left.connections + left.producers
        self.copies = sum(each.octets.endswith(MESSAGE) for each in self.hop.messages)

    def _talk(self) -> bytes:
        """Return the reply to the end of the data."""
        endpoint = TCP4ClientEndpoint(self.reactor, "127.0.0.1", 2525)
        visitor: Any = self.reactor.wait(endpoint.connect(Factory.forProtocol(Visitor)))
        visitor.transport.write(SAID)
        self.reactor.flush()
        visitor.octets.clear()
        visitor.transport.write(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        while not visitor.octets and self.reactor.next(before=1_700_000_600.0):
            pass
        visitor.transport.loseConnection()
        self.reactor.flush()
        return bytes(visitor.octets)

    @property
    def last(self) -> str:
        """The last line that was heard."""
        return self.reply.decode("ascii").removesuffix("\r\n").rpartition("\n")[2]

    @property
    def sent(self) -> bool:
        """Whether an end of data has left."""
        return any(b"\r\n.\r\n" in wire.up.tape for wire in self.reactor.network.wires[1:])

    def wrongs(self, verdict: str) -> list[str]:
        """Return what is wrong, if this is what became of the message."""
        found = [f"left: {each}" for each in self.left]
        lines = self.reply.splitlines(keepends=True)
        if not self.last.startswith(TOLD[verdict.rstrip("?")]):
            found.append(f"the client heard {self.reply!r}, and not that it is {verdict}")
        if not all(line.endswith(b"\r\n") and len(line) <= 512 for line in lines):
            found.append("the client heard what is no reply")
        if len({line[:3] for line in lines}) != 1 or not self.reply.isascii():
            found.append("the client heard more than one reply")
        if ("more than once" in self.reply.decode()) != verdict.endswith("?"):
            found.append("the client heard of an end that may be a success, or did not")
        if verdict == "delivered" and self.copies != 1:
            found.append(f"{self.copies} copies")
        if not verdict.endswith(("?", "delivered")) and self.copies:
            found.append(f"{self.copies} copies")
        return found


def answered() -> Iterator[str]:
    """Let the next hop answer oddly, and yield what is wrong."""
    cells = {**table("lock-step"), **table("pipelined")}
    for name in ("greeting", "EHLO", "MAIL", "RCPT 1", "DATA", "end of data"):
        for odd in REPLIES:
            command = POINTS[name].command
            usual = USUAL.get(command, "250-mx\n250 PIPELINING")
            same = odd.code is not None and str(odd.code) == usual[:3]
            verdict = expected(cells["usual" if same else odd.kind, name])[0]
            through = Through({command: [odd.filled(usual)]})
            if (odd.kind, name) == ("usual and reset", "DATA") and not through.sent:
                verdict = "deferred"  # here the message is more than one block
            wrong = through.wrongs(verdict) + _wrong_code(through, name, odd)
            if wrong:
                yield f"{name} answered {str(odd.parts)[:80]}: {wrong}"


def _wrong_code(through: Through, name: str, odd: Odd) -> list[str]:
    """Check that a refusal arrives as it was said, but where it is one of ours (L11, PEER-08)."""
    if odd.code is None or odd.code < 400 or name in ("greeting", "EHLO"):
        return []
    return [] if through.last.startswith(str(odd.code)) else [f"the client heard {through.last}"]


def cuts(how: Cut) -> Iterator[str]:
    """Cut the connection to the next hop at each octet of what it says, and yield what is wrong."""
    usual = Through({".": "250 taken"})
    tape = bytes(usual.reactor.network.wires[1].down.tape)
    [(asked, [end])] = Tape.of(tape).answers(1)
    for offset in range(len(tape) + 1):

        def cut(wire: Wire, offset: int = offset) -> None:
            wire.down.cut(offset, how)

        through = Through({".": "250 taken"}, cut)
        verdict = "delivered" if offset >= end else "deferred?" if offset > asked else "deferred"
        again = through.last.startswith("2") and len(through.hop.sessions) == 2
        if wrong := through.wrongs("delivered" if again and verdict == "deferred" else verdict):
            yield f"{how.value} at {offset}: {wrong}"


class ThroughTests(SynchronousTestCase):
    """OUT-01, OUT-07, L1, L2, L4, L11."""

    def check(self, complaints: Iterator[str]) -> None:
        """Check that nothing is wrong."""
        if wrong := next(complaints, None):
            self.fail(wrong)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_replies(self) -> None:
        """Each reply of the next hop is replaced by each odd one (OUT-01)."""
        self.check(answered())

    def test_fin(self) -> None:
        """The next hop ends the connection at each octet that it says (OUT-07)."""
        self.check(cuts(Cut.FIN))

    def test_rst(self) -> None:
        """The next hop resets the connection at each octet that it says (OUT-07)."""
        self.check(cuts(Cut.RST))
