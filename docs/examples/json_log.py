# -*- test-case-name: tests.pages.test_operating -*-
"""A log of one JSON object a line, on standard output."""

from __future__ import annotations

import sys

from twisted.logger import ILogObserver, jsonFileLogObserver


def observer() -> ILogObserver:
    """Return what C{twistd --logger json_log.observer} wants."""
    return jsonFileLogObserver(sys.stdout, recordSeparator="")
