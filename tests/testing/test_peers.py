# -*- test-case-name: tests.testing.test_peers -*-
"""A scripted client and the fake smart host talk in every world: also on real sockets, in real TLS.

What a test says in memory it may so say to a program of its own, too.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.testing import (
    Cut,
    CutAfter,
    Ended,
    FakeSmarthost,
    MemoryReactor,
    Message,
    ScriptedPeer,
    Send,
    StartTls,
    Wait,
)
from slimtwist.testing.script import Script
from tests.testing.certificates import client_context, server_context
from tests.testing.worlds import InMemory, OnLoopback, World, scenario

_HELLO: Script = ["S: 220 ...", "C: EHLO me", "S: 250-..."]
_MAIL: Script = ["C: MAIL FROM:<a@x>", "S: 250 ...", "C: RCPT TO:<b@x>", "S: 250 ..."]
_DATA: Script = ["C: DATA", "S: 354 ...", Send(b"..\r\n" + b"x" * 300_000 + b"\r\n.\r\n")]


class PeerContract(World):
    """A smart host and a client with a script."""

    async def talk(self, host: FakeSmarthost, script: Script) -> ScriptedPeer:
        """Play a script to its end."""
        address: Any = await self.listen(host)
        client = ScriptedPeer(script, side="C")
        self.reactor.connectTCP(address.host, address.port, client)
        await self.until(lambda: client.conversations and client.conversations[0].reason)
        await self.until(lambda: host.sessions[0].reason)
        await self.stop()
        return client

    @scenario
    async def test_delivery(self) -> None:
        """A message goes through STARTTLS and AUTH, and arrives as it was sent."""
        extensions = ("STARTTLS", "PIPELINING")
        host = FakeSmarthost(extensions=extensions, users={"u": "p"}, context=server_context())
        secure: Script = [*_HELLO, *["S: 250-..."] * 2, "S: 250 ...", "C: STARTTLS", "S: 220 ..."]
        login: Script = ["C: EHLO me", "S: 250-...", "S: 250-...", "S: 250 AUTH PLAIN"]
        auth: Script = ["C: AUTH PLAIN AHUAcA==", "S: 235 ..."]
        quits: Script = ["S: 250 ...", "C: QUIT", "S: 221 ...", Ended()]
        script = [*secure, StartTls(client_context()), *login, *auth, *_MAIL, *_DATA, *quits]
        client = await self.talk(host, script)
        client.verify()
        host.verify()
        assert host.messages == [Message("a@x", ("b@x",), b".\r\n" + b"x" * 300_000 + b"\r\n")]
        assert host.sessions[0].user == "u"

    @scenario
    async def test_cut_in_the_last_reply(self) -> None:
        """A reset in the middle of a reply comes after what was sent of it (PEER-31)."""
        host = FakeSmarthost(extensions=("8BITMIME",), cut_after=CutAfter(".", 3))
        client = await self.talk(host, [*_HELLO, "S: 250 ...", *_MAIL, *_DATA, Ended()])
        assert client.conversations[0].inbox == b"250"
        assert len(host.messages) == 1

    @scenario
    async def test_end_in_the_greeting(self) -> None:
        """So does an end."""
        host = FakeSmarthost(cut_after=CutAfter("GREETING", 2, Cut.FIN))
        client = await self.talk(host, [Ended()])
        assert client.conversations[0].inbox == b"22"

    @scenario
    async def test_waits(self) -> None:
        """A wait takes the time of the world it is in."""
        host = FakeSmarthost(extensions=("8BITMIME",), replies={"QUIT": (Wait(0.05), "221 bye")})
        before = self.reactor.seconds()
        script = [*_HELLO, "S: 250 ...", "C: QUIT", "S: 221 bye", Ended()]
        (await self.talk(host, script)).verify()
        assert self.reactor.seconds() - before >= 0.05


class OpaqueTests(PeerContract, InMemory, SynchronousTestCase):
    """In memory."""


class RealTLSTests(PeerContract, InMemory, SynchronousTestCase):
    """In memory, with real TLS."""

    def new_reactor(self) -> MemoryReactor:
        """Return a reactor whose TLS is real."""
        reactor = super().new_reactor()
        reactor.network.opaque = False
        return reactor


class LoopbackTests(PeerContract, OnLoopback, TestCase):
    """On real sockets."""
