# -*- test-case-name: tests.test_package -*-
"""Add up what trial said at the end of its runs: ``python3 .ci/count.py LOG``.

Reads a log with the output of any number of trial runs, and prints one line, ``N passed, N
failed``. Everything that is not a success counts as failed: we have no reason to skip a test, or to
expect it to fail. The status is 0 when none failed and at least one passed. Uses the standard
library only, since it runs outside of the environments that tox made.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# How every run of trial ends: "Ran 4 tests in 0.002s", an empty line, and a verdict such as
# "FAILED (skips=1, failures=1, successes=2)".
_END = re.compile(r"^Ran (\d+) tests in [\d.]+s\n\n(PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)
_SUCCESSES = re.compile(r"\bsuccesses=(\d+)")


def count(log: str) -> tuple[int, int]:
    """Return how many tests succeeded, and how many were run without that."""
    passed = failed = 0
    for ran, verdict, results in _END.findall(log):
        successes = sum(map(int, _SUCCESSES.findall(results)))
        passed += successes
        # One test can have several errors, and a class can have one that belongs to no test.
        failed += max(int(ran) - successes, verdict == "FAILED")
    return passed, failed


def main() -> int:
    """Print the line for the log that is named on the command line; return the exit status."""
    passed, failed = count(Path(sys.argv[1]).read_text(errors="replace"))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
