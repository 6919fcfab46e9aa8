# -*- test-case-name: tests.testing.test_contract -*-
"""A relay on its bench: what the tests of a contract do with it, and see of it.

L{slimtwist.testing.contract} says what is right and what is wrong.
"""

from __future__ import annotations

import gc
import io
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from slimtwist.content import Content
from slimtwist.envelope import Envelope
from slimtwist.interfaces import IRelay
from slimtwist.testing.drivers import Driver

#: Steps of the driver after which something is said never to happen.
PATIENCE: Final = 10_000


class Waited:
    """Something that a relay has promised.

    @ivar what: what it is, for the text of a failure.
    @ivar result: what it fired with, when it has.
    """

    def __init__(self, promise: Deferred[Any], what: str) -> None:
        """Wait for a Deferred."""
        self.what = what
        self.result: object = None
        self._promise = promise
        self._then: list[Callable[[], object]] = []
        self.ended = False
        promise.addBoth(self._end)

    def then(self, call: Callable[[], object]) -> None:
        """Call in the moment in which it fires."""
        self._promise.addBoth(lambda _: call())

    def cancel(self) -> None:
        """Cancel it."""
        self._promise.cancel()

    def failed_with(self, *errors: type[Exception]) -> bool:
        """Tell whether it failed with one of these."""
        return isinstance(self.result, Failure) and self.result.check(*errors) is not None

    def _end(self, result: object) -> None:
        self.ended = True
        self.result = result


class Attempt(Waited):
    """An attempt under way.

    @ivar count: for how many recipients.
    """

    def __init__(self, promise: Deferred[Any], count: int) -> None:
        """Wait for the report."""
        super().__init__(promise, f"an attempt for {count}")
        self.count = count


class Bench:
    """A relay, its driver, and the test that looks at them."""

    def __init__(self, case: SynchronousTestCase, relay: IRelay, driver: Driver) -> None:
        """Begin with a new relay."""
        self.relay = relay
        self._case = case
        self._driver = driver
        self._contents: list[Content] = []

    def begin(self, envelope: Envelope, attempts: int = 0) -> Attempt:
        """Begin an attempt."""
        promise = self.relay.attempt(envelope, attempts)
        if not isinstance(promise, Deferred):
            self._case.fail(f"attempt() returned {promise!r} instead of a Deferred")
        return Attempt(promise, len(envelope.recipients))

    def stop(self) -> Waited:
        """Stop the relay."""
        return Waited(self.relay.stop(), "stop()")

    def content(self, octets: bytes) -> Content:
        """Return content in a file, which is closed when the relay leaves the bench."""
        content = Content.read(io.BytesIO(octets), threshold=0)
        self._contents.append(content)
        self._case.addCleanup(content.close)
        return content

    async def step(self) -> None:
        """Let things go on a little."""
        waiting = self._driver.step()
        if waiting is not None:
            await waiting

    async def steps(self, count: int, before: Waited) -> None:
        """Make so many steps, or as many as there are before something is over."""
        for _ in range(count):
            if before.ended:
                return
            await self.step()

    async def until(self, *awaited: Waited) -> None:
        """Let things go on until all this is over."""
        for each in awaited:
            await self.steps(PATIENCE, each)
            if not each.ended:
                self._case.fail(f"{each.what} has not fired after {PATIENCE} steps")

    async def leave(self) -> None:
        """Stop the relay, and look for what it leaves behind."""
        await self.until(self.stop())
        for content in self._contents:
            content.close()
        found = self._driver.residue()
        left = await found if isinstance(found, Deferred) else found
        if left:
            self._case.fail(f"left behind: {', '.join(left)}")


def scene(test: Callable[[Any], Coroutine[Any, Any, None]]) -> Callable[[Any], Any]:
    """Make a test of a coroutine, for synchronous test cases and others.

    In a synchronous one it must not wait for anything.
    """

    @wraps(test)
    def run(case: SynchronousTestCase) -> Deferred[None] | None:
        if isinstance(case, TestCase):
            return _soon().addCallback(lambda _: Deferred.fromCoroutine(test(case))).addBoth(_swept)
        ended: list[object] = []
        Deferred.fromCoroutine(test(case)).addBoth(_swept).addBoth(ended.append)
        if not ended:
            case.fail("only a TestCase can wait for a driver's step")
        if isinstance(ended[0], Failure):
            ended[0].raiseException()
        return None

    return run


def _soon() -> Deferred[Any]:
    """Return what fires when the reactor runs, with all that it has of its own."""
    from twisted.internet import reactor  # noqa: PLC0415 - trial's, as for every TestCase

    clock: Any = reactor
    return deferLater(clock, 0)


def _swept(result: Any) -> Any:  # noqa: ANN401 - passed through
    """Let an error that nobody looked at be logged now, in the test that it belongs to."""
    gc.collect()
    return result
