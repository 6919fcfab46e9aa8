# -*- test-case-name: tests.integration.test_programs -*-
"""A missing program is an error that names its package, and all packages are in one list."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.programs import (
    PARTS,
    ProgramMissingError,
    RootNeededError,
    program,
    require,
    require_root,
)

_ESSENTIAL = {"coreutils"}  # on every Debian machine


class ProgramTests(SynchronousTestCase):
    """Finding what Debian installed."""

    def test_every_part_is_there(self) -> None:
        """Each program and module that the tests use is found where its package puts it."""
        require(*PARTS)
        self.assertTrue(os.access(program("smtp-sink"), os.X_OK))

    def test_missing(self) -> None:
        """A program that is not installed is an error that says what to install."""
        error = self.assertRaises(ProgramMissingError, program, "swaks", Path(self.mktemp()))
        self.assertEqual(str(error), "swaks is not installed: apt-get install swaks")

    def test_packages(self) -> None:
        """C{packages.txt} names the package of every part, and no other, in order."""
        text = (Path(__file__).parent / "packages.txt").read_text(encoding="utf-8")
        packages = [line for line in text.splitlines() if not line.startswith("#")]
        needed = {package for _, package in PARTS.values()} - _ESSENTIAL
        self.assertEqual(packages, sorted(needed))

    def test_root(self) -> None:
        """Who is not root learns that a server wants it."""
        require_root("Postfix")
        self.patch(os, "geteuid", lambda: 1000)
        error = self.assertRaises(RootNeededError, require_root, "Postfix")
        self.assertIn("Postfix", str(error))
