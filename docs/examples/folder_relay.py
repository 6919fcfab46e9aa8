# -*- test-case-name: tests.test_documentation -*-
"""A relay that keeps messages in a folder: C{folder:/var/spool/kept:domain=example.com}."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TypeVar

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.task import deferLater
from zope.interface import implementer

from slimtwist.envelope import Envelope
from slimtwist.errors import AttemptCancelled, TransientRelayError
from slimtwist.interfaces import IRelay
from slimtwist.latch import Latch
from slimtwist.outcome import Outcome, Report
from slimtwist.reply import Reply
from slimtwist.runtime import Runtime

_T = TypeVar("_T")

KEPT = Outcome.of(Reply.parse("250 2.0.0 kept"))
NOT_OURS = Outcome.of(Reply.parse("550 5.7.1 mail for this domain is not kept here"))


@implementer(IRelay)
class FolderRelay:
    """Writes each message to a file, if a recipient is in its domain."""

    def __init__(self, folder: Path, domain: str, *, runtime: Runtime) -> None:
        """Keep messages in a folder that is there."""
        self._folder = folder
        self._domain = domain
        self._clock = runtime.reactor
        self._running = 0
        self._stopping = False
        self._ended = Latch()

    def attempt(self, envelope: Envelope, attempts: int) -> Deferred[Report]:
        """Write the message. See L{IRelay.attempt}."""
        if self._stopping:
            return fail(TransientRelayError.at("shutting down"))
        self._running += 1
        return Deferred.fromCoroutine(self._attempt(envelope)).addBoth(self._one_less)

    def stop(self) -> Deferred[None]:
        """Let running attempts end. See L{IRelay.stop}."""
        self._stopping = True
        if not self._running:
            self._ended.release()
        return self._ended.wait()

    async def _attempt(self, envelope: Envelope) -> Report:
        ours = [each.address.domain.lower() == self._domain for each in envelope.recipients]
        try:
            if any(ours):
                await self._write(envelope)
        except OSError as error:
            raise TransientRelayError.at(str(error)) from error
        except CancelledError as error:
            raise AttemptCancelled.at("") from error
        return Report(tuple(KEPT if each else NOT_OURS for each in ours))

    async def _write(self, envelope: Envelope) -> None:
        # A later attempt at the same message takes the place of an earlier one.
        with self._file(f"{envelope.id}.eml") as file:
            for block in envelope.content.blocks():
                file.write(block)
                await deferLater(self._clock, 0)  # others have their turn

    @contextmanager
    def _file(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file that gets its name when it is complete and safe, or else is removed."""
        with NamedTemporaryFile(dir=self._folder, delete=False) as file:
            unfinished = Path(file.name)
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                unfinished.replace(self._folder / name)
            finally:
                unfinished.unlink(missing_ok=True)

    def _one_less(self, result: _T) -> _T:
        self._running -= 1
        if self._stopping and not self._running:
            self._ended.release()
        return result


def parse(runtime: Runtime, path: str, *, domain: str) -> IRelay:
    """Build the relay of a description.

    @raise ValueError: there is no such folder.
    """
    if not Path(path).is_dir():
        raise ValueError(f"path {path!r} is no folder; make it first")
    return FolderRelay(Path(path), domain.lower(), runtime=runtime)
