# -*- test-case-name: tests.test_installed -*-
"""Packages with plugins, installed for one test: good ones, and ones that cannot be used."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted.plugins

GOOD = """
from slimtwist.plugin import RelayMaker
good = RelayMaker("tests-good", "slimtwist.relay.plugins.parse_blackhole")
"""

#: What cannot be imported, and why.
BROKEN = {
    "tests_syntax": ("def", "SyntaxError: invalid syntax"),
    "tests_missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_"),
    "tests_exit": ("raise SystemExit('gone\\nfor \\x1b good')", "SystemExit: gone for ? good"),
}

NONSENSE = """
from twisted.plugin import IPlugin
from zope.interface import implementer
from slimtwist.interfaces import IRelayPlugin
from slimtwist.plugin import RelayMaker

@implementer(IPlugin, IRelayPlugin)
class Plugin:
    def __init__(self, **values):
        self.__dict__.update(values)

@implementer(IPlugin, IRelayPlugin)
class Raising:
    @property
    def prefix(self):
        raise ZeroDivisionError("really")

def parse(runtime):
    return "no relay"

def fail(runtime):
    raise ZeroDivisionError("really")

number = Plugin(prefix=7, parse=parse)
nothing = Plugin()
words = Plugin(prefix="two words", parse=parse)
unusable = Plugin(prefix="tests-unusable", parse=7)
raising = Raising()
smtp = Plugin(prefix="smtp", parse=parse)
odd = Plugin(prefix="tests-odd", parse=parse)
bad = Plugin(prefix="tests-bad", parse=fail)
late = RelayMaker("tests-late", "no_such_module.parse")
"""

#: What is wrong with the plugins of that file, by their names.
WRONG = {
    "number": "ValueError: the prefix 7 is no word of lower case",
    "nothing": "AttributeError: 'Plugin' object has no attribute 'prefix'",
    "words": "ValueError: the prefix 'two words' is no word of lower case",
    "unusable": "TypeError: parse is no method",
    "raising": "ZeroDivisionError: really",
    "smtp": "ValueError: the prefix 'smtp' is that of twisted.plugins.slimtwist_relay.smtp already",
}


def write(folder: Path, **files: str) -> Path:
    """Write files with plugins into a folder that is to be imported from; return it."""
    plugins = folder / "twisted" / "plugins"
    plugins.mkdir(parents=True)
    for name, text in files.items():
        (plugins / f"{name}.py").write_text(text)
    return folder


def install(test: SynchronousTestCase, **files: str) -> Path:
    """Install files with plugins for one test; return their folder."""
    folder = write(Path(test.mktemp()).absolute(), **files) / "twisted" / "plugins"
    test.patch(twisted.plugins, "__path__", [*twisted.plugins.__path__, str(folder)])
    return folder
