# -*- test-case-name: tests.test_plugin -*-
"""A relay that a package adds: found by its prefix, loaded when it is wanted."""

from __future__ import annotations

import sys

from twisted.plugin import IPlugin, getPlugins
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from slimtwist.interfaces import IRelay, IRelayPlugin
from slimtwist.plugin import RelayMaker
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.runtime import Runtime

#: Built by the parser below, each with its arguments.
BUILT: list[tuple[Runtime, str, int]] = []


def parse(runtime: Runtime, path: str, *, depth: str = "1") -> IRelay:
    """Build a relay as somebody's plugin does."""
    BUILT.append((runtime, path, int(depth)))
    return BlackholeRelay()


#: What the next one takes by any name.
FURTHER = ("path", "depth", "width")


def parse_any(runtime: Runtime, path: str, **_arguments: str) -> IRelay:
    """Build a relay as well."""
    return parse(runtime, path)


class RelayMakerTests(SynchronousTestCase):
    """What stands in a file of C{twisted/plugins}."""

    def setUp(self) -> None:
        """A relay of this module."""
        BUILT.clear()
        self.maker = RelayMaker("test", f"{__name__}.parse")
        self.runtime = Runtime(None)

    def test_interfaces(self) -> None:
        """Twisted finds it, and so do we."""
        self.assertTrue(verifyObject(IRelayPlugin, self.maker))
        self.assertTrue(IPlugin.providedBy(self.maker))

    def test_parse(self) -> None:
        """The arguments reach the function that it names."""
        self.assertTrue(IRelay.providedBy(self.maker.parse(self.runtime, "/x", depth="3")))
        self.assertEqual(BUILT, [(self.runtime, "/x", 3)])

    def test_lazy(self) -> None:
        """Nothing is loaded before it is wanted."""
        sys.modules.pop("wsgiref.handlers", None)
        maker = RelayMaker("lazy", "wsgiref.handlers.nothing_there")
        self.assertNotIn("wsgiref.handlers", sys.modules)
        self.assertRaises(AttributeError, maker.parse, self.runtime)
        self.assertIn("wsgiref.handlers", sys.modules)

    def test_wrong_arguments(self) -> None:
        """Arguments that are unknown, missing or too many are named, with those there are."""
        cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
            (("/x",), {"dept": "3"}, "'dept'"),
            ((), {}, "'path'"),
            (("/x", "y"), {}, "too many positional arguments (a colon within one needs brackets"),
        ]
        for args, kwargs, named in cases:
            with self.assertRaises(ValueError) as caught:
                self.maker.parse(self.runtime, *args, **kwargs)
            text = str(caught.exception)
            self.assertIn(named, text)
            self.assertIn("; its arguments are path, depth", text)
        self.assertEqual(BUILT, [])

    def test_further(self) -> None:
        """Arguments that only a list tells of are among those there are."""
        maker = RelayMaker("any", f"{__name__}.parse_any", f"{__name__}.FURTHER")
        error = self.assertRaises(ValueError, maker.parse, self.runtime, "/x", "y")
        self.assertIn(" before); its arguments are path, depth, width", str(error))

    def test_installed(self) -> None:
        """Ours are installed, and each is there when it is wanted."""
        makers = [each for each in getPlugins(IRelayPlugin) if isinstance(each, RelayMaker)]
        self.assertLessEqual({"smtp", "lmtp", "blackhole"}, {maker.prefix for maker in makers})
        for maker in makers:
            self.assertTrue(callable(maker.load()))
