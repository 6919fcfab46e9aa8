# -*- test-case-name: tests.smtp.test_oauth -*-
"""Access tokens instead of passwords: OAUTHBEARER, and XOAUTH2 from before it was a standard.

A server refuses a token by a challenge that says why, in JSON; the client answers so that the
server can fail the command.  What it then replies is what counts, and is passed on.

Sources: RFC 7628 (OAUTHBEARER), RFC 5801 4 (its header), developers.google.com/gmail/imap/xoauth2.
"""

from __future__ import annotations

from collections.abc import Callable

from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.sasl import Answers, AuthError, Unsuitable


class _Bearer(Answers):
    """A token at once, and an answer to the refusal."""

    def __init__(self, initial: str, acknowledgement: bytes) -> None:
        super().__init__(lambda _: acknowledgement)
        self.initial = initial.encode()

    def finished(self) -> None:
        """Check that the token was not refused before.

        @raise AuthError: it was.
        """
        if not self._answers:
            raise AuthError("the server has refused the token, and now takes it")


class OAuthBearer(_Bearer):
    """RFC 7628."""

    name = "OAUTHBEARER"

    def __init__(self, credentials: Credentials, _: Callable[[], str]) -> None:
        """Begin."""
        token, user = _token(credentials), credentials.authorize_as or credentials.username
        escaped = user.replace("=", "=3D").replace(",", "=2C")
        super().__init__(f"n,a={escaped},\x01auth=Bearer {token}\x01\x01", b"\x01")


class XOAuth2(_Bearer):
    """Google's and Microsoft's own."""

    name = "XOAUTH2"

    def __init__(self, credentials: Credentials, _: Callable[[], str]) -> None:
        """Begin."""
        token = _token(credentials)
        if credentials.authorize_as:
            raise Unsuitable("it cannot name another to act for")
        super().__init__(f"user={credentials.username}\x01auth=Bearer {token}\x01\x01", b"")


def _token(credentials: Credentials) -> str:
    if not credentials.token:
        raise Unsuitable("there is no token")
    return credentials.token
