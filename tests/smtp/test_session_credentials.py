# -*- test-case-name: tests.smtp.test_session_credentials -*-
"""Who gives credentials, and over which channels they may go.

In each of these tests no credentials may come into a log.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed

from slimtwist.errors import (
    AttemptCancelled,
    AuthenticationFailed,
    ConnectionLost,
    RelayError,
    TLSFailed,
    TransientRelayError,
)
from slimtwist.outcome import Outcome
from slimtwist.smtp.auth import Credentials
from slimtwist.testing import Close, Ended, Handshake, Reset, Stall, Wait
from slimtwist.testing.steps import Step
from tests.smtp.dialogues import (
    BYE,
    GREETING,
    INSECURE,
    PASSWORD,
    STARTTLS,
    TOKEN,
    AuthCase,
    World,
    ehlo,
    encoded,
    policy,
)


def xoauth2(token: str) -> str:
    """Return the command that shows a token."""
    initial = encoded(f"user=joe\x01auth=Bearer {token}\x01\x01")
    return f"C: AUTH XOAUTH2 {initial}"


class SourceTests(AuthCase):
    """Who gives the credentials may be anybody's code."""

    def test_kinds(self) -> None:
        """It may return them, a Deferred of them, or be a coroutine."""

        async def coroutine() -> Credentials:
            return PASSWORD

        for source in (lambda: PASSWORD, lambda: succeed(PASSWORD), coroutine):
            self.accepted("PLAIN", source, "C: AUTH PLAIN AGpvZQBzZWNyZXQ=", "S: 235 ok")

    def test_slow(self) -> None:
        """It may take its time, while the host waits."""
        given: Deferred[Credentials] = Deferred()
        steps: list[str | Step] = [
            *ehlo("AUTH PLAIN"),
            "C: AUTH PLAIN AGpvZQBzZWNyZXQ=",
            "S: 235 ok",
            *BYE,
        ]
        world = World([*GREETING, *steps], credentials=lambda: given, **INSECURE)
        world.reactor.callLater(100, given.callback, PASSWORD)
        world.session()
        self.assertEqual(world.reactor.seconds(), 100)
        world.close()
        world.check()

    def test_asked_anew(self) -> None:
        """When what it gave is refused, it is asked once more, on the same connection."""
        tokens = [TOKEN, Credentials("joe", token="new")]
        self.accepted(
            "XOAUTH2",
            lambda: tokens.pop(0),
            xoauth2("t0ken"),
            "S: 535 5.7.8 expired",
            xoauth2("new"),
            "S: 235 ok",
        )
        self.assertEqual(tokens, [])

    def test_asked_anew_in_vain(self) -> None:
        """It is asked twice, and no more; the second refusal is the outcome."""
        asked = []

        def source() -> Credentials:
            asked.append(1)
            return PASSWORD

        outcome = self.refused(
            TransientRelayError,
            "PLAIN",
            source,
            "C: AUTH PLAIN ...",
            "S: 535 5.7.8 first",
            "C: AUTH PLAIN ...",
            "S: 535 5.7.8 second",
            *BYE,
        )
        self.assertEqual(len(asked), 2)
        self.assertIn("second", outcome.reply.text)

    def test_not_asked_anew(self) -> None:
        """Neither is it for another refusal than 535, nor are fixed credentials shown twice."""
        for source, code in ((lambda: PASSWORD, 454), (lambda: PASSWORD, 530), (PASSWORD, 535)):
            steps: list[str | Step] = ["C: AUTH PLAIN ...", f"S: {code} no"]
            self.refused(TransientRelayError, "PLAIN", source, *steps, *BYE)

    def test_hangs_up_after_refusal(self) -> None:
        """L11: a host that hangs up after 535 has said what the outcome is."""
        for step in (Close(), Reset()):
            given: list[Credentials | Deferred[Credentials]] = [PASSWORD, Deferred()]
            later = given[1]
            hello = [*GREETING, *ehlo("AUTH PLAIN"), "C: AUTH PLAIN ...", "S: 535 5.7.8 no", step]
            world = World(hello, credentials=lambda given=given: given.pop(0), **INSECURE)
            assert isinstance(later, Deferred)
            world.reactor.callLater(1, later.callback, PASSWORD)
            error = world.error()
            self.assertEqual(str(error.outcome.reply), "451 4.7.8 AUTH refused: 535 5.7.8 no")
            self.assertEqual(world.left(), "")

    def test_raises(self) -> None:
        """What it raises is logged, and defers with 4.7.0; no AUTH is sent."""

        async def coroutine() -> Credentials:
            raise KeyError("no such user")

        def plain() -> Credentials:
            raise KeyError("no such user")

        for source in (plain, coroutine):
            outcome = self.refused(AuthenticationFailed, "PLAIN", source, Ended())
            self.assertEqual(outcome.reply.enhanced, "4.7.0")
            self.assertIn("no credentials: KeyError", outcome.reply.text)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_never_fires(self) -> None:
        """L7: a Deferred that never fires is given up after 120 s, and told so."""
        cancelled: list[object] = []
        source: Deferred[Credentials] = Deferred(cancelled.append)
        outcome = self.refused(AuthenticationFailed, "PLAIN", lambda: source, Ended())
        self.assertIn("no credentials: TimeoutError", outcome.reply.text)
        self.assertEqual((self.seconds, len(cancelled)), (120, 1))
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_nonsense(self) -> None:
        """L3: what is no credentials is an outcome too."""
        for nonsense in (None, "joe:secret", 5, ("joe", "secret")):
            world = World(
                [*GREETING, *ehlo("AUTH PLAIN"), Ended()],
                credentials=lambda nonsense=nonsense: nonsense,
                **INSECURE,
            )
            self.assertIn(world.outcome().reply.enhanced, ("4.3.0", "4.7.0"))
            world.check()
        self.flushLoggedErrors()

    def test_cancelled(self) -> None:
        """OS-14: cancelled while they are awaited, it is that, and whoever gives them is told."""
        told: list[object] = []
        source: Deferred[Credentials] = Deferred(told.append)
        hello = [*GREETING, *ehlo("AUTH PLAIN"), Ended()]
        world = World(hello, credentials=lambda: source, **INSECURE)
        opened = world.start()
        world.reactor.advance(1)
        opened.cancel()
        self.assertIs(type(world.error()), AttemptCancelled)
        self.assertEqual(len(told), 1)
        world.check()

    def test_ends_meanwhile(self) -> None:
        """A host that ends the connection meanwhile gets no credentials."""
        given: Deferred[Credentials] = Deferred()
        world = World(
            [*GREETING, *ehlo("AUTH PLAIN"), Wait(1), Close()],
            credentials=lambda: given,
            **INSECURE,
        )
        world.reactor.callLater(2, given.callback, PASSWORD)
        self.assertIs(type(world.error()), ConnectionLost)
        world.check()


