# -*- test-case-name: tests.integration.test_slimta_names -*-
"""The page on python-slimta against python-slimta itself: no argument of a relay is missing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.web import scripts, slimta
from tests.pages.rst import rows, sections, words

PAGE = "from-python-slimta"

#: Prints what each class takes: of its own, and of the class of its connections.
_ASK = """
import inspect, json, sys
from importlib import import_module
from slimta.relay.smtp.client import SmtpRelayClient

found = {}
for name in json.load(sys.stdin):
    module, _, last = name.rpartition(".")
    thing = getattr(import_module(module), last)
    parameters = inspect.signature(thing).parameters
    found[last] = [each for each in parameters if each not in ("self", "queue", "address")]
found["connection"] = [
    each for each in inspect.signature(SmtpRelayClient).parameters
    if each not in ("address", "queue", "context")
]
print(json.dumps(found))
"""


class NameTests(SynchronousTestCase):
    """The left column."""

    def setUp(self) -> None:
        """Ask python-slimta."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (scripts(folder) / "ask.py").write_text(_ASK)
        table = rows(sections(PAGE)["Names"])
        names = [words(left)[0] for left, _, _ in table]
        asked = subprocess.run(
            [slimta(), str(folder / "ask.py")],
            input=json.dumps(names),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual(asked.returncode, 0, asked.stderr)
        self.there: dict[str, list[str]] = json.loads(asked.stdout)

    def told(self, title: str) -> list[str]:
        """Return the left column of a section."""
        return [words(left)[0] for left, _, _ in rows(sections(PAGE)[title])]

    def test_arguments(self) -> None:
        """Every argument of every relay has its row, in its order; attributes may follow."""
        for title in ("HttpRelay", "PipeRelay", "MaildropRelay", "DovecotLdaRelay"):
            taken = self.there[title]
            self.assertEqual(self.told(title)[: len(taken)], taken, title)
        self.assertEqual(self.told("StaticLmtpRelay"), self.there["StaticLmtpRelay"])
        self.assertEqual(self.told("MxSmtpRelay")[:2], self.there["MxSmtpRelay"])

    def test_connections(self) -> None:
        """A smart host's have those of its connections, too."""
        taken = {*self.there["StaticSmtpRelay"], *self.there["connection"]} - {"client_kwargs"}
        self.assertEqual({*self.told("StaticSmtpRelay")}, taken)
