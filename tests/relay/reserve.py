# -*- test-case-name: tests.relay.test_child -*-
"""A program for tests: runs programs while it keeps root in reserve, as C{twistd --euid} does.

It prints what came of it, in words between spaces.  It is started as root.
"""

from __future__ import annotations

import os
import time
from typing import Any

from twisted.internet import reactor, task
from twisted.internet.defer import Deferred

from slimtwist.envelope import Envelope
from slimtwist.relay.child import Child
from slimtwist.relay.pipe import PipeRelay
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime

_USER = 1000


async def _reply(arguments: list[str], **child: Any) -> Reply:  # noqa: ANN401 - of Child
    relay = PipeRelay(arguments, timeout=0.5, child=Child(**child), runtime=Runtime(reactor))
    [outcome] = await relay.attempt(Envelope.parse("a@x", ["b@y"], b""), 0)
    await relay.stop()
    return outcome.reply


async def _main() -> None:
    os.setegid(_USER)
    os.seteuid(_USER)
    who = await _reply(["sh", "-c", "cat >/dev/null; id -un; exit 75"], user="nobody")
    start = time.monotonic()
    late = await _reply(["sleep", "60"], user="nobody")
    in_time = time.monotonic() - start < 4
    euid = os.geteuid()
    as_root = await _reply(["true"])
    os.setresuid(_USER, _USER, _USER)
    without = await _reply(["true"], user="nobody")
    print(who.text, late.enhanced, in_time, euid, as_root.enhanced, without.enhanced)  # noqa: T201


if __name__ == "__main__":
    task.react(lambda _: Deferred.fromCoroutine(_main()))
