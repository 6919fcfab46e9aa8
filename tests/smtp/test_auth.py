# -*- test-case-name: tests.smtp.test_auth -*-
"""Tests of how a mechanism is chosen and answered."""

from __future__ import annotations

import random
import threading

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.smtp.auth import AuthError, Credentials, choose, fresh_nonce, respond
from slimtwist.smtp.scram import ScramSha256
from tests.smtp.test_scram import CLIENT_NONCE, NONCE, SALT

ALL = ["LOGIN", "PLAIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "GSSAPI", "NTLM"]
PASSWORD = Credentials("joe", "secret")
TOKEN = Credentials("joe", token="token")


def chosen(offered: list[str], credentials: Credentials) -> str | None:
    """Return the name of the mechanism that is chosen."""
    mechanism = choose(offered, credentials, lambda: CLIENT_NONCE)
    return mechanism.name if mechanism is not None else None


class ChooseTests(SynchronousTestCase):
    """The best mechanism in common."""

    def order(self, credentials: Credentials) -> list[str]:
        """Return the mechanisms in the order in which they are chosen."""
        offered, order = list(ALL), []
        while name := chosen(offered, credentials):
            order.append(name)
            offered.remove(name)
        return order

    def test_password(self) -> None:
        """The mechanism that shows least of a password is chosen."""
        self.assertEqual(self.order(PASSWORD), ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"])

    def test_token(self) -> None:
        """A token has its own mechanisms, the standard's first."""
        self.assertEqual(self.order(TOKEN), ["OAUTHBEARER", "XOAUTH2"])

    def test_both(self) -> None:
        """A token comes before a password."""
        self.assertEqual(
            self.order(Credentials("joe", "secret", "token")),
            ["OAUTHBEARER", "XOAUTH2", "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"],
        )

    def test_acting_for_another(self) -> None:
        """RFC 4422 3.4.1: only a mechanism that can say so is chosen."""
        self.assertEqual(self.order(Credentials("joe", "secret", authorize_as="ann")), ["PLAIN"])
        self.assertEqual(
            self.order(Credentials("joe", token="token", authorize_as="ann")), ["OAUTHBEARER"]
        )

    def test_unprepared(self) -> None:
        """A password that SCRAM cannot write is for the next."""
        self.assertEqual(self.order(Credentials("joe", "🔑")), ["CRAM-MD5", "PLAIN", "LOGIN"])

    def test_case(self) -> None:
        """RFC 4422 3.1: names are in any case when offered, and in upper case when used."""
        self.assertEqual(chosen(["login", "Plain"], PASSWORD), "PLAIN")

    def test_nothing_in_common(self) -> None:
        """Without a mechanism in common there is none; PLUS is not what it is named after."""
        for offered in ([], ["GSSAPI"], ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "PLAINER"]):
            self.assertIsNone(chosen(offered, PASSWORD))

    def test_anew(self) -> None:
        """Each exchange has a mechanism and a nonce of its own."""
        source = random.Random(1)
        made = [choose(ALL, PASSWORD, lambda: fresh_nonce(source)) for _ in range(2)]
        self.assertNotEqual(*(one and one.initial for one in made))


class NonceTests(SynchronousTestCase):
    """Where nonces come from."""

    def test_nonce(self) -> None:
        """RFC 5802 5.1: printable, no comma, and never twice."""
        source = random.Random(1)
        nonces = {fresh_nonce(source) for _ in range(1000)}
        self.assertEqual(len(nonces), 1000)
        for nonce in nonces:
            self.assertRegex(nonce, r"\A[A-Za-z0-9+/]{24}\Z")

    def test_reproducible(self) -> None:
        """The same seed gives the same nonce, as a simulation needs it."""
        self.assertEqual(fresh_nonce(random.Random(7)), fresh_nonce(random.Random(7)))


class _Traced(ScramSha256):
    """A mechanism that knows in which thread it answered."""

    thread = 0

    def step(self, challenge: bytes) -> bytes:
        """Answer."""
        self.thread = threading.get_ident()
        return super().step(challenge)


def asked(iterations: int) -> bytes:
    """Return a challenge that wants so many iterations."""
    return f"r={NONCE},s={SALT},i={iterations}".encode()


class RespondTests(TestCase):
    """Where answers are worked out, with the real reactor's threads."""

    def setUp(self) -> None:
        """Make a mechanism."""
        self.mechanism = _Traced(PASSWORD, lambda: CLIENT_NONCE)
        self.here = threading.get_ident()

    async def test_slow(self) -> None:
        """The reactor is not held up: an answer that takes long is worked out in a thread."""
        answer = await respond(self.mechanism, asked(50_000), reactor)
        self.assertTrue(answer.startswith(b"c=biws,r="))
        self.assertNotEqual(self.mechanism.thread, self.here)

    async def test_fast(self) -> None:
        """Another is worked out at once."""
        await respond(self.mechanism, asked(4096), reactor)
        self.assertEqual(self.mechanism.thread, self.here)

    async def test_wrong(self) -> None:
        """What a thread finds wrong is an AuthError like any other."""
        challenge = asked(50_000).replace(b"r=r", b"r=x")
        with self.assertRaises(AuthError):
            await respond(self.mechanism, challenge, reactor)

    def test_no_threads(self) -> None:
        """Without threads, on a virtual clock, the answer is there at once."""
        done = Deferred.fromCoroutine(respond(self.mechanism, asked(50_000), Clock()))
        self.assertTrue(self.successResultOf(done).startswith(b"c=biws,r="))
        self.assertEqual(self.mechanism.thread, self.here)
