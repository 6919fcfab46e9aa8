# -*- test-case-name: tests.smtp.test_options -*-
"""What may be configured of a client's connections, and what is refused at once."""

from __future__ import annotations

import dataclasses
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.limits import Limits, Timeouts
from slimtwist.smtp.options import ClientOptions
from slimtwist.smtp.tls import TlsMode
from tests.smtp.dialogues import PASSWORD, policy

NO_NAMES = [
    "",
    " ",
    "two words",
    "mx.example.com ",
    "mx.example.com\r\nRSET",
    "mx.example.com\n",
    "mx\0",
    "x" * 64,
    "x." * 150,
    "mx..example.com",
    ".example.com",
    "-mx.example.com",
    "mx-.example.com",
    "bücher.example",
    "[127.0.0.1",
    "127.0.0.1]",
    "[]",
    "[IPv6:]",
    "[mx.example.com]",
    "a@b",
    "<mx>",
]


class NameTests(SynchronousTestCase):
    """INJ-06: what follows EHLO."""

    def test_names(self) -> None:
        """A host name or an address literal is taken as it is."""
        for name in ("mx", "mx.example.com", "mx_1.example.com", "[127.0.0.1]", "[IPv6:::1]"):
            self.assertEqual(ClientOptions(ehlo_as=name).name_for("mail.example.org"), name)

    def test_no_names(self) -> None:
        """Anything else is refused when it is set."""
        for name in NO_NAMES:
            self.assertRaises(ValueError, ClientOptions, ehlo_as=name)

    def test_callable(self) -> None:
        """A callable is asked with the host's name, and what it gives is checked then."""
        options = ClientOptions(ehlo_as=lambda host: f"to.{host}")
        self.assertEqual(options.name_for("mail.example.org"), "to.mail.example.org")
        for name in NO_NAMES:
            options = ClientOptions(ehlo_as={"mail.example.org": name}.__getitem__)
            self.assertRaises(ValueError, options.name_for, "mail.example.org")


class PolicyTests(SynchronousTestCase):
    """The protection that is wanted, and what credentials demand."""

    def test_default(self) -> None:
        """Without credentials it is opportunistic; with credentials the host must prove itself."""
        self.assertIs(ClientOptions().policy.mode, TlsMode.OPPORTUNISTIC)
        self.assertIs(ClientOptions(credentials=PASSWORD).policy.mode, TlsMode.VERIFY)
        self.assertIs(ClientOptions(credentials=lambda: PASSWORD).policy.mode, TlsMode.VERIFY)

    def test_leave_is_no_policy(self) -> None:
        """C{auth_insecure} alone weakens nothing."""
        options = ClientOptions(credentials=PASSWORD, auth_insecure=True)
        self.assertIs(options.policy.mode, TlsMode.VERIFY)

    def test_given(self) -> None:
        """A policy that is given holds, as the very value, so that its contexts are shared."""
        for mode in ("none", "opportunistic", "encrypt", "verify"):
            given = policy(mode)
            self.assertIs(ClientOptions(tls=given).policy, given)

    def test_made_once(self) -> None:
        """So is the one that is not given: its OpenSSL contexts are made once."""
        options = ClientOptions()
        self.assertIs(options.policy, options.policy)

    def test_credentials_need_verification(self) -> None:
        """TLS-21, L9: credentials with less than C{verify} are refused, unless that is allowed."""
        for mode in ("none", "opportunistic", "encrypt"):
            for credentials in (PASSWORD, lambda: PASSWORD):
                error = self.assertRaises(
                    ValueError, ClientOptions, credentials=credentials, tls=policy(mode)
                )
                self.assertIn(f"tls='{mode}'", str(error))
                self.assertNotIn("secret", str(error))
                ClientOptions(credentials=credentials, tls=policy(mode), auth_insecure=True)
        ClientOptions(credentials=PASSWORD, tls=policy("verify"))

    def test_less_without_credentials(self) -> None:
        """Without credentials every mode will do."""
        for mode in TlsMode:
            self.assertIs(ClientOptions(tls=policy(mode.value)).policy.mode, mode)


class OtherTests(SynchronousTestCase):
    """The rest."""

    def test_eight_bit(self) -> None:
        """Two ways to treat 8-bit content, and no third."""
        for word in ("as-is", "reject"):
            self.assertEqual(ClientOptions(eight_bit=word).eight_bit, word)
        for word in ("", "asis", "AS-IS", "encode"):
            error = self.assertRaises(ValueError, ClientOptions, eight_bit=word)
            self.assertIn(repr(word), str(error))

    def test_defaults(self) -> None:
        """Waits and bounds are the usual ones."""
        options = ClientOptions()
        self.assertEqual((options.timeouts, options.limits), (Timeouts(), Limits()))
        self.assertEqual((options.lmtp, options.credentials), (False, None))

    def test_frozen(self) -> None:
        """What is configured stays."""
        options: Any = ClientOptions()
        with self.assertRaises(dataclasses.FrozenInstanceError):
            options.lmtp = True

    def test_no_secret_in_repr(self) -> None:
        """The value can be shown; passwords and tokens are not in it."""
        self.assertNotIn("secret", repr(ClientOptions(credentials=PASSWORD)))
