# -*- test-case-name: tests.smtp.test_scram -*-
"""Tests of SCRAM-SHA-256: against a server written down from RFC 5802, and against hostile ones."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
from base64 import b64decode, b64encode
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.smtp.credentials import Credentials
from slimtwist.smtp.sasl import AuthError, Unsuitable
from slimtwist.smtp.scram import ScramSha256

PENCIL = Credentials("user", "pencil")
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = "W22ZaJ0SNY7soEsUEjb6gQ=="
FIRST = f"r={NONCE},s={SALT},i=4096".encode()
PROOF = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def client(credentials: Credentials = PENCIL) -> ScramSha256:
    """Return a client with the nonce of RFC 7677's example."""
    return ScramSha256(credentials, lambda: CLIENT_NONCE)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


@dataclass
class Server:
    """RFC 5802 3, the server's side, for one password."""

    password: bytes
    salt: bytes = b"sixteen octets.."
    iterations: int = 4096
    bare: bytes = b""

    def first(self, message: bytes) -> bytes:
        """Return the answer to the client's first message."""
        header, _, self.bare = message.partition(b",,")
        assert header == b"n"
        self.nonce = self.bare.rpartition(b",r=")[2] + b"server's"
        salt = b64encode(self.salt)
        self.challenge = b"r=%s,s=%s,i=%d" % (self.nonce, salt, self.iterations)
        return self.challenge

    def final(self, message: bytes) -> bytes | None:
        """Return the server's proof; nothing if the client's is wrong."""
        without, _, proof = message.rpartition(b",p=")
        assert without == b"c=biws,r=" + self.nonce
        salted = hashlib.pbkdf2_hmac("sha256", self.password, self.salt, self.iterations)
        stored = hashlib.sha256(client_key := _mac(salted, b"Client Key")).digest()
        said = b",".join((self.bare, self.challenge, without))
        pairs = zip(b64decode(proof), _mac(stored, said), strict=True)
        if bytes(one ^ two for one, two in pairs) != client_key:
            return None
        return b"v=" + b64encode(_mac(_mac(salted, b"Server Key"), said))


class ExchangeTests(SynchronousTestCase):
    """Exchanges as they should be."""

    def test_example(self) -> None:
        """The example of RFC 7677 3."""
        made = client()
        self.assertEqual(made.initial, b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
        self.assertEqual(
            made.step(FIRST),
            f"c=biws,r={NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode(),
        )
        self.assertEqual(made.step(PROOF), b"")
        made.finished()

    def exchange(self, credentials: Credentials, password: str, *, iterations: int = 4096) -> bool:
        """Tell whether a server that knows a password takes the client, and the client it."""
        made = client(credentials)
        server = Server(password.encode(), iterations=iterations)
        proof = server.final(made.step(server.first(made.initial)))
        if proof is None:
            return False
        made.step(proof)
        made.finished()
        return True

    @settings(max_examples=30)
    @given(st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), min_size=1))
    def test_any_ascii(self, text: str) -> None:
        """L5: names and passwords with commas and equals signs are carried as they are."""
        self.assertTrue(self.exchange(Credentials(text, text), text))

    def test_escapes(self) -> None:
        """RFC 5802 5.1: a comma or an equals sign does not end the name."""
        made = client(Credentials("a=b,c", "pencil"))
        self.assertEqual(made.initial, b"n,,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO")

    def test_wrong_password(self) -> None:
        """The test's server knows a wrong password when it gets one."""
        self.assertFalse(self.exchange(PENCIL, "crayon"))

    def test_preparation(self) -> None:
        """RFC 4013 3: its examples; passwords are compared as they are prepared."""
        for written, prepared in (
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
            ("a\u00a0b", "a b"),
        ):
            self.assertTrue(self.exchange(Credentials("user", written), prepared), written)
            made = client(Credentials(written, "pencil"))
            self.assertEqual(made.initial, f"n,,n={prepared},r={CLIENT_NONCE}".encode())

    def test_unprepared(self) -> None:
        """RFC 4013 3: what must not be used is not; another mechanism can carry it."""
        for text in ("\u0007", "\u0627\u0031", "🔑"):
            self.assertRaises(Unsuitable, client, Credentials("user", text))
        self.assertRaises(Unsuitable, client, Credentials("\u0627\u0031", "pencil"))

    def test_unsuitable(self) -> None:
        """It can carry neither a token nor another user to act for."""
        for wrong in (Credentials("a", token="t"), Credentials("a", "b", authorize_as="c")):
            self.assertRaises(Unsuitable, client, wrong)


