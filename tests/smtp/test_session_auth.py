# -*- test-case-name: tests.smtp.test_session_auth -*-
"""AUTH as hosts may hold it: each mechanism, each refusal, and who gives the credentials.

In each of these tests no credentials may come into a log.
"""

from __future__ import annotations

from base64 import b64decode, b64encode

from slimtwist.errors import (
    AuthenticationFailed,
    ConnectionLost,
    ProtocolViolation,
    ReplyTimeout,
    TransientRelayError,
)
from slimtwist.smtp.auth import Credentials
from slimtwist.testing import Close, Ended, HalfClose, Reset, Send, Stall, Wait
from slimtwist.testing.steps import Step
from tests.smtp.dialogues import (
    BYE,
    GREETING,
    INSECURE,
    PASSWORD,
    STARTTLS,
    TOKEN,
    Answer,
    AuthCase,
    World,
    ehlo,
    encoded,
)
from tests.smtp.test_scram import Server


class MechanismTests(AuthCase):
    """Each mechanism, with a host that is content."""

    def test_plain(self) -> None:
        """RFC 4616, in one command."""
        self.accepted("PLAIN", PASSWORD, "C: AUTH PLAIN AGpvZQBzZWNyZXQ=", "S: 235 ok")

    def test_login(self) -> None:
        """Name and password, each when asked, whatever the questions say."""
        for first, second in (("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("", "AAAA")):
            self.accepted(
                "LOGIN",
                PASSWORD,
                "C: AUTH LOGIN",
                f"S: 334 {first}",
                f"C: {encoded('joe')}",
                f"S: 334 {second}",
                f"C: {encoded('secret')}",
                "S: 235 ok",
            )

    def test_cram_md5(self) -> None:
        """RFC 2195's own example."""
        self.accepted(
            "CRAM-MD5",
            Credentials("tim", "tanstaaftanstaaf"),
            "C: AUTH CRAM-MD5",
            "S: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
            "C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw",
            "S: 235 ok",
        )

    def test_scram(self) -> None:
        """RFC 7677: the host proves itself, by a challenge of its own before 235."""
        server = Server(b"secret")

        def first(line: bytes) -> bytes:
            return b"334 " + b64encode(server.first(b64decode(line.split(b" ")[2])))

        def final(line: bytes) -> bytes:
            proof = server.final(b64decode(line))
            assert proof is not None
            return b"334 " + b64encode(proof)

        self.accepted("SCRAM-SHA-256", PASSWORD, Answer(first), Answer(final), "C: ", "S: 235 ok")

    def test_tokens(self) -> None:
        """RFC 7628 and XOAUTH2: a token in one command."""
        bearer = "auth=Bearer t0ken\x01\x01"
        for name, initial in (
            ("OAUTHBEARER", f"n,a=joe,\x01{bearer}"),
            ("XOAUTH2", f"user=joe\x01{bearer}"),
        ):
            self.accepted(name, TOKEN, f"C: AUTH {name} {encoded(initial)}", "S: 235 ok")

    def test_token_refused(self) -> None:
        """A host that refuses a token by a challenge is answered; its refusal is the outcome."""
        why = encoded('{"status":"401"}')
        for name, answer in (("OAUTHBEARER", encoded("\x01")), ("XOAUTH2", "")):
            steps: list[str | Step] = [
                f"C: AUTH {name} ...",
                f"S: 334 {why}",
                f"C: {answer}",
                "S: 535 5.7.8 no",
            ]
            outcome = self.refused(TransientRelayError, name, TOKEN, *steps, *BYE)
            self.assertEqual(str(outcome.reply), "451 4.7.8 AUTH refused: 535 5.7.8 no")

    def test_line_length(self) -> None:
        """RFC 4954 4: a command of more than 512 octets waits for the host's go-ahead."""
        for length, fits in ((367, True), (368, False), (5000, False)):
            initial = encoded("\0joe\0" + "x" * length)
            credentials = Credentials("joe", "x" * length)
            asked = [f"C: AUTH PLAIN {initial}"]
            if not fits:
                asked = ["C: AUTH PLAIN", "S: 334 ", f"C: {initial}"]
            self.accepted("PLAIN", credentials, *asked, "S: 235 ok")

    def test_inside_tls(self) -> None:
        """With a verified channel it needs no leave to be insecure."""
        self.session(
            *GREETING,
            *ehlo("STARTTLS"),
            *STARTTLS,
            *ehlo("AUTH PLAIN"),
            "C: AUTH PLAIN AGpvZQBzZWNyZXQ=",
            "S: 235 ok",
            credentials=PASSWORD,
        )


class RefusalTests(AuthCase):
    """Hosts that do not take them, or make no sense."""

    def test_refused(self) -> None:
        """PEER-08: a 5yz defers, softened and quoted; a 4yz is the outcome."""
        for reply, outcome in {
            "535 5.7.8 no": "451 4.7.8 AUTH refused: 535 5.7.8 no",
            "535 no": "451 4.0.0 AUTH refused: 535 5.0.0 no",
            "534 5.7.9 too weak": "451 4.7.9 AUTH refused: 534 5.7.9 too weak",
            "500 5.5.6 too long": "451 4.5.6 AUTH refused: 500 5.5.6 too long",
            "504 5.5.4 what": "451 4.5.4 AUTH refused: 504 5.5.4 what",
            "521 5.3.2 no": "451 4.3.2 AUTH refused: 521 5.3.2 no",
            "454 4.7.0 later": "454 4.7.0 later",
            "432 4.7.12 new password": "432 4.7.12 new password",
        }.items():
            steps: list[str | Step] = ["C: AUTH PLAIN ...", f"S: {reply}"]
            found = self.refused(TransientRelayError, "PLAIN", PASSWORD, *steps, *BYE)
            self.assertEqual(str(found.reply), outcome)

    def test_refused_in_the_middle(self) -> None:
        """A refusal after a challenge is one too."""
        steps: list[str | Step] = ["C: AUTH LOGIN", "S: 334 ", "C: ...", "S: 535 5.7.8 no"]
        outcome = self.refused(TransientRelayError, "LOGIN", PASSWORD, *steps, *BYE)
        self.assertEqual(outcome.reply.enhanced, "4.7.8")

    def test_goodbye(self) -> None:
        """PEER-06: 421 is the outcome."""
        steps: list[str | Step] = ["C: AUTH PLAIN ...", "S: 421 4.7.0 too many", Ended()]
        outcome = self.refused(ConnectionLost, "PLAIN", PASSWORD, *steps)
        self.assertEqual(str(outcome.reply), "421 4.7.0 too many")

    def test_wrong_code(self) -> None:
        """L1: 235 alone is success; another 2yz or 3yz is a protocol error."""
        for code in (200, 220, 234, 236, 250, 299, 300, 354, 335):
            steps: list[str | Step] = ["C: AUTH PLAIN ...", f"S: {code} ok", Ended()]
            self.refused(ProtocolViolation, "PLAIN", PASSWORD, *steps)

    def test_one_too_many(self) -> None:
        """PEER-17: neither is 235 with something behind it."""
        for octets in (b"235 ok\r\n250 x\r\n", b"235 ok\r\n2", b"334 \r\n334 \r\n"):
            steps: list[str | Step] = [
                "C: AUTH LOGIN" if octets[:1] == b"3" else "C: AUTH PLAIN ..."
            ]
            mechanism = "LOGIN" if octets[:1] == b"3" else "PLAIN"
            self.refused(ProtocolViolation, mechanism, PASSWORD, *steps, Send(octets), Ended())

    def test_too_early(self) -> None:
        """A host that is content before it has heard all is not believed."""
        outcome = self.refused(
            AuthenticationFailed, "LOGIN", PASSWORD, "C: AUTH LOGIN", "S: 235 ok", Ended()
        )
        self.assertEqual((outcome.reply.code, outcome.reply.enhanced), (451, "4.7.0"))
        self.assertIn("LOGIN", outcome.reply.text)

    def test_no_proof(self) -> None:
        """RFC 5802: a host that did not prove itself is not believed, whatever it replies."""
        steps: list[str | Step] = ["C: AUTH SCRAM-SHA-256 ...", "S: 235 ok", Ended()]
        outcome = self.refused(AuthenticationFailed, "SCRAM-SHA-256", PASSWORD, *steps)
        self.assertIn("has not proved", outcome.reply.text)

    def test_endless_challenges(self) -> None:
        """L7: a host that asks again and again is left after at most three answers."""
        challenge = "S: 334 " + encoded("r=x,s=y,i=4096")
        for mechanism, credentials in (
            ("PLAIN", PASSWORD),
            ("LOGIN", PASSWORD),
            ("CRAM-MD5", PASSWORD),
            ("SCRAM-SHA-256", PASSWORD),
            ("OAUTHBEARER", TOKEN),
            ("XOAUTH2", TOKEN),
            ("PLAIN", Credentials("joe", "secret" * 100)),
        ):
            hello = [*GREETING, *ehlo(f"AUTH {mechanism}"), "C: AUTH ..."]
            again = [step for _ in range(50) for step in (challenge, "C: ...")]
            world = World([*hello, *again], credentials=credentials, **INSECURE)
            self.assertIs(type(world.error()), AuthenticationFailed)
            self.assertEqual(world.reactor.seconds(), 0)
            answers = [line for line in world.peer.transcript if line.startswith("C: ")]
            self.assertLessEqual(len(answers) - 2, 3, mechanism)
            world.reactor.advance(1)
            self.assertEqual(world.left(), "")

    def test_garbage(self) -> None:
        """A challenge that is no base64 ends it; nothing more is sent."""
        for challenge in ("!!!", "Username:", "YQ", "Y Q==", "=", "\xe9", "YQ==YQ=="):
            outcome = self.refused(
                AuthenticationFailed,
                "CRAM-MD5",
                PASSWORD,
                "C: AUTH CRAM-MD5",
                f"S: 334 {challenge}",
                Ended(),
            )
            self.assertEqual(outcome.reply.enhanced, "4.7.0")
        multiline = Send(b"334-YQ==\r\n334 YQ==\r\n")
        self.refused(
            AuthenticationFailed, "CRAM-MD5", PASSWORD, "C: AUTH CRAM-MD5", multiline, Ended()
        )

    def test_bare_code(self) -> None:
        """PEER-09: C{334} without a space is an empty challenge."""
        self.refused(
            AuthenticationFailed, "CRAM-MD5", PASSWORD, "C: AUTH CRAM-MD5", "S: 334", Ended()
        )
        self.accepted(
            "LOGIN", PASSWORD, "C: AUTH LOGIN", "S: 334", "C: ...", "S: 334", "C: ...", "S: 235"
        )

    def test_silence(self) -> None:
        """PEER-01, L7: each step has 120 s."""
        for steps, seconds in (
            (["C: AUTH LOGIN"], 120),
            (["C: AUTH LOGIN", Wait(100), "S: 334 ", "C: ..."], 220),
        ):
            self.refused(ReplyTimeout, "LOGIN", PASSWORD, *steps, Stall())
            self.assertEqual(self.seconds, seconds)

    def test_ends(self) -> None:
        """PEER-05: an end of the connection defers with 4.4.2."""
        for step in (Close(), Reset(), HalfClose()):
            outcome = self.refused(
                ConnectionLost, "LOGIN", PASSWORD, "C: AUTH LOGIN", "S: 334 ", "C: ...", step
            )
            self.assertEqual(outcome.reply.enhanced, "4.4.2")

    def test_nothing_in_common(self) -> None:
        """Without a mechanism in common nothing is sent; what is offered is quoted, in part."""
        outcome = self.refused(AuthenticationFailed, "NTLM GSSAPI", PASSWORD, Ended())
        self.assertIn("the host offers GSSAPI NTLM", outcome.reply.text)
        self.assertEqual(outcome.reply.enhanced, "4.7.0")
        outcome = self.refused(
            AuthenticationFailed, " ".join(["X" * 900] + ["\x1b[2J"] * 9), PASSWORD, Ended()
        )
        self.assertLess(len(outcome.reply.text), 400)
        outcome = self.deferred(
            AuthenticationFailed,
            "AUTH",
            *GREETING,
            *ehlo("DSN"),
            Ended(),
            credentials=PASSWORD,
            **INSECURE,
        )
        self.assertIn("the host offers nothing", outcome.reply.text)
