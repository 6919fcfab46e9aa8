# -*- test-case-name: tests.test_errors -*-
"""The tests of L{slimtwist.errors}."""

from __future__ import annotations

import pickle

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.errors import (
    FAULTS,
    STAGES,
    AttemptCancelled,
    AuthenticationFailed,
    ConnectionFailed,
    ConnectionLost,
    PermanentRelayError,
    ProtocolViolation,
    RelayError,
    ReplyTimeout,
    TLSFailed,
    TransientRelayError,
    fault_outcome,
    refusal,
    relay_error,
    try_next_host,
)
from slimtwist.outcome import Outcome, Verdict
from slimtwist.reply import STORED_TEXT, Reply

KINDS = [
    TransientRelayError,
    ConnectionFailed,
    ConnectionLost,
    ReplyTimeout,
    ProtocolViolation,
    TLSFailed,
    AttemptCancelled,
    AuthenticationFailed,
]
#: What RFC 5321 4.2, 4.5.4 and 5.1 and the cases PEER-07 and PEER-08 say: what becomes of the
#: message after a 4yz and after a 5yz, and whether the next host is asked at once.
MEANINGS = {
    "connect": ("deferred", "deferred", True),
    "greeting": ("deferred", "deferred", True),
    "EHLO": ("deferred", "deferred", True),
    "STARTTLS": ("deferred", "deferred", True),
    "AUTH": ("deferred", "deferred", True),
    "MAIL": ("deferred", "failed", True),
    "RCPT": ("deferred", "failed", True),
    "DATA": ("deferred", "failed", False),
    "end of data": ("deferred", "failed", False),
}


class TableTests(SynchronousTestCase):
    """The tables say what each trouble means."""

    def test_stages(self) -> None:
        """A refusal at each point means what the cases say (PEER-07, PEER-08)."""
        self.assertEqual(list(MEANINGS), list(STAGES))
        for command, (transient, permanent, next_host) in MEANINGS.items():
            for code, verdict in ((450, transient), (550, permanent)):
                outcome = refusal(Reply(code), command, host="mx")
                self.assertEqual(verdict, outcome.verdict.value, (command, code))
                expected = next_host and verdict == "deferred"
                self.assertEqual(expected, try_next_host(outcome), (command, code))

    def test_tables_do_not_change(self) -> None:
        """Nobody can change what a fault means for everybody else."""
        for table in (STAGES, FAULTS):
            with self.assertRaises(TypeError):
                table["DATA"] = None  # type: ignore[index]

    def test_faults_are_transient(self) -> None:
        """What the peer did not say is never a failure for good: 451 and 4.y.z (L2)."""
        for fault, reply in FAULTS.items():
            self.assertEqual((451, "4"), (reply.code, reply.enhanced[0]), fault)
            self.assertTrue(reply.text)

    def test_every_kind_has_a_fault(self) -> None:
        """Each error has its own line of the table."""
        faults = [kind.fault for kind in KINDS]
        self.assertEqual(len(KINDS), len(set(faults)))
        self.assertLessEqual(set(faults), set(FAULTS))