class HostileTests(SynchronousTestCase):
    """Servers that are not what they should be."""

    def refused(self, *challenges: bytes) -> str:
        """Check that the last of some challenges is refused, in one printable line."""
        made = client()
        for challenge in challenges[:-1]:
            made.step(challenge)
        error = self.assertRaises(AuthError, made.step, challenges[-1])
        self.assertTrue(str(error).isprintable())
        self.assertLessEqual(len(str(error)), 200)
        self.assertRaises(AuthError, made.finished)
        return str(error)

    def test_malformed(self) -> None:
        """A first message that is none."""
        for challenge in (
            b"",
            b"\xff",
            b"\0",
            b"r",
            b",",
            f"s={SALT},i=4096".encode(),
            f"r={NONCE},i=4096".encode(),
            f"r={NONCE},s={SALT}".encode(),
            f"s={SALT},r={NONCE},i=4096".encode(),
            f"m=x,r={NONCE},s={SALT},i=4096".encode(),
            f"r={NONCE},s=!!,i=4096".encode(),
            f"r={NONCE},s={SALT},i=4096,".encode(),
            f"r={NONCE},s={SALT},i=4096,i=4096".encode(),
        ):
            self.refused(challenge)

    def test_nonce(self) -> None:
        """RFC 5802 5.1: the server's nonce begins with ours, and adds to it."""
        for nonce in ("", CLIENT_NONCE, CLIENT_NONCE[:-1] + "XYZ", "x" + NONCE, NONCE.lower()):
            self.refused(f"r={nonce},s={SALT},i=4096".encode())

    def test_iterations(self) -> None:
        """L7: neither so few that the password is in danger, nor so many that we are."""
        for count in ("0", "1", "4095", "1000001", "10000000", "1" + "0" * 9, "9" * 5000):
            self.refused(f"r={NONCE},s={SALT},i={count}".encode())
        for count in ("", "-4096", "+4096", "04096", "4_096", "4096.0", "x", "\u0664096"):
            self.refused(f"r={NONCE},s={SALT},i={count}".encode())

    def test_slow(self) -> None:
        """Many iterations are known before they are made."""
        for count, slow in ((4096, False), (40_000, False), (40_001, True), (10**6, True)):
            challenge = f"r={NONCE},s={SALT},i={count}".encode()
            self.assertIs(client().slow(challenge), slow)
            self.assertIs(client().slow(challenge + b",x=y"), slow)
        for challenge in (b"", b"\xff", PROOF, b"i=99999", b",i=" + b"9" * 5000):
            self.assertFalse(client().slow(challenge))

    def test_no_proof(self) -> None:
        """A server that does not know the password has not authenticated us."""
        wrong = b64encode(b"x" * 32)
        for challenge in (
            b"",
            b"v=",
            b"v=" + wrong,
            b"v=!!",
            PROOF + b"x",
            b"\xff",
            b"v=AAAA",
            FIRST,
        ):
            self.refused(FIRST, challenge)

    def test_success_without_proof(self) -> None:
        """L1's like: the server's word is not enough, at any point."""
        made = client()
        self.assertRaises(AuthError, made.finished)
        made.step(FIRST)
        self.assertRaises(AuthError, made.finished)

    def test_refusal(self) -> None:
        """A refusal is acknowledged, so that the server can fail the command; it is no proof."""
        made = client()
        made.step(FIRST)
        self.assertEqual(made.step(b"e=invalid-proof"), b"")
        self.assertRaises(AuthError, made.finished)
        self.assertRaises(AuthError, made.step, PROOF)

    def test_too_much(self) -> None:
        """After the proofs there is nothing to say."""
        made = client()
        made.step(FIRST)
        made.step(PROOF)
        self.assertRaises(AuthError, made.step, b"")

    @given(st.lists(st.binary(), min_size=1, max_size=3))
    def test_any_octets(self, challenges: list[bytes]) -> None:
        """Whatever is sent, there is an answer or an AuthError, and never a success."""
        made = client()
        for challenge in challenges:
            # As a module's name, `suppress` would mean something to trial.
            with contextlib.suppress(AuthError):
                made.step(challenge)
        self.assertRaises(AuthError, made.finished)

    @settings(max_examples=300)
    @given(st.data())
    def test_any_damage(self, data: st.DataObject) -> None:
        """Any octet of a right dialogue replaced: an answer or an AuthError."""
        which = data.draw(st.integers(0, 1))
        challenges = [FIRST, PROOF]
        at = data.draw(st.integers(0, len(challenges[which]) - 1))
        damaged = bytearray(challenges[which])
        damaged[at] = data.draw(st.integers(0, 255))
        challenges[which] = bytes(damaged)
        made = client()
        try:
            for challenge in challenges:
                made.step(challenge)
            made.finished()
        except AuthError:
            self.assertNotEqual(challenges, [FIRST, PROOF])
        else:
            self.assertEqual(octets_of(challenges[1]), octets_of(PROOF))
            self.assertEqual(challenges[0], FIRST)


def octets_of(proof: bytes) -> bytes:
    """Return the octets of a proof: base64 has four ways to write the last of them."""
    return b64decode(proof.removeprefix(b"v="))
