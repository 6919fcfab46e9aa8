# -*- test-case-name: tests.simulation.test_defects -*-
"""Defects of delivery to exchangers, and of what is made of name servers' answers."""

# ruff: noqa: ANN401, ARG001, ARG005 - what is put in the place of something takes what that takes

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from slimtwist import dns
from slimtwist.dns import Names, NameTrouble
from slimtwist.errors import PermanentRelayError
from slimtwist.exchangers import Exchanger, Exchangers
from slimtwist.networks import Networks
from slimtwist.outcome import Report, Verdict
from slimtwist.relay.smtp import delivery
from slimtwist.relay.smtp.delivery import _Group
from slimtwist.together import side_by_side
from tests.simulation.defects import Aim, defect, put, towards
from tests.simulation.plan import Fault, Plan

_HOSTS = ("mx1.example 300 A 192.0.2.10", "mx2.example 300 A 192.0.2.20")
_TWO = (*_HOSTS, "d1.example 300 MX 10 mx1.example", "d1.example 300 MX 20 mx2.example")
_EQUAL = (*_HOSTS, "d1.example 300 MX 10 mx1.example", "d1.example 300 MX 10 mx2.example")
_SHARED = ("also.example 300 A 192.0.2.10", "d1.example 300 MX 20 also.example", *_TWO[::2])
_SEVEN = tuple(f"d1.example 300 MX 10 n{each}.example" for each in range(7))


def _among(records: tuple[str, ...], *faults: Fault, recipients: int = 1, **settings: Any) -> Aim:
    """Return an aim: these are the records, and message 0 is for people at C{d1.example}."""
    aim = towards(*faults, recipients=recipients, **settings)

    def aimed(plan: Plan) -> Plan:
        return replace(aim(plan), records=records)

    return aimed


@defect(
    "the next exchanger is asked after an end that may have been a success",
    "MX final",
    "mx",
    _among(_TWO, Fault("reply", "end of data m0", at=1, value="close")),
)
def _asked_again() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda outcome: outcome.ambiguous or there(outcome)

    with put(delivery, "try_next_host", make):
        yield


@defect(
    "one who was refused for good is named to the next exchanger",
    "MX final",
    "mx",
    _among(_TWO, Fault("reply", "RCPT m0r0", at=1, value="550")),
)
def _refused_again() -> Iterator[None]:
    def make(there: Any) -> Any:
        def try_next(outcome: Any) -> Any:
            refused = outcome.verdict is Verdict.FAILED and outcome.command == "RCPT"
            return refused or there(outcome)

        return try_next

    with put(delivery, "try_next_host", make):
        yield


@defect("a name server's trouble is that there is no such name", "MX zone", "mx")
def _missing() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def records(self: Names, name: str, kind: int) -> Any:
            try:
                return await there(self, name, kind)
            except NameTrouble:
                return [], [], True

        return records

    with put(Names, "_records", make):
        yield


@defect("where name servers are in trouble, the domain is its own exchanger", "MX zone", "mx")
def _fallen_through() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def ask(self: Exchangers, name: str) -> Any:
            try:
                return await self._names.mail_exchangers(name)
            except NameTrouble:
                return dns.Answer(exists=True, data=(), until=0, expired=0)

        return ask

    with put(Exchangers, "_ask", make):
        yield


@defect("a domain that takes no mail is its own exchanger", "MX zone", "mx")
def _null() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def of(self: Exchangers, domain: str) -> Any:
            try:
                return await there(self, domain)
            except PermanentRelayError as error:
                if error.outcome.reply.code != 556:
                    raise
                return (Exchanger(0, domain.lower()),)

        return of

    with put(Exchangers, "of", make):
        yield


@defect("a domain without exchangers does not exist", "L2", "mx")
def _not_implicit() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def ask(self: Exchangers, name: str) -> Any:
            answer = await there(self, name)
            return replace(answer, exists=bool(answer.data))

        return ask

    with put(Exchangers, "_ask", make):
        yield


@defect("the least preferred exchanger is asked first", "MX order", "mx", _among(_TWO))
def _turned() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self, exchangers: there(self, exchangers)[::-1]

    with put(Exchangers, "ordered", make):
        yield


@defect(
    "two exchangers are asked at once",
    "MX race",
    "mx",
    _among(_EQUAL, Fault("connect", "192.0.2.10", value="HANGING")),
)
def _raced() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def ask_each(self: Any, exchangers: Any, attempt: Any) -> None:
            hosts = [each.host for each in exchangers[:2]]
            found = await side_by_side(map(self._relay.exchangers.addresses, hosts))
            await side_by_side(map(self._ask_at, hosts, found))

        return ask_each

    with put(_Group, "_ask_each", make):
        yield


@defect("exchangers that are not preferred to ourselves are asked", "MX place", "mx")
def _looping() -> Iterator[None]:
    def make(there: Any) -> Any:
        def not_ours(self: Exchangers, hosts: Any) -> Any:
            return there(self, [each for each in hosts if each.host not in self._own] or hosts)

        return not_ours

    with put(Exchangers, "_not_ours", make):
        yield


@defect("our own address is connected to", "MX place", "mx")
def _to_ourselves() -> Iterator[None]:
    def make(there: Any) -> Any:
        def begin(self: Any, names: Any, networks: Any, random: Any, own: Any = ()) -> None:
            there(self, names, networks, random, [each for each in own if "192" not in each])

        return begin

    with put(Exchangers, "__init__", make):
        yield


@defect("an address is tried again under another name", "MX twice", "mx", _among(_SHARED))
def _twice() -> Iterator[None]:
    def make(there: Any) -> Any:
        async def ask_at(self: Any, host: str, addresses: Any) -> None:
            self._tried.clear()
            await there(self, host, addresses)

        return ask_at

    with put(_Group, "_ask_at", make):
        yield


@defect("an answer serves when its time is over", "MX place", "mx")
def _outdated() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self, key: self._known.get(key)

    with put(Names, "_remembered", make):
        yield


@defect("what became of a group's recipients is told in the wrong order", "L1", "mx")
def _misplaced() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda self: Report(there(self).outcomes[::-1])

    with put(_Group, "report", make):
        yield


@defect("all exchangers are asked, however many there are", "MX bounds", "mx")
def _boundless() -> Iterator[None]:
    with put(delivery, "_EXCHANGERS", lambda _: 100):
        yield


@defect("it fails for good before all exchangers were asked", "L2", "mx", _among(_SEVEN))
def _hasty() -> Iterator[None]:
    with put(_Group, "_soften", lambda _: lambda self: None):
        yield


@defect("an exchanger in trouble is forgotten for one that does not exist", "L2", "mx")
def _forgotten() -> Iterator[None]:
    def make(there: Any) -> Any:
        return lambda outcome: (outcome.verdict is Verdict.FAILED, there(outcome)[1])

    with put(delivery, "_weight", make):
        yield


@defect("an alias is not followed", "L2", "mx")
def _unfollowed() -> Iterator[None]:
    with put(dns, "_follow", lambda _: lambda seen, aliases: 60.0):
        yield


@defect("a zone may lead to this host's neighbours", "MX near", "mx")
def _near() -> Iterator[None]:
    with put(Networks, "permits", lambda _: lambda self, address: True):
        yield
