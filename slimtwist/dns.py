# -*- test-case-name: tests.test_dns -*-
"""The domain name system as mail delivery sees it: typed answers, cached by their time to live.

L{Names} asks any C{IResolver} of twisted.names, follows aliases, remembers what it heard (also that
there is nothing), and has one question on its way for each name and type.  Trouble of name servers
is raised; an absent name or record is an answer.

Sources: RFC 1034 3.6.2 (aliases), RFC 2181 5.2 and 8 (time to live), RFC 2308 (negative answers),
RFC 8767 (stale answers).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from socket import AF_INET6, inet_ntop
from typing import Any, Final, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime, IResolver
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.python.failure import Failure

from slimtwist.domains import is_name

#: Aliases that are followed from one name (RFC 1034 3.6.2 sets no number).
_ALIASES: Final = 8
#: Seconds for which a positive answer counts at least and at most.
_SHORTEST, _LONGEST = 1.0, 86400.0
#: Seconds for which a negative answer counts at most, and without an SOA record.
_NEGATIVE, _UNSAID = 900.0, 60.0
#: Seconds for which a name server in trouble is not asked the same again.
_TROUBLE: Final = 5.0
#: Seconds after which a question is given up, whatever the resolver still does.
_PATIENCE: Final = 60.0
#: Records of one answer that are kept: the most preferred ones.
_RECORDS: Final = 200
#: Records that are looked at before others have their turn.
_SLICE: Final = 500
_METHODS: Final = {
    dns.MX: "lookupMailExchange",
    dns.A: "lookupAddress",
    dns.AAAA: "lookupIPV6Address",
}


class NameTrouble(Exception):
    """No answer could be had; there may be one later. The text says why."""


class AliasLoop(NameTrouble):
    """The name is an alias of itself, by way of others."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a name has of a type.

    @ivar exists: whether the name has records of any type.
    @ivar data: C{(preference, exchanger)} for MX, addresses for A and AAAA; empty for none.
    @ivar until: when it is to be asked for anew, by the clock.
    @ivar expired: when that was due by the records' own time to live.
    """

    exists: bool
    data: tuple[Any, ...]
    until: float
    expired: float


@dataclass(frozen=True, slots=True)
class _Trouble:
    error: NameTrouble
    until: float


@dataclass(slots=True)
class _Sorted:
    """The records of a message that may lead to the answer.

    @ivar data: by name, C{(time to live, datum)} for each record of the type that was asked for.
    @ivar aliases: by name, the first alias of each, with its time to live.
    """

    data: dict[str, list[tuple[float, Any]]] = field(default_factory=dict)
    aliases: dict[str, tuple[float, str]] = field(default_factory=dict)

    def add(self, records: Iterable[dns.RRHeader], kind: int) -> None:
        for record in records:
            if record.cls == dns.IN and record.type == kind:
                found = self.data.setdefault(_text(record.name), [])
                found.append((_ttl(record.ttl), _datum(record)))
            elif record.cls == dns.IN and record.type == dns.CNAME:
                target = _text(cast("Any", record.payload).name)
                self.aliases.setdefault(_text(record.name), (_ttl(record.ttl), target))


class Names:
    """Answers questions about names, from memory where it can."""

    _log = Logger()

    def __init__(
        self, clock: IReactorTime, resolver: IResolver, *, size: int = 10000, stale: float = 0
    ) -> None:
        """Remember nothing yet.

        @param resolver: asked for what is not remembered.
        @param size: how many answers are remembered.
        @param stale: seconds for which an answer that is out of date may be used when no new one
            can be had (RFC 8767).
        """
        self._clock = clock
        self._resolver = resolver
        self._size = size
        self._stale = stale
        self._known: OrderedDict[tuple[str, int], Answer | _Trouble] = OrderedDict()
        self._asked: dict[tuple[str, int], list[Deferred[Answer | _Trouble]]] = {}
        self._asking: dict[Deferred[None], None] = {}

    async def mail_exchangers(self, domain: str) -> Answer:
        """Return the MX records of a domain. Raises L{NameTrouble}."""
        return await self._answer(domain, dns.MX)

    async def ipv4(self, host: str) -> Answer:
        """Return the A records of a host. Raises L{NameTrouble}."""
        return await self._answer(host, dns.A)

    async def ipv6(self, host: str) -> Answer:
        """Return the AAAA records of a host. Raises L{NameTrouble}."""
        return await self._answer(host, dns.AAAA)

    def abandon(self) -> None:
        """Give up all questions that are on their way: who still waits is told of trouble."""
        for asking in [*self._asking]:
            asking.cancel()

    def __len__(self) -> int:
        """Return how many answers are remembered."""
        return len(self._known)

    async def _answer(self, name: str, kind: int) -> Answer:
        key = (name.lower().rstrip("."), kind)
        known = self._remembered(key) or await self._wait_for(key)
        if isinstance(known, Answer):
            return known
        raise known.error

    def _remembered(self, key: tuple[str, int]) -> Answer | _Trouble | None:
        known = self._known.get(key)
        if known is None or known.until <= self._clock.seconds():
            return None
        self._known.move_to_end(key)
        return known

    def _wait_for(self, key: tuple[str, int]) -> Deferred[Answer | _Trouble]:
        """Wait for the one question that is on its way; who stops waiting does not stop it."""
        waiting: Deferred[Answer | _Trouble] = Deferred()
        if key in self._asked:
            self._asked[key].append(waiting)
        else:
            self._asked[key] = [waiting]
            asking = Deferred.fromCoroutine(self._ask(key))
            self._asking[asking] = None
            asking.addErrback(self._broken, key)
            asking.addBoth(lambda _: self._asking.pop(asking))
        return waiting

    async def _ask(self, key: tuple[str, int]) -> None:
        try:
            known: Answer | _Trouble = await self._resolve(*key)
        except NameTrouble as error:
            known = self._in_trouble(key, error)
        self._learn(key, known)

    def _broken(self, failure: Failure, key: tuple[str, int]) -> None:
        if not failure.check(CancelledError):
            self._log.failure("asking for {name} failed", failure, name=key[0])
        self._learn(key, self._in_trouble(key, NameTrouble(type(failure.value).__name__)))

    def _learn(self, key: tuple[str, int], known: Answer | _Trouble) -> None:
        self._known[key] = known
        self._known.move_to_end(key)
        while len(self._known) > self._size:
            self._known.popitem(last=False)
        for waiting in self._asked.pop(key):
            waiting.callback(known)  # of no effect if it was cancelled

    def _in_trouble(self, key: tuple[str, int], error: NameTrouble) -> Answer | _Trouble:
        """Return what holds while there is trouble: what was known, if that may serve.

        That there is nothing is not believed for longer than it was said: mail would fail for good.
        """
        now = self._clock.seconds()
        old = self._known.get(key)
        usable = isinstance(old, Answer) and old.data and not isinstance(error, AliasLoop)
        if usable and now < cast("Answer", old).expired + self._stale:
            return replace(cast("Answer", old), until=now + _TROUBLE)
        return _Trouble(error, now + _TROUBLE)

    async def _resolve(self, name: str, kind: int) -> Answer:
        """Ask, and follow aliases: within an answer, and where it ends with one by asking again."""
        seen, life = [name], _LONGEST
        while True:
            answers, authority, missing = await self._records(seen[-1], kind)
            found, links = await self._sorted(answers, kind), len(seen)
            life = min(life, _follow(seen, found.aliases))
            if data := found.data.get(seen[-1]):
                return self._known_for(min(life, *(ttl for ttl, _ in data)), kept=_kept(data))
            if missing or len(seen) == links or any(each.type == dns.SOA for each in authority):
                life = min(life, _negative(authority))
                return self._known_for(life, exists=not missing)

    async def _sorted(self, records: Sequence[dns.RRHeader], kind: int) -> _Sorted:
        """Sort the records out, and let others have their turn between."""
        found = _Sorted()
        for start in range(0, len(records), _SLICE):
            if start:
                await deferLater(self._clock, 0)
            found.add(records[start : start + _SLICE], kind)
        return found

    def _known_for(self, life: float, *, exists: bool = True, kept: tuple[Any, ...] = ()) -> Answer:
        until = self._clock.seconds() + max(life, _SHORTEST)
        return Answer(exists, kept, until, until)

    async def _records(self, name: str, kind: int) -> tuple[Any, Any, bool]:
        """Return answer and authority records, and whether the name does not exist."""
        if not is_name(name):
            return [], [], True
        try:
            answers, authority, _ = await self._bounded(name, kind)
        except DNSNameError as error:
            message = error.args[0] if error.args else None
            answers = getattr(message, "answers", [])
            return answers, getattr(message, "authority", []), True
        except Exception as error:
            # Whatever a resolver fails with, it is no answer.
            raise NameTrouble(f"{name}: {type(error).__name__}") from error
        return answers, authority, False

    def _bounded(self, name: str, kind: int) -> Deferred[Any]:
        """Ask the resolver; one whose questions cannot be cancelled is not listened to later."""
        asked = cast("Any", getattr(self._resolver, _METHODS[kind])(name))
        result: Deferred[Any] = Deferred(lambda _: asked.cancel())
        asked.addBoth(result.callback)
        return result.addTimeout(_PATIENCE, self._clock)


def _follow(seen: list[str], aliases: dict[str, tuple[float, str]]) -> float:
    """Add the aliases that an answer holds, and return the time to live of the shortest."""
    life = _LONGEST
    while seen[-1] in aliases:
        ttl, target = aliases[seen[-1]]
        life = min(life, ttl)
        if target in seen:
            raise AliasLoop(f"{seen[0]} is an alias of itself")
        seen.append(target)
        if len(seen) > _ALIASES + 1:
            raise NameTrouble(f"{seen[0]} is an alias of too many others")
    return life


def _kept(data: list[tuple[float, Any]]) -> tuple[Any, ...]:
    """Return the data of an answer: once each, and no more than can be of use."""
    found = dict.fromkeys(datum for _, datum in data)
    return tuple(found) if len(found) <= _RECORDS else tuple(nsmallest(_RECORDS, found))


def _ttl(ttl: int) -> float:
    """RFC 2181 8: with the most significant bit set it counts as none."""
    return 0 if ttl >= 1 << 31 else ttl


def _negative(authority: Sequence[dns.RRHeader]) -> float:
    """RFC 2308 5: the smaller of the SOA record's own time and its minimum."""
    soas = [each for each in authority if each.type == dns.SOA]
    times = [min(_ttl(each.ttl), _ttl(cast("Any", each.payload).minimum)) for each in soas]
    return min(times[0], _NEGATIVE) if times else _UNSAID


def _text(name: dns.Name) -> str:
    return name.name.decode("ascii", "backslashreplace").lower().rstrip(".")


def _datum(record: dns.RRHeader) -> object:
    payload = cast("Any", record.payload)
    if record.type == dns.MX:
        return payload.preference, _text(payload.name)
    return payload.dottedQuad() if record.type == dns.A else inet_ntop(AF_INET6, payload.address)
