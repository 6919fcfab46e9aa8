# -*- test-case-name: tests.testing.test_names -*-
"""A domain name system in memory, for whoever asks an C{IResolver} of twisted.names.

It is a table of what a recursive name server would answer, and of what is wrong with it::

    names = MemoryNames(
        reactor,
        {
            "example.org": ["MX 10 mx1.example.org", "MX 20 mx2.example.org"],
            "mx1.example.org": ["A 192.0.2.1", "300 AAAA 2001:db8::1"],
            "www.example.org": ["CNAME example.org"],
        },
    )
    names.trouble["mx2.example.org"] = "SERVFAIL"
    names.trouble["mx1.example.org AAAA"] = "SILENCE"

A name that is not in the table does not exist (NXDOMAIN), unless one below it does.  What is there
without records of the type that was asked for is no data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

Records = tuple[list[dns.RRHeader], list[dns.RRHeader], list[dns.RRHeader]]

#: What a name server in trouble says, and the error that a resolver makes of it.
_CODES: Final = {
    "SERVFAIL": DNSServerError,
    "REFUSED": DNSQueryRefusedError,
    "FORMERR": DNSFormatError,
    "NOTIMP": DNSNotImplementedError,
}
_TYPES: Final = {"A": dns.A, "AAAA": dns.AAAA, "CNAME": dns.CNAME, "MX": dns.MX}
_WORDS: Final = {number: word for word, number in _TYPES.items()}
_DEFAULT_TTL: Final = 3600
#: Aliases that are followed before the name server gives up.
_ALIASES: Final = 16


@implementer(IResolver)
class MemoryNames(ResolverBase):
    """Answers from a table, in a later turn.

    @ivar zone: name -> records: C{"MX 10 mx.example"}, C{"60 A 192.0.2.1"}; the number before the
        type is the time to live in seconds.
    @ivar trouble: what is wrong with a name (C{"example.org"}), with one type of it
        (C{"example.org MX"}) or with all (C{""}): C{SERVFAIL}, C{REFUSED}, C{FORMERR}, C{NOTIMP},
        C{TIMEOUT} (after 15 seconds) or C{SILENCE} (no answer ever comes).
    @ivar delay: seconds until an answer.
    @ivar follows: whether an answer holds all that an alias leads to, or only the alias.
    @ivar minimum: of the SOA record that a negative answer has, in seconds; C{None}: it has none.
    @ivar asked: every question, in order: C{"example.org MX"}.
    """

    def __init__(
        self, clock: IReactorTime, zone: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Begin with a table."""
        super().__init__()
        self._clock = clock
        self.zone: dict[str, Sequence[str]] = dict(zone or {})
        self.trouble: dict[str, str] = {}
        self.delay = 0.0
        self.follows = True
        self.minimum: int | None = 600
        self.asked: list[str] = []

    def _lookup(
        self,
        name: bytes,
        cls: int,
        type: int,  # noqa: A002 - named so in Twisted
        timeout: object,
    ) -> Deferred[Records]:
        """Answer a question: what every C{lookup...} of C{IResolver} comes to."""
        question = name.decode().lower().rstrip("."), type
        self.asked.append(f"{question[0]} {_WORDS.get(type, type)}")
        answer: Deferred[Records] = Deferred()
        wrong = self._wrong(*question)
        if wrong == "SILENCE":
            return answer
        if wrong == "TIMEOUT":
            self._clock.callLater(15.0, answer.errback, TimeoutError(question[0]))
        elif wrong:
            self._clock.callLater(self.delay, answer.errback, _CODES[wrong](dns.Message()))
        else:
            message, exists = self._message(*question)
            fire = _positive if exists else _negative
            self._clock.callLater(self.delay, fire, answer, message)
        return answer

    def _wrong(self, name: str, kind: int) -> str | None:
        places = (f"{name} {_WORDS.get(kind, kind)}", name, "")
        return next((self.trouble[each] for each in places if each in self.trouble), None)

    def _message(self, name: str, kind: int) -> tuple[dns.Message, bool]:
        """Return the answer, and whether the name exists."""
        message = dns.Message(answer=1)
        message.answers, exists = self._found(name, kind)
        if not any(each.type == kind for each in message.answers) and self.minimum is not None:
            soa = dns.Record_SOA(minimum=self.minimum)
            message.authority = [dns.RRHeader(name, dns.SOA, dns.IN, self.minimum, soa)]
        if message.answers and not self.follows:
            message.authority = []
        return message, exists

    def _found(self, name: str, kind: int) -> tuple[list[dns.RRHeader], bool]:
        """Return the records that answer a question, and whether its last name exists."""
        found: list[dns.RRHeader] = []
        for _ in range(_ALIASES):
            here = [_record(name, text) for text in self.zone.get(name, ())]
            found += [each for each in here if each.type in (kind, dns.CNAME)]
            aliases: list[Any] = [each.payload for each in here if each.type == dns.CNAME]
            if not aliases or not self.follows:
                below = any(each.endswith(f".{name}") for each in self.zone)
                return found, name in self.zone or below
            name = aliases[0].name.name.decode()
        return found, True


def _positive(answer: Deferred[Records], message: dns.Message) -> None:
    answer.callback((message.answers, message.authority, []))


def _negative(answer: Deferred[Records], message: dns.Message) -> None:
    message.rCode = dns.ENAME
    answer.errback(DNSNameError(message))


def _record(name: str, text: str) -> dns.RRHeader:
    """Return the record that a text of the table stands for.

    @raise ValueError: it is none; the text is named.
    """
    first, *words = text.split()
    ttl = _DEFAULT_TTL
    if first.isdigit():
        ttl, first, *words = int(first), *words
    make: dict[str, Callable[..., Any]] = {
        "A": lambda address: dns.Record_A(address, ttl),
        "AAAA": lambda address: dns.Record_AAAA(address, ttl),
        "CNAME": lambda target: dns.Record_CNAME(target.rstrip("."), ttl),
        "MX": lambda preference, host: dns.Record_MX(int(preference), host.rstrip("."), ttl),
    }
    if first not in make:
        raise ValueError(f"{name}: {text!r} is neither of {', '.join(make)}")
    return dns.RRHeader(name, _TYPES[first], dns.IN, ttl, make[first](*words))
