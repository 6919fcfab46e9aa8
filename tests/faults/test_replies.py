# -*- test-case-name: tests.faults.test_replies -*-
"""Every reply of a dialogue is replaced by every odd one, and the outcome compared with a table.

Beside what the table says of the message, each run is held to the laws: nobody is delivered whose
message the host has not stored, a refusal arrives with its own code, the next message is delivered
as if nothing had been, and nothing is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.errors import RelayError
from slimtwist.interfaces import IRelay
from slimtwist.outcome import Outcome, Verdict
from slimtwist.relay.smtp.mx import MxSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.smtp.auth import Credentials
from slimtwist.testing import FakeSmarthost, MemoryNames, MemoryReactor
from slimtwist.testing.network import Wire
from tests.faults.fuzz import segments
from tests.faults.replies import REPLIES, Odd, expected, table
from tests.smtp.talks import listen, runtime, static

USUAL = {
    "GREETING": "220 mx ESMTP",
    "STARTTLS": "220 go",
    "AUTH": "235 welcome",
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go",
    ".": "250 taken",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}
TEXTS = (
    b"Subject: before\r\n\r\nx\r\n",
    b"Subject: x\r\n\r\nx\r\n",
    b"Subject: after\r\n\r\nx\r\n",
)
PIPELINING = ("PIPELINING", "8BITMIME")
#: Refusals at these points are about us, not about a message, and keep no code (PEER-08).
_OURS = {"greeting", "EHLO", "LHLO", "EHLO in TLS", "AUTH", "STARTTLS, required", "RSET", "QUIT"}


@dataclass(frozen=True)
class Point:
    """A reply that is replaced.

    @ivar name: what the tables call it.
    @ivar command: what it answers.
    @ivar number: which of its kind it is, from 0, in the message in question.
    @ivar each: how many of its kind a message before it has had.
    """

    name: str
    command: str
    number: int = 0
    each: int = 1


POINTS = {
    point.name: point
    for point in (
        Point("greeting", "GREETING"),
        Point("EHLO", "EHLO"),
        Point("LHLO", "LHLO"),
        Point("STARTTLS, required", "STARTTLS"),
        Point("STARTTLS, if offered", "STARTTLS"),
        Point("EHLO in TLS", "EHLO", 1),
        Point("AUTH", "AUTH"),
        Point("MAIL", "MAIL"),
        Point("RCPT 1", "RCPT", 0, 2),
        Point("RCPT 2", "RCPT", 1, 2),
        Point("DATA", "DATA"),
        Point("end of data", "."),
        Point("end of data 1", ".", 0, 2),
        Point("end of data 2", ".", 1, 2),
        Point("RSET", "RSET"),
        Point("QUIT", "QUIT"),
    )
}


@dataclass(frozen=True)
class Way:
    """A way to talk to a host.

    @ivar table: the tables' name for it.
    @ivar keywords: what the host offers.
    @ivar options: of the relay.
    @ivar before: how many messages went over the connection before.
    @ivar exchangers: whether another host is there for what this one does not take.
    @ivar split: whether each octet arrives alone.
    """

    table: str
    keywords: tuple[str, ...] = PIPELINING
    options: dict[str, Any] = field(default_factory=dict)
    before: int = 0
    exchangers: bool = False
    split: bool = False

    def at(self, point: Point) -> Way:
        """Return the way that comes by a point."""
        if point.name in ("STARTTLS, required", "EHLO in TLS"):
            return Way(self.table, ("STARTTLS",), {"tls": "encrypt"})
        if point.name == "STARTTLS, if offered":
            return Way(self.table, ("STARTTLS",), {"tls": "opportunistic"})
        if point.name == "AUTH":
            login = {"credentials": Credentials("joe", "secret"), "auth_insecure": True}
            return Way(self.table, (), login)
        return self


WAYS = {
    "lock_step": Way("lock-step", ()),
    "pipelined": Way("pipelined"),
    "used_lock_step": Way("used", (), before=1),
    "used_pipelined": Way("used", before=1),
    "lmtp": Way("lmtp", options={"lmtp": True}),
    "exchangers": Way("exchangers", exchangers=True),
    "split": Way("pipelined", split=True),
}


class Run:
    """A message to two, of which one reply is odd, and one more message after it.

    @ivar outcomes: of the message in question.
    @ivar after: of the one after it.
    @ivar left: what was left in the end.
    """

    def __init__(self, way: Way, point: Point, odd: Odd) -> None:
        """Deliver them all."""
        self.reactor = MemoryReactor()
        way = way.at(point)
        if way.split:
            self.reactor.network.on_wire = _split
        self.hosts = [self._host(way, self._rules(way, point, odd))]
        self.relay = self._exchangers(way) if way.exchangers else self._static(way)
        for number in range(way.before):
            self.attempt(number)
        self.outcomes = self.attempt(1)
        self.after = self.attempt(2)
        self.reactor.wait(self.relay.stop())
        self.reactor.advance(6)
        left = self.reactor.leftovers()
        self.left = left.timers + left.connections + left.producers

    def _rules(self, way: Way, point: Point, odd: Odd) -> dict[str, Any]:
        usual = USUAL.get(point.command) or _hello(way.keywords)
        rules: dict[str, Any] = {}
        if point.name == "RSET":  # which follows a message that was not taken
            rules["."] = ["550 no"]
        skipped = way.before * point.each + point.number
        rules[point.command] = [None] * skipped + [odd.filled(usual)]
        return rules

    def _host(self, way: Way, rules: dict[str, Any]) -> FakeSmarthost:
        users = {"joe": "secret"} if "credentials" in way.options else None
        lmtp = way.options.get("lmtp", False)
        return FakeSmarthost(rules, way.keywords, name="mx", lhlo=lmtp, users=users)

    def _static(self, way: Way) -> IRelay:
        listen(self.reactor, self.hosts[0], lmtp=way.options.get("lmtp", False))
        relay: IRelay = static(self.reactor, **way.options)
        return relay

    def _exchangers(self, way: Way) -> IRelay:
        """Let there be another host, which is asked after the first."""
        self.hosts.append(self._host(way, {}))
        names = MemoryNames(self.reactor)
        for number, host in enumerate(self.hosts):
            address = f"203.0.113.{number + 1}"
            names.zone[f"mx{number}.example"] = [f"A {address}"]
            self.reactor.listenTCP(25, host, interface=address)
        names.zone["example.net"] = ["MX 10 mx0.example", "MX 20 mx1.example"]
        known = runtime(self.reactor)
        return MxSmtpRelay(runtime=Runtime(self.reactor, known.hostname, known.random, names))

    def attempt(self, number: int) -> tuple[Outcome, ...]:
        """Deliver a message, and return what became of its recipients."""
        names = [f"r{place}@example.net" for place in (1, 2)]
        message = Envelope.parse("a@example.org", names, TEXTS[number])
        try:
            outcomes = self.reactor.wait(self.relay.attempt(message, 0), 3600).outcomes
        except RelayError as error:
            outcomes = (error.outcome,) * 2
        self.reactor.flush()
        return outcomes

    def copies(self, number: int, place: int) -> int:
        """Return how many copies of a message the hosts have for a recipient."""
        taken = chain.from_iterable(host.messages for host in self.hosts)
        whose = f"r{place + 1}@example.net"
        return sum(each.recipients.count(whose) for each in taken if each.octets == TEXTS[number])


def _split(wire: Wire) -> None:
    wire.up.segment = wire.down.segment = segments


def _hello(keywords: tuple[str, ...]) -> str:
    lines = ["mx", *keywords]
    return "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])


def _told(outcome: Outcome) -> str:
    return f"{outcome.verdict.value}{'?' * outcome.ambiguous}"


def runs(way: Way) -> Iterator[tuple[Point, Odd, str]]:
    """Yield each point of a way with each odd reply, and what the table says of both."""
    cells = table(way.table)
    for point in dict.fromkeys(point for _, point in cells):
        for odd in REPLIES:
            usual = USUAL.get(POINTS[point].command, "250")[:3]
            same = odd.code is not None and str(odd.code) == usual
            cell = cells["usual" if same else odd.kind, point]
            if cell != "-" and not (way.split and not _may_split(odd)):
                yield POINTS[point], odd, cell


def _may_split(odd: Odd) -> bool:
    """Tell whether a reply may come octet by octet.

    What comes too much is seen when it has come, and when that is, is open then; and what is very
    long costs time only.
    """
    return " and " not in odd.kind and len(str(odd.parts)) < 1000


class ReplyTests(SynchronousTestCase):
    """PEER-01 to PEER-48, PEER-52, POOL-01, LMTP-01 to LMTP-13, L1 to L4, L10 to L12."""

    def run_all(self, name: str) -> None:
        """Make all runs of one way."""
        if wrong := next(complaints(name), None):
            self.fail(wrong)
        self.assertEqual(self.flushLoggedErrors(), [])


def complaints(name: str) -> Iterator[str]:
    """Make the runs of one way, and yield what is wrong."""
    for point, odd, cell in runs(WAYS[name]):
        run = Run(WAYS[name], point, odd)
        if wrong := wrongs(run, point, odd, cell):
            yield f"{name}, {point.name} answered {str(odd.parts)[:80]}: {wrong}"


def wrongs(run: Run, point: Point, odd: Odd, cell: str) -> list[str]:
    """Return what is wrong with a run."""
    wanted = ["failed"] * 2 if point.name == "RSET" else expected(cell)
    given = [_told(outcome) for outcome in run.outcomes]
    found = [f"left: {each}" for each in run.left]
    if given != wanted:
        found.append(f"{given}, and not {wanted}: {run.outcomes[0].reply}")
    for number, outcomes in ((1, run.outcomes), (2, run.after)):
        copies = [run.copies(number, place) for place in range(2)]
        fit = [
            count == 1 if outcome.verdict is Verdict.DELIVERED else count <= outcome.ambiguous
            for count, outcome in zip(copies, outcomes, strict=True)
        ]
        if not all(fit):
            found.append(f"{copies} copies of message {number}")
    if [_told(outcome) for outcome in run.after] != ["delivered"] * 2:
        found.append(f"the message after it: {[str(each.reply) for each in run.after]}")
    if odd.code is not None and point.name not in _OURS:
        found += _wrong_code(run, odd.code)
    return found


def _wrong_code(run: Run, code: int) -> list[str]:
    """Check that a refusal arrives with its own code (L11)."""
    verdict = {4: Verdict.DEFERRED, 5: Verdict.FAILED}.get(code // 100)
    refused = [each for each in run.outcomes if each.verdict is verdict and not each.ambiguous]
    codes = {each.reply.code for each in refused}
    return [f"refused with {codes}, and not {code}"] if codes - {code} else []


def _test(name: str) -> None:
    """Add the test of one way."""

    def test(self: ReplyTests) -> None:
        self.run_all(name)

    test.__name__ = f"test_{name}"
    test.__doc__ = f"Each reply of the dialogue {name} replaced by each odd one (PEER-52)."
    setattr(ReplyTests, test.__name__, test)


for _name in WAYS:
    _test(_name)
