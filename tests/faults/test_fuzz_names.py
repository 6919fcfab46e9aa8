# -*- test-case-name: tests.faults.test_fuzz_names -*-
"""Hostile octets from name servers, by way of all that asks them.

A domain has exchangers, or an error that is documented; never anything else, never for ever.
"""

from __future__ import annotations

import re
from random import Random

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.dns import Names
from slimtwist.errors import RelayError
from slimtwist.exchangers import Exchangers
from slimtwist.networks import Networks
from slimtwist.resolver import StubResolver
from tests.datagrams import DatagramReactor
from tests.faults.fuzz import corpus, mutant

SERVER = ("192.0.2.53", 53)
#: Octets of a question before its name.
_HEADER = 12


class NameServerTests(SynchronousTestCase):
    """DNS-01 to DNS-25, as octets."""

    def test_answers(self) -> None:
        """Seeds first, then what chance makes of them."""
        seeds, chance = corpus("answers"), Random(1)
        found = 0
        for number in range(700):
            first = seeds[number] if number < len(seeds) else mutant(chance, seeds)
            found += self.ask([first, *(chance.choice(seeds) for _ in range(30))])
        self.assertGreater(found, 30)
        self.assertEqual(self.flushLoggedErrors(), [])

    def ask(self, answers: list[bytes]) -> bool:
        """Look a domain up, and return whether it has an exchanger with an address."""
        reactor = DatagramReactor()
        left = iter(answers)
        reactor.servers[SERVER] = lambda question: [(_answered(question, next(left, b"")), SERVER)]
        names = Names(reactor, StubResolver(reactor, Random(1), lambda: [SERVER]))
        exchangers = Exchangers(names, Networks(), Random(1), ("relay.example",))
        try:
            hosts = reactor.wait(Deferred.fromCoroutine(exchangers.of("d.example")), 400)
            for each in hosts:
                self.assertIsNotNone(re.fullmatch(r"[-_a-z0-9.]+", each.host), answers[0])
            addresses = reactor.wait(
                Deferred.fromCoroutine(exchangers.addresses(hosts[0].host)), 400
            )
        except RelayError:
            addresses = ()
        reactor.flush()
        self.assertEqual((reactor.ports, reactor.leftovers().timers), ([], ()), answers[0])
        return bool(addresses)


def _answered(question: bytes, answer: bytes) -> bytes:
    """Return an answer with the question's identifier and name in it."""
    return question[:2] + answer[:10] + question[_HEADER:] + answer[10:]
