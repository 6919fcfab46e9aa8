# -*- test-case-name: tests.test_runtime -*-
"""The tests of L{slimtwist.runtime}."""

from __future__ import annotations

import random
import socket
from dataclasses import FrozenInstanceError
from pathlib import Path

from twisted.internet import reactor
from twisted.trial.unittest import SynchronousTestCase

import twisted.plugins
from slimtwist.interfaces import IRelay
from slimtwist.relay.blackhole import BlackholeRelay
from slimtwist.runtime import Runtime, default_runtime, ehlo_name
from slimtwist.testing import MemoryReactor

#: A plugin file, as another package has it.
PLUGINS = '''
from twisted.plugin import IPlugin
from zope.interface import implementer

from slimtwist.interfaces import IRelayPlugin
from slimtwist.relay.blackhole import BlackholeRelay


@implementer(IPlugin, IRelayPlugin)
class Plugin:
    """Keeps what it was given."""

    prefix = "test-relay"

    def parse(self, runtime, host, port="25", **kwargs):
        """Build a relay, or not."""
        if host == "wrong":
            raise ValueError("host='wrong' is wrong")
        relay = BlackholeRelay()
        relay.given = (runtime, host, port, kwargs)
        return relay


plugin = Plugin()
'''


class EhloNameTests(SynchronousTestCase):
    """A name that may follow EHLO is a host name or an address literal (INJ-06)."""

    def test_good(self) -> None:
        """It is given back as it is."""
        for name in (
            "localhost",
            "mx.example.com",
            "MX-1.Example.COM",
            "a_b.example",
            "127.0.0.1",
            "xn--bcher-kva.example",
            "[127.0.0.1]",
            "[IPv6:::1]",
            "[IPv6:2001:db8::1]",
            "[IPv6:::ffff:192.0.2.1]",
            "a" * 63,
            ".".join(["a" * 63] * 3),
        ):
            self.assertEqual(name, ehlo_name(name))

    def test_bad(self) -> None:
        """Anything else is refused, before it is said to anybody (L5)."""
        for name in (
            "",
            " ",
            "a b",
            "a\r\nMAIL FROM:<evil@example.com>",
            "a\n",
            "\na",
            "a\0",
            "ü.example",
            "example.com.",
            ".example.com",
            "a..b",
            "-a",
            "a-",
            "a.-b",
            "a" * 64,
            "a" * 300,
            ".".join(["a" * 63] * 5),
            "a@b",
            "<a>",
            "a,b",
            "[]",
            "[127.0.0.1",
            "127.0.0.1]",
            "[IPv6:]",
            "[IPv6:g]",
            "[a b]",
            "[127.0.0.1]x",
            "[IPv6:fe80::1%eth0]",
        ):
            error = self.assertRaises(ValueError, ehlo_name, name)
            self.assertTrue(str(error).isprintable())
            self.assertLess(len(str(error)), 1000)

    def test_linear(self) -> None:
        """A long name is judged at once."""
        for name in ("a." * 500_000, "a-" * 500_000, "[" + "1" * 1_000_000):
            self.assertRaises(ValueError, ehlo_name, name)

    def test_literals(self) -> None:
        """What stands in brackets is an address, and IPv6 is said to be that (RFC 5321 4.1.3)."""
        for name in (
            "[::1]",
            "[2001:db8::1]",
            "[IPv6:127.0.0.1]",
            "[IPv6:1::2::3]",
            "[IPv6:::12345]",
            "[999.0.0.1]",
            "[127.1]",
            "[1.2.3.4.5]",
            "[...]",
            "[:]",
            "[abc]",
        ):
            self.assertRaises(ValueError, ehlo_name, name)


