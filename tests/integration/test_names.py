# -*- test-case-name: tests.integration.test_names -*-
"""Real name servers say what the names in memory are tested to say."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import DatagramProtocol
from twisted.names.client import Resolver

from tests.integration.case import ServerCase
from tests.integration.names import Nsd, Unbound
from tests.testing.naming import RECORDS, NamesContract
from tests.testing.worlds import OnLoopback

_ADDRESS = "127.0.0.1"


class RealNamesTests(NamesContract, OnLoopback, ServerCase):
    """unbound, which asks NSD; and a port where nobody answers."""

    timeout = 60

    def setUp(self) -> None:
        """Start them."""
        super().setUp()
        dotted = {
            name: [f"{text}." if text.endswith("example") else text for text in texts]
            for name, texts in RECORDS.items()
        }
        unbound = self.serve(Unbound(self.serve(Nsd(dotted))))
        self.resolver = Resolver(servers=[(_ADDRESS, unbound.port)])
        reactor: Any = self.reactor
        deaf = reactor.listenUDP(0, DatagramProtocol(), interface=_ADDRESS)
        self.addCleanup(deaf.stopListening)
        self.silent = Resolver(servers=[(_ADDRESS, deaf.getHost().port)])
