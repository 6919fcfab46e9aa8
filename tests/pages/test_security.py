# -*- test-case-name: tests.pages.test_security -*-
"""The page on security: every test that it names is there, and every law has tests that name it."""

from __future__ import annotations

import inspect
import re
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.pages.rst import page, sections, words

_LAW = re.compile(r"(L\d+): ")


def named(text: str) -> list[str]:
    """Return the tests that a text names."""
    return [each for each in words(text) if each.startswith("tests.")]


def is_test(thing: Any) -> bool:  # noqa: ANN401 - whatever a name stands for
    """Tell whether C{trial} would run it."""
    if isinstance(thing, ModuleType):
        return any(inspect.isclass(each) and is_test(each) for each in vars(thing).values())
    if inspect.isclass(thing):
        return issubclass(thing, SynchronousTestCase)
    return callable(thing) and thing.__name__.startswith("test_")


class SecurityTests(SynchronousTestCase):
    """Names and laws."""

    def test_names(self) -> None:
        """Each name is that of a test, of a class of them, or of a module with such classes."""
        names = named(page("security"))
        self.assertGreater(len(names), 80)
        for name in names:
            self.assertTrue(is_test(resolve_name(name)), name)

    def test_once(self) -> None:
        """No test speaks for two sections."""
        names = named(page("security"))
        self.assertEqual(len(names), len({*names}))

    def test_laws(self) -> None:
        """Each law has its section, and each test of it says that it is of that law."""
        laws = {
            m[1]: named(text)
            for title, text in sections("security").items()
            if (m := _LAW.match(title))
        }
        self.assertEqual([*laws], [f"L{number}" for number in range(1, 13)])
        for law, names in laws.items():
            self.assertGreater(len(names), 3, law)
            spoken_for = [
                name
                for name in names
                if re.search(rf"\b{law}\b|L1 to L4", inspect.getsource(resolve_name(name)))
            ]
            self.assertGreater(len(spoken_for), len(names) // 2, law)

    def test_all_sections(self) -> None:
        """No section is without tests, but for what is left to the reader."""
        bare = [title for title, text in sections("security").items() if not named(text)]
        self.assertEqual(bare, ["What is left to you"])
