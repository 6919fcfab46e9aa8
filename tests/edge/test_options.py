# -*- test-case-name: tests.edge.test_options -*-
"""Tests of an edge's options."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.edge.access import LOOPBACK, Access
from slimtwist.edge.options import EdgeOptions
from slimtwist.limits import Limits, Timeouts


class Options(SynchronousTestCase):
    """What is chosen when nothing is said, and what cannot be."""

    def test_defaults(self) -> None:
        """By default an edge relays for this host only, and rejects bare newlines (ING-27)."""
        options = EdgeOptions()
        assert isinstance(options.access, Access)
        self.assertEqual(options.access.relay_from, LOOPBACK)
        self.assertFalse(options.access.accept)
        self.assertEqual((options.limits, options.timeouts), (Limits(), Timeouts()))
        self.assertEqual((options.lmtp, options.trace), (False, True))
        self.assertEqual(options.bare_newline, "reject")
        self.assertFalse(options.auth_in_clear)

    def test_nonsense(self) -> None:
        """What cannot be is refused, with a text that names it (OS-12)."""
        wrong: list[tuple[dict[str, Any], str]] = [
            ({"bare_newline": "keep"}, "'keep'"),
            ({"greeting_delay": -1.0}, "-1.0"),
        ]
        for arguments, named in wrong:
            with self.assertRaisesRegex(ValueError, named):
                EdgeOptions(**arguments)
