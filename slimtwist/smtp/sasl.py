# -*- test-case-name: tests.smtp.test_sasl -*-
"""SASL mechanisms: what one is, and those that need a few lines.

A mechanism is one side of one exchange, without I/O and without base64, which is SMTP's.

Sources: RFC 4422 (SASL), RFC 4954 (AUTH), RFC 4616 (PLAIN), RFC 2195 (CRAM-MD5),
draft-murchison-sasl-login (LOGIN).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import ClassVar, Protocol

from slimtwist.smtp.credentials import Credentials


class AuthError(Exception):
    """The server broke the rules of a mechanism, or did not prove that it knows the secret."""


class Unsuitable(Exception):
    """A mechanism cannot carry these credentials."""


class Mechanism(Protocol):
    """The client's side of one authentication."""

    @property
    def name(self) -> str:
        """What follows AUTH, in upper case."""

    @property
    def initial(self) -> bytes | None:
        """The initial response; C{None} when the server speaks first."""

    def slow(self, challenge: bytes) -> bool:
        """Tell whether the answer to a challenge takes more than 10 ms to work out."""

    def step(self, challenge: bytes) -> bytes:
        """Return the answer to a challenge; may be called in a thread.

        @raise AuthError: the challenge cannot stand here.
        """

    def finished(self) -> None:
        """Take note of the server's success.

        @raise AuthError: it should not have said so yet.
        """


class Answers:
    """A mechanism that has an answer for each challenge, and owes nothing more."""

    name: ClassVar[str]
    initial: bytes | None = None

    def __init__(self, *answers: Callable[[bytes], bytes]) -> None:
        """Begin.

        @param answers: one for each challenge, in order.
        """
        self._answers = list(answers)

    def slow(self, challenge: bytes) -> bool:
        """Tell that no answer is."""
        return False

    def step(self, challenge: bytes) -> bytes:
        """Return the next answer.

        @raise AuthError: none is left.
        """
        if not self._answers:
            raise AuthError("the server asks for more than there is to say")
        return self._answers.pop(0)(challenge)

    def finished(self) -> None:
        """Check that the server asked for all there is to say.

        @raise AuthError: it did not.
        """
        if self._answers:
            raise AuthError("the server is content before it has heard all")


class Plain(Answers):
    """RFC 4616: user and password, as they are."""

    name = "PLAIN"

    def __init__(self, credentials: Credentials, _: Callable[[], str]) -> None:
        """Begin."""
        super().__init__()
        _need_password(credentials)
        parts = (credentials.authorize_as, credentials.username, credentials.password)
        self.initial = "\0".join(parts).encode()


class Login(Answers):
    """User and password, each when asked; what the questions say differs, and is not looked at."""

    name = "LOGIN"

    def __init__(self, credentials: Credentials, _: Callable[[], str]) -> None:
        """Begin."""
        _need_password(credentials)
        _need_no_other(credentials)
        username, password = credentials.username.encode(), credentials.password.encode()
        super().__init__(lambda _: username, lambda _: password)


class CramMd5(Answers):
    """RFC 2195: the password signs a challenge and is not sent."""

    name = "CRAM-MD5"

    def __init__(self, credentials: Credentials, _: Callable[[], str]) -> None:
        """Begin."""
        super().__init__(self._sign)
        _need_password(credentials)
        _need_no_other(credentials)
        self._username, self._key = credentials.username.encode(), credentials.password.encode()
        try:
            hmac.digest(self._key, b"", "md5")
        except ValueError as error:  # a Python that has no MD5, as FIPS 140 wants it
            raise Unsuitable("there is no MD5 here") from error

    def _sign(self, challenge: bytes) -> bytes:
        if not challenge:
            raise AuthError("the challenge is empty")
        return b"%s %s" % (self._username, hmac.digest(self._key, challenge, "md5").hex().encode())


def _need_password(credentials: Credentials) -> None:
    if not credentials.password:
        raise Unsuitable("there is no password")


def _need_no_other(credentials: Credentials) -> None:
    if credentials.authorize_as:
        raise Unsuitable("it cannot name another to act for")
