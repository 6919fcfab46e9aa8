# -*- test-case-name: tests.integration.test_case -*-
"""A test that starts real servers, and shows their logs when it fails.

L{ServerCase.serve} starts a server, sees to its end, and remembers it. When a test method fails,
the end of each server's log becomes part of the failure's text, so that a failure in CI can be
understood where it is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, TestCase

from tests.integration.servers import Server
from tests.integration.waiting import until

_LINES_SHOWN = 150

_Any = TypeVar("_Any", bound=Server)


class TestErredError(Exception):
    """A test ended with an error that is not a failed assertion."""


class ServerCase(TestCase):
    """A test case with servers.

    @cvar timeout: after how many seconds a test fails.
    """

    timeout: float = 150.0

    def setUp(self) -> None:
        """Have the logs of the servers added to whatever the test method fails with."""
        self._servers: list[Server] = []
        name = self.id().rpartition(".")[2]
        setattr(self, name, self._telling(getattr(self, name)))

    def serve(self, server: _Any) -> _Any:
        """Start a server, which is stopped when the test ends; return it."""
        self._servers.append(server)
        self.addCleanup(server.stop)
        server.start()
        return server

    def logged(self, server: Server, words: str) -> Deferred[bool]:
        """Wait until a server has logged something, which may be some time after it was done."""
        return until(lambda: words in server.log(), f"{words!r} in the log of {server.name}")

    def _telling(self, method: Callable[[], object]) -> Callable[[], Deferred[object]]:
        return lambda: maybeDeferred(method).addErrback(self._tell)

    def _tell(self, failure: Failure) -> Failure:
        """Fail in the same way and at the same place, with the logs as well."""
        if not self._servers or failure.check(SkipTest):
            return failure
        error = self.failureException if failure.check(self.failureException) else TestErredError
        text = f"{type(failure.value).__qualname__}: {failure.getErrorMessage()}"
        told = error("\n\n".join([text, *map(_shown, self._servers)]))
        raise told.with_traceback(failure.tb) from None


def _shown(server: Server) -> str:
    lines = server.log().splitlines()[-_LINES_SHOWN:]
    return "\n".join([f"--- log of {server.name}", *lines, f"--- end of the log of {server.name}"])