class RuntimeTests(SynchronousTestCase):
    """A runtime has what relays need from outside."""

    def test_defaults(self) -> None:
        """A reactor is enough."""
        clock = MemoryReactor()
        runtime = Runtime(clock)
        self.assertIs(clock, runtime.reactor)
        self.assertEqual("localhost", runtime.hostname)
        self.assertIsInstance(runtime.random, random.SystemRandom)
        self.assertIsNone(runtime.resolver)

    def test_hostname(self) -> None:
        """The host name is checked when it is set (INJ-06)."""
        self.assertEqual("mx.example", Runtime(MemoryReactor(), "mx.example").hostname)
        self.assertRaises(ValueError, Runtime, MemoryReactor(), "mx example\r\n")

    def test_frozen(self) -> None:
        """Nobody can change it for everybody else."""
        with self.assertRaises(FrozenInstanceError):
            Runtime(MemoryReactor()).hostname = "x"  # type: ignore[misc]


class DefaultRuntimeTests(SynchronousTestCase):
    """The runtime of this process is Twisted's reactor and the host's own name."""

    def named(self, name: str) -> Runtime:
        """The default runtime of a host of that name."""
        self.patch(socket, "getfqdn", lambda: name)
        return default_runtime()

    def test_reactor(self) -> None:
        """It has the global reactor and the name."""
        runtime = self.named("mx.example.com")
        self.assertIs(reactor, runtime.reactor)
        self.assertEqual("mx.example.com", runtime.hostname)

    def test_unusable_name(self) -> None:
        """A name that cannot be said to anybody is not."""
        for name in ("", "my host", "büro", "a" * 300):
            self.assertEqual("localhost", self.named(name).hostname)


class RelayTests(SynchronousTestCase):
    """A runtime builds a relay from a description."""

    def setUp(self) -> None:
        """Install another package's plugin."""
        folder = Path(self.mktemp()) / "twisted" / "plugins"
        folder.mkdir(parents=True)
        (folder / "slimtwist_test_plugins.py").write_text(PLUGINS)
        path = [*twisted.plugins.__path__, str(folder.absolute())]
        self.patch(twisted.plugins, "__path__", path)
        self.runtime = Runtime(MemoryReactor())

    def refused(self, description: str) -> str:
        """The text of the error that a description gets."""
        return str(self.assertRaises(ValueError, self.runtime.relay, description))

    def test_our_own(self) -> None:
        """Our own relays are found."""
        self.assertIsInstance(self.runtime.relay("blackhole:"), BlackholeRelay)

    def test_plugin(self) -> None:
        """The plugin gets the runtime and the arguments of the description."""
        relay = self.runtime.relay("test-relay:mx:port=587:a=[::1]")
        self.assertTrue(IRelay.providedBy(relay))
        given = (self.runtime, "mx", "587", {"a": "[::1]"})
        self.assertEqual(given, relay.given)  # type: ignore[attr-defined]

    def test_unknown(self) -> None:
        """An unknown relay is an error that tells the known ones."""
        text = self.refused("nowhere:x")
        self.assertIn("'nowhere'", text)
        for known in ("blackhole", "smtp", "test-relay"):
            self.assertIn(known, text)

    def test_malformed(self) -> None:
        """A description that is none is an error like any other."""
        self.assertIn("'Smtp:x'", self.refused("Smtp:x"))

    def test_wrong_arguments(self) -> None:
        """Too few, too many, and unknown arguments are told, with the relay that they are for."""
        for description, part in (
            ("test-relay:", "'host'"),
            ("test-relay:a:25:c", "too many"),
            ("test-relay:a:host=b", "'host'"),
            ("test-relay:a:runtime=b", "'runtime'"),
            ("blackhole:a", "too many"),
            ("blackhole:a=b", "'a'"),
        ):
            text = self.refused(description)
            self.assertTrue(text.startswith(f"{description.partition(':')[0]}: "), text)
            self.assertIn(part, text)

    def test_wrong_value(self) -> None:
        """What the plugin says of a value is passed on, with the relay that it is for."""
        self.assertEqual("test-relay: host='wrong' is wrong", self.refused("test-relay:wrong"))
