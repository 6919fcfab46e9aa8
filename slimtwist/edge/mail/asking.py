# -*- test-case-name: tests.edge.mail.test_domain -*-
"""About whom a server is asking, for those who are asked by way of an alias.

C{twisted.mail.alias} asks a domain about an address without saying for whose message.  It does so
while the server waits, so the server leaves word here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from twisted.mail.smtp import User


class Asking:
    """A recipient whom a server asks about.

    @ivar user: what the server knows of him.
    @ivar alone: whether no other recipient may be in the same transaction.
    """

    def __init__(self, user: User) -> None:
        """Begin with nothing known."""
        self.user = user
        self.alone = False


_ASKING: ContextVar[Asking | None] = ContextVar("slimtwist.edge.mail.asking", default=None)


@contextmanager
def asking(user: User) -> Iterator[Asking]:
    """Leave word of a recipient."""
    word = Asking(user)
    token = _ASKING.set(word)
    try:
        yield word
    finally:
        _ASKING.reset(token)


def asked() -> Asking | None:
    """Return about whom a server is asking now, if it has left word."""
    return _ASKING.get()