class FaultTests(SynchronousTestCase):
    """A fault without a reply becomes an outcome."""

    def test_outcome(self) -> None:
        """Reply, place and host are told (L11)."""
        self.assertEqual(
            Outcome(
                Verdict.DEFERRED,
                Reply(451, "4.4.2", ("connection lost: reset by peer",)),
                "mx",
                "RCPT",
            ),
            fault_outcome("lost", "reset by peer", command="RCPT", host="mx"),
        )

    def test_no_detail(self) -> None:
        """Without a detail the text of the table stands alone."""
        self.assertEqual(FAULTS["lost"], fault_outcome("lost", "").reply)

    def test_ambiguous(self) -> None:
        """An ambiguous end says so in words, too (OUT-07, L4)."""
        for detail in ("", "FIN"):
            outcome = fault_outcome("lost", detail, command="end of data", ambiguous=True)
            self.assertTrue(outcome.ambiguous)
            self.assertEqual("4.4.2", outcome.reply.enhanced)
            self.assertTrue(
                outcome.reply.text.endswith("; the message may be delivered more than once")
            )

    def test_detail_is_made_printable(self) -> None:
        """A detail may quote anything (INJ-11)."""
        outcome = fault_outcome("tls", "bad\r\n250 certificate\x1b[2J")
        self.assertTrue(str(outcome.reply).isprintable())

    def test_unknown(self) -> None:
        """A fault that is not in the table is a mistake of the caller."""
        self.assertRaises(KeyError, fault_outcome, "unknown", "")

    def test_detail_is_bounded(self) -> None:
        """However long a detail is, the text is not; that it is ambiguous stays in sight (L6)."""
        outcome = fault_outcome("tls", "x" * 1_000_000, ambiguous=True)
        self.assertLess(len(outcome.reply.text), STORED_TEXT)
        self.assertTrue(outcome.reply.text.endswith("delivered more than once"))


class ErrorTests(SynchronousTestCase):
    """An error carries the outcome that holds for the whole message."""

    def test_kinds(self) -> None:
        """Every error of the engine is transient, none is permanent."""
        for kind in KINDS:
            error = kind.at("why", command="MAIL", host="mx")
            self.assertIs(kind, type(error))
            self.assertIsInstance(error, TransientRelayError)
            self.assertNotIsInstance(error, PermanentRelayError)
            self.assertIsInstance(error, RelayError)
            self.assertEqual(
                fault_outcome(kind.fault, "why", command="MAIL", host="mx"), error.outcome
            )

    def test_ambiguous(self) -> None:
        """An error says whether the end is ambiguous."""
        for ambiguous in (False, True):
            self.assertIs(ambiguous, ConnectionLost.at("", ambiguous=ambiguous).ambiguous)

    def test_text(self) -> None:
        """As text it tells reply, command and host, as far as they are known."""
        for command, host, text in (
            ("RCPT", "mx [192.0.2.1]:25", "550 5.1.1 no (RCPT mx [192.0.2.1]:25)"),
            ("RCPT", None, "550 5.1.1 no (RCPT)"),
            (None, "mx", "550 5.1.1 no (mx)"),
            (None, None, "550 5.1.1 no"),
        ):
            outcome = Outcome.of(Reply.parse("550 5.1.1 no"), command=command, host=host)
            self.assertEqual(text, str(PermanentRelayError(outcome)))

    def test_pickle(self) -> None:
        """Errors can be kept and sent (OUT-10)."""
        failed = PermanentRelayError(Outcome.of(Reply.parse("550 5.1.1 no")))
        for error in (failed, *(kind.at("x", ambiguous=True) for kind in KINDS)):
            again = pickle.loads(pickle.dumps(error))
            self.assertIs(type(error), type(again))
            self.assertEqual(error.outcome, again.outcome)

    def test_relay_error(self) -> None:
        """An outcome becomes the error of its verdict, and a success none (L1)."""
        failed, deferred = Outcome.of(Reply(550)), Outcome.of(Reply(450))
        self.assertIs(PermanentRelayError, type(relay_error(failed, ConnectionLost)))
        self.assertIs(TransientRelayError, type(relay_error(deferred)))
        self.assertIs(ConnectionLost, type(relay_error(deferred, ConnectionLost)))
        self.assertIs(deferred, relay_error(deferred).outcome)
        self.assertRaises(ValueError, relay_error, Outcome.of(Reply(250)))

    def test_says_what_its_outcome_says(self) -> None:
        """No error carries a success, and none an outcome of the other kind (L1, L2)."""
        delivered, deferred, failed = (Outcome.of(Reply(code)) for code in (250, 450, 550))
        for kind in (RelayError, PermanentRelayError, *KINDS):
            self.assertRaises(ValueError, kind, delivered)
        self.assertRaises(ValueError, PermanentRelayError, deferred)
        for kind in KINDS:
            self.assertRaises(ValueError, kind, failed)
        for outcome in (deferred, failed):
            self.assertIs(outcome, RelayError(outcome).outcome)


