# -*- test-case-name: tests.pages.test_arguments -*-
"""Every argument of every description is on the page of its relay."""

from __future__ import annotations

import inspect
import re

from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.interfaces import IRelayPlugin
from slimtwist.plugin import RelayMaker
from slimtwist.relay.arguments import ARGUMENTS
from slimtwist.relay.plugins import NOT_OF_MX
from tests.pages.rst import page, rows, sections, words

#: Where the relays that descriptions name are explained.
PAGES = {
    "mx": "mx",
    "smtp": "smarthost",
    "lmtp": "lmtp",
    "http": "http",
    "https": "http",
    "pipe": "pipe",
    "maildrop": "pipe",
    "dovecot-lda": "pipe",
    "fallback": "composing",
    "limit": "composing",
    "route": "composing",
    "headers": "composing",
    "split": "composing",
    "forward": "composing",
    "blackhole": "operating",
}


def arguments(maker: RelayMaker) -> list[str]:
    """Return the arguments with names that a description may have."""
    return [
        each.name
        for each in inspect.signature(maker.load()).parameters.values()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    ]


class ArgumentTests(SynchronousTestCase):
    """The pages against the parsers."""

    def setUp(self) -> None:
        """Find our relays."""
        found = getPlugins(IRelayPlugin)
        self.ours = {each.prefix: each for each in found if isinstance(each, RelayMaker)}

    def test_pages(self) -> None:
        """Every relay has its page, on which its description begins somewhere."""
        self.assertEqual({*self.ours}, {*PAGES})
        for prefix, name in PAGES.items():
            self.assertRegex(page(name), rf"(?m)(?:^|[` '=]){re.escape(prefix)}:", prefix)

    def test_named(self) -> None:
        """Every argument of its own is named there."""
        count = 0
        for prefix, maker in self.ours.items():
            for argument in arguments(maker):
                self.assertRegex(page(PAGES[prefix]), rf"\b{argument}(?:``|=)", prefix)
                count += 1
        self.assertGreater(count, 10)

    def test_mx(self) -> None:
        """The table of C{mx:} has all of its own, and says which of C{smtp:} it has not."""
        text = sections("mx")["All arguments"]
        table = [words(name)[0] for name, _ in rows(text)]
        self.assertEqual(table, arguments(self.ours["mx"]))
        excluded = text[text.index("but for") : text.index("``pool_size`` is")]
        self.assertLessEqual(NOT_OF_MX, {*ARGUMENTS})
        self.assertEqual({*words(excluded)}, {*NOT_OF_MX, "unix"})
