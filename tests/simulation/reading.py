# -*- test-case-name: tests.simulation.test_reading -*-
"""What the answers of name servers mean for mail: the simulator's own reading of RFC 5321 5.1.

It reads what L{zones<tests.simulation.models.zones>} answered, and knows nothing of the engine.  An
answer holds from the moment in which it is given for its time to live; so for a stretch of time
there can be several readings, any of which may have been acted on.

Sources: RFC 5321 5.1 (order, implicit MX, loops), RFC 7505 (null MX), RFC 2181 5.2 and 8, RFC 2308.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from tests.simulation.models.zones import Answer, Record

#: Seconds for which an answer holds at least and at most, and one that there is nothing at most.
_LEAST, _MOST, _NOTHING = 1.0, 86400.0, 900.0
#: Seconds for which it is believed that there is nothing when nobody says for how long.
_UNSAID: Final = 60.0
#: Seconds for which trouble is not looked into again, and after which silence is trouble.
_TROUBLE, _PATIENCE = 5.0, 60.0
_LINKS: Final = 8
#: Seconds in which a question follows the answer that led to it.
_AT_ONCE: Final = 0.5
_MAX_TTL: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class Found:
    """What a name has.

    @ivar word: C{data}, C{none}, C{missing}, C{loop} or C{trouble}.
    @ivar data: of the records.
    @ivar since: when it became known.
    @ivar until: when it has to be asked for again.
    """

    word: str
    since: float
    until: float
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hop:
    """Who takes mail for a domain.

    @ivar word: C{hosts}, or C{missing}, C{null}, C{loop}, C{ours}, C{unusable}, C{trouble}.
    @ivar hosts: preference and name of each.
    """

    word: str
    hosts: tuple[tuple[int, str], ...] = ()


@dataclass(slots=True)
class Span:
    """A stretch of time, and all that was answered in the run.

    @ivar stale: seconds for which an answer may serve that is out of date.
    """

    answers: list[Answer]
    began: float
    ended: float
    stale: float = 0.0
    _kept: dict[tuple[str, str], list[Found]] = field(default_factory=dict)

    def found(self, name: str, kind: str) -> list[Found]:
        """Return what a name may have had."""
        key = name.lower(), kind
        if key not in self._kept:
            self._kept[key] = [each for each in self._all(*key) if self._holds(each)]
        return self._kept[key]

    def _holds(self, found: Found) -> bool:
        until = found.until
        if self.stale and found.data:
            until += self.stale + _TROUBLE
        return found.since <= self.ended and until > self.began

    def _all(self, name: str, kind: str) -> Iterator[Found]:
        for answer in self.answers:
            if (answer.name, answer.kind) == (name, kind):
                yield from self._read([name], _MOST, kind, answer)

    def _read(self, seen: list[str], life: float, kind: str, answer: Answer) -> Iterator[Found]:
        """Follow an answer, and those to the questions that it leads to."""
        given = answer.given if answer.given is not None else answer.asked + _PATIENCE
        if answer.trouble or given >= answer.asked + _PATIENCE:
            given = min(given, answer.asked + _PATIENCE)
            yield Found("trouble", given, given + _TROUBLE)
            return
        aliases = [each for each in answer.records if each.kind == "CNAME"]
        links = len(seen)
        while (link := next((each for each in aliases if each.name == seen[-1]), None)) is not None:
            if link.data in seen:
                yield Found("loop", given, given + _TROUBLE)
                return
            seen = [*seen, link.data]
            life = min(life, _ttl(link))
            if len(seen) > _LINKS + 1:
                yield Found("trouble", given, given + _TROUBLE)
                return
        data = [each for each in answer.records if (each.name, each.kind) == (seen[-1], kind)]
        if data:
            life = min(life, *map(_ttl, data))
            texts = tuple(dict.fromkeys(each.data.lower() for each in data))
            yield Found("data", given, given + max(life, _LEAST), texts)
        elif answer.missing or len(seen) == links or answer.negative is not None:
            said = _UNSAID if answer.negative is None else min(answer.negative, 3600)
            life = max(min(life, said, _NOTHING), _LEAST)
            yield Found("missing" if answer.missing else "none", given, given + life)
        else:
            for each in self.answers:
                if (each.name, each.kind) == (seen[-1], kind) and _follows(each, given):
                    yield from self._read(seen, life, kind, each)

    # What it means for mail.

    def hops(self, domain: str, own: Iterable[str]) -> list[Hop]:
        """Return who may have been taken to be the exchangers of a domain.

        @param own: names of the sending host.
        """
        return [self._hop(domain.lower(), found, set(own)) for found in self.found(domain, "MX")]

    def _hop(self, domain: str, found: Found, own: set[str]) -> Hop:
        if found.word in ("missing", "loop", "trouble"):
            return Hop(found.word)
        best: dict[str, int] = {}
        for text in found.data:
            number, host = text.split()
            best[host] = min(int(number), best.get(host, int(number)))
        if list(best) == ["."]:
            return Hop("null")
        best.pop(".", None)
        best = best or {domain: 0}
        ours = min((number for host, number in best.items() if host in own), default=None)
        rest = sorted((n, host) for host, n in best.items() if ours is None or n < ours)
        if not rest:
            return Hop("ours")
        named = tuple(each for each in rest if is_host(each[1]))
        return Hop("hosts", named) if named else Hop("unusable")

    def addresses(self, host: str) -> set[str]:
        """Return all addresses that a host may have had."""
        found = [*self.found(host, "A"), *self.found(host, "AAAA")]
        return {address for each in found for address in each.data}

    def trouble(self, host: str) -> bool:
        """Tell whether it could be that an address of a host was not to be had for now."""
        both = [self.found(host, kind) for kind in ("A", "AAAA")]
        return any(not found or any(f.word == "trouble" for f in found) for found in both)


def is_host(name: str) -> bool:
    """Tell whether a name can be a host's: no address, and no hyphen at the end of a label."""
    try:
        ip_address(name)
    except ValueError:
        return all(each == each.strip("-") for each in name.split("."))
    return False


def _ttl(record: Record) -> float:
    """RFC 2181 8: one that is out of range counts as none."""
    return 0.0 if record.ttl >= _MAX_TTL else float(record.ttl)


def _follows(answer: Answer, given: float) -> bool:
    return given <= answer.asked <= given + _AT_ONCE
