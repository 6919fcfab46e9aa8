# -*- test-case-name: tests.test_plugin -*-
"""How a package adds a relay to ``twistd relay``.

One line in a file of its C{twisted/plugins} is enough::

    maildir = RelayMaker("maildir", "example.maildir.parse")

Twisted imports every such file, in each program that asks for any plugin; so what it names is
loaded only when somebody wants that relay.  What C{ServiceMaker} is to services.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from twisted.plugin import IPlugin
from twisted.python.reflect import namedAny
from zope.interface import implementer

from slimtwist.interfaces import IRelay, IRelayPlugin

if TYPE_CHECKING:
    from slimtwist.runtime import Runtime


@implementer(IPlugin, IRelayPlugin)
class RelayMaker:
    """A relay's prefix, and where the function is that builds one."""

    def __init__(self, prefix: str, parser: str, further: str | None = None) -> None:
        """Load nothing yet.

        @param prefix: the word before the first colon of a description.
        @param parser: the full name of a function like L{IRelayPlugin.parse}; its signature says
            which arguments a description may have.
        @param further: the full name of a list of names, if the function takes any keyword: the
            arguments that are meant by that, for C{--help-relays}.
        """
        self.prefix = prefix
        self._parser = parser
        self._further = further

    def load(self) -> Callable[..., IRelay]:
        """Return the function."""
        parser: Callable[..., IRelay] = namedAny(self._parser)
        return parser

    def further(self) -> Sequence[str]:
        """Return the names of arguments that the function's signature does not say."""
        names: Sequence[str] = () if self._further is None else namedAny(self._further)
        return names

    def parse(self, runtime: Runtime, *args: str, **kwargs: str) -> IRelay:
        """Build a relay. See L{IRelayPlugin.parse}."""
        parser = self.load()
        signature = inspect.signature(parser)
        try:
            signature.bind(runtime, *args, **kwargs)
        except TypeError as error:
            from slimtwist.description import COLON_HINT  # noqa: PLC0415 - listing needs none of it

            said = f"{error}{COLON_HINT}" if "positional" in str(error) else str(error)
            raise ValueError(f"{said}; {_known(signature, self.further())}") from error
        return parser(runtime, *args, **kwargs)


def _known(signature: inspect.Signature, further: Sequence[str]) -> str:
    """Return what a description may hold, for whoever wrote another."""
    _, *parameters = signature.parameters.values()
    names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
    names += [name for name in further if name not in names]
    return f"its arguments are {', '.join(names) or 'none'}"
