# -*- test-case-name: tests.smtp -*-
"""What tests of the client share: sessions with hosts in memory, messages, scripts."""

# ruff: noqa: ANN401 - options are handed through

from __future__ import annotations

from random import Random
from tempfile import TemporaryFile
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory

from slimtwist.content import Content
from slimtwist.destinations import Destinations
from slimtwist.envelope import Envelope
from slimtwist.relay.smtp.static import StaticLmtpRelay, StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.smtp.connector import Connector, Place
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.session import Session
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import MemoryReactor

HOST: Final = "mx.example"
CLIENT: Final = "client.example"
TEXT: Final = b"Subject: x\r\n\r\ntext\r\n"
#: What most hosts offer.
USUAL: Final = ("PIPELINING", "8BITMIME")


def envelope(*recipients: str, octets: bytes = TEXT) -> Envelope:
    """Return a message to these recipients, or to one."""
    return Envelope.parse("a@example.org", recipients or ["b@example.net"], octets)


def many(count: int, octets: bytes = TEXT) -> Envelope:
    """Return a message to so many recipients: r0@example.net and so on."""
    return envelope(*(f"r{number}@example.net" for number in range(count)), octets=octets)


def torn(octets: bytes, missing: int = 1000) -> Content:
    """Return content whose file ends too early, so that reading it fails after C{octets}."""
    file = TemporaryFile()  # noqa: SIM115 - closed with the content
    file.write(octets)
    file.flush()
    return Content(file, len(octets) + missing, terminated=True)


def hello(*keywords: str, verb: str = "EHLO") -> list[str]:
    """Return the beginning of a script: greeting, and EHLO with its reply."""
    lines = [HOST, *keywords]
    reply = [f"S: 250-{line}" for line in lines[:-1]] + [f"S: 250 {lines[-1]}"]
    return [f"S: 220 {HOST} ESMTP", f"C: {verb} {CLIENT}", *reply]


def group(*recipients: str) -> list[str]:
    """Return the commands of a script that come in one group."""
    names = recipients or ("b@example.net",)
    rcpt = [f"C: RCPT TO:<{name}>" for name in names]
    return ["C: MAIL FROM:<a@example.org>", *rcpt, "C: DATA"]


def runtime(reactor: MemoryReactor) -> Runtime:
    """Return a runtime whose clock and network are a test's."""
    return Runtime(reactor, hostname=CLIENT, random=Random(1))


def listen(reactor: MemoryReactor, host: IProtocolFactory, *, lmtp: bool = False) -> None:
    """Let a host listen, where a relay looks for it."""
    reactor.add_host(HOST, host, 24 if lmtp else 25)


def static(reactor: MemoryReactor, *, lmtp: bool = False, **options: Any) -> StaticSmtpRelay:
    """Return a relay to the host that L{listen} has made, without TLS unless told otherwise."""
    kind = StaticLmtpRelay if lmtp else StaticSmtpRelay
    chosen: dict[str, Any] = {"tls": "none"} | options
    return kind(HOST, runtime=runtime(reactor), **chosen)


class Talk:
    """A session with a host, both in memory.

    @ivar reactor: moves both.
    @ivar session: at rest.
    """

    def __init__(self, peer: IProtocolFactory, **options: Any) -> None:
        """Connect."""
        self.reactor = MemoryReactor()
        self.reactor.add_host(HOST, peer)
        chosen: dict[str, Any] = {"ehlo_as": CLIENT, "tls": TlsPolicy(TlsMode.NONE)} | options
        self.connector = Connector(
            runtime(self.reactor),
            Place(HOST),
            ClientOptions(**chosen),
            Destinations(self.reactor),
        )
        self.session: Session = self.reactor.wait(Deferred.fromCoroutine(self.connector.open()))
