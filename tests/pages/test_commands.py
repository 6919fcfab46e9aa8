# -*- test-case-name: tests.pages.test_commands -*-
"""Commands on the pages deliver a message, each on a network in memory.

Those that need more than mail servers are run elsewhere: TLS and logins in
L{tests.pages.test_tutorial}, HTTP in L{tests.pages.test_edges}, programs in
L{tests.integration.test_delivery_agent}, exchangers in L{tests.integration.test_mx}.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.runtime import Runtime
from slimtwist.tap import Options
from slimtwist.testing import FakeSmarthost, MemoryReactor
from tests.edge.world import Visitor
from tests.pages.rst import ROOT
from tests.relaying import HELLO, mail

_COMMAND = re.compile(r"(?m)^ *(twistd (?:.*\\\n)*.*)$")
_ELSEWHERE = re.compile(
    r"credentials=|ssl:|auth |verify|relay --http|(?:pipe|maildrop|dovecot-lda|mx|http|skeleton):"
)
_HOST = re.compile(r"(?:smtp|lmtp):([a-z][-.\w]*)(?::port=(\d+))?")
_SOCKET = re.compile(r"lmtp:unix=([-/\w]+)")


@dataclass(frozen=True, slots=True)
class Shown:
    """A command, and the page that shows it."""

    page: str
    text: str

    @property
    def arguments(self) -> list[str]:
        """What stands behind the word C{relay}."""
        return shlex.split(f"--{self.text.partition(' relay --')[2]}")


def shown() -> Iterator[Shown]:
    """Yield the commands that need no more than mail servers."""
    for path in sorted({*(ROOT / "docs").glob("*.rst")} - {ROOT / "docs" / "tutorial.rst"}):
        for text in _COMMAND.findall(path.read_text()):
            plain = text.replace("\\\n", "")
            if "--relay" in plain and not plain.endswith("...") and not _ELSEWHERE.search(plain):
                yield Shown(path.stem, plain)


class CommandTests(SynchronousTestCase):
    """From a command to a message that has arrived."""

    def test_all(self) -> None:
        """A message for example.com arrives behind each of them, once."""
        commands = list(shown())
        self.assertGreater(len(commands), 8)
        self.assertGreater(len({each.page for each in commands}), 4)
        for command in commands:
            self.deliver(command)

    def deliver(self, command: Shown) -> None:
        """Start what a command asks for, and send it a message."""
        reactor = MemoryReactor(start=1_700_000_000.0)
        hops = self.hops(reactor, command.text)
        options = Options(Runtime(reactor, hostname="relay.example", random=Random(1)))
        options.parseOptions(command.arguments)
        options.service.privilegedStartService()
        options.service.startService()
        self.assertEqual(self.send(reactor, options)[:4], "250 ", command)
        taken = [message for hop in hops for message in hop.messages]
        self.assertEqual([each.recipients for each in taken], [("you@example.com",)], command)
        stopped = options.service.stopService()
        assert stopped is not None
        reactor.wait(stopped)

    def hops(self, reactor: MemoryReactor, text: str) -> list[FakeSmarthost]:
        """Let mail servers listen wherever a command may send mail to."""
        hops = []
        for host, port in sorted({*_HOST.findall(text)}):
            lmtp = f"lmtp:{host}" in text
            hops.append(FakeSmarthost(lhlo=lmtp))
            reactor.add_host(host, hops[-1], int(port or (24 if lmtp else 25)))
        for path in sorted({*_SOCKET.findall(text)}):
            hops.append(FakeSmarthost(lhlo=True))
            reactor.listenUNIX(path, hops[-1])
        return hops

    def send(self, reactor: MemoryReactor, options: Options) -> str:
        """Send a message by the first endpoint; return the last reply."""
        lmtp = bool(options["lmtp"]) and not options["smtp"]
        where = options.service.addresses[0]
        if isinstance(where, UNIXAddress):
            endpoint = f"unix:{os.fsdecode(where.name or b'')}"
        else:
            assert isinstance(where, IPv4Address)
            endpoint = f"tcp:127.0.0.1:{where.port}"
        connected: Deferred[Any] = clientFromString(reactor, endpoint).connect(
            Factory.forProtocol(Visitor)
        )
        visitor: Visitor = reactor.wait(connected)
        hello = HELLO.replace(b"EHLO", b"LHLO") if lmtp else HELLO
        for said in mail("you@example.com", hello=hello).partition(b"DATA\r\n"):
            visitor.transport.write(said)
            reactor.flush()
        return visitor.replies()[-1]
