# -*- test-case-name: tests.smtp.test_session -*-
"""From a connection to a session: what hosts may say on the way, and what it comes to."""

from __future__ import annotations

from typing import cast

from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import ConnectionLost, ProtocolViolation
from slimtwist.outcome import Outcome, Verdict
from slimtwist.testing import Ended, Send
from tests.smtp.dialogues import GREETING, HOST, World, ehlo, policy

WHERE = f"{HOST} [192.0.2.1]:25"


def logged(case: SynchronousTestCase) -> list[LogEvent]:
    """Return a list to which all is added that a test logs from now on."""
    events: list[LogEvent] = []
    observer = cast(ILogObserver, events.append)
    globalLogPublisher.addObserver(observer)
    case.addCleanup(globalLogPublisher.removeObserver, observer)
    return events


class SessionCase(SynchronousTestCase):
    """A host that plays a script, and what becomes of a session with it."""

    def outcome(self, *steps: object, **options: object) -> Outcome:
        """Return the outcome of a session that cannot be had; nothing may be left."""
        world = World(list(steps), **options)  # type: ignore[arg-type]
        outcome = world.outcome()
        world.check()
        self.assertEqual(outcome.host, WHERE)
        self.kind = type(world.error())
        return outcome


class NoTrustInOrderTests(SessionCase):
    """L12: a reply belongs to one command, and nothing stands between two."""

    def test_one_too_many(self) -> None:
        """PEER-17, POOL-05: a second reply in the segment of an awaited one ends the connection."""
        for octets in (b"250 mx\r\n250 more\r\n", b"250 mx\r\n2", b"250 mx\r\n-"):
            outcome = self.outcome(*GREETING, "C: EHLO ...", Send(octets), Ended())
            self.assertEqual((outcome.reply.enhanced, outcome.command), ("4.5.0", "EHLO"))
            self.assertIs(self.kind, ProtocolViolation)

    def test_goodbye_to_starttls(self) -> None:
        """PEER-06: 421 in reply to STARTTLS is the outcome, although TLS was not required."""
        outcome = self.outcome(
            *GREETING, *ehlo("STARTTLS"), "C: STARTTLS", "S: 421 4.3.2 closing", Ended()
        )
        self.assertEqual(str(outcome.reply), "421 4.3.2 closing")
        self.assertEqual(outcome.command, "STARTTLS")
        self.assertIs(self.kind, ConnectionLost)

    def test_refused_starttls_and_more(self) -> None:
        """PEER-17: neither is a refusal of STARTTLS with octets behind it a session."""
        outcome = self.outcome(
            *GREETING, *ehlo("STARTTLS"), "C: STARTTLS", Send(b"454 no\r\n2"), Ended()
        )
        self.assertEqual((outcome.reply.enhanced, outcome.command), ("4.5.0", "STARTTLS"))


class InjectionTests(SessionCase):
    """Plaintext that somebody puts where TLS begins (RFC 3207 5, CVE-2011-0411)."""

    def injected(self, octets: bytes, mode: str) -> Outcome:
        """Return the outcome when these follow the reply to STARTTLS in one segment."""
        go = Send(b"220 go\r\n" + octets)
        return self.outcome(
            *GREETING, *ehlo("STARTTLS"), "C: STARTTLS", go, Ended(), tls=policy(mode)
        )

    def test_injected(self) -> None:
        """TLS-01, TLS-02: whole replies and a fragment end the connection, are logged, and are
        never followed by plaintext.
        """
        events = logged(self)
        for mode in ("opportunistic", "encrypt", "verify"):
            for octets in (b"250-mx\r\n250 AUTH PLAIN\r\n", b"250-AUTH PLA", b"250 x\r\n2"):
                events.clear()
                outcome = self.injected(octets, mode)
                self.assertEqual((outcome.reply.enhanced, outcome.command), ("4.7.0", "STARTTLS"))
                self.assertIs(outcome.verdict, Verdict.DEFERRED)
                self.assertIs(self.kind, ProtocolViolation)
                self.assertIn("starttls-injection", str(events[-1]["log_format"]))
