# -*- test-case-name: tests.pages.test_twistd_relay -*-
"""The manual page: all options are in it, all descriptions of ours, and it is built."""

from __future__ import annotations

import re

from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from slimtwist.interfaces import IRelayPlugin
from slimtwist.plugin import RelayMaker
from slimtwist.tap import Options
from tests.pages.rst import ROOT, page, sections

PAGE = "twistd-relay"
#: Where an option's line begins, without what follows its name.
_OPTION = re.compile(r"(?m)^\.\. option:: (.*)$")


class ManualTests(SynchronousTestCase):
    """The page against the program."""

    def test_options(self) -> None:
        """Every option is there, with its short form if it has one."""
        lines = _OPTION.findall(sections(PAGE)["Options"])
        long = {name for line in lines for name in re.findall(r"--([-a-z]+)", line)}
        wanted = {name.rstrip("=") for name in Options().longOpt}
        self.assertEqual(wanted - long, set())
        self.assertEqual(long - wanted, set())
        for short in re.findall(r"[a-z]", Options().shortOpt):
            self.assertTrue(any(line.startswith(f"-{short} ") for line in lines), short)

    def test_repeatable(self) -> None:
        """A star stands where the help has one."""
        listing = str(Options())
        for entry in sections(PAGE)["Options"].split(".. option:: ")[1:]:
            (name,) = re.findall(r"--([-a-z]+)", entry)[:1]
            starred = re.search(rf"--{name}= +\*", listing)
            if f"--{name}" in listing:
                self.assertEqual("\n   \\* " in entry, bool(starred), name)

    def test_descriptions(self) -> None:
        """Every relay of ours is there."""
        text = sections(PAGE)["Descriptions"]
        for plugin in getPlugins(IRelayPlugin):
            if isinstance(plugin, RelayMaker):
                self.assertRegex(text, rf"(?m)^\*\*{re.escape(plugin.prefix)}:")

    def test_built(self) -> None:
        """It is one of Sphinx's manual pages, and CI builds them."""
        self.assertIn(f'("{PAGE}", "{PAGE}", ', (ROOT / "docs" / "conf.py").read_text())
        self.assertIn("sphinx-build -W --keep-going -E -b man ", (ROOT / "tox.ini").read_text())

    def test_where_it_is(self) -> None:
        """It says how it is had."""
        self.assertIn("sphinx-build -b man", page(PAGE))
