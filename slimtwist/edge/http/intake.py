# -*- test-case-name: tests.edge.http.test_request -*-
"""The body of a request on its way into a queue's sink."""

from __future__ import annotations

import hashlib

from twisted.internet.defer import Deferred

from slimtwist.content import Content
from slimtwist.edge.body import Body, Normalizer
from slimtwist.edge.http.answer import refused
from slimtwist.edge.replies import BARE_NEWLINE, INTERNAL, TOO_LARGE, storage_trouble
from slimtwist.edge.setting import Setting
from slimtwist.edge.trace import TraceScan

#: What a refusal of the body is, where it is not the status of its reply.
_STATUSES = {TOO_LARGE: 413, BARE_NEWLINE: 400}


class Intake:
    """A body while it comes.

    @ivar over: fires when it is complete, or can be of no more use.
    """

    def __init__(self, setting: Setting, mark: bytes | None) -> None:
        """Begin before the first octet.

        @param mark: what the message has if it was here before.
        @raise Refused: there is no room.
        """
        options = setting.options
        try:
            self._body = Body(setting.queue.sink(), options.limits, TraceScan(mark))
        except OSError as error:
            raise refused(storage_trouble(error)) from error
        normalize = options.bare_newline == "normalize"
        self._normalizer = Normalizer(self._body.take) if normalize else None
        self._digest = hashlib.sha256()
        self.over: Deferred[None] = Deferred()

    def take(self, octets: bytes) -> None:
        """Take octets."""
        if self.over.called:
            return
        self._digest.update(octets)
        if self._normalizer is None:
            self._body.take(octets)
        else:
            self._normalizer.feed(octets)
        if self._body.refusal is not None:
            self.end()

    def end(self) -> None:
        """Take note that nothing follows."""
        if not self.over.called:
            self.over.callback(None)

    def abandon(self) -> None:
        """Forget the octets."""
        self._body.drop()
        self.end()

    def finish(self) -> Content:
        """Return the message.

        @raise Refused: it cannot be taken.
        """
        if self._normalizer is not None and self._body.refusal is None:
            self._normalizer.finish()
        content = self._body.finish()
        if content is None:
            reply = self._body.refusal or INTERNAL
            raise refused(reply, _STATUSES.get(reply))
        return content

    @property
    def digest(self) -> bytes:
        """What is the same for the same octets."""
        return self._digest.digest()
