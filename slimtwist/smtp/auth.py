# -*- test-case-name: tests.smtp.test_auth -*-
"""Authentication of a client: the best mechanism that server and credentials have in common.

A token comes before a password.  Of the mechanisms for passwords the best is the one that proves
most and shows least: SCRAM-SHA-256 has the server prove itself too, CRAM-MD5 does not send the
password, PLAIN and LOGIN do; LOGIN, a draft that became no standard, needs a round trip more.

Whether the channel is good enough to authenticate on is for the session.

Source: RFC 4954.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection
from random import Random
from typing import Any, Final

from twisted.internet.interfaces import IReactorThreads
from twisted.internet.threads import deferToThreadPool

from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.oauth import OAuthBearer, XOAuth2
from slimtwist.smtp.sasl import AuthError, CramMd5, Login, Mechanism, Plain, Unsuitable
from slimtwist.smtp.scram import ScramSha256

__all__ = ["AuthError", "Credentials", "Mechanism", "choose", "fresh_nonce", "respond"]

_BEST_FIRST: Final = (OAuthBearer, XOAuth2, ScramSha256, CramMd5, Plain, Login)


def choose(
    offered: Collection[str], credentials: Credentials, nonce: Callable[[], str]
) -> Mechanism | None:
    """Return a new exchange of the best mechanism.

    @param offered: the names that the server offers, in any case.
    @param credentials: a mechanism that cannot carry them is passed over.
    @param nonce: gives printable ASCII without commas that nobody can guess.
    @return: C{None} if there is no mechanism in common.
    """
    names = {name.upper() for name in offered}
    for make in _BEST_FIRST:
        if make.name in names:
            try:
                return make(credentials, nonce)
            except Unsuitable:
                continue
    return None


def fresh_nonce(random: Random) -> str:
    """Return 24 characters that nobody can guess, if nobody can guess what C{random} gives."""
    return b64encode(random.randbytes(18)).decode("ascii")


async def respond(mechanism: Mechanism, challenge: bytes, reactor: Any) -> bytes:  # noqa: ANN401
    """Return a mechanism's answer to a challenge, from a thread where it would take long.

    @param reactor: has threads; one that has none, in a simulation, waits for the answer itself.
    @raise AuthError: the challenge cannot stand here.
    """
    if mechanism.slow(challenge) and IReactorThreads.providedBy(reactor):
        return await deferToThreadPool(reactor, reactor.getThreadPool(), mechanism.step, challenge)
    return mechanism.step(challenge)
