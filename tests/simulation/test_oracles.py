# -*- test-case-name: tests.simulation.test_oracles -*-
"""Each oracle can find fault: a defect is planted for it, and found in a few runs.

C{python -m tests.simulation.defects} looks for all planted defects, which takes longer.
"""

from __future__ import annotations

import gc
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.defects import DEFECTS, find
from tests.simulation.run import run

#: One defect for each oracle.
_NAMES: Final = (
    "an end of the connection after the message is a success",
    "a transient refusal is for good",
    "an attempt has no deadline",
    "no wait has an end",
    "an end after the message is not ambiguous",
    "a recipient is made better",
    "a message is written without waiting",
    "dots are stuffed in each block for itself",
    "TLS that is required may be missing",
    "a reply decides for the recipient before",
    "the text of a refusal is lost",
    "a refusal stops all recipients",
    "a timer stays behind",
    "a message that is given up keeps its file",
    "a pool stumbles over its messages",
    "AUTH is tried where nothing protects it",
)
#: Seeds in which each has to be found here.
_WITHIN: Final = 300


class DefectTests(SynchronousTestCase):
    """What is wrong is found."""

    def test_found(self) -> None:
        """A planted defect is found by the oracle that it is for."""
        for name in _NAMES:
            result = find(DEFECTS[name], within=_WITHIN)
            gc.collect()
            self.flushLoggedErrors()
            self.assertIsNotNone(result, name)

    def test_taken_out(self) -> None:
        """A defect is gone afterwards: what found it finds nothing."""
        for name in _NAMES:
            result = find(DEFECTS[name], within=_WITHIN)
            gc.collect()  # what nobody looked at belongs to the run that is over
            self.flushLoggedErrors()
            assert result is not None
            self.assertEqual(run(result.plan).violations, (), name)
            self.flushLoggedErrors()
