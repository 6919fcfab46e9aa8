# -*- test-case-name: tests.relay.test_definitions -*-
"""Relays that an operator has named, each built when it is first asked for, in whatever order.

What C{--define NAME=DESCRIPTION} says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from slimtwist.description import is_relay_name
from slimtwist.installed import installed
from slimtwist.relay.shared import SharedRelay
from slimtwist.runtime import Runtime, Shared


class Definitions(Mapping[str, Shared]):
    """The relays by name, with those that the runtime knows already.

    @ivar runtime: builds relays from descriptions that may use these names.
    """

    def __init__(self, runtime: Runtime, descriptions: Mapping[str, str]) -> None:
        """Build nothing yet.

        @param descriptions: by name; they may use each other's names.
        @raise ValueError: a name cannot be one, or is another's.
        """
        for name in descriptions:
            _check(name, runtime)
        self._given = runtime.defined
        self.runtime = replace(runtime, defined=self)
        self._descriptions = dict(descriptions)
        self._built: dict[str, SharedRelay] = {}
        self._building: list[str] = []

    def __getitem__(self, name: str) -> Shared:
        """Return a relay, the same each time.

        @raise KeyError: there is none of that name.
        @raise ValueError: its description is wrong, or it is made of itself.
        """
        if name in self._given:
            return self._given[name]
        if name not in self._built:
            description = self._descriptions[name]
            if name in self._building:
                circle = [*self._building[self._building.index(name) :], name]
                raise ValueError(f"{name!r} is made of itself: {', '.join(circle)}")
            self._building.append(name)
            try:
                self._built[name] = SharedRelay(self.runtime.relay(description), name)
            finally:
                self._building.pop()
        return self._built[name]

    def stop_unused(self) -> None:
        """Stop what was built and is not used: it would keep in use what it is made of."""
        for shared in self._built.values():
            shared.stop_unless_used()

    def __contains__(self, name: object) -> bool:
        """Tell whether there is such a relay, without building it."""
        return name in self._descriptions or name in self._given

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter([*self._given, *self._descriptions])

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._given) + len(self._descriptions)


def _check(name: str, runtime: Runtime) -> None:
    if not is_relay_name(name):
        raise ValueError(
            f"{name!r} is no name: write a letter, then letters, digits, '-', '_' and '.', all in "
            "lower case"
        )
    if name in installed().plugins:
        raise ValueError(f"{name!r} is a kind of relay already; choose another name")
    if name in runtime.defined:
        raise ValueError(f"{name!r} is defined already; choose another name")
