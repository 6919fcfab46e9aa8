# -*- test-case-name: tests.smtp.test_session -*-
"""Dialogues up to a ready session: the peers that hold them, and the clients that meet these."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.destinations import Destinations
from slimtwist.errors import RelayError
from slimtwist.outcome import Outcome, Verdict
from slimtwist.runtime import Runtime
from slimtwist.smtp.auth import Credentials
from slimtwist.smtp.connector import Connector, Place
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.session import Session
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import MemoryReactor, ScriptedPeer, StartTls
from slimtwist.testing.script import Script
from slimtwist.testing.steps import Stage, Step

HOST = "mx.example.com"
WHERE = f"{HOST} [192.0.2.1]:25"
PASSWORD = Credentials("joe", "secret")
TOKEN = Credentials("joe", token="t0ken")
INSECURE: dict[str, Any] = {"auth_insecure": True, "tls": TlsPolicy(TlsMode.NONE)}
#: What no log may hold, in any form.
SECRETS = ["secret", "t0ken", "AGpvZQBzZWNyZXQ=", "c2VjcmV0", "dDBrZW4"]
GREETING: list[str | Step] = [f"S: 220 {HOST} ESMTP"]
STARTTLS: list[str | Step] = ["C: STARTTLS", "S: 220 go ahead", StartTls()]
BYE: list[str | Step] = ["C: QUIT", "S: 221 bye"]


def ehlo(*keywords: str) -> list[str | Step]:
    """Return an EHLO and a reply that offers these."""
    lines = [HOST, *keywords]
    first = [f"S: 250-{line}" for line in lines[:-1]]
    return ["C: EHLO client.example.org", *first, f"S: 250 {lines[-1]}"]


def encoded(text: str) -> str:
    """Return a text in base64."""
    return b64encode(text.encode()).decode()


@dataclass(frozen=True)
class Answer:
    """Take a line, and send what is made of it."""

    make: Callable[[bytes], bytes]

    def play(self, stage: Stage) -> bool:
        """Answer if a line is there."""
        line, found, rest = bytes(stage.inbox).partition(b"\r\n")
        if found:
            stage.inbox[:] = rest
            stage.heard(line + found)
            stage.send(self.make(line) + b"\r\n")
        return bool(found)


class World:
    """A host that plays scripts, and a client of it, in memory.

    @ivar reactor: the time and the network.
    @ivar peer: the host.
    @ivar address: where it is.
    @ivar connector: the client.
    """

    def __init__(
        self,
        *scripts: Script,
        place: Place | None = None,
        connector: dict[str, Any] | None = None,
        **options: Any,  # noqa: ANN401 - each of ClientOptions has a type of its own
    ) -> None:
        """Let the host listen; nothing is connected.

        @param scripts: for each connection one.
        @param connector: further fields of the L{Place}.
        @param options: of the L{ClientOptions}.
        """
        self.reactor = MemoryReactor()
        self.peer = ScriptedPeer(*scripts)
        self.address = self.reactor.add_host(HOST, self.peer)
        self.destinations = Destinations(self.reactor)
        self.connector = Connector(
            Runtime(self.reactor, random=Random(1)),
            replace(place or Place(HOST), **connector or {}),
            ClientOptions(**{"ehlo_as": "client.example.org"} | options),
            self.destinations,
        )
        self.opened: Deferred[Session] | None = None
        self.results: list[Session | Failure] = []

    def start(self) -> Deferred[Session]:
        """Begin to open a session; what comes of it is in C{results} too."""
        self.opened = Deferred.fromCoroutine(self.connector.open())
        self.opened.addBoth(self._note)
        return self.opened

    def _note(self, result: Session | Failure) -> Session | Failure | None:
        self.results.append(result)
        return result if isinstance(result, Session) else None

    def session(self) -> Session:
        """Return a session, when it is open. Raises what it fails with."""
        self.finish_opening()
        result = self.results[-1]
        if isinstance(result, Failure):
            result.raiseException()
        assert isinstance(result, Session)
        return result

    def error(self) -> RelayError:
        """Return the error that opening a session ends with."""
        self.finish_opening()
        result = self.results[-1]
        assert isinstance(result, Failure), result
        assert isinstance(result.value, RelayError), result
        return result.value

    def outcome(self) -> Outcome:
        """Return what each recipient gets from it."""
        return self.error().outcome

    def finish_opening(self) -> None:
        """Let time pass until it is decided, but no longer than two hours."""
        if self.opened is None:
            self.start()
        end = self.reactor.seconds() + 7200
        self.reactor.flush()
        while not self.results and self.reactor.next(before=end):
            pass
        assert self.results, self.reactor.leftovers()

    def close(self, farewell: bytes = b"QUIT\r\n") -> None:
        """End the session, if there is one."""
        for each in self.results:
            if isinstance(each, Session):
                each.channel.close(farewell)
        self.reactor.advance(10)

    def left(self) -> str:
        """Return what is left behind, but for the host itself; empty for nothing."""
        left = replace(self.reactor.leftovers(), ports=())
        return str(left) if left else ""

    def check(self) -> None:
        """Check that the host got all that it expected, and nothing is left."""
        self.reactor.advance(10)
        self.peer.verify()
        assert not self.left(), self.left()


class SessionCase(SynchronousTestCase):
    """A host that plays a script, and what becomes of a session with it."""

    def session(self, *steps: str | Step, **options: Any) -> Session:  # noqa: ANN401
        """Return the session with a host that then takes QUIT; nothing may be left."""
        world = World([*steps, *BYE], **options)
        session = world.session()
        self.seconds = world.reactor.seconds()
        world.close()
        world.check()
        return session

    def error(self, *steps: str | Step, **options: Any) -> RelayError:  # noqa: ANN401
        """Return the error when there is no session to be had; nothing may be left."""
        world = World(list(steps), **options)
        error = world.error()
        self.seconds = world.reactor.seconds()
        world.check()
        self.said = world.peer.transcript
        self.assertEqual(error.outcome.host, WHERE)
        return error

    def deferred(
        self,
        kind: type[RelayError],
        command: str,
        *steps: str | Step,
        **options: Any,  # noqa: ANN401
    ) -> Outcome:
        """Return the outcome of such an error, at a command; it defers."""
        error = self.error(*steps, **options)
        self.assertIs(type(error), kind, error)
        self.assertEqual(error.outcome.command, command)
        self.assertIs(error.outcome.verdict, Verdict.DEFERRED)
        self.assertFalse(error.outcome.ambiguous)
        return error.outcome


class AuthCase(SessionCase):
    """Sessions with a host that offers some mechanisms, in plaintext."""

    def setUp(self) -> None:
        """Begin to read the log."""
        self.events = logged(self)
        self.addCleanup(self.check_log)

    def check_log(self) -> None:
        """Check that no secret was logged, neither as text nor as a field."""
        for event in self.events:
            text = f"{formatEvent(event)} {event}"
            for secret in SECRETS:
                assert secret not in text, text

    def accepted(
        self,
        mechanisms: str,
        credentials: object,
        *steps: str | Step,
        **options: Any,  # noqa: ANN401
    ) -> Session:
        """Return the session after these steps."""
        hello = [*GREETING, *ehlo(f"AUTH {mechanisms}")]
        return self.session(*hello, *steps, credentials=credentials, **INSECURE | options)

    def refused(
        self,
        kind: type[RelayError],
        mechanisms: str,
        credentials: object,
        *steps: str | Step,
        **options: Any,  # noqa: ANN401
    ) -> Outcome:
        """Return the outcome of these steps, which is at AUTH and defers."""
        hello = [*GREETING, *ehlo(f"AUTH {mechanisms}")]
        options = INSECURE | options
        return self.deferred(kind, "AUTH", *hello, *steps, credentials=credentials, **options)


@dataclass(frozen=True)
class Dialogue:
    """What is said up to a session, or an error.

    @ivar scripts: of the host, one for each connection.
    @ivar options: of the client.
    @ivar ends: the reply of the outcome as a text with its command behind it; empty: a session.
    """

    scripts: tuple[Script, ...]
    options: dict[str, Any] = field(default_factory=dict)
    ends: str = ""

    def world(self) -> World:
        """Return host and client anew."""
        return World(*self.scripts, **self.options)

    def play(self, prepare: Callable[[World], object] = lambda _: None) -> tuple[str, list[str]]:
        """Hold the dialogue, and return how it ended and what was said."""
        world = self.world()
        prepare(world)
        world.finish_opening()
        result = world.results[-1]
        world.close()
        world.check()
        return describe(result), world.peer.transcript


def describe(result: Session | Failure) -> str:
    """Return how opening a session ended: empty for a session, else reply and command."""
    if isinstance(result, Session):
        return ""
    assert isinstance(result.value, RelayError), result
    outcome = result.value.outcome
    return f"{outcome.reply} ({outcome.command})"


def logged(case: SynchronousTestCase) -> list[LogEvent]:
    """Return a list to which all is added that a test logs from now on."""
    events: list[LogEvent] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    case.addCleanup(globalLogPublisher.removeObserver, observer)
    return events


def policy(mode: str, **parts: Any) -> TlsPolicy:  # noqa: ANN401
    """Return a TLS policy by its word."""
    return TlsPolicy(TlsMode(mode), **parts)
