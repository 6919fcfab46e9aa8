# -*- test-case-name: tests.relay.test_sysexits -*-
"""What exit statuses and output mean."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.outcome import Outcome, Verdict
from slimtwist.relay.sysexits import EXIT_STATUSES, exit_statuses, outcome

TRANSIENT = {69, 70, 71, 72, 74, 75, 78, 126, 127}


def meant(status: int, output: str = "") -> Outcome:
    """Return what the usual table makes of it."""
    return outcome(status, output, EXIT_STATUSES, "/x/program")


class OutcomeTests(SynchronousTestCase):
    """Statuses to outcomes."""

    def test_table(self) -> None:
        """0 is delivered, the transient ones are deferred, all others failed (L2)."""
        for status in range(256):
            wanted = Verdict.DELIVERED if status == 0 else Verdict.FAILED
            wanted = Verdict.DEFERRED if status in TRANSIENT else wanted
            self.assertIs(wanted, meant(status).verdict, status)

    def test_names(self) -> None:
        """The statuses of sysexits.h are all there, by the system's own numbers."""
        codes = {
            "OK": "2.0.0", "USAGE": "5.3.0", "DATAERR": "5.6.0", "NOINPUT": "5.3.0",
            "NOUSER": "5.1.1", "NOHOST": "5.1.2", "UNAVAILABLE": "4.3.0", "SOFTWARE": "4.3.0",
            "OSERR": "4.3.0", "OSFILE": "4.3.5", "CANTCREAT": "5.2.0", "IOERR": "4.3.0",
            "TEMPFAIL": "4.3.0", "PROTOCOL": "5.5.0", "NOPERM": "5.7.0", "CONFIG": "4.3.5",
        }  # fmt: skip
        for name, code in codes.items():
            self.assertEqual(code, EXIT_STATUSES[getattr(os, f"EX_{name}")], name)

    def test_text(self) -> None:
        """The text is what was printed, line by line, or the status."""
        self.assertEqual("554 5.3.0 exit status 1", str(meant(1).reply))
        self.assertEqual("250 2.0.0 delivered", str(meant(0, " \r\n").reply))
        self.assertEqual("250 2.0.0 saved to x", str(meant(0, "saved to x\n").reply))
        self.assertEqual(("a", "", "b"), meant(1, "\r\n a\r\n\r\nb\n").reply.lines)
        self.assertEqual(("/x/program", "end of data"), (meant(1).host, meant(1).command))

    def test_enhanced(self) -> None:
        """A code at the beginning decides, unless the status is a success (Postfix's pipe(8))."""
        cases = {
            (1, "4.2.2 full"): "451 4.2.2 full",
            (75, "\n5.2.2  full\n"): "554 5.2.2 full",
            (75, "5.7.1"): "554 5.7.1 exit status 75",
            (0, "5.2.2 full"): "250 2.0.0 5.2.2 full",
            (1, "2.0.0 fine"): "554 5.3.0 2.0.0 fine",
            (75, "5.1.1x"): "451 4.3.0 5.1.1x",
            (75, "5.1.1.1 x"): "451 4.3.0 5.1.1.1 x",
            (75, "5.1.1234 x"): "451 4.3.0 5.1.1234 x",
            (75, "550 5.1.1 x"): "451 4.3.0 550 5.1.1 x",
            (75, "see 5.1.1 x"): "451 4.3.0 see 5.1.1 x",
            (75, "\u0665.1.1 x"): "451 4.3.0 \u0665.1.1 x",
        }
        for (status, output), wanted in cases.items():
            self.assertEqual(wanted, str(meant(status, output).reply))

    def test_clean(self) -> None:
        """Whatever is printed can be a reply: printable, and of few lines (PIPE-14, INJ-11)."""
        reply = meant(1, "a\0\x1b[2J\x85b\u202ec\u2028d\x0be\tf").reply
        self.assertEqual(("a??[2J", "b?c", "d", "e f"), reply.lines)
        lines = [str(number) for number in range(1000)]
        kept = meant(1, "\n".join(lines)).reply.lines
        self.assertEqual((*lines[:32], *lines[-32:]), kept)
        encoded = meant(1, "x" * 5000).reply.encode()
        self.assertTrue(all(len(line) <= 510 for line in encoded.split(b"\r\n")))

    def test_changes(self) -> None:
        """An operator may change the table; what makes no sense is refused."""
        statuses = exit_statuses({1: "4.0.0", 99: "2.0.0", 0: "4.2.0"})
        self.assertEqual(("4.0.0", "2.0.0", "4.2.0"), tuple(statuses[n] for n in (1, 99, 0)))
        self.assertEqual("5.1.1", statuses[67])
        self.assertIs(Verdict.DELIVERED, outcome(99, "5.1.1 x", statuses, "x").verdict)
        for changes in ({256: "4.0.0"}, {-1: "4.0.0"}, {1: "3.0.0"}, {1: "4.0"}, {1: "4.0.0 x"}):
            self.assertRaises(ValueError, exit_statuses, changes)
