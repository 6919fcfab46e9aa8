# -*- test-case-name: tests.testing.test_names -*-
"""What a resolver says of a small zone: the same in memory and of real name servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from twisted.internet.defer import TimeoutError  # noqa: A004 - what resolvers fail with
from twisted.internet.interfaces import IResolver
from twisted.names import dns
from twisted.names.error import DNSNameError

from tests.testing.worlds import World, scenario

ZONE: Final = "zone.example"
#: Names below the zone, as both worlds are told of them, but for full names in the data.
RECORDS: Final = {
    "mail": [f"60 MX 20 mx2.{ZONE}", f"60 MX 10 mx1.{ZONE}"],
    "mx1": ["A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1"],
    "mx2": ["AAAA 2001:db8::2"],
    "deep.down": ["A 192.0.2.3"],
    "alias": [f"CNAME mail.{ZONE}"],
    "chain": [f"CNAME alias.{ZONE}"],
    "dangling": [f"CNAME nowhere.{ZONE}"],
}

Answer = tuple[list[Any], list[Any]]


class NamesContract(World):
    """A resolver and its zone."""

    resolver: IResolver
    silent: Any
    assertEqual: Any
    assertLess: Any

    async def ask(self, name: str, kind: str = "MailExchange") -> Answer:
        """Return answer and authority records."""
        looked: Any = await getattr(self.resolver, f"lookup{kind}")(f"{name}.{ZONE}")
        answers, authority, _ = looked
        return answers, authority

    async def no_such_name(self, name: str) -> dns.Message:
        """Return the message that says so."""
        try:
            found = await self.ask(name)
        except DNSNameError as error:
            message: dns.Message = error.args[0]
            return message
        raise AssertionError(found)

    def types(self, records: Sequence[dns.RRHeader]) -> list[int]:
        """Return the types of records."""
        return [each.type for each in records]

    @scenario
    async def test_exchangers(self) -> None:
        """All exchangers, each with its preference, owner and time to live."""
        answers, _ = await self.ask("mail")
        found = {(each.payload.preference, str(each.payload.name)) for each in answers}
        self.assertEqual(found, {(10, f"mx1.{ZONE}"), (20, f"mx2.{ZONE}")})
        self.assertEqual({str(each.name) for each in answers}, {f"mail.{ZONE}"})
        self.assertLess(max(each.ttl for each in answers), 61)

    @scenario
    async def test_addresses(self) -> None:
        """All addresses, each of its family."""
        answers, _ = await self.ask("mx1", "Address")
        found = {each.payload.dottedQuad() for each in answers}
        self.assertEqual((found, len(answers)), ({"192.0.2.1", "192.0.2.2"}, 2))
        [only], _ = await self.ask("mx1", "IPV6Address")
        self.assertEqual(only.payload.address[-1], 1)

    @scenario
    async def test_case(self) -> None:
        """Names know no case."""
        self.assertEqual(len((await self.ask("MAIL"))[0]), 2)

    @scenario
    async def test_no_data(self) -> None:
        """A name without such records, also one that only others are below: SOA, and no answer."""
        for name, kind in (("mx1", "MailExchange"), ("mx2", "Address"), ("down", "Address")):
            answers, authority = await self.ask(name, kind)
            self.assertEqual((self.types(answers), self.types(authority)), ([], [dns.SOA]), name)

    @scenario
    async def test_no_name(self) -> None:
        """A name that is not there is an error, with the message that says so."""
        message = await self.no_such_name("nowhere")
        self.assertEqual((message.rCode, message.answers), (dns.ENAME, []))
        self.assertEqual(self.types(message.authority), [dns.SOA])

    @scenario
    async def test_alias(self) -> None:
        """An alias comes first, then what it leads to, over several steps as well."""
        for name, aliases in (("alias", 1), ("chain", 2)):
            answers, _ = await self.ask(name)
            self.assertEqual(self.types(answers), [dns.CNAME] * aliases + [dns.MX] * 2)

    @scenario
    async def test_alias_without(self) -> None:
        """An alias of a name without such records, and of one that is not there."""
        answers, _ = await self.ask("alias", "Address")
        self.assertEqual(self.types(answers), [dns.CNAME])
        message = await self.no_such_name("dangling")
        self.assertEqual((message.rCode, self.types(message.answers)), (dns.ENAME, [dns.CNAME]))

    @scenario
    async def test_silence(self) -> None:
        """Who gets no answer in time is told of that."""
        try:
            found = await self.silent.lookupAddress(f"mx1.{ZONE}", [0.05])
        except TimeoutError:
            return
        raise AssertionError(found)
