# -*- test-case-name: tests.relay.test_program -*-
"""For whom a program is run, and what each end of it means."""

# ruff: noqa: SLF001, E501 - the blocks of a run are nowhere else to be seen

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.envelope import Envelope
from slimtwist.relay.child import Child
from slimtwist.relay.commandline import CommandLine
from slimtwist.relay.dress import Dress
from slimtwist.relay.process import Ending
from slimtwist.relay.program import Program
from slimtwist.relay.sysexits import EXIT_STATUSES

OCTETS = b"Delivered-To: d@x\r\n\r\n"
DONE = Ending(0, None, "", fed=True, read=True, output="")


def program(*words: str, **options: Any) -> Program:  # noqa: ANN401 - of Program
    """Return a program with the usual settings."""
    usual: dict[str, Any] = {
        "command": CommandLine.parse(["p", *words]), "child": Child(), "dress": Dress(),
        "statuses": EXIT_STATUSES, "timeout": 9.0, "per_recipient": True,
        "require_full_read": False,
    }  # fmt: skip
    return Program(**{**usual, **options})


class JobTests(SynchronousTestCase):
    """Runs for a message."""

    def jobs(self, what: Program, *recipients: str) -> list[tuple[Any, ...]]:
        """Return the runs, short."""
        envelope = Envelope.parse("a@x", recipients, OCTETS)
        found = what.jobs(envelope)
        return [
            (job.positions, b" ".join(job.argv), job.refusal and job.refusal.code) for job in found
        ]

    def test_each(self) -> None:
        """Each recipient has his own, twice if he is there twice."""
        self.assertEqual(
            [([0], b"p b@x", None), ([1], b"p c@x", None), ([2], b"p b@x", None)],
            self.jobs(program("{recipient}"), "b@x", "c@x", "b@x"),
        )

    def test_all(self) -> None:
        """Or there is one for all, apart from those who cannot be an argument."""
        self.assertEqual(
            [([1], b"", 550), ([0, 2, 3], b"p b@x c@x b@x", None)],
            self.jobs(program("{recipient}", per_recipient=False), "b@x", "-@x", "c@x", "b@x"),
        )
        self.assertEqual(
            [([0], b"", 550)], self.jobs(program("{recipient}", per_recipient=False), "-@x")
        )

    def test_loop(self) -> None:
        """Who has had the message is refused, if we write that he has."""
        dress = Dress(delivered_to=True)
        jobs = self.jobs(program(dress=dress), "b@x", "D@X", "e@x")
        self.assertEqual([None, 554, None], [job[2] for job in jobs])
        self.assertEqual([None], [job[2] for job in self.jobs(program(), "d@x")])

    def test_blocks(self) -> None:
        """A message for one names him; a message for all names nobody."""
        envelope = Envelope.parse("a@x", ["b@x", "c@x"], b"x\r\n")
        clock = Clock()
        told = []
        for what in (
            program(dress=Dress(delivered_to=True)),
            program(dress=Dress(return_path=True), per_recipient=False),
        ):
            for job in what.jobs(envelope):
                run = what.run(clock, envelope, job)
                told.append(b"".join(run._blocks))
                run.abandon()
        fields = [b"Delivered-To: b@x", b"Delivered-To: c@x", b"Return-Path: <a@x>"]
        self.assertEqual([field + b"\r\nx\r\n" for field in fields], told)
        self.assertEqual([], clock.getDelayedCalls())

    def test_wrong(self) -> None:
        """No time, and a message for all that would name one, are refused."""
        for options in (
            {"timeout": 0.0}, {"timeout": -1.0}, {"timeout": float("nan")},
            {"per_recipient": False, "dress": Dress(delivered_to=True)},
            {"per_recipient": False, "dress": Dress(x_original_to=True)},
        ):  # fmt: skip
            self.assertRaises(ValueError, program, **options)


class MeaningTests(SynchronousTestCase):
    """Ends to outcomes."""

    def meant(self, what: Program | None = None, **changes: Any) -> tuple[str, bool]:  # noqa: ANN401
        """Return the reply, without its end, and whether it is ambiguous."""
        outcome = (what or program()).meaning(replace(DONE, **changes))
        self.assertEqual(("p", "end of data"), (outcome.host, outcome.command))
        return str(outcome.reply).removesuffix("; the message may be delivered more than once"), (
            outcome.ambiguous
        )

    def test_said(self) -> None:
        """What the program says holds."""
        self.assertEqual(("250 2.0.0 delivered", False), self.meant())
        self.assertEqual(("554 5.1.1 who", False), self.meant(status=67, output="who"))
        self.assertEqual(("250 2.0.0 delivered", False), self.meant(fed=False, read=False))

    def test_not_said(self) -> None:
        """An end that is not its own defers, and is ambiguous if it had all of the message."""
        cases: dict[str, dict[str, Any]] = {
            "451 4.4.2 timed out: p did not end in 9 s": {"stopped": "timeout"},
            "451 4.3.0 internal error: p was ended: unreadable": {"stopped": "unreadable"},
            "451 4.3.0 internal error: p was killed by signal 9": {"status": None, "signal": 9},
            "451 4.3.0 internal error: p was lost": {"status": None},
        }
        for text, changes in cases.items():
            self.assertEqual((text, True), self.meant(**changes))
            self.assertEqual((text, False), self.meant(**changes, fed=False))
        # Whatever it says when it is asked to end is too late (L1).
        self.assertEqual("451", self.meant(stopped="timeout", status=0)[0][:3])
        self.assertEqual("451", self.meant(stopped="timeout", status=67)[0][:3])

    def test_never_ran(self) -> None:
        """A child that never became the program says nothing about the message (PIPE-17)."""
        output = "Upon execvpe /usr/bin/setsid ['/usr/bin/setsid', 'p'] in environment"
        reply, ambiguous = self.meant(status=1, output=output)
        self.assertEqual(
            ("451 4.3.5 wrong configuration: p cannot be started", False), (reply, ambiguous)
        )

    def test_full_read(self) -> None:
        """Who must read all, and did not, has not taken it; what he refuses he refuses (PIPE-09)."""
        strict = program(require_full_read=True)
        text = "451 4.3.0 internal error: p did not read all of the message"
        self.assertEqual("250 2.0.0 delivered", self.meant(strict)[0])
        for changes in ({"fed": False}, {"read": False}):
            self.assertEqual((text, False), self.meant(strict, **changes))
            self.assertEqual(
                "554 5.1.1 exit status 67", self.meant(strict, status=67, **changes)[0]
            )
