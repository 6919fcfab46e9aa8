# -*- test-case-name: tests.smtp.test_oauth -*-
"""Tests of the mechanisms for access tokens, by the examples of their documents."""

from __future__ import annotations

from base64 import b64decode

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.oauth import OAuthBearer, XOAuth2
from slimtwist.smtp.sasl import AuthError, Unsuitable
from tests.smtp.test_sasl import no_nonce

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
REFUSAL = b'{"status":"invalid_token","schemes":"bearer","scope":"https://mail.example.com/"}'


class OAuthBearerTests(SynchronousTestCase):
    """RFC 7628."""

    def test_example(self) -> None:
        """The example of RFC 7628 4.1, without host and port, which it does not need."""
        example = b64decode(
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVh"
            "cmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
        )
        made = OAuthBearer(Credentials("user@example.com", token=TOKEN), no_nonce)
        self.assertEqual(
            made.initial, example.replace(b"host=server.example.com\x01port=143\x01", b"")
        )
        made.finished()

    def test_user(self) -> None:
        """L5: the user, or whom he acts for, cannot end its field (RFC 5801 4)."""
        made = OAuthBearer(Credentials("joe", token="t", authorize_as="a=b,c"), no_nonce)
        self.assertEqual(made.initial, b"n,a=a=3Db=2Cc,\x01auth=Bearer t\x01\x01")

    def test_refusal(self) -> None:
        """RFC 7628 3.2.3: the reason is acknowledged, so that the server can fail the command."""
        made = OAuthBearer(Credentials("joe", token=TOKEN), no_nonce)
        self.assertEqual(made.step(REFUSAL), b"\x01")
        self.assertRaises(AuthError, made.finished)
        self.assertRaises(AuthError, made.step, REFUSAL)

    def test_password_is_no_token(self) -> None:
        """A password is not sent as a token."""
        self.assertRaises(Unsuitable, OAuthBearer, Credentials("joe", "secret"), no_nonce)


class XOAuth2Tests(SynchronousTestCase):
    """Google's XOAUTH2, which Microsoft has too."""

    def test_example(self) -> None:
        """The example of Google's description."""
        token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
        made = XOAuth2(Credentials("someuser@example.com", token=token), no_nonce)
        self.assertEqual(
            made.initial,
            b64decode(
                "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSb"
                "GNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
            ),
        )
        made.finished()

    def test_refusal(self) -> None:
        """The reason is answered with nothing, so that the server can fail the command."""
        made = XOAuth2(Credentials("joe", token=TOKEN), no_nonce)
        self.assertEqual(made.step(REFUSAL), b"")
        self.assertRaises(AuthError, made.finished)
        self.assertRaises(AuthError, made.step, REFUSAL)

    def test_unsuitable(self) -> None:
        """It can carry neither a password nor another user to act for."""
        for wrong in (Credentials("a", "b"), Credentials("a", token="t", authorize_as="c")):
            self.assertRaises(Unsuitable, XOAuth2, wrong, no_nonce)
