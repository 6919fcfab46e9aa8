# -*- test-case-name: tests.edge.mail.test_verdict -*-
"""What the receivers of a message have made of it, in one reply.

Sources: RFC 5321 4.2.1 (theory of reply codes).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from twisted.logger import Logger
from twisted.python.failure import Failure

from slimtwist.edge.mail.refused import reply_of
from slimtwist.edge.replies import INTERNAL
from slimtwist.reply import Reply

_TAKEN: Final = Reply.parse("250 2.0.0 taken")
_INTERNAL: Final = Reply.received(INTERNAL)
_log: Final = Logger()


def verdict(results: Iterable[tuple[bool, object]]) -> Reply:
    """Return the reply that speaks for all: a success for one is none for the others.

    @param results: what a C{DeferredList} of their ends fires with; one of them can be such a list
        itself, where an alias stands for several.
    """
    return max(_replies(results), key=_weight, default=_TAKEN)


def meaning(failure: Failure) -> Reply:
    """Return what a failure of one means: what an error of twisted.mail's says, or to come again.

    Any other error is logged.
    """
    reply = reply_of(failure.value)
    if reply is None:
        _log.failure("a message was not taken", failure)
    return reply or _INTERNAL


def _replies(results: Iterable[tuple[bool, object]]) -> Iterator[Reply]:
    for _, result in results:
        if isinstance(result, Failure):
            yield meaning(result)
        elif isinstance(result, list):
            yield from _replies(result)
        else:
            yield result if isinstance(result, Reply) else _TAKEN


def _weight(reply: Reply) -> int:
    """Order replies: what will pass outdoes what will not, and that a success."""
    return {2: 0, 5: 1, 4: 2}.get(reply.code // 100, 2)
