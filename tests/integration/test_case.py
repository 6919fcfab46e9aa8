# -*- test-case-name: tests.integration.test_case -*-
"""A failed test shows the logs of its servers; a server is stopped however its test ends."""

from __future__ import annotations

from twisted.internet import defer
from twisted.python.failure import Failure
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.integration.case import ServerCase

_started: list[_Talkative] = []


class _Talkative:
    """A server that logs, and otherwise does nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopped = False

    def start(self) -> None:
        _started.append(self)

    def stop(self) -> None:
        self.stopped = True

    def log(self) -> str:
        return "".join(f"{self.name} line {n}\n" for n in range(1000))


class _Inner(ServerCase):
    """Tests that are run by the tests below."""

    timeout = 0.5

    def passes(self) -> None:
        self.serve(_Talkative("one"))

    def fails(self) -> None:
        self.serve(_Talkative("one"))
        self.serve(_Talkative("two"))
        self.assertEqual(1, 2)

    async def errs(self) -> None:
        self.serve(_Talkative("one"))
        await defer.succeed(None)
        raise KeyError("who")

    def hangs(self) -> defer.Deferred[None]:
        self.serve(_Talkative("one"))
        return defer.Deferred()

    def skips(self) -> None:
        self.serve(_Talkative("one"))
        raise SkipTest("not today")

    async def logs(self) -> None:
        await self.logged(self.serve(_Talkative("one")), "one line 3\n")

    def bare(self) -> None:
        self.fail("no server")


def _traceback(failure: Failure | str) -> str:
    assert isinstance(failure, Failure)
    return failure.getTraceback()


def _message(failure: Failure | str) -> str:
    assert isinstance(failure, Failure)
    return failure.getErrorMessage()


class ServerCaseTests(SynchronousTestCase):
    """L{ServerCase} through trial."""

    def outcome(self, name: str) -> TestResult:
        """Run a test of L{_Inner}; see that its servers were stopped."""
        _started.clear()
        result = TestResult()
        _Inner(name).run(result)
        self.assertTrue(all(server.stopped for server in _started))
        return result

    def test_passes(self) -> None:
        """A test that passes shows nothing."""
        result = self.outcome("passes")
        self.assertTrue(result.wasSuccessful())
        self.assertEqual(len(_started), 1)

    def test_fails(self) -> None:
        """A failed assertion stays one; its text has the end of each log."""
        [[_, failure]] = self.outcome("fails").failures
        text = _traceback(failure)
        self.assertIn("1 != 2\n", text)
        self.assertIn("--- log of one\none line 850\none line 851\n", text)
        self.assertIn("two line 999\n--- end of the log of two", text)
        self.assertIn("self.assertEqual(1, 2)", text)

    def test_errs(self) -> None:
        """An error in a coroutine is named, with the logs."""
        [[_, failure]] = self.outcome("errs").errors
        self.assertIn("KeyError: 'who'\n\n--- log of one", _message(failure))

    def test_hangs(self) -> None:
        """A test that took too long shows the logs as well."""
        [[_, failure]] = self.outcome("hangs").errors
        self.assertIn("still running at 0.5 secs\n\n--- log of one", _message(failure))

    def test_logged(self) -> None:
        """A test can wait for the words of a log."""
        self.assertTrue(self.outcome("logs").wasSuccessful())

    def test_skips(self) -> None:
        """A skipped test stays one."""
        self.assertEqual(len(self.outcome("skips").skips), 1)

    def test_bare(self) -> None:
        """Without a server, a failure is left as it is."""
        [[_, failure]] = self.outcome("bare").failures
        self.assertEqual(_message(failure), "no server")