class InTheClearTests(AuthCase):
    """TLS-21, L9: no credentials over a channel that is not good enough."""

    def refused_without_auth(
        self,
        kind: type[RelayError],
        *steps: str | Step,
        **options: Any,  # noqa: ANN401
    ) -> Outcome:
        """Return the outcome, after checking that no octet of AUTH was sent."""
        error = self.error(*GREETING, *steps, credentials=PASSWORD, **options)
        self.assertIs(type(error), kind)
        self.assertFalse([line for line in self.said if line.startswith("C: AUTH")])
        return error.outcome

    def test_only_in_the_clear(self) -> None:
        """A host that offers AUTH only before TLS gets none."""
        outcome = self.refused_without_auth(
            AuthenticationFailed,
            *ehlo("STARTTLS", "AUTH PLAIN LOGIN"),
            *STARTTLS,
            *ehlo("DSN"),
            Ended(),
        )
        self.assertEqual((outcome.reply.enhanced, outcome.command), ("4.7.0", "AUTH"))

    def test_no_tls(self) -> None:
        """A host that offers AUTH but no TLS, or refuses TLS, gets none."""
        outcome = self.refused_without_auth(TLSFailed, *ehlo("AUTH PLAIN LOGIN"), *BYE)
        self.assertEqual(outcome.reply.enhanced, "4.7.4")
        refusal = ["C: STARTTLS", "S: 454 no"]
        outcome = self.refused_without_auth(
            TLSFailed, *ehlo("AUTH PLAIN", "STARTTLS"), *refusal, *BYE
        )
        self.assertEqual(outcome.reply.enhanced, "4.7.4")

    def test_no_fall_back(self) -> None:
        """After a broken handshake credentials are not sent in plaintext, even with leave."""
        insecure: dict[str, Any] = {"auth_insecure": True, "tls": policy("opportunistic")}
        no_options: dict[str, Any] = {}
        for options in (no_options, insecure):
            world = World(
                [*GREETING, *ehlo("STARTTLS", "AUTH PLAIN"), *STARTTLS, Stall()],
                credentials=PASSWORD,
                **options,
            )
            world.reactor.network.handshake = Handshake(refused_by="server")
            self.assertIs(type(world.error()), TLSFailed)
            self.assertEqual(len(world.reactor.network.wires), 1)
            self.assertNotIn("AUTH PLAIN A", "".join(world.peer.transcript))

    def test_with_leave(self) -> None:
        """With C{auth_insecure} they are, over whatever channel there is."""
        for mode in ("none", "opportunistic"):
            steps: list[str | Step] = [
                *ehlo("AUTH PLAIN"),
                "C: AUTH PLAIN AGpvZQBzZWNyZXQ=",
                "S: 235 ok",
            ]
            self.session(
                *GREETING, *steps, credentials=PASSWORD, auth_insecure=True, tls=policy(mode)
            )
