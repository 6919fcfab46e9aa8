# -*- test-case-name: tests.relay.http -*-
"""A relay, and a scripted HTTP service that it posts to, in memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.outcome import Outcome
from slimtwist.relay.http import HttpRelay
from slimtwist.runtime import Runtime
from slimtwist.testing import MemoryReactor, ScriptedPeer, Send
from slimtwist.testing.script import Script
from slimtwist.testing.steps import Stage, Step

URL = "http://service.example/messages/"
MESSAGE = b"Subject: x\r\n\r\nhello\r\n"
_LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True)
class Take:
    """A step: take a whole request, and keep it; or its header only."""

    body: bool = True

    def play(self, stage: Stage) -> bool:
        """Take it if it is there."""
        end = stage.inbox.find(b"\r\n\r\n")
        if end < 0:
            return False
        found = _LENGTH.search(stage.inbox[: end + 4])
        size = end + 4 + (int(found[1]) if found and self.body else 0)
        if len(stage.inbox) < size:
            return False
        stage.bodies.append(bytes(stage.inbox[:size]))
        del stage.inbox[:size]
        return True


def answer(status: str, *fields: str, body: bytes = b"", length: bool = True) -> Step:
    """Return the step that sends a response."""
    lines = [f"HTTP/1.1 {status}", *fields]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return Send("\r\n".join([*lines, "", ""]).encode() + body)


class HttpRelayCase(SynchronousTestCase):
    """Has a service at C{service.example}, and relays to it."""

    def setUp(self) -> None:
        """Begin with nobody listening."""
        self.reactor = MemoryReactor(start=1_700_000_000.0)
        self.runtime = Runtime(self.reactor, hostname="relay.example", random=Random(1))

    def serve(self, *scripts: Script, port: int = 80) -> ScriptedPeer:
        """Let a peer play these on its connections."""
        self.peer = ScriptedPeer(*scripts)
        self.reactor.add_host("service.example", self.peer, port)
        return self.peer

    def relay(self, url: str = URL, **options: Any) -> HttpRelay:  # noqa: ANN401
        """Return a relay to the service."""
        return HttpRelay(url, runtime=self.runtime, **options)

    def send(
        self,
        relay: HttpRelay | None = None,
        recipients: Sequence[str] = ("b@example.net",),
        octets: bytes = MESSAGE,
    ) -> Sequence[Outcome]:
        """Send a message; return the outcomes."""
        envelope = Envelope.parse("a@example.org", recipients, octets)
        report = self.reactor.wait((relay or self.relay()).attempt(envelope, 0))
        return report.outcomes

    def fate(self, *steps: Step, octets: bytes = MESSAGE, **options: Any) -> str:  # noqa: ANN401
        """Return what becomes of one message to a service that does this, checked to the end."""
        self.serve([*steps])
        return self.told(self.relay(**options), octets)

    def told(self, relay: HttpRelay, octets: bytes = MESSAGE) -> str:
        """Return what becomes of one message: the reply, and whether the end is ambiguous."""
        [outcome] = self.send(relay, octets=octets)
        return f"{outcome.reply}{' (ambiguous)' * outcome.ambiguous}"

    def leave(self, relay: HttpRelay) -> None:
        """Stop a relay, and check that nothing of it is left."""
        for wire in self.reactor.network.wires:
            wire.thaw()
        self.reactor.wait(relay.stop())
        self.reactor.flush()
        left = self.reactor.leftovers()
        self.assertEqual((left.timers, left.connections, left.producers), ((), (), ()))
