# -*- test-case-name: tests.relay.test_group -*-
"""The process group of a program: all that it has started, unless it has left the group.

Sources: kill(2), setsid(2), credentials(7).
"""

from __future__ import annotations

import signal
from contextlib import suppress

from twisted.logger import Logger

from slimtwist.relay.system import LINUX, System

_log = Logger()


def send_signal(pid: int, number: signal.Signals, *, alive: bool, system: System = LINUX) -> None:
    """Send a signal to a program and its group. Never raises.

    @param pid: of the program, which leads the group.
    @param alive: whether it has not been waited for; else its number may be another's by now, and
        only its group is meant.
    @param system: where the program runs.
    """
    try:
        system.killpg(pid, number)
    except ProcessLookupError:
        if alive:  # it was started a moment ago, and has no group of its own yet
            with suppress(ProcessLookupError):
                system.kill(pid, number)
    except PermissionError:
        _log.error("process {pid} belongs to somebody else, and cannot be ended", pid=pid)


def exists(pid: int, system: System = LINUX) -> bool:
    """Tell whether there is a process of this number, if only to be waited for."""
    try:
        system.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
