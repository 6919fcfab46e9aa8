# -*- test-case-name: tests.relay.test_group -*-
"""The process group of a program: all that it has started, unless it has left the group.

Sources: kill(2), setsid(2), credentials(7).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress

from twisted.logger import Logger
from twisted.python.util import runAsEffectiveUser

_log = Logger()


def send_signal(pid: int, number: signal.Signals, *, alive: bool) -> None:
    """Send a signal to a program and its group. Never raises.

    @param pid: of the program, which leads the group.
    @param alive: whether it has not been waited for; else its number may be another's by now, and
        only its group is meant.
    """
    try:
        _privileged(lambda: os.killpg(pid, number))
    except ProcessLookupError:
        if alive:  # it was started a moment ago, and has no group of its own yet
            with suppress(ProcessLookupError):
                _privileged(lambda: os.kill(pid, number))
    except PermissionError:
        _log.error("process {pid} belongs to somebody else, and cannot be ended", pid=pid)


def exists(pid: int) -> bool:
    """Tell whether there is a process of this number, if only to be waited for."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _privileged(call: Callable[[], None]) -> None:
    """Do something as root, if that is in reserve: the program may run as another user."""
    if os.getuid() == 0 != os.geteuid():
        runAsEffectiveUser(0, os.getegid(), call)
    else:
        call()
