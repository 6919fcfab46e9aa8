# -*- test-case-name: tests.testing.test_names -*-
"""The domain name system in memory."""

from __future__ import annotations

from socket import AF_INET6, inet_ntop
from typing import Any

from twisted.internet.defer import TimeoutError  # noqa: A004 - what resolvers fail with
from twisted.internet.interfaces import IResolver
from twisted.names import dns
from twisted.names.error import DNSNameError, DNSQueryRefusedError, DNSServerError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.testing import MemoryReactor
from slimtwist.testing.names import MemoryNames
from tests.testing.naming import RECORDS, ZONE, NamesContract
from tests.testing.worlds import InMemory


class ContractTests(NamesContract, InMemory, SynchronousTestCase):
    """It says what real name servers say, see L{tests.integration.test_names}."""

    def new_reactor(self) -> MemoryReactor:
        """Return a reactor with names."""
        reactor = MemoryReactor()
        self.resolver = MemoryNames(reactor, {f"{n}.{ZONE}": texts for n, texts in RECORDS.items()})
        self.silent = silent = MemoryNames(reactor)
        silent.trouble[""] = "TIMEOUT"
        return reactor


class MemoryNamesTests(SynchronousTestCase):
    """What it answers."""

    def setUp(self) -> None:
        """A small zone."""
        self.reactor = MemoryReactor()
        self.names = MemoryNames(
            self.reactor,
            {
                "example.org": ["60 MX 10 mx1.example.org.", "MX 20 mx2.example.org"],
                "mx1.example.org": ["A 192.0.2.1", "AAAA 2001:db8::1"],
                "alias.example": ["CNAME example.org"],
                "dangling.example": ["CNAME nowhere.example"],
            },
        )

    def ask(self, name: str, kind: str = "MailExchange") -> tuple[list[Any], list[Any]]:
        """Return answer and authority records."""
        answers, authority, _ = self.reactor.wait(getattr(self.names, f"lookup{kind}")(name))
        return answers, authority

    def test_interface(self) -> None:
        """It is a resolver as twisted.names has them, and answers in a later turn."""
        self.assertTrue(verifyObject(IResolver, self.names))
        asked = self.names.lookupMailExchange("example.org")
        self.assertNoResult(asked)
        self.reactor.flush()
        self.successResultOf(asked)
        self.assertFalse(self.reactor.leftovers())

    def test_records(self) -> None:
        """Records have type, data and time to live as the table says."""
        answers, authority = self.ask("Example.ORG")
        found = [(each.ttl, each.payload.preference, str(each.payload.name)) for each in answers]
        self.assertEqual(found, [(60, 10, "mx1.example.org"), (3600, 20, "mx2.example.org")])
        self.assertEqual(authority, [])
        [a], _ = self.ask("mx1.example.org", "Address")
        [aaaa], _ = self.ask("mx1.example.org", "IPV6Address")
        self.assertEqual(
            (a.payload.dottedQuad(), inet_ntop(AF_INET6, aaaa.payload.address)),
            ("192.0.2.1", "2001:db8::1"),
        )
        self.assertEqual(self.names.asked[-1], "mx1.example.org AAAA")

    def test_nothing(self) -> None:
        """A name that is not there is an error, one without such records an empty answer."""
        answers, [soa] = self.ask("mx1.example.org")
        self.assertEqual((answers, soa.type, soa.payload.minimum), ([], dns.SOA, 600))
        self.assertEqual(self.ask("org")[0], [])
        error = self.assertRaises(DNSNameError, self.ask, "nowhere.example")
        self.assertEqual(error.args[0].authority[0].type, dns.SOA)
        self.names.minimum = None
        self.assertEqual(self.ask("mx1.example.org"), ([], []))

    def test_alias(self) -> None:
        """An alias comes with what it leads to, or alone."""
        types = [each.type for each in self.ask("alias.example")[0]]
        self.assertEqual(types, [dns.CNAME, dns.MX, dns.MX])
        error = self.assertRaises(DNSNameError, self.ask, "dangling.example")
        self.assertEqual([each.type for each in error.args[0].answers], [dns.CNAME])
        self.names.follows = False
        answers, authority = self.ask("alias.example")
        self.assertEqual(([each.type for each in answers], authority), ([dns.CNAME], []))
        self.names.follows = True
        self.names.zone["loop.example"] = ["CNAME loop.example"]
        self.assertEqual({each.type for each in self.ask("loop.example")[0]}, {dns.CNAME})

    def test_trouble(self) -> None:
        """What is wrong with one type of a name, with a name, or with all."""
        self.names.trouble = {"example.org MX": "REFUSED", "mx1.example.org": "SERVFAIL"}
        self.assertRaises(DNSQueryRefusedError, self.ask, "example.org")
        self.assertEqual(self.ask("example.org", "Address")[0], [])
        self.assertRaises(DNSServerError, self.ask, "mx1.example.org", "Address")
        self.names.trouble = {"": "TIMEOUT"}
        self.assertRaises(TimeoutError, self.ask, "example.org")
        self.assertEqual(self.reactor.seconds(), 15.0)
        self.names.trouble = {"": "SILENCE"}
        silent = self.names.lookupAddress("example.org")
        self.reactor.advance(3600)
        self.assertNoResult(silent)

    def test_delay(self) -> None:
        """An answer may take its time."""
        self.names.delay = 2.5
        self.ask("example.org")
        self.assertEqual(self.reactor.seconds(), 2.5)

    def test_wrong(self) -> None:
        """A record that the table cannot have is named."""
        self.names.zone["odd.example"] = ["TXT x"]
        with self.assertRaises(ValueError) as caught:
            self.ask("odd.example")
        self.assertIn("odd.example: 'TXT x'", str(caught.exception))
