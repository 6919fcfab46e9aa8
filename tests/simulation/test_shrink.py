# -*- test-case-name: tests.simulation.test_shrink -*-
"""What fails is made small, and becomes a test."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.defects import DEFECTS, find
from tests.simulation.plan import Client, Fault, Message, Plan, Settings
from tests.simulation.run import draw, run
from tests.simulation.shrink import breaks_same, regressions, shrink, write


class ShrinkTests(SynchronousTestCase):
    """A plan that fails becomes smaller."""

    def test_least(self) -> None:
        """What does not matter is taken out, what does stays: messages, recipients, faults,
        clients, settings.
        """

        def fails(plan: Plan) -> bool:
            many = any(len(message.recipients) > 1 for message in plan.messages)
            return many and any(fault.value == "451" for fault in plan.faults)

        plan = next(plan for seed in range(1, 5000) if fails(plan := draw("smtp", seed)))
        least = shrink(plan, fails)
        self.assertTrue(fails(least))
        (message,) = least.messages
        (fault,) = least.faults
        self.assertEqual((len(message.recipients), message.size, message.tries), (2, 0, 1))
        self.assertEqual(least.settings, Settings())
        self.assertEqual([client.number for client in least.clients], [message.client])
        self.assertEqual(fault.value, "451")

    def test_parts_stay(self) -> None:
        """A part that stays is the same as before: its octets do not depend on what went."""
        plan = draw("smtp", 12)
        least = shrink(plan, lambda each: plan.messages[0] in each.messages)
        self.assertEqual(least.messages, plan.messages[:1])
        self.assertEqual(least.faults, ())

    def test_planted(self) -> None:
        """A defect is found in the smaller plan as well, and breaks the same law there."""
        planted = DEFECTS["an end of the connection after the message is a success"]
        found = find(planted)
        assert found is not None
        with planted.plant():
            least = shrink(found.plan, breaks_same(found.plan))
            violations = run(least).violations
        law = found.violations[0].partition(":")[0]
        self.assertIn(law, {each.partition(":")[0] for each in violations})
        self.assertEqual(least.faults, (Fault("reply", "end of data m0", value="close"),))
        self.assertEqual((len(least.messages), len(least.clients)), (1, 1))
        self.assertLessEqual(len(repr(least)), 320)


class CorpusTests(SynchronousTestCase):
    """What was made small is written down and read again."""

    def test_round(self) -> None:
        """Plans come back as they were, and what they violated is a comment in one line."""
        file = Path(self.mktemp())
        plans = [
            Plan(1, clients=(Client(0),), messages=(Message(0, 7, recipients=("m0r0@a",)),)),
            draw("smtp", 9),
        ]
        for plan in plans:
            write(plan, "L1: told 250\nand nothing is stored", file)
        self.assertEqual(regressions(file), plans)
        comments = file.read_text(encoding="utf-8").splitlines()[::2]
        self.assertEqual(comments, ["# L1: told 250 and nothing is stored"] * 2)
