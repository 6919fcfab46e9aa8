# -*- test-case-name: tests.simulation.test_reading -*-
"""The domain name system of a run: what zones hold, what is wrong with them, what was answered.

It is a resolver as C{IResolver} has it, made for the simulator: it shares nothing with
L{slimtwist.dns}, which reads its answers, nor with L{slimtwist.testing.MemoryNames}, which knows
neither faults that are counted nor answers that are odd, and writes nothing down.  Each answer is
kept with the moment in which it was given; L{tests.simulation.reading} says what it means.

Sources: RFC 1035 3.2 and 3.3, RFC 2308 2 (what an answer without data looks like).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.defer import Deferred, TimeoutError  # noqa: A004 - what resolvers fail with
from twisted.internet.interfaces import IReactorTime, IResolver
from twisted.names import dns
from twisted.names.common import ResolverBase
from twisted.names.error import (
    DNSFormatError,
    DNSNameError,
    DNSNotImplementedError,
    DNSQueryRefusedError,
    DNSServerError,
)
from zope.interface import implementer

#: Answer, authority and additional records.
Sections = tuple[list[dns.RRHeader], list[dns.RRHeader], list[dns.RRHeader]]

#: What fails at once, and with what.
_FAILURES: Final[dict[str, Callable[[dns.Message], Exception]]] = {
    "SERVFAIL": DNSServerError,
    "REFUSED": DNSQueryRefusedError,
    "FORMERR": DNSFormatError,
    "NOTIMP": DNSNotImplementedError,
    "OSERROR": lambda _: OSError("network is unreachable"),
}
#: What is wrong without being trouble: C{slow} is followed by seconds.
ODD: Final = ("NXDOMAIN", "empty", "other name", "other class", "first only")
TROUBLE: Final = (*_FAILURES, "TIMEOUT", "SILENCE", "raises", "nonsense")
_TIMEOUT: Final = 45.0
#: Aliases that a recursive server follows.
_LINKS: Final = 16
_NUMBERS: Final = {"A": dns.A, "AAAA": dns.AAAA, "CNAME": dns.CNAME, "MX": dns.MX}
_WORDS: Final = {number: word for word, number in _NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Record:
    """A record.

    @ivar ttl: its time to live in seconds.
    @ivar data: an address, a name, or preference and name of an exchanger.
    """

    name: str
    ttl: int
    kind: str
    data: str

    @classmethod
    def parse(cls, line: str) -> Record:
        """Return the record that a line such as C{d1.example 300 MX 10 mx1.example} stands for."""
        name, ttl, kind, data = line.split(" ", 3)
        return cls(name, int(ttl), kind, data)


@dataclass(slots=True)
class Answer:
    """A question, and what was answered.

    @ivar given: when; C{None}: never.
    @ivar trouble: whether it failed.
    @ivar missing: whether it says that there is no such name.
    @ivar records: its answer section.
    @ivar negative: seconds for which its SOA record lets be believed that there is nothing; C{None}
        for an answer without one.
    """

    name: str
    kind: str
    asked: float
    given: float | None = None
    trouble: bool = False
    missing: bool = False
    records: tuple[Record, ...] = ()
    negative: int | None = None


@implementer(IResolver)
class Zones(ResolverBase):
    """Answers questions.

    @ivar answers: all that were asked, in order.
    @ivar faults: by question (C{d1.example MX}) or name, how often it is wrong, and how.
    @ivar injected: called with each fault that takes effect.
    """

    def __init__(
        self, clock: IReactorTime, lines: Iterable[str], *, follows: bool = True, minimum: int = 600
    ) -> None:
        """Take over the records of all zones.

        @param follows: whether an answer holds all that an alias leads to, or only the alias.
        @param minimum: of SOA records, in seconds.
        """
        super().__init__()
        self._clock = clock
        self._records = [Record.parse(line) for line in lines]
        self._follows = follows
        self._minimum = minimum
        self.answers: list[Answer] = []
        self.faults: dict[str, list[list[Any]]] = {}
        self.injected: Any = lambda: None

    def replace(self, name: str, lines: Iterable[str]) -> None:
        """Let a name have other records from now on."""
        others = [each for each in self._records if each.name != name]
        self._records = [*others, *map(Record.parse, lines)]

    def _lookup(
        self,
        name: bytes,
        cls: int,
        type: int,  # noqa: A002 - named so in Twisted
        timeout: object,
    ) -> Deferred[Sections]:
        """Answer a question: what every C{lookup...} of C{IResolver} comes to."""
        answer = Answer(name.decode().lower(), _WORDS[type], self._clock.seconds())
        self.answers.append(answer)
        wrong = self._due(answer)
        result: Deferred[Sections] = Deferred()
        if wrong == "raises":
            answer.given, answer.trouble = answer.asked, True
            raise OSError("no sockets left")
        if wrong == "SILENCE":
            return result
        word, _, seconds = wrong.partition(" ")
        wait = float(seconds) if word == "slow" else _TIMEOUT if wrong == "TIMEOUT" else 0.0
        outcome = self._prepare(answer, wrong)
        self._clock.callLater(wait, self._give, answer, result, outcome)
        return result

    def _give(self, answer: Answer, result: Deferred[Sections], outcome: object) -> None:
        answer.given = self._clock.seconds()
        if isinstance(outcome, Exception):
            result.errback(outcome)
        else:
            result.callback(outcome)  # type: ignore[arg-type]

    def _due(self, answer: Answer) -> str:
        for place in (f"{answer.name} {answer.kind}", answer.name):
            for entry in self.faults.get(place, ()):
                if entry[0] > 0:
                    entry[0] -= 1
                    self.injected()
                    return str(entry[1])
        return ""

    def _prepare(self, answer: Answer, wrong: str) -> object:
        """Return what a question comes to, and write it down."""
        if wrong == "TIMEOUT" or wrong in _FAILURES or wrong == "nonsense":
            answer.trouble = True
            if wrong == "nonsense":
                return None
            return TimeoutError() if wrong == "TIMEOUT" else _FAILURES[wrong](dns.Message())
        if wrong != "empty":
            self._look(answer, wrong)
        message = dns.Message(answer=1)
        message.answers = [_header(each, odd=wrong) for each in answer.records]
        if wrong in ("other name", "other class"):
            answer.records = ()
        if answer.negative is not None:
            soa = dns.Record_SOA(minimum=answer.negative)
            message.authority = [dns.RRHeader("example", dns.SOA, dns.IN, 3600, soa)]
        if answer.missing:
            message.rCode = dns.ENAME
            return DNSNameError(message)
        return message.answers, message.authority, []

    def _look(self, answer: Answer, wrong: str) -> None:
        """Look up what the zones hold."""
        found: list[Record] = []
        name, known = answer.name, False
        for _ in range(_LINKS):
            here = [each for each in self._records if each.name == name]
            known = bool(here) or any(each.name.endswith(f".{name}") for each in self._records)
            mine = [each for each in here if each.kind in (answer.kind, "CNAME")]
            found += mine
            alias = next((each for each in here if each.kind == "CNAME"), None)
            if alias is None or not self._follows:
                break
            name = alias.data
        if wrong == "NXDOMAIN":
            found, known = [], False
        whole = any(each.kind == answer.kind for each in found)
        answer.missing = not known
        answer.records = tuple(found[:1] if wrong == "first only" else found)
        if not whole and (self._follows or not found):
            answer.negative = self._minimum


def _header(record: Record, *, odd: str) -> dns.RRHeader:
    make: dict[str, Any] = {
        "A": dns.Record_A,
        "AAAA": dns.Record_AAAA,
        "CNAME": dns.Record_CNAME,
        "MX": lambda data, ttl: dns.Record_MX(int(data.split()[0]), _name(data.split()[1]), ttl),
    }
    name = "other.example" if odd == "other name" else record.name
    kind = dns.CH if odd == "other class" else dns.IN
    payload = make[record.kind](record.data, record.ttl)
    return dns.RRHeader(name, _NUMBERS[record.kind], kind, record.ttl, payload)


def _name(text: str) -> str:
    return "" if text == "." else text
