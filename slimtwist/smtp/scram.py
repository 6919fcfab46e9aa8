# -*- test-case-name: tests.smtp.test_scram -*-
"""SCRAM-SHA-256: neither side learns the password from the other, and both prove that they know it.

The mechanism is scramp's; here are what a hostile server may ask of us, and how it ends.  There is
no channel binding: the server's name is proved by its certificate.  scramp cannot name another user
to act for.

Sources: RFC 5802, RFC 7677, RFC 4013 (how names and passwords are written).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.sasl import AuthError, Unsuitable

#: The server decides how long we compute: 1 ms for 4,096 iterations, 230 ms for a million.
_MOST_ITERATIONS: Final = 1_000_000
_FAST_ITERATIONS: Final = 40_000
_ITERATIONS: Final = re.compile(rb",i=(\d{1,9})(?:,|\Z)")


class ScramSha256:
    """RFC 7677."""

    name: Final = "SCRAM-SHA-256"

    def __init__(self, credentials: Credentials, nonce: Callable[[], str]) -> None:
        """Begin.

        @param nonce: gives printable ASCII without commas that nobody can guess.
        """
        # It takes 60 ms and 15 MiB, which only those pay who have such a server.
        import scramp  # type: ignore[import-untyped]  # noqa: PLC0415

        if not credentials.password or credentials.authorize_as:
            raise Unsuitable("it needs a password, and cannot name another to act for")
        self._fault: type[Exception] = scramp.ScramException
        try:
            self._client: Any = scramp.ScramClient(
                [self.name], credentials.username, credentials.password, c_nonce=nonce()
            )
            self.initial: bytes = self._client.get_client_first().encode()
        except scramp.ScramException as error:
            raise Unsuitable("RFC 4013 does not allow these characters") from error
        self._steps = [self._prove, self._check]
        self._proved = False

    def slow(self, challenge: bytes) -> bool:
        """Tell whether the server wants many iterations."""
        wanted = _ITERATIONS.search(challenge)
        return wanted is not None and int(wanted[1]) > _FAST_ITERATIONS

    def step(self, challenge: bytes) -> bytes:
        """Return the proof that we know the password, then nothing, if the server's proof is right.

        @raise AuthError: the challenge is malformed, asks for too few or too many iterations, or
            the server's proof is wrong.
        """
        if not self._steps:
            raise AuthError("the server asks for more than there is to say")
        try:
            return self._steps.pop(0)(challenge.decode())
        except (self._fault, ValueError) as error:
            raise AuthError(str(error)) from error

    def finished(self) -> None:
        """Check that the server has proved that it knows the password.

        @raise AuthError: it has not.
        """
        if not self._proved:
            raise AuthError("the server has not proved that it knows the password")

    def _prove(self, challenge: str) -> bytes:
        self._client.set_server_first(challenge)
        if int(self._client.iterations) > _MOST_ITERATIONS:
            raise AuthError(f"the server wants more than {_MOST_ITERATIONS} iterations")
        answer: str = self._client.get_client_final()
        return answer.encode()

    def _check(self, challenge: str) -> bytes:
        if challenge.startswith("e="):
            return b""  # a refusal; the reply that follows says it better
        self._client.set_server_final(challenge)
        self._proved = True
        return b""