class RefusalTests(SynchronousTestCase):
    """A peer's refusal becomes an outcome."""

    def test_kept(self) -> None:
        """A refusal that is about the message or a recipient is passed on as it is (L11)."""
        for command in ("MAIL", "RCPT", "DATA", "end of data"):
            for text in ("550 5.1.1 no", "450 4.2.0 later", "521 5.7.1 no", "556 5.1.10 no"):
                reply = Reply.parse(text)
                outcome = refusal(reply, command, host="mx", tls="TLSv1.3")
                expected = Outcome.of(reply, host="mx", command=command, tls="TLSv1.3")
                self.assertEqual(expected, outcome)

    def test_softened(self) -> None:
        """A refusal of us is no refusal of the message: it defers, and is quoted (PEER-08)."""
        outcome = refusal(Reply.parse("535 5.7.8 bad password"), "AUTH", host="mx")
        self.assertEqual(
            Reply(451, "4.7.8", ("AUTH refused: 535 5.7.8 bad password",)), outcome.reply
        )
        self.assertIs(Verdict.DEFERRED, outcome.verdict)

    def test_no_mail_here(self) -> None:
        """A greeting of 521 says that the host takes no mail at all: another may (PEER-08)."""
        outcome = refusal(Reply(521), "greeting", host="mx")
        self.assertIs(Verdict.FAILED, outcome.verdict)
        self.assertTrue(try_next_host(outcome))

    def test_greeting(self) -> None:
        """Any other 5yz as a greeting defers, also 556, which is for RCPT (PEER-08, RFC 7504 4)."""
        for code in (500, 501, 502, 503, 504, 530, 535, *range(550, 557), 571, 599):
            outcome = refusal(Reply(code), "greeting", host="mx")
            self.assertIs(Verdict.DEFERRED, outcome.verdict, code)
            self.assertTrue(try_next_host(outcome))

    def test_unknown_command(self) -> None:
        """A point of the dialogue that is not in the table is a mistake of the caller."""
        self.assertRaises(KeyError, refusal, Reply(550), "NOOP", host=None)

    def test_no_mail_here_elsewhere(self) -> None:
        """After the greeting 521 is about us, as in "521 too many errors": it defers (L2)."""
        for command in ("connect", "EHLO", "STARTTLS", "AUTH"):
            for code in (521, 556):
                outcome = refusal(Reply(code), command, host="mx")
                self.assertIs(Verdict.DEFERRED, outcome.verdict, (command, code))
                self.assertTrue(try_next_host(outcome))

    def test_no_refusal(self) -> None:
        """A reply that refuses nothing is not made an outcome: it would be a success (L1)."""
        for command in STAGES:
            for code in (200, 220, 250, 251, 334, 354):
                self.assertRaises(ValueError, refusal, Reply(code), command, host="mx")


class NextHostTests(SynchronousTestCase):
    """Another host is asked at once only where RFC 5321 5.1 allows it."""

    def test_never_after_ambiguity(self) -> None:
        """After an end that may have been a success nobody else is asked (L4)."""
        for command in STAGES:
            outcome = fault_outcome("lost", "", command=command, ambiguous=True)
            self.assertFalse(try_next_host(outcome))

    def test_faults(self) -> None:
        """A fault before the data is like a 4yz there."""
        for command, (_, _, next_host) in MEANINGS.items():
            outcome = fault_outcome("lost", "", command=command)
            self.assertEqual(next_host, try_next_host(outcome), command)

    def test_delivered(self) -> None:
        """A delivered message is not sent again."""
        for command in STAGES:
            self.assertFalse(try_next_host(Outcome.of(Reply(250), command=command)))

    def test_elsewhere(self) -> None:
        """An outcome from nowhere in the dialogue says nothing about other hosts."""
        for command in (None, "", "LHLO"):
            self.assertFalse(try_next_host(Outcome.of(Reply(450), command=command)))
