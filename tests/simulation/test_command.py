# -*- test-case-name: tests.simulation.test_command -*-
"""The command line says what was run, and how to run again what failed."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import __main__ as command
from tests.simulation import batch, shrink
from tests.simulation.defects import DEFECTS
from tests.simulation.plan import Plan
from tests.simulation.table import WORDS


class CommandTests(SynchronousTestCase):
    """C{python -m tests.simulation}."""

    def setUp(self) -> None:
        """Leave the log of the tests as it is, and the files with what has failed."""
        self.patch(batch, "quiet", lambda: None)
        self.seeds, self.plans = Path(self.mktemp()), Path(self.mktemp())
        self.patch(command, "SEEDS", self.seeds)
        self.patch(command, "write", lambda plan, what: shrink.write(plan, what, self.plans))

    def command(self, *words: str) -> tuple[int, str]:
        """Run the command line; return its status and what it prints."""
        with redirect_stdout(io.StringIO()) as printed:
            status = command.main(list(words))
        self.flushLoggedErrors()
        return status, printed.getvalue()

    def test_lawful(self) -> None:
        """It prints what was run, and ends well when nothing was wrong."""
        status, text = self.command("--seeds", "60", "--first", "1")
        self.assertEqual(status, 0)
        for pattern in (
            r"^seeds: 60 from 1 on$",
            r"^virtual time: \d+\.\d days$",
            r"^deliveries: [1-9]\d*$",
            r"^faults injected: .*reply [1-9]",
            rf"^coverage of \(stage, reply\): [1-9]\d* of {len(WORDS)} pairs$",
            r"^speed: \d+ seeds a second$",
            r"^violations: 0$",
        ):
            self.assertRegex(text, re.compile(pattern, re.MULTILINE))

    def test_violation(self) -> None:
        """It tells what was wrong in which seed, and how to see it again."""
        with DEFECTS["the text of a refusal is lost"].plant():
            status, text = self.command("--seeds", "300", "--first", "1", "--scenario", "smtp")
            self.assertEqual(status, 1)
            again = re.search(r"again: python -m tests\.simulation (.*)", text)
            assert again is not None
            status, traced = self.command(*again[1].split())
        self.assertEqual(status, 1)
        self.assertIn("L11", traced)
        self.assertIn("RCPT TO:", traced)
        self.assertEqual(self.command(*again[1].split())[0], 0)

    def test_shrink(self) -> None:
        """It makes what failed smaller, and keeps seed and plan for the tests."""
        name = "an end of the connection after the message is a success"
        with DEFECTS[name].plant():
            self.command(
                "--seeds", "500", "--first", "1", "--most", "1", "--shrink", "--scenario", "smtp"
            )
        plans = shrink.regressions(self.plans)
        lines = self.seeds.read_text(encoding="utf-8").splitlines()
        self.assertEqual(len(plans), len(lines))
        self.assertEqual(lines, [f"smtp {plan.seed}" for plan in plans])
        self.assertTrue(all(len(plan.messages) == 1 for plan in plans))

    def test_fresh(self) -> None:
        """Without a first seed it takes the time, so that each run breaks new ground."""
        text = self.command("--seeds", "1")[1]
        first = re.search(r"seeds: 1 from (\d+) on", text)
        assert first is not None
        self.assertGreater(int(first[1]), 1_700_000_000)

    def test_jobs(self) -> None:
        """Several processes come to the same as one."""
        words = ("--seeds", "40", "--first", "7", "--jobs")
        one, two = (self.command(*words, jobs)[1].splitlines() for jobs in ("1", "2"))
        self.assertEqual(
            [line for line in one if "speed" not in line],
            [line for line in two if "speed" not in line],
        )

    def test_seconds(self) -> None:
        """It ends when its time is over."""
        parts = batch.Range(1, seconds=0.0).parts()
        self.assertEqual(list(parts)[1:], [])
        self.assertEqual(list(batch.Range(5, seeds=300).parts()), [range(5, 255), range(255, 305)])


class PlanTests(SynchronousTestCase):
    """What is printed can be run."""

    def test_plan(self) -> None:
        """A trace begins with the plan, as it stands in the file of regressions."""
        self.patch(batch, "quiet", lambda: None)
        with redirect_stdout(io.StringIO()) as printed:
            command.main(["--seeds", "1", "--first", "3", "--trace"])
        plan = Plan.parse(printed.getvalue().splitlines()[0])
        self.assertEqual(plan.seed, 3)
