# -*- test-case-name: tests.test_listing -*-
"""The listing of relays: all of them, all their arguments, and what cannot be used."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from slimtwist.installed import installed
from slimtwist.listing import listing
from slimtwist.relay.arguments import ARGUMENTS
from tests.plugins import BROKEN, GOOD, NONSENSE, WRONG, install

OWN = '''
from twisted.plugin import IPlugin
from zope.interface import implementer
from slimtwist.interfaces import IRelayPlugin
from slimtwist.plugin import RelayMaker

@implementer(IPlugin, IRelayPlugin)
class Plugin:
    prefix = "tests-own"
    def parse(self, runtime, path, *more, depth="3", **others):
        """Keep mail. See L{nothing.Else<x>}.

        And so on.
        """

@implementer(IPlugin, IRelayPlugin)
class Silent:
    prefix = "tests-silent"
    def parse(self, runtime):
        pass

own = Plugin()
silent = Silent()
'''


class ListingTests(SynchronousTestCase):
    """What is printed."""

    def entry(self, prefix: str) -> str:
        """Return what is said of one relay, in one line."""
        found = re.search(rf"(?m)^  {prefix}:\n((?: {{6}}.*\n?)*)", listing(installed()))
        assert found is not None
        return " ".join(found[1].split())

    def test_ours(self) -> None:
        """Each of ours is there, with a sentence and its arguments; none is broken."""
        text = listing(installed())
        for prefix in installed().plugins:
            self.assertRegex(self.entry(prefix), r"^Build a relay .*\. Arguments: .*\.$")
        self.assertNotIn("cannot be used", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        self.assertNotIn("{", text)

    def test_arguments(self) -> None:
        """Defaults are told, and what is needed; arguments of many relays are told for each."""
        self.assertIn("Arguments: none.", self.entry("blackhole"))
        self.assertIn("Arguments: relay (needed), concurrency, rate.", self.entry("limit"))
        self.assertIn("Arguments: relays (any number), timeout.", self.entry("fallback"))
        smtp = self.entry("smtp")
        self.assertIn("Arguments: host, port=25, unix, tls,", smtp)
        for name in ARGUMENTS:
            self.assertRegex(smtp, rf"\b{name}\b")
        self.assertNotIn("credentials", self.entry("mx"))
        self.assertEqual(self.entry("http").count("url"), 1)

    def test_others(self) -> None:
        """So it is with those of other packages, made by whatever means."""
        install(self, tests_own=OWN)
        wanted = (
            "Keep mail. Arguments: path (needed), more (any number), depth=3, others (any names)."
        )
        self.assertEqual(self.entry("tests-own"), wanted)
        self.assertEqual(self.entry("tests-silent"), "Arguments: none.")

    def test_broken(self) -> None:
        """What cannot be imported, loaded or used is named at the end, with the reason; all others
        are listed.
        """
        broken = {name: text for name, (text, _) in BROKEN.items()}
        install(self, tests_good=GOOD, tests_nonsense=NONSENSE, **broken)
        good, _, problems = listing(installed()).partition("\nPlugins that cannot be used:\n")
        self.assertIn("  tests-good:\n", good)
        self.assertIn("  smtp:\n", good)
        self.assertNotIn("  tests-late:\n", good)
        told = dict(re.findall(r"(?m)^  (\S+)\n      (.+)$", problems))
        names = [f"twisted.plugins.{name}" for name in BROKEN]
        names += [f"twisted.plugins.tests_nonsense.{name}" for name in WRONG]
        self.assertEqual(sorted(told), sorted([*names, "tests-late:"]))
        self.assertEqual(told["tests-late:"][:15], "ObjectNotFound:")
        self.assertGreater(len(self.flushLoggedErrors()), 0)
