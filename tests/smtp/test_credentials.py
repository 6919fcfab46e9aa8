# -*- test-case-name: tests.smtp.test_credentials -*-
"""Tests of credentials, and of the file that holds them."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.credentials import Credentials


class CredentialsTests(SynchronousTestCase):
    """What can be a user and a secret."""

    def test_no_secret_is_shown(self) -> None:
        """No credentials in logs: not in the representation, not in an error."""
        shown = repr(Credentials("joe", "geheim", "vF9dft"))
        self.assertIn("joe", shown)
        self.assertNotIn("geheim", shown)
        self.assertNotIn("vF9dft", shown)

    def test_value(self) -> None:
        """TLS-19: they are a part of what makes two connections different."""
        one = Credentials("joe", "a")
        self.assertEqual({one, Credentials("joe", "a")}, {one})
        self.assertNotEqual(one, Credentials("joe", "b"))
        self.assertNotEqual(one, Credentials("joe", "a", authorize_as="ann"))

    def test_incomplete(self) -> None:
        """A user and a secret are needed; a token is one."""
        self.assertRaises(ValueError, Credentials, "", "password")
        self.assertRaises(ValueError, Credentials, "joe")
        self.assertEqual(Credentials("joe", token="t").password, "")

    def test_injection(self) -> None:
        """L5: what ends a field of PLAIN or XOAUTH2 cannot be in one; no text quotes a part."""
        for parts in (
            ("jo\0e", "geheim"),
            ("jo\x01e", "geheim"),
            ("joe\n", "geheim"),
            ("joe", "geheim\0"),
            ("joe", "geheim", "", "an\0n"),
            ("joe", "geheim", "tok en"),
            ("joe", "geheim", "tok\x01en"),
            ("joe", "geheim", "tok\u00e9n"),
            ("joe", "geheim", "token\n"),
            ("joe", "geheim\udc80"),
            ("\udc80", "geheim"),
            ("joe", "geheim", "", "\udc80"),
        ):
            error = self.assertRaises(ValueError, Credentials, *parts)
            self.assertNotIn("geheim", str(error))
            self.assertNotIn("tok", str(error).removeprefix("the token"))

    def test_any_language(self) -> None:
        """Users and passwords may have any other characters."""
        self.assertEqual(Credentials("jörg", "пароль: \t🔑").username, "jörg")


class ReadTests(SynchronousTestCase):
    """Credentials in a file."""

    def file(self, octets: bytes) -> str:
        """Return the path of a file."""
        path = Path(self.mktemp())
        path.write_bytes(octets)
        path.chmod(0o600)
        return str(path)

    def test_line(self) -> None:
        """One line, with any line end or none; a byte order mark is not part of it."""
        for octets in (b"joe:a:b", b"joe:a:b\n", b"joe:a:b\r\n", b"\xef\xbb\xbfjoe:a:b\n"):
            self.assertEqual(Credentials.read(self.file(octets)), Credentials("joe", "a:b"))

    def test_spaces(self) -> None:
        """Spaces belong to the password."""
        found = Credentials.read(Path(self.file(b"joe: a \n")))
        self.assertEqual(found, Credentials("joe", " a "))

    @given(st.text(), st.text())
    def test_any(self, username: str, password: str) -> None:
        """L5: what is written to a file comes back, or a ValueError names the file."""
        path = self.file(f"{username}:{password}\n".encode(errors="surrogatepass"))
        try:
            found = Credentials.read(path)
        except ValueError as error:
            self.assertTrue(str(error).startswith(f"{path}: "))
            return
        self.assertEqual(f"{found.username}:{found.password}", f"{username}:{password}")

    def test_faults(self) -> None:
        """The file and its fault are named, nothing of it is quoted."""
        for octets, fault in (
            (b"", "it is not one line, 'username:password'"),
            (b"geheim", "it is not one line, 'username:password'"),
            (b"joe:geheim\n\n", "it is not one line, 'username:password'"),
            (b"joe:geheim\nann:geheim\n", "it is not one line, 'username:password'"),
            (b":geheim\n", "credentials need a username, and a password or a token"),
            (b"joe:\n", "credentials need a username, and a password or a token"),
            (b"joe:\xff\n", "it is not in UTF-8"),
            (b"joe:geheim\0\n", "the password has a NUL"),
        ):
            path = self.file(octets)
            error = self.assertRaises(ValueError, Credentials.read, path)
            self.assertEqual(str(error), f"{path}: {fault}")

    def test_missing(self) -> None:
        """No such file."""
        error = self.assertRaises(ValueError, Credentials.read, "/no/such/file")
        self.assertEqual(str(error), "/no/such/file: No such file or directory")
