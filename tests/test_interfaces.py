# -*- test-case-name: tests.test_interfaces -*-
"""Everything of ours that claims to provide an interface of ours does so."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface
from zope.interface.interface import InterfaceClass
from zope.interface.verify import verifyClass, verifyObject

import slimtwist
import slimtwist.interfaces
import twisted.plugins.slimtwist_relay
from slimtwist.interfaces import IMessageSink, IQueue, IRelay, IRelayPlugin, IRelayPolicy

INTERFACES = [IMessageSink, IQueue, IRelay, IRelayPlugin, IRelayPolicy]


def implementations() -> Iterator[tuple[InterfaceClass, type]]:
    """Every class of the package, with each of our interfaces that it claims to implement."""
    for info in pkgutil.walk_packages(slimtwist.__path__, "slimtwist."):
        module = importlib.import_module(info.name)
        for each in vars(module).values():
            if isinstance(each, type) and each.__module__ == info.name:
                for interface in INTERFACES:
                    if interface.implementedBy(each):
                        yield interface, each


class InterfaceTests(SynchronousTestCase):
    """The interfaces are what the design says, and are kept."""

    def test_complete(self) -> None:
        """All interfaces of the module are looked at here."""
        found = [
            each
            for each in vars(slimtwist.interfaces).values()
            if isinstance(each, InterfaceClass) and each is not Interface
        ]
        self.assertEqual(sorted(INTERFACES), sorted(found))

    def test_documented(self) -> None:
        """Every method and attribute says what is wanted of it."""
        for interface in INTERFACES:
            for name, description in interface.namesAndDescriptions():
                self.assertTrue(description.__doc__, f"{interface.__name__}.{name}")

    def test_classes(self) -> None:
        """Each class has the methods of what it claims, with the right arguments."""
        found = list(implementations())
        for interface, each in found:
            self.assertTrue(verifyClass(interface, each))
        self.assertEqual(set(INTERFACES), {interface for interface, _ in found})

    def test_plugins(self) -> None:
        """Our plugins are relay plugins, each with a prefix of its own, the word of its name."""
        found = [
            each
            for each in vars(twisted.plugins.slimtwist_relay).values()
            if IRelayPlugin.providedBy(each)
        ]
        for each in found:
            self.assertTrue(verifyObject(IRelayPlugin, each))
            self.assertTrue(IPlugin.providedBy(each))
        prefixes = [each.prefix for each in found]
        self.assertEqual(len(prefixes), len(set(prefixes)))
        self.assertLessEqual({"smtp", "blackhole"}, set(prefixes))
