# -*- test-case-name: tests.relay.test_arguments -*-
"""The text of a description becomes the arguments of a relay, or an error that names its part."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from pathlib import Path

import trustme
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.limits import Limits, Timeouts
from slimtwist.relay.arguments import ARGUMENTS, LIMITS, TIMEOUTS, connection, plain_host
from slimtwist.relay.smtp.static import StaticSmtpRelay
from slimtwist.runtime import Runtime
from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.tls import TlsMode, TlsPolicy
from slimtwist.testing import MemoryReactor


class ArgumentTests(SynchronousTestCase):
    """What each argument means."""

    def setUp(self) -> None:
        """A login, and a certificate with its key."""
        self.runtime = Runtime(MemoryReactor())
        self.login = Path(self.mktemp())
        self.login.write_text("me:secret\n")
        self.pem = Path(self.mktemp())
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.pem))
        self.own = Path(self.mktemp())
        authority.issue_cert("me.example").private_key_and_cert_chain_pem.write_to_path(
            str(self.own)
        )

    def tls(self, *, by_port: bool = False, **given: str) -> TlsPolicy:
        """Return the TLS policy of a description."""
        policy: TlsPolicy = connection(self.runtime, given, tls_first=by_port)["tls"]
        return policy

    def test_taken(self) -> None:
        """All that is returned is an argument of the relay."""
        given = {"pool_size": "2", "credentials": str(self.login), "ehlo_as": "me.example"}
        given |= {"auth_insecure": "yes", "eight_bit": "reject", "source_ips": "192.0.2.1"}
        arguments = connection(self.runtime, given)
        self.assertLessEqual(arguments.keys(), signature(StaticSmtpRelay).parameters.keys())
        self.assertEqual(
            [arguments[name] for name in given],
            [2, Credentials("me", "secret"), "me.example", True, "reject", ["192.0.2.1"]],
        )

    def test_sources(self) -> None:
        """Source addresses are of either family; brackets protect the colons of one."""
        given = {"source_ips": "192.0.2.1,[2001:db8::1]"}
        sources = connection(self.runtime, given)["source_ips"]
        self.assertEqual(sources, ["192.0.2.1", "2001:db8::1"])
        self.assertEqual(plain_host("[2001:db8::1]"), "2001:db8::1")

    def test_settings(self) -> None:
        """Every wait and limit of a connection has the operator's value, or the description's."""
        runtime = Runtime(MemoryReactor(), timeouts=Timeouts(final=7.0), limits=Limits(uses=3))
        arguments = connection(runtime, {"mail": "8", "send_rate": "9"})
        self.assertEqual(arguments["timeouts"], Timeouts(final=7.0, mail=8.0))
        self.assertEqual(arguments["limits"], Limits(uses=3, send_rate=9))

    def test_names(self) -> None:
        """The waits and limits are ones there are, and no argument has two meanings."""
        self.assertLessEqual({*TIMEOUTS}, {each.name for each in fields(Timeouts)})
        self.assertLessEqual({*LIMITS}, {each.name for each in fields(Limits)})
        self.assertEqual(len({*ARGUMENTS}), len(ARGUMENTS))

    def test_tls_default(self) -> None:
        """Without credentials TLS is opportunistic; who gives credentials or trust anchors has the
        host prove itself (TLS policy of issue 2).
        """
        self.assertIs(self.tls().mode, TlsMode.OPPORTUNISTIC)
        self.assertIs(self.tls(credentials=str(self.login)).mode, TlsMode.VERIFY)
        self.assertIs(self.tls(trust=str(self.pem)).mode, TlsMode.VERIFY)
        self.assertIs(self.tls(credentials=str(self.login), tls="none").mode, TlsMode.NONE)

    def test_tls_first(self) -> None:
        """TLS comes first where the description or the port says so, and not without TLS."""
        self.assertTrue(self.tls(tls_first="yes").first)
        self.assertTrue(self.tls(by_port=True).first)
        self.assertFalse(self.tls(by_port=True, tls_first="no").first)
        self.assertFalse(self.tls(by_port=True, tls="none").first)

    def test_tls_parts(self) -> None:
        """Name, anchors and certificate get into the policy."""
        policy = self.tls(
            tls="verify",
            reference="mx.example",
            trust=str(self.pem),
            certificate=str(self.own),
        )
        self.assertEqual(policy.reference, "mx.example")
        assert policy.trust is not None
        assert policy.certificate is not None
        self.assertEqual(len(policy.trust.certificates), 1)

    def test_wrong(self) -> None:
        """What is wrong is named, and files are never quoted (L5)."""
        self.pem.write_text("no certificate: secret")
        self.login.write_text("without a colon: but with a\nsecond line: secret")
        cases = {
            "port": ("x", "'port'"),
            "pool_size": ("0", "pool_size='0'"),
            "tls": ("maybe", "none, opportunistic, encrypt, verify"),
            "tls_first": ("perhaps", "tls_first='perhaps'"),
            "auth_insecure": ("1", "auth_insecure='1'"),
            "ehlo_as": ("a b", "ehlo_as: 'a b'"),
            "trust": (str(self.pem), f"trust: {self.pem}"),
            "certificate": (str(self.pem), f"certificate: {self.pem}"),
            "credentials": (str(self.login), f"credentials: {self.login}"),
            "final": ("soon", "final='soon'"),
            "uses": ("-1", "uses='-1'"),
        }
        for name, (text, wanted) in cases.items():
            with self.assertRaises(ValueError) as caught:
                connection(self.runtime, {name: text})
            self.assertIn(wanted, str(caught.exception))
            self.assertNotIn("secret", str(caught.exception))

    def test_missing_files(self) -> None:
        """A file that is not there is named (OS-12)."""
        for name in ("credentials", "trust", "certificate"):
            with self.assertRaises(ValueError) as caught:
                connection(self.runtime, {name: "/nowhere/file"})
            self.assertIn(f"{name}: /nowhere/file: No such file", str(caught.exception))
