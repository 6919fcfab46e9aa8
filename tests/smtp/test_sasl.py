# -*- test-case-name: tests.smtp.test_sasl -*-
"""Tests of the simple mechanisms, by the examples of their documents."""

from __future__ import annotations

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.sasl import AuthError, CramMd5, Login, Plain, Unsuitable

TIM = Credentials("tim", "tanstaaftanstaaf")


def no_nonce() -> str:
    """Return nothing of use."""
    return ""


class PlainTests(SynchronousTestCase):
    """RFC 4616."""

    def test_examples(self) -> None:
        """The examples of RFC 4616 4."""
        self.assertEqual(Plain(TIM, no_nonce).initial, b"\0tim\0tanstaaftanstaaf")
        kurt = Credentials("Kurt", "xipj3plmq", authorize_as="Ursel")
        self.assertEqual(Plain(kurt, no_nonce).initial, b"Ursel\0Kurt\0xipj3plmq")

    def test_utf8(self) -> None:
        """Names and passwords are UTF-8, and not prepared: that is the server's (RFC 4616 2)."""
        made = Plain(Credentials("jörg", "\u00aa🔑"), no_nonce)
        self.assertEqual(made.initial, "\0jörg\0\u00aa🔑".encode())

    def test_nothing_else(self) -> None:
        """There is nothing to ask for after it."""
        made = Plain(TIM, no_nonce)
        self.assertFalse(made.slow(b""))
        made.finished()
        self.assertRaises(AuthError, made.step, b"")

    def test_token_is_no_password(self) -> None:
        """A token is not sent as a password."""
        self.assertRaises(Unsuitable, Plain, Credentials("joe", token="t"), no_nonce)


class LoginTests(SynchronousTestCase):
    """The two questions of LOGIN."""

    def test_dialogue(self) -> None:
        """User, then password, whatever the questions say."""
        for asked in ((b"Username:", b"Password:"), (b"User Name\0", b"Password\0"), (b"", b"")):
            made = Login(TIM, no_nonce)
            self.assertIsNone(made.initial)
            self.assertEqual([made.step(one) for one in asked], [b"tim", b"tanstaaftanstaaf"])
            made.finished()
            self.assertRaises(AuthError, made.step, b"Password:")

    def test_too_soon(self) -> None:
        """Success before the password is no success."""
        made = Login(TIM, no_nonce)
        made.step(b"Username:")
        self.assertRaises(AuthError, made.finished)

    def test_unsuitable(self) -> None:
        """It can carry neither a token nor another user to act for."""
        for wrong in (Credentials("a", token="t"), Credentials("a", "b", authorize_as="c")):
            self.assertRaises(Unsuitable, Login, wrong, no_nonce)


class CramMd5Tests(SynchronousTestCase):
    """RFC 2195."""

    def test_example(self) -> None:
        """The example of RFC 2195 2."""
        made = CramMd5(TIM, no_nonce)
        self.assertIsNone(made.initial)
        self.assertEqual(
            made.step(b"<1896.697170952@postoffice.reston.mci.net>"),
            b"tim b913a602c7eda7a495b4e6e7334d3890",
        )
        made.finished()
        self.assertRaises(AuthError, made.step, b"<1@example>")

    @given(st.text(min_size=1).filter(lambda text: "\0" not in text), st.binary(min_size=1))
    def test_any(self, password: str, challenge: bytes) -> None:
        """A server that knows the password finds the answer right."""
        try:
            made = CramMd5(Credentials("a b", password), no_nonce)
        except ValueError:
            return
        user, _, digest = made.step(challenge).decode().rpartition(" ")
        known = hmac.new(password.encode(), challenge, hashlib.md5).hexdigest()
        self.assertEqual((user, digest), ("a b", known))

    def test_empty_challenge(self) -> None:
        """An answer to no challenge would do for every other server."""
        self.assertRaises(AuthError, CramMd5(TIM, no_nonce).step, b"")

    def test_too_soon(self) -> None:
        """Success without a challenge is no success."""
        self.assertRaises(AuthError, CramMd5(TIM, no_nonce).finished)

    def test_unsuitable(self) -> None:
        """It can carry neither a token nor another user to act for."""
        for wrong in (Credentials("a", token="t"), Credentials("a", "b", authorize_as="c")):
            self.assertRaises(Unsuitable, CramMd5, wrong, no_nonce)

    def test_no_md5(self) -> None:
        """A Python that has no MD5 has no CRAM-MD5."""

        def no_digest(*_: object) -> bytes:
            raise ValueError("disabled for FIPS")

        self.patch(hmac, "digest", no_digest)
        self.assertRaises(Unsuitable, CramMd5, TIM, no_nonce)
