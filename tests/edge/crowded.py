# -*- test-case-name: tests.edge.test_room -*-
"""A process with few file descriptors, and an edge in it; it says where that listens."""

from __future__ import annotations

import resource
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IReactorCore

from slimtwist.edge.smtp import SmtpEdgeFactory
from slimtwist.queue.direct import DirectQueue
from slimtwist.runtime import Runtime
from tests.edge.world import NextHop


def main(descriptors: int) -> None:
    """Serve until killed."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    runtime = Runtime(reactor)
    factory = SmtpEdgeFactory(runtime, DirectQueue(runtime, NextHop()))

    def listening(port: Any) -> None:  # noqa: ANN401 - a port of Twisted's
        sys.stdout.write(f"{port.getHost().port}\n")
        sys.stdout.flush()

    serverFromString(reactor, "tcp:0:interface=127.0.0.1").listen(factory).addCallback(listening)
    IReactorCore(reactor).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
